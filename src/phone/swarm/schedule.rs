//! When phones come, and when they come again.

use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

/// When a phone is due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pattern {
    /// Everyone at the beginning, once: the power is back.
    AllAtOnce,
    /// Everyone once, within this time: Resync_Random_Delay.
    RandomDelay(Duration),
    /// Everyone again and again, beginning anywhere in the first interval: Resync_Periodic. `random` is added anew each
    /// time, as Cisco's `3600+600` has it.
    Periodic { interval: Duration, random: Duration },
    /// So many resyncs begin per second, evenly, the phones taking turns.
    Steady { per_second: f64 },
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pattern: write all-at-once, random-delay=SECONDS, or periodic=SECONDS or periodic=SECONDS+RANDOM")]
pub struct ParsePatternError(String);

impl FromStr for Pattern {
    type Err = ParsePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern = match text.split_once('=') {
            None if text == "all-at-once" => Some(Self::AllAtOnce),
            Some(("random-delay", delay)) => seconds(delay).map(Self::RandomDelay),
            Some(("periodic", delay)) => with_random(delay)
                .filter(|(interval, _)| !interval.is_zero())
                .map(|(interval, random)| Self::Periodic { interval, random }),
            _ => None,
        };
        pattern.ok_or_else(|| ParsePatternError(text.to_owned()))
    }
}

impl Pattern {
    /// When the phone of this number, of so many, is first due, from the beginning.
    pub(super) fn first(self, number: u32, rng: &mut Rng) -> Duration {
        match self {
            Self::AllAtOnce => Duration::ZERO,
            Self::RandomDelay(delay) => delay.mul_f64(rng.f64()),
            Self::Periodic { interval, .. } => interval.mul_f64(rng.f64()),
            Self::Steady { per_second } => turns(f64::from(number), per_second),
        }
    }

    /// How many of so many phones are first due in a second.
    pub(super) fn first_per_second(self, phones: u32) -> f64 {
        let within = |time: Duration| f64::from(phones) / time.as_secs_f64();
        match self {
            Self::AllAtOnce => f64::INFINITY,
            Self::RandomDelay(delay) => within(delay),
            Self::Periodic { interval, .. } => within(interval),
            Self::Steady { per_second } => per_second,
        }
    }

    /// How long after it was due a phone that was served is due again; none: it has what it came for.
    pub(super) fn next(self, phones: u32, rng: &mut Rng) -> Option<Duration> {
        match self {
            Self::AllAtOnce | Self::RandomDelay(_) => None,
            Self::Periodic { interval, random } => Some(interval + random.mul_f64(rng.f64())),
            Self::Steady { per_second } => Some(turns(f64::from(phones), per_second)),
        }
    }
}

/// How long so many turns take.
fn turns(count: f64, per_second: f64) -> Duration {
    Duration::try_from_secs_f64(count / per_second).unwrap_or(Duration::MAX)
}

/// How long a phone waits after each failure in a row, as Cisco's Resync_Error_Retry_Delay is written: the last delay
/// goes for all further failures, and up to so many seconds are added at random.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryDelays(Vec<(Duration, Duration)>);

/// A text that is no list of delays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no delay: write seconds as 60,300+60,3600+600, where up to what follows + is added at random")]
pub struct ParseRetryDelaysError(String);

impl FromStr for RetryDelays {
    type Err = ParseRetryDelaysError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let delay = |part: &str| with_random(part.trim()).ok_or_else(|| ParseRetryDelaysError(part.to_owned()));
        text.split(',').map(delay).collect::<Result<_, _>>().map(Self)
    }
}

impl RetryDelays {
    /// The delays and what is added to each at random, by the failures in a row.
    pub fn steps(&self) -> &[(Duration, Duration)] {
        &self.0
    }

    /// `failures` in a row, the one just now included.
    pub(super) fn delay(&self, failures: u32, rng: &mut Rng) -> Duration {
        let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let entry = self.0.get(index).or(self.0.last());
        entry.map_or(Duration::ZERO, |(fixed, random)| *fixed + random.mul_f64(rng.f64()))
    }
}

/// `3600+600` or `3600`.
fn with_random(text: &str) -> Option<(Duration, Duration)> {
    match text.split_once('+') {
        Some((fixed, random)) => Some((seconds(fixed)?, seconds(random)?)),
        None => Some((seconds(text)?, Duration::ZERO)),
    }
}

/// The longest time that is taken: a hundred years, far from where adding up could overflow.
const LONGEST: f64 = 100.0 * 365.0 * 86_400.0;

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (0.0..=LONGEST).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn patterns_are_read() {
        assert_eq!("all-at-once".parse(), Ok(Pattern::AllAtOnce));
        assert_eq!("random-delay=600".parse(), Ok(Pattern::RandomDelay(secs(600))));
        let periodic = Pattern::Periodic { interval: secs(3600), random: secs(600) };
        assert_eq!("periodic=3600+600".parse(), Ok(periodic));
        for text in
            ["", "all", "periodic", "periodic=0", "periodic=1+", "random-delay=-1", "random-delay=NaN", "periodic=inf"]
        {
            assert_eq!(text.parse::<Pattern>(), Err(ParsePatternError(text.to_owned())));
        }
    }

    #[test]
    fn phones_come_as_the_pattern_has_it() {
        let mut rng = Rng::with_seed(1);
        let steady = Pattern::Steady { per_second: 10.0 };
        assert_eq!(steady.first(25, &mut rng), Duration::from_millis(2500));
        assert_eq!(steady.next(200, &mut rng), Some(secs(20)));
        let periodic = Pattern::Periodic { interval: secs(100), random: secs(10) };
        for number in 0..100 {
            assert!(periodic.first(number, &mut rng) < secs(100));
            assert!((secs(100)..secs(110)).contains(&periodic.next(100, &mut rng).unwrap()));
            assert!(Pattern::RandomDelay(secs(5)).first(number, &mut rng) < secs(5));
        }
        let rates = [periodic, Pattern::RandomDelay(secs(5)), steady, Pattern::AllAtOnce];
        assert_eq!(rates.map(|pattern| pattern.first_per_second(100)), [1.0, 20.0, 10.0, f64::INFINITY]);
        assert_eq!(Pattern::AllAtOnce.first(7, &mut rng), Duration::ZERO);
        assert_eq!(Pattern::AllAtOnce.next(7, &mut rng), None);
    }

    #[test]
    fn the_last_delay_goes_for_all_further_failures() {
        let delays: RetryDelays = "60, 300+60".parse().unwrap();
        let mut rng = Rng::with_seed(1);
        assert_eq!(delays.delay(1, &mut rng), secs(60));
        for failures in [2, 3, 1000] {
            assert!((secs(300)..secs(360)).contains(&delays.delay(failures, &mut rng)));
        }
        for text in ["", "60,", "a", "1+2+3"] {
            assert!(text.parse::<RetryDelays>().is_err(), "{text}");
        }
    }
}
