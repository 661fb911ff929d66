//! The power is back: everybody comes within the random delay, whoever is not served in time goes, and comes again by the phones'
//! law. Played as a flow, in steps; nothing in it is left to chance.

use std::collections::BTreeMap;

/// When a phone comes again: after so many seconds, and up to `spread` more, by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    pub after: f64,
    pub spread: f64,
}

/// What comes, and what it meets.
#[derive(Debug, Clone, PartialEq)]
pub struct Storm<'r> {
    pub phones: f64,
    /// Seconds over which they come first; above 0.
    pub delay: f64,
    /// Phones that are served in a second as long as none goes in vain; above 0.
    pub per_second: f64,
    /// Seconds until a phone goes in vain; above 0.
    pub patience: f64,
    /// Of the processor, what is lost to those who go, while some do: 0 to below 1.
    pub loss: f64,
    /// Empty: a phone comes once.
    pub retry: &'r [Retry],
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weathered {
    /// Seconds until the last phone has its profile; none where that takes longer than is played, or some never come again.
    pub last: Option<f64>,
    /// Phones that are served by then.
    pub served: f64,
    /// Tries that came to nothing.
    pub in_vain: f64,
    /// Most phones that waited at a time.
    pub waiting: f64,
    /// Seconds in which the servers had all they could do.
    pub busy: f64,
}

/// Seconds that are played at most: thirty days.
const LONGEST: f64 = 30.0 * 86_400.0;

/// Steps that are played at most, those in which nothing happens not counted.
const MOST_STEPS: u32 = 500_000;

/// Steps in the time that all phones take one after the other, and the shortest of them in seconds.
const STEPS: f64 = 20_000.0;
const SHORTEST: f64 = 0.1;

impl Storm<'_> {
    /// Plays it.
    pub fn play(&self) -> Weathered {
        let step = (self.phones / self.per_second / STEPS).clamp(SHORTEST, LONGEST / STEPS);
        let mut coming = Coming::new(step, self.retry.len());
        coming.add(0.0, self.delay, self.phones, 0);
        // A flow's last drop, and of very many phones what the arithmetic can't tell.
        let none = (self.phones * 1e-9).max(1e-3);
        let mut state = Weathered { last: None, served: 0.0, in_vain: 0.0, waiting: 0.0, busy: 0.0 };
        let (mut waiting, mut at) = (0.0_f64, 0_u64);
        // As long as who has gone still stands in the line.
        let mut crowded_until = 0.0_f64;
        for _ in 0..MOST_STEPS {
            let now = at as f64 * step;
            if now > LONGEST {
                break;
            }
            coming.advance(at);
            let arriving: f64 = coming.rates.iter().sum();
            let capacity = self.per_second * if now < crowded_until { 1.0 - self.loss } else { 1.0 };
            // Who finds more before it than are served in its time waits in vain.
            let room = (capacity * (self.patience + step) - waiting).max(0.0);
            let taken = arriving.min(room);
            if arriving > room {
                crowded_until = now + self.patience;
                let share = 1.0 - taken / arriving;
                for (failures, gone) in coming.rates.clone().into_iter().map(|rate| rate * share).enumerate() {
                    state.in_vain += gone;
                    if let Some(retry) = self.retry.get(failures).or(self.retry.last()) {
                        coming.add(now + self.patience + retry.after, retry.spread, gone, failures + 1);
                    }
                }
            }
            waiting += taken;
            state.waiting = state.waiting.max(waiting);
            let served = waiting.min(capacity * step);
            if served > 0.0 {
                state.busy += served / capacity;
                state.served += served;
                waiting -= served;
            }
            if self.phones - state.served <= none {
                // The step is not full to its end where the queue is empty before.
                let rest = if arriving > 0.0 { step } else { served / capacity };
                state.last = Some(now + rest);
                break;
            }
            at = if waiting > 0.0 || arriving > 0.0 {
                at + 1
            } else if let Some(next) = coming.next() {
                next
            } else {
                break;
            };
        }
        state
    }
}

/// Phones that will come: how many in each step, by the failures that they have behind them. Kept as the changes of these rates, so
/// that a phone's spread over hours costs as little as one over seconds.
struct Coming {
    step: f64,
    rates: Vec<f64>,
    changes: BTreeMap<u64, Vec<f64>>,
}

impl Coming {
    fn new(step: f64, retries: usize) -> Self {
        Self { step, rates: vec![0.0; retries + 1], changes: BTreeMap::new() }
    }

    /// So many phones come, spread evenly from this moment on.
    fn add(&mut self, from: f64, spread: f64, phones: f64, failures: usize) {
        if phones <= 0.0 {
            return;
        }
        let level = failures.min(self.rates.len() - 1);
        let levels = self.rates.len();
        let first = (from / self.step).ceil() as u64;
        let steps = (spread / self.step).round().max(1.0);
        for (at, change) in [(first, phones / steps), (first + steps as u64, -phones / steps)] {
            let rates = self.changes.entry(at).or_insert_with(|| vec![0.0; levels]);
            if let Some(rate) = rates.get_mut(level) {
                *rate += change;
            }
        }
    }

