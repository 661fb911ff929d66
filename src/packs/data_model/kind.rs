//! The types of data-model parameters: what a value may be, when two values are the same, and how one is written.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::{Date, Duration, Month, PrimitiveDateTime, Time};

use super::quirks::Quirks;
use crate::cwmp::{BooleanForm, TimeForm};
use crate::document::nearest;

/// The type of a parameter, as SOAP names it (TR-106, "Data types").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    /// 32 bits with a sign.
    Int,
    /// 32 bits without one.
    UnsignedInt,
    Long,
    UnsignedLong,
    Boolean,
    /// ISO 8601; without a zone it is UTC.
    DateTime,
    Base64,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::String,
        Self::Int,
        Self::UnsignedInt,
        Self::Long,
        Self::UnsignedLong,
        Self::Boolean,
        Self::DateTime,
        Self::Base64,
    ];

    /// As tr069.toml and, behind `xsd:`, `xsi:type` have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::UnsignedInt => "unsignedInt",
            Self::Long => "long",
            Self::UnsignedLong => "unsignedLong",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
            Self::Base64 => "base64",
        }
    }

    /// Whether values are whole numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::UnsignedInt | Self::Long | Self::UnsignedLong)
    }

    /// The one form of a value that all its spellings have: `1` and `true` are `true`, `007` is `7`, a time is in UTC and
    /// whole seconds.
    ///
    /// # Errors
    /// What a value of the type has to be, in words.
    pub fn canonical(self, value: &str) -> Result<String, &'static str> {
        let number = |min: i128, max: i128, wanted| match value.trim().parse::<i128>() {
            Ok(number) if (min..=max).contains(&number) => Ok(number.to_string()),
            _ => Err(wanted),
        };
        match self {
            Self::String => Ok(value.to_owned()),
            Self::Int => number(i32::MIN.into(), i32::MAX.into(), "must be a whole number of 32 bits"),
            Self::UnsignedInt => number(0, u32::MAX.into(), "must be a whole number of 32 bits, not below 0"),
            Self::Long => number(i64::MIN.into(), i64::MAX.into(), "must be a whole number of 64 bits"),
            Self::UnsignedLong => number(0, u64::MAX.into(), "must be a whole number of 64 bits, not below 0"),
            Self::Boolean => match value.trim() {
                "1" | "true" | "True" | "TRUE" => Ok("true".to_owned()),
                "0" | "false" | "False" | "FALSE" => Ok("false".to_owned()),
                _ => Err("must be true or false"),
            },
            Self::DateTime => {
                let moment = date_time(value.trim()).ok_or("must be a time such as 2026-01-31T23:59:59Z")?;
                Ok(format!("{}Z", written(moment)))
            }
            Self::Base64 => {
                let text: String = value.chars().filter(|character| !character.is_ascii_whitespace()).collect();
                let bytes = STANDARD.decode(text).map_err(|_| "must be base64")?;
                Ok(STANDARD.encode(bytes))
            }
        }
    }

    /// Whether two values of the type are the same; what is no value of it is only the same as itself.
    pub fn equal(self, one: &str, other: &str) -> bool {
        match (self.canonical(one), self.canonical(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        }
    }

    /// A canonical value as a phone of these quirks takes it.
    pub fn written(self, canonical: &str, quirks: &Quirks) -> String {
        match (self, quirks.booleans, quirks.date_time) {
            (Self::Boolean, BooleanForm::Digits, _) => if canonical == "true" { "1" } else { "0" }.to_owned(),
            (Self::DateTime, _, TimeForm::NoZone) => canonical.trim_end_matches('Z').to_owned(),
            (Self::DateTime, _, TimeForm::Milliseconds) => format!("{}.000Z", canonical.trim_end_matches('Z')),
            _ => canonical.to_owned(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            let near = nearest(text, Self::ALL.map(Self::word)).map(|near| format!("; did you mean \"{near}\"?"));
            format!("\"{text}\" is no type of a data-model parameter{}", near.unwrap_or_default())
        })
    }
}

