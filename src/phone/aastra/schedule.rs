//! When the phone looks for new files of its own accord (guide 41-001343-02, page A-22; release note 2.4): at one time of the
//! day, up to so many minutes later, every so many days. It also looks whenever it starts and when a `check-sync` says
//! so, which is its owner's to decide.
//!
//! Times are seconds of the phone's local clock, counted from a local midnight (1970-01-01 00:00 local).

use crate::phone::state::Parameters;

use super::files::parameter;

const DAY: i64 = 86_400;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Never,
    Configuration,
    Firmware,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub mode: Mode,
    /// Seconds after midnight.
    pub at: i64,
    /// Minutes that the phone may wait beyond, 0 to 1439.
    pub max_delay: u32,
    /// Days from one look to the next, 0 to 364; 0 is every time that the clock reads `at`. With 1 the first look is no
    /// sooner than a day from the start.
    pub days: u32,
}

impl Schedule {
    /// Values that are out of their range count as the default.
    pub fn of(parameters: &Parameters) -> Self {
        let number = |name, max, otherwise| {
            parameter(parameters, name)
                .and_then(|value| value.parse::<u32>().ok())
                .filter(|value| *value <= max)
                .unwrap_or(otherwise)
        };
        let mode = match parameter(parameters, "auto resync mode") {
            Some("1") => Mode::Configuration,
            Some("2") => Mode::Firmware,
            Some("3") => Mode::Both,
            _ => Mode::Never,
        };
        Self {
            mode,
            at: parameter(parameters, "auto resync time").and_then(time_of_day).unwrap_or(0),
            max_delay: number("auto resync max delay", 1439, 15),
            days: number("auto resync days", 364, 0),
        }
    }

    /// When the phone next looks, strictly after `now`; none for never. `since` is the last look, or the start of a phone
    /// that has not looked yet; `random` is any number, and chooses the delay.
    ///
    /// Days count from the time that the last look was due, not from when its delay ended: or a phone would skip a day
    /// whenever it drew a shorter delay than the last time. The guides don't say.
    pub fn next(&self, now: i64, since: i64, random: u32) -> Option<i64> {
        if self.mode == Mode::Never {
            return None;
        }
        let due = |time: i64| time - (time - self.at).rem_euclid(DAY);
        let earliest = match self.days {
            0 => now,
            days => now.max(due(since) + i64::from(days) * DAY - 1),
        };
        let delay = i64::from(random) % (i64::from(self.max_delay) * 60 + 1);
        Some(due(earliest) + DAY + delay)
    }
}

/// `02:56`, or as French and Spanish phones have it `02h56`.
fn time_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once([':', 'h'])?;
    let hours = hours.parse::<u32>().ok().filter(|hours| *hours < 24)?;
    let minutes = minutes.parse::<u32>().ok().filter(|minutes| *minutes < 60)?;
    Some(i64::from(hours * 60 + minutes) * 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(days: u32) -> Schedule {
        Schedule { mode: Mode::Both, at: 3 * 3600, max_delay: 15, days }
    }

    #[test]
    fn the_parameters_are_read_with_their_defaults() {
        let mut parameters = Parameters::new();
        assert_eq!(Schedule::of(&parameters), Schedule { mode: Mode::Never, at: 0, max_delay: 15, days: 0 });
        for (name, value) in [("mode", "3"), ("time", "02h56"), ("max delay", "1440"), ("days", "7")] {
            parameters.insert(format!("auto resync {name}"), value.to_owned());
        }
        assert_eq!(Schedule::of(&parameters), Schedule { mode: Mode::Both, at: 10_560, max_delay: 15, days: 7 });
    }

    #[test]
    fn a_look_is_at_its_time_and_at_most_its_delay_later() {
        let three = 3 * 3600;
        assert_eq!(schedule(0).next(0, 0, 0), Some(three));
        assert_eq!(schedule(0).next(three, 0, 0), Some(three + DAY));
        assert_eq!(schedule(0).next(0, 0, 900), Some(three + 900));
        assert_eq!(schedule(0).next(0, 0, 901), Some(three));
        // The last one was due at three and began a quarter of an hour later.
        assert_eq!(schedule(1).next(three + 900, three + 900, 0), Some(three + DAY));
        assert_eq!(schedule(7).next(three + 900, three + 900, 0), Some(three + 7 * DAY));
        // The phone was off when it would have looked.
        assert_eq!(schedule(7).next(30 * DAY, three, 0), Some(30 * DAY + three));
        assert_eq!(Schedule { mode: Mode::Never, ..schedule(0) }.next(0, 0, 0), None);
    }

    proptest! {
        #[test]
        fn the_next_look_is_always_ahead(now in 0..4_000_000_000_i64, ago in 0..40_000_000_i64, days in 0..365_u32, random: u32) {
            let next = schedule(days).next(now, now - ago, random).unwrap();
            prop_assert!(next > now);
            prop_assert!(next <= now + (i64::from(days.max(1)) + 1) * DAY + 900);
            prop_assert!((next - 3 * 3600).rem_euclid(DAY) <= 900);
        }
    }
}