    /// The rates of this step. Steps are asked for in their order, and none with a change is passed over.
    fn advance(&mut self, at: u64) {
        while let Some(entry) = self.changes.first_entry().filter(|entry| *entry.key() <= at) {
            for (rate, change) in self.rates.iter_mut().zip(entry.remove()) {
                let sum = *rate + change;
                // What is left of equal numbers that come and go is nothing.
                *rate = if sum.abs() <= change.abs() * 1e-9 { 0.0 } else { sum.max(0.0) };
            }
        }
    }

    fn next(&self) -> Option<u64> {
        self.changes.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKS: [Retry; 4] = super::super::DEFAULT_RETRY;

    fn storm(phones: f64, delay: f64, per_second: f64) -> Storm<'static> {
        Storm { phones, delay, per_second, patience: 10.0, loss: 0.0, retry: &PACKS }
    }

    fn near(value: f64, wanted: f64, within: f64) {
        assert!((value - wanted).abs() <= within, "{value} is not {wanted}");
    }

    #[test]
    fn who_comes_slower_than_one_can_serve_is_served_at_once() {
        let weathered = storm(100_000.0, 600.0, 500.0).play();
        near(weathered.last.unwrap(), 600.0, 1.0);
        assert_eq!(weathered.in_vain, 0.0);
        near(weathered.busy, 200.0, 1.0);
        near(weathered.served, 100_000.0, 1.0);
    }

    #[test]
    fn a_queue_within_the_patience_of_phones_is_worked_off() {
        // 5,000 within 2 seconds, 500 a second: 10 seconds of work, and nobody has to wait more than 8.
        let weathered = storm(5_000.0, 2.0, 500.0).play();
        near(weathered.last.unwrap(), 10.0, 0.2);
        assert_eq!(weathered.in_vain, 0.0);
        near(weathered.waiting, 4_000.0, 60.0);
    }

    #[test]
    fn who_goes_in_vain_comes_again_by_the_law() {
        // 20,000 within 2 seconds at 500 a second: 6,000 of them are served within 12 seconds. 14,000 come again 60 to 90 seconds
        // after they went (at 10 to 12): 16,000 can be served in those 32 seconds.
        let weathered = storm(20_000.0, 2.0, 500.0).play();
        near(weathered.in_vain, 14_000.0, 100.0);
        near(weathered.last.unwrap(), 102.0, 5.0);
        // What is lost to those who go makes more of them.
        let of = |loss| Storm { loss, ..storm(40_000.0, 2.0, 500.0) }.play();
        let (none, half) = (of(0.0), of(0.5));
        assert!(half.in_vain > none.in_vain && half.last > none.last && half.busy > none.busy, "{none:?} {half:?}");
    }

    #[test]
    fn a_law_without_chance_brings_the_same_herd_again_and_again() {
        let herd = [Retry { after: 3_600.0, spread: 0.0 }];
        let weathered = Storm { retry: &herd, ..storm(100_000.0, 2.0, 500.0) }.play();
        // Some 5,000 to 6,000 in each hour.
        let hours = weathered.last.unwrap() / 3_600.0;
        assert!((15.0..20.0).contains(&hours), "{hours}");
        let never = Storm { retry: &[], ..storm(100_000.0, 2.0, 500.0) }.play();
        assert_eq!(never.last, None);
        near(never.served, 6_000.0, 100.0);
    }

    #[test]
    fn the_extremes_end() {
        for phones in [1.0, 2.0_f64.powi(64)] {
            for (delay, per_second) in [(1.0, 0.1), (65_535.0, 0.1), (1.0, 1e12)] {
                for spread in [0.0, 600.0] {
                    let retry = [Retry { after: 60.0, spread }];
                    let weathered = Storm { retry: &retry, loss: 0.99, ..storm(phones, delay, per_second) }.play();
                    assert!(weathered.served.is_finite() && weathered.in_vain.is_finite());
                    assert!(weathered.last.is_none_or(|last| last >= 0.0));
                }
            }
        }
        near(storm(1.0, 1.0, 1_000.0).play().last.unwrap(), 1.0, 1.0);
    }

    #[test]
    fn more_phones_take_longer_and_more_cores_do_not() {
        let last = |phones, per_second| storm(phones, 30.0, per_second).play().last.unwrap();
        let by_phones: Vec<f64> = [1e3, 1e4, 5e4, 1e5, 1e6].into_iter().map(|phones| last(phones, 600.0)).collect();
        assert!(by_phones.is_sorted(), "{by_phones:?}");
        let by_cores: Vec<f64> = [300.0, 600.0, 1_200.0, 6_000.0].into_iter().map(|rate| -last(1e5, rate)).collect();
        assert!(by_cores.is_sorted(), "{by_cores:?}");
    }
}