fn written(moment: PrimitiveDateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

/// Seconds after the beginning of 1970 (UTC) as `1970-01-01T00:00:00Z`; none beyond the year 9999.
pub fn date_time_of(seconds: i64) -> Option<String> {
    let begin = PrimitiveDateTime::new(Date::from_ordinal_date(1970, 1).ok()?, Time::MIDNIGHT);
    let moment = begin.checked_add(Duration::seconds(seconds))?;
    (0..=9999).contains(&moment.year()).then(|| format!("{}Z", written(moment)))
}

/// Reads `YYYY-MM-DDThh:mm:ss`, with or without a fraction of a second and `Z` or an offset: the time in UTC, in whole
/// seconds.
fn date_time(text: &str) -> Option<PrimitiveDateTime> {
    let number = |range: std::ops::Range<usize>| -> Option<u8> {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let is = |at: usize, wanted: u8| text.as_bytes().get(at) == Some(&wanted);
    let separated = is(4, b'-') && is(7, b'-') && (is(10, b'T') || is(10, b't')) && is(13, b':') && is(16, b':');
    let year = text.get(..4).filter(|year| year.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    let month = Month::try_from(number(5..7)?).ok()?;
    let date = Date::from_calendar_date(year, month, number(8..10)?).ok()?;
    let time = Time::from_hms(number(11..13)?, number(14..16)?, number(17..19)?).ok()?;
    let mut rest = separated.then(|| text.get(19..))??;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        rest = fraction.get(digits..).filter(|_| digits > 0)?;
    }
    let moment = PrimitiveDateTime::new(date, time);
    match rest {
        "" | "Z" | "z" => Some(moment),
        _ => {
            let sign = match rest.get(..1)? {
                "+" => -1,
                "-" => 1,
                _ => return None,
            };
            let (hours, minutes) = rest.get(1..)?.split_once(':')?;
            let is_two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            if !is_two(hours) || !is_two(minutes) {
                return None;
            }
            let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            moment.checked_add(Duration::minutes(sign * (hours * 60 + minutes)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_value_are_equal() {
        for (kind, one, other) in [
            (Kind::Boolean, "1", "true"),
            (Kind::Boolean, "False", "0"),
            (Kind::Int, "007", "7"),
            (Kind::Int, "+5", " 5 "),
            (Kind::DateTime, "2026-01-31T23:00:00.123Z", "2026-01-31T23:00:00Z"),
            (Kind::DateTime, "2026-02-01T01:00:00+02:00", "2026-01-31T23:00:00"),
            (Kind::DateTime, "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"),
            (Kind::Base64, "YWJj\nZA==", "YWJjZA=="),
        ] {
            assert!(kind.equal(one, other), "{kind}: {one} and {other}");
        }
        for (kind, one, other) in [
            (Kind::String, "1", "true"),
            (Kind::String, "a", "a "),
            (Kind::Boolean, "1", "0"),
            (Kind::Boolean, "", "0"),
            (Kind::DateTime, "2026-01-31T23:00:00Z", "2026-01-31T23:00:01Z"),
            (Kind::Int, "x", "0"),
        ] {
            assert!(!kind.equal(one, other), "{kind}: {one} and {other}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (kind, value) in [
            (Kind::Int, "2147483648"),
            (Kind::Int, "1.5"),
            (Kind::Int, ""),
            (Kind::UnsignedInt, "-1"),
            (Kind::UnsignedInt, "4294967296"),
            (Kind::UnsignedLong, "18446744073709551616"),
            (Kind::Boolean, "yes"),
            (Kind::DateTime, "2026-02-30T00:00:00Z"),
            (Kind::DateTime, "2026-01-01T24:00:00Z"),
            (Kind::DateTime, "2026-01-01 00:00:00"),
            (Kind::DateTime, "2026-01-01T00:00:00.Z"),
            (Kind::DateTime, "2026-01-01T00:00:00+2:00"),
            (Kind::DateTime, "2026-01-01T00:00:00+99:00"),
            (Kind::DateTime, "0000-01-01T00:00:00+14:00\u{e4}"),
            (Kind::DateTime, "2026-01-\u{e4}1T00:00:00Z"),
            (Kind::Base64, "a"),
        ] {
            assert!(kind.canonical(value).is_err(), "{kind}: {value}");
        }
    }

    #[test]
    fn seconds_become_a_time() {
        assert_eq!(date_time_of(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(date_time_of(90_061).as_deref(), Some("1970-01-02T01:01:01Z"));
        assert_eq!(date_time_of(i64::MAX), None);
    }
}
