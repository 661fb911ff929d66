//! Times as they are typed.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::document::parse_duration;

/// A time as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Ago(Duration),
    At(OffsetDateTime),
}

/// A text that is no time.
#[derive(Debug, thiserror::Error)]
#[error("write an age (24h, 7d), a day (2026-03-01) or a time (2026-03-01T10:00:00Z)")]
pub struct ParseMomentError;

/// Reads an age, a day or a time.
pub fn moment(text: &str) -> Result<Moment, ParseMomentError> {
    if let Some(age) = parse_duration(text) {
        return Ok(Moment::Ago(age));
    }
    let day = || time::Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let at = OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| Some(day()?.midnight().assume_utc()));
    at.map(Moment::At).ok_or(ParseMomentError)
}

impl Moment {
    /// The time that is meant, at a time.
    pub fn before(self, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Ago(age) => now.checked_sub(age.try_into().unwrap_or(time::Duration::MAX)),
            Self::At(time) => Some(time),
        }
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_moment_is_an_age_a_day_or_a_time() {
        let now = datetime!(2026-03-02 12:00 UTC);
        let read = |text| moment(text).map(|moment| moment.before(now)).ok();
        assert_eq!(read("24h"), Some(datetime!(2026-03-01 12:00 UTC)));
        assert_eq!(read("2026-03-01"), Some(datetime!(2026-03-01 0:00 UTC)));
        assert_eq!(read("2026-03-01T10:00:00+02:00"), Some(datetime!(2026-03-01 8:00 UTC)));
        assert_eq!(read("99999999999d"), Some(OffsetDateTime::UNIX_EPOCH));
        assert_eq!(read("yesterday"), None);
    }
}
