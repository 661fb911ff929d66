//! The run: who is due begins, who is done rests until the next time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::Plan;
use super::report::{Report, Tally};
use super::resync::{Outcome, Phone, Purpose, resync};

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    #[error("no histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

/// Certificates of phones that are due this early are made before the clock starts: a burst of phones that make their
/// certificates would measure nothing else.
const EARLY: Duration = Duration::from_secs(1);

/// Where more phones than this are due in a second, those of all that are due are: making one takes the better part of a millisecond.
const MANY: f64 = 100.0;

/// Plays all phones until the plan's duration is over, every phone has what it came for, or `stop` says so; what is under
/// way is then waited for. `watch` is shown the state of things every second.
///
/// # Errors
/// When there is no memory to count in.
pub async fn run(
    plan: Plan,
    stop: impl Future<Output = ()>,
    mut watch: impl FnMut(&Report),
) -> Result<Report, SwarmError> {
    let mut swarm = Swarm::new(Arc::new(plan))?;
    let mut stop = pin!(stop);
    let mut ticker = interval(Duration::from_secs(1));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut is_stopped = false;
    loop {
        swarm.begin_what_is_due();
        let wake = match swarm.next() {
            Next::Wake(when) => Some(when),
            Next::Ends => None,
            Next::Nothing => break,
        };
        tokio::select! {
            Some(joined) = swarm.under_way.join_next() => {
                swarm.note(joined);
                // The others that are done meanwhile, without another round for each.
                while let Some(joined) = swarm.under_way.try_join_next() {
                    swarm.note(joined);
                }
            }
            () = sleep_until(wake.unwrap_or(swarm.end).into()), if wake.is_some() => {}
            _ = ticker.tick() => watch(&swarm.report()),
            () = &mut stop, if !is_stopped => {
                is_stopped = true;
                swarm.end = Instant::now();
            }
        }
    }
    swarm.close().await;
    Ok(swarm.report())
}

/// A hundred years: no moment is later than that, and none overflows.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

fn after(moment: Instant, wait: Duration) -> Instant {
    moment + wait.min(LONGEST)
}

/// What is waited for, besides the end of a resync.
enum Next {
    /// This moment.
    Wake(Instant),
    /// Nothing: all that is left is under way.
    Ends,
    /// Nothing is left.
    Nothing,
}

struct Swarm {
    plan: Arc<Plan>,
    tally: Tally,
    /// By number, those that are not under way.
    resting: Vec<Option<Box<Phone>>>,
    due: BinaryHeap<Reverse<(Instant, u32)>>,
    under_way: JoinSet<Outcome>,
    /// Phones at rest whose connection is open.
    held: u64,
    start: Instant,
    end: Instant,
}

impl Swarm {
    fn new(plan: Arc<Plan>) -> Result<Self, SwarmError> {
        let tally = Tally::new(plan.fleet.count(), plan.seed)?;
        let mut phones: Vec<(Box<Phone>, Duration)> = Vec::new();
        for number in 0..plan.fleet.count() {
            let phone = Phone::new(number);
            let first = plan.pattern.first(number, &mut phone.rng(plan.seed, Purpose::First));
            phones.push((phone, first));
        }
        let is_dense = plan.pattern.first_per_second(plan.fleet.count()) > MANY;
        let early = if is_dense { plan.duration.max(EARLY) } else { EARLY };
        phones.par_iter_mut().filter(|(_, first)| *first < early).for_each(|(phone, _)| {
            // It is tried again, and counted, when the phone is due.
            let _ = phone.prepare(&plan);
        });
        let start = Instant::now();
        let end = after(start, plan.duration);
        let due = phones.iter().map(|(phone, first)| Reverse((after(start, *first), phone.number))).collect();
        let resting = phones.into_iter().map(|(phone, _)| Some(phone)).collect();
        Ok(Self { plan, tally, resting, due, under_way: JoinSet::new(), held: 0, start, end })
    }

    fn begin_what_is_due(&mut self) {
        let now = Instant::now();
        if now >= self.end {
            return;
        }
        while self.under_way.len() < self.plan.most_at_once {
            match self.due.peek() {
                Some(Reverse((when, _))) if *when <= now => {}
                _ => return,
            }
            let Some(Reverse((when, number))) = self.due.pop() else {
                return;
            };
            let place = usize::try_from(number).ok().and_then(|number| self.resting.get_mut(number));
            if let Some(phone) = place.and_then(Option::take) {
                self.held -= u64::from(phone.holds_connection());
                self.tally.begin(phone.failures > 0);
                self.under_way.spawn(resync(phone, self.plan.clone(), when));
            }
        }
    }

    /// What is waited for.
    fn next(&self) -> Next {
        if Instant::now() >= self.end {
            return if self.under_way.is_empty() { Next::Nothing } else { Next::Ends };
        }
        let is_full = self.under_way.len() >= self.plan.most_at_once;
        match self.due.peek() {
            Some(Reverse((when, _))) if !is_full => Next::Wake((*when).min(self.end)),
            // What is due can't begin then, and connections are held no longer.
            None if self.under_way.is_empty() && self.held == 0 => Next::Nothing,
            _ => Next::Wake(self.end),
        }
    }

    fn note(&mut self, joined: Result<Outcome, tokio::task::JoinError>) {
        let mut outcome = match joined {
            Ok(outcome) => outcome,
            Err(error) => return self.tally.lose(error.to_string()),
        };
        let is_served = self.tally.end(&outcome);
        let phone = &mut outcome.phone;
        let mut rng = phone.rng(self.plan.seed, Purpose::Next);
        let next = if is_served {
            (phone.failures, phone.was_served) = (0, true);
            self.plan.pattern.next(self.plan.fleet.count(), &mut rng).map(|wait| after(outcome.due, wait))
        } else {
            phone.failures = phone.failures.saturating_add(1);
            let asked = outcome.result.as_ref().ok().and_then(|done| done.retry_after);
            let delay = asked.unwrap_or_else(|| self.plan.error_retry.delay(phone.failures, &mut rng));
            Some(after(outcome.ended, delay))
        };
        if let Some(next) = next.filter(|next| *next < self.end) {
            self.due.push(Reverse((next, phone.number)));
        }
        self.held += u64::from(phone.holds_connection());
        let place = usize::try_from(phone.number).ok().and_then(|number| self.resting.get_mut(number));
        if let Some(place) = place {
            *place = Some(outcome.phone);
        }
    }

    async fn close(&mut self) {
        let end = self.end;
        let waiting = self.due.iter().filter(|Reverse((when, _))| *when < end).count();
        self.tally.never_begun(waiting as u64);
        self.held = 0;
        for phone in self.resting.iter().flatten() {
            self.held += u64::from(phone.still_holds_connection().await);
        }
    }

    fn report(&self) -> Report {
        self.tally.report(self.start.elapsed(), self.held)
    }
}
