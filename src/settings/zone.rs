//! Time zones: what phones want to know of an IANA name. The rules come from the IANA database built into the program,
//! so that a server without one, or with an old one, renders the same profile.

use std::fmt;

use tz::timezone::{AlternateTime, LocalTimeType, RuleDay, TransitionRule};

/// The clock of a zone as it goes from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// Seconds east of UTC in standard time.
    pub offset: i32,
    /// What standard time is called: `CST`, or `-03` where there is no name.
    pub abbreviation: String,
    /// None where the clock is never changed.
    pub rule: Option<Rule>,
    /// The POSIX form, `CST6CDT,M3.2.0,M11.1.0`.
    pub posix: String,
}

impl Clock {
    /// The POSIX form of the clock if it were never changed.
    pub fn posix_standard(&self) -> String {
        format!("{}{}", PosixName(&self.abbreviation), PosixOffset(self.offset))
    }
}

/// When the clock is put forward and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Seconds that the clock is put forward.
    pub save: i32,
    pub start: Transition,
    pub end: Transition,
    /// What daylight saving time is called.
    pub abbreviation: String,
}

/// A day of the year as POSIX writes it (`M3.2.0/2`), and the local time of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// 1–12.
    pub month: u8,
    /// 1–5; 5 is the month's last.
    pub week: u8,
    /// 0–6; 0 is Sunday.
    pub weekday: u8,
    /// Seconds after midnight; some zones have less than none, or more than a day.
    pub time: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    #[error("\"{0}\" is no time zone of the IANA database; write one such as Europe/Vienna")]
    Unknown(String),
    #[error(
        "the rule of {0} can't be told to a phone; choose a zone with the same clock, or set the phone's own parameters"
    )]
    NoRule(String),
}

/// The name of the database most like `name`.
pub fn nearest(name: &str) -> Option<&'static str> {
    crate::document::nearest(name, tzdb_data::TZ_NAMES.iter().copied())
}

/// The clock of a zone.
pub fn clock(name: &str) -> Result<Clock, ZoneError> {
    let zone = tzdb_data::find_tz(name.as_bytes()).ok_or_else(|| ZoneError::Unknown(name.to_owned()))?;
    let no_rule = || ZoneError::NoRule(name.to_owned());
    match zone.extra_rule() {
        Some(TransitionRule::Fixed(local)) => Ok(fixed(local)),
        Some(TransitionRule::Alternate(alternate)) => alternating(alternate).ok_or_else(no_rule),
        None => zone.local_time_types().last().map(fixed).ok_or_else(no_rule),
    }
}

fn name_of(local: &LocalTimeType) -> String {
    local.time_zone_designation().to_owned()
}

fn fixed(local: &LocalTimeType) -> Clock {
    let mut clock = Clock { offset: local.ut_offset(), abbreviation: name_of(local), rule: None, posix: String::new() };
    clock.posix = clock.posix_standard();
    clock
}

fn alternating(alternate: &AlternateTime) -> Option<Clock> {
    let mut standard = (alternate.std(), transition(alternate.dst_end(), alternate.dst_end_time())?);
    let mut summer = (alternate.dst(), transition(alternate.dst_start(), alternate.dst_start_time())?);
    // Ireland's law makes winter time the exception; to a phone it is standard time like anyone's.
    if summer.0.ut_offset() < standard.0.ut_offset() {
        std::mem::swap(&mut standard, &mut summer);
    }
    let (offset, save) = (standard.0.ut_offset(), summer.0.ut_offset() - standard.0.ut_offset());
    let (abbreviation, summer_name) = (name_of(standard.0), name_of(summer.0));
    let (start, end) = (summer.1, standard.1);
    let mut posix = format!("{}{}{}", PosixName(&abbreviation), PosixOffset(offset), PosixName(&summer_name));
    if save != 3600 {
        posix.push_str(&PosixOffset(offset + save).to_string());
    }
    posix.push_str(&format!(",{start},{end}"));
    Some(Clock { offset, abbreviation, rule: Some(Rule { save, start, end, abbreviation: summer_name }), posix })
}

fn transition(day: &RuleDay, time: i32) -> Option<Transition> {
    match day {
        RuleDay::MonthWeekDay(day) => {
            Some(Transition { month: day.month(), week: day.week(), weekday: day.week_day(), time })
        }
        RuleDay::Julian1WithoutLeap(_) | RuleDay::Julian0WithLeap(_) => None,
    }
}

/// A zone's abbreviation within a POSIX string: names with digits or signs stand in angle brackets.
struct PosixName<'n>(&'n str);

impl fmt::Display for PosixName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            f.write_str(self.0)
        } else {
            write!(f, "<{}>", self.0)
        }
    }
}

/// POSIX counts offsets westwards.
struct PosixOffset(i32);

impl fmt::Display for PosixOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 0 {
            f.write_str("-")?;
        }
        write_time(f, self.0.abs())
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{}.{}.{}", self.month, self.week, self.weekday)?;
        if self.time != 7200 {
            f.write_str(if self.time < 0 { "/-" } else { "/" })?;
            write_time(f, self.time.abs())?;
        }
        Ok(())
    }
}

fn write_time(f: &mut fmt::Formatter<'_>, seconds: i32) -> fmt::Result {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(f, "{hours}")?;
    if minutes != 0 || seconds != 0 {
        write!(f, ":{minutes:02}")?;
    }
    if seconds != 0 {
        write!(f, ":{seconds:02}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_told_as_posix_has_them() {
        let posix = |name| clock(name).unwrap().posix;
        assert_eq!(posix("America/Chicago"), "CST6CDT,M3.2.0,M11.1.0");
        assert_eq!(posix("Europe/Vienna"), "CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(posix("Asia/Kolkata"), "IST-5:30");
        assert_eq!(posix("America/Sao_Paulo"), "<-03>3");
        assert_eq!(posix("Australia/Lord_Howe"), "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0");
        assert_eq!(posix("UTC"), "UTC0");
    }

    #[test]
    fn irish_winter_is_standard_time() {
        let dublin = clock("Europe/Dublin").unwrap();
        assert_eq!(dublin.offset, 0);
        let rule = dublin.rule.unwrap();
        assert_eq!((rule.save, rule.start.month, rule.end.month), (3600, 3, 10));
    }

    #[test]
    fn every_zone_of_the_database_can_be_told() {
        for name in tzdb_data::TZ_NAMES {
            clock(name).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(matches!(clock("Europe/Wien"), Err(ZoneError::Unknown(_))));
    }
}
