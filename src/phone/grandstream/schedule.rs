//! When the phone looks for new files of its own accord: every P193 minutes, daily at the hour P285, or weekly on the day
//! P286 (configuration templates; the user guides' "Automatic Upgrade"). It also looks whenever it starts.
//!
//! Which parameter chooses among them, and by which numbers, differs between families. Times are seconds of the
//! phone's local clock, counted from 1970-01-01 00:00 local, a Thursday.

use crate::phone::state::{Identity, Parameters};

use super::files::value;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// From the Thursday that time began on back to a Sunday.
const FIRST_SUNDAY: i64 = 3 * DAY;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Never,
    /// 60 to 5256000.
    EveryMinutes(u32),
    Daily,
    /// 0 is Sunday.
    Weekly(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub check: Check,
    /// The hour of the daily and the weekly check.
    pub hour: u32,
    /// Seconds after that hour within which the phone chooses a moment by chance (P8458, P8459); 0 is on the hour.
    pub window: u32,
}

impl Schedule {
    /// Values that are out of their range count as the default.
    pub fn of(identity: &Identity, parameters: &Parameters) -> Self {
        let number = |name, range: std::ops::RangeInclusive<u32>, otherwise| {
            value(parameters, name)
                .and_then(|value| value.parse::<u32>().ok())
                .filter(|value| range.contains(value))
                .unwrap_or(otherwise)
        };
        let every = Check::EveryMinutes(number("P193", 60..=5_256_000, 10_080));
        let weekly = Check::Weekly(number("P286", 0..=6, 1));
        let model = identity.model.as_str();
        let is_one_of = |families: &[&str]| families.iter().any(|family| model.starts_with(family));
        let check = if is_one_of(&["HT5", "HT7"]) {
            match value(parameters, "P194") {
                Some("1") => Check::Daily,
                Some("2") => weekly,
                Some("3") => every,
                _ => Check::Never,
            }
        } else {
            let chooser = if is_one_of(&["HT8", "GXW42"]) { "P22296" } else { "P194" };
            match value(parameters, chooser) {
                Some("1") => every,
                Some("2") if !is_one_of(&["GXP20"]) => Check::Daily,
                Some("3") if !is_one_of(&["GXP20"]) => weekly,
                _ => Check::Never,
            }
        };
        let hour = number("P285", 0..=23, 1);
        // No end, or the same hour: within the hour itself. That is a decision; the templates only say "end hour".
        let window = match value(parameters, "P8458") {
            Some("1") => match (number("P8459", 0..=23, hour) + 24 - hour) % 24 {
                0 => 3600,
                hours => hours * 3600,
            },
            _ => 0,
        };
        Self { check, hour, window }
    }

    /// When the phone next looks, strictly after `now`; none for never. `since` is the last look, or the start of a phone
    /// that has not looked yet; `random` is any number, and chooses the moment within the window.
    pub fn next(&self, now: i64, since: i64, random: u32) -> Option<i64> {
        let at = i64::from(self.hour) * HOUR;
        let delay = i64::from(random.checked_rem(self.window).unwrap_or(0));
        let after_now = |first: i64, period: i64| now - (now - first).rem_euclid(period) + period;
        match self.check {
            Check::Never => None,
            Check::EveryMinutes(minutes) => Some((since + i64::from(minutes) * 60).max(now + 1)),
            Check::Daily => Some(after_now(at, DAY) + delay),
            Check::Weekly(day) => Some(after_now(FIRST_SUNDAY + i64::from(day) * DAY + at, WEEK) + delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(model: &str, pairs: &[(&str, &str)]) -> Schedule {
        let identity = Identity {
            model: model.to_owned(),
            mac: "000b82a0001c".parse().unwrap(),
            serial: "20EXAMPLE12".parse().unwrap(),
            firmware: "1.0.11.46".to_owned(),
            has_certificate: false,
        };
        let parameters = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Schedule::of(&identity, &parameters)
    }

    #[test]
    fn families_number_their_choices_differently() {
        for (model, pairs, check) in [
            ("GXP2170", vec![], Check::Never),
            ("GXP2170", vec![("P194", "1"), ("P193", "120")], Check::EveryMinutes(120)),
            ("GXP2170", vec![("P194", "1"), ("P193", "59")], Check::EveryMinutes(10_080)),
            ("GXP2170", vec![("P194", "2")], Check::Daily),
            ("GXP2170", vec![("P194", "3"), ("P286", "0")], Check::Weekly(0)),
            ("HT704", vec![("P194", "1")], Check::Daily),
            ("HT704", vec![("P194", "3")], Check::EveryMinutes(10_080)),
            ("HT802", vec![("P194", "1")], Check::Never),
            ("HT802", vec![("P22296", "2")], Check::Daily),
            ("GXP2000", vec![("P194", "2")], Check::Never),
        ] {
            assert_eq!(of(model, &pairs).check, check, "{model} {pairs:?}");
        }
    }

    #[test]
    fn hours_days_and_windows() {
        let daily = of("GXP2170", &[("P194", "2"), ("P285", "22"), ("P8458", "1"), ("P8459", "2")]);
        assert_eq!((daily.hour, daily.window), (22, 4 * 3600));
        assert_eq!(daily.next(0, 0, 0), Some(22 * HOUR));
        assert_eq!(daily.next(22 * HOUR, 0, 3600), Some(DAY + 23 * HOUR));
        // 1970-01-04 was a Sunday.
        let weekly = of("GXP2170", &[("P194", "3"), ("P286", "0"), ("P285", "1")]);
        assert_eq!(weekly.next(0, 0, 0), Some(3 * DAY + HOUR));
        assert_eq!(weekly.next(3 * DAY + HOUR, 0, 0), Some(10 * DAY + HOUR));
        let every = of("GXP2170", &[("P194", "1"), ("P193", "60")]);
        assert_eq!(every.next(100, 0, 0), Some(3600));
        assert_eq!(every.next(5000, 0, 0), Some(5001));
    }

    proptest! {
        #[test]
        fn the_next_look_is_always_ahead(now in 0..4_000_000_000_i64, day in 0..7_u32, hour in 0..24_u32, random: u32) {
            for check in [Check::Daily, Check::Weekly(day)] {
                let next = Schedule { check, hour, window: 7200 }.next(now, 0, random).unwrap();
                prop_assert!(next > now && next <= now + WEEK + 7200);
            }
        }
    }
}
