//! The time by which old things are deleted. A clock that is suddenly a year ahead would make everything old, and what it takes away
//! is not there any more when it is put right.

use std::time::Instant;

use time::{Duration, OffsetDateTime};

use super::{EventFilter, Store};

/// How far the clock may run ahead of the time that has gone by, and how long it has to stand there until it is believed: a server
/// that was off for a month is right.
const DOUBT: Duration = Duration::DAY;

/// A clock that has to stand by what it says before anything is deleted for it.
#[derive(Debug, Clone)]
pub struct SteadyClock {
    /// What was believed last, and when by a clock that nobody sets.
    wall: OffsetDateTime,
    moment: Instant,
    /// Since when the clock is ahead of that.
    doubted: Option<Instant>,
}

impl SteadyClock {
    /// `wall` is known to have been.
    pub fn new(wall: OffsetDateTime, moment: Instant) -> Self {
        Self { wall, moment, doubted: None }
    }

    /// The time to judge ages by. While the clock is in doubt, it is the time that has gone by since it wasn't.
    pub fn now(&mut self) -> OffsetDateTime {
        self.judge(OffsetDateTime::now_utc(), Instant::now())
    }

    /// Whether the clock ran ahead when it was last looked at, and is not believed yet.
    pub fn is_doubted(&self) -> bool {
        self.doubted.is_some()
    }

    fn judge(&mut self, wall: OffsetDateTime, moment: Instant) -> OffsetDateTime {
        let gone = |since: Instant| Duration::try_from(moment - since).unwrap_or(Duration::MAX);
        let steady = self.wall.saturating_add(gone(self.moment));
        // One that was set back is believed: by that, less is deleted.
        let is_ahead = wall - steady > DOUBT;
        if is_ahead && gone(*self.doubted.get_or_insert(moment)) < DOUBT {
            return steady;
        }
        *self = Self::new(wall, moment);
        wall
    }
}

impl Store {
    /// A clock that is in doubt where it is far ahead of the newest event.
    pub async fn steady_clock(&self) -> SteadyClock {
        let newest = self.events(&EventFilter::default(), 1).await.ok();
        let newest = newest.and_then(|events| events.first().map(|event| event.time));
        SteadyClock::new(newest.unwrap_or_else(OffsetDateTime::now_utc), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 10:00 UTC);
    const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);
    const YEAR: Duration = Duration::days(365);

    #[test]
    fn a_clock_that_goes_is_believed() {
        let begin = Instant::now();
        let mut clock = SteadyClock::new(NOW, begin);
        for hours in 0..100 {
            let wall = NOW + HOUR * hours;
            assert_eq!(clock.judge(wall, begin + HOUR * hours), wall);
            assert!(!clock.is_doubted());
        }
    }

    #[test]
    fn one_that_jumps_ahead_deletes_nothing_until_it_has_stood_there_for_a_day() {
        let begin = Instant::now();
        let mut clock = SteadyClock::new(NOW, begin);
        assert_eq!(clock.judge(NOW + YEAR, begin), NOW);
        for hours in 1..24 {
            assert_eq!(clock.judge(NOW + YEAR + HOUR * hours, begin + HOUR * hours), NOW + HOUR * hours);
            assert!(clock.is_doubted());
        }
        let wall = NOW + YEAR + HOUR * 24;
        assert_eq!(clock.judge(wall, begin + HOUR * 24), wall);
        assert!(!clock.is_doubted());
    }

    #[test]
    fn one_that_is_put_right_again_is_believed_at_once() {
        let begin = Instant::now();
        let mut clock = SteadyClock::new(NOW, begin);
        assert_eq!(clock.judge(NOW + YEAR, begin + HOUR), NOW + HOUR);
        assert_eq!(clock.judge(NOW + HOUR * 2, begin + HOUR * 2), NOW + HOUR * 2);
        assert!(!clock.is_doubted());
        // Set back, too: an hour here or there is nobody's age.
        assert_eq!(clock.judge(NOW, begin + HOUR * 3), NOW);
        assert_eq!(clock.judge(NOW + HOUR * 4, begin + HOUR * 4), NOW + HOUR * 4);
    }
}
