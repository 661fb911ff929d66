use std::time::Duration;

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use super::TimeForm;

/// A `dateTime` as TR-069 and TR-106 use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moment {
    /// `0001-01-01T00:00:00Z`, "the Unknown Time": the phone can't tell, or it hasn't happened yet.
    #[default]
    Unknown,
    /// So long after the phone booted: TR-106 writes it as a time of the year 1, by phones that have no clock yet.
    SinceBoot(Duration),
    /// A time of the calendar.
    At(OffsetDateTime),
}

/// The start of the year 1, in seconds of Unix.
const YEAR_ONE: i64 = -62_135_596_800;

impl Moment {
    /// Reads `YYYY-MM-DDThh:mm:ss`, with or without fractions of a second, and with `Z`, an offset or neither: TR-106 has all
    /// times in UTC unless they say otherwise. `None` where it is no such text.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.trim().split_once('T')?;
        let (time, offset) = match rest.find(['Z', '+', '-']) {
            Some(at) => rest.split_at(at),
            None => (rest, "Z"),
        };
        let mut date = date.split('-');
        let (year, month, day) = (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
        let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut clock = seconds.split(':');
        let (hour, minute, second) = (digits(clock.next()?, 2)?, digits(clock.next()?, 2)?, digits(clock.next()?, 2)?);
        if date.next().is_some() || clock.next().is_some() {
            return None;
        }
        let nanosecond = nanoseconds(fraction)?;
        let year = i32::from(year);
        if year == 0 {
            // Written by phones whose clock starts at nothing.
            return Some(Self::Unknown);
        }
        let date =
            Date::from_calendar_date(year, Month::try_from(u8::try_from(month).ok()?).ok()?, small(day)?).ok()?;
        let time = Time::from_hms_nano(small(hour)?, small(minute)?, small(second)?, nanosecond).ok()?;
        let local = PrimitiveDateTime::new(date, time);
        if year == 1 {
            // Relative, so that an offset means nothing.
            let since = local.assume_utc().unix_timestamp().checked_sub(YEAR_ONE)?;
            let since = Duration::new(u64::try_from(since).ok()?, nanosecond);
            return Some(if since.is_zero() { Self::Unknown } else { Self::SinceBoot(since) });
        }
        let at = local.assume_offset(parse_offset(offset)?);
        // The calendar ends with 9999, and an offset may step over it.
        at.checked_to_offset(UtcOffset::UTC).map(Self::At)
    }

    /// The text that phones are sent, always in UTC.
    pub fn text(self, form: TimeForm) -> String {
        let at = match self {
            Self::Unknown => beginning(Duration::ZERO),
            Self::SinceBoot(since) => beginning(since),
            Self::At(at) => at.checked_to_offset(UtcOffset::UTC).unwrap_or(at),
        };
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        let (hour, minute, second) = at.to_hms();
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        match form {
            TimeForm::Seconds => text + "Z",
            TimeForm::NoZone => text,
            TimeForm::Milliseconds => format!("{text}.{:03}Z", at.millisecond()),
        }
    }
}

/// A time after the start of the year 1; of one that lasts longer than the calendar, the start itself.
fn beginning(since: Duration) -> OffsetDateTime {
    let start = OffsetDateTime::from_unix_timestamp(YEAR_ONE).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time::Duration::try_from(since).ok().and_then(|since| start.checked_add(since)).unwrap_or(start)
}

fn small(number: u16) -> Option<u8> {
    u8::try_from(number).ok()
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u16> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Nanoseconds of the digits after the point, of which any number may stand.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(
        fraction
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(9)
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')),
    )
}

/// `Z`, `+hh:mm` or `-hh:mm`.
fn parse_offset(text: &str) -> Option<UtcOffset> {
    if text == "Z" {
        return Some(UtcOffset::UTC);
    }
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let minutes = i32::from(digits(hours, 2)?) * 60 + i32::from(digits(minutes, 2)?);
    let seconds = minutes * 60;
    UtcOffset::from_whole_seconds(if text.starts_with('-') { -seconds } else { seconds }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_in_the_field_is_read() {
        let noon = Moment::At(OffsetDateTime::from_unix_timestamp(1_770_000_000).unwrap());
        for text in [
            "2026-02-02T02:40:00Z",
            "2026-02-02T02:40:00",
            "2026-02-02T02:40:00.000Z",
            "2026-02-02T02:40:00.000000000000+00:00",
            " 2026-02-02T04:40:00+02:00\n",
            "2026-02-01T21:10:00-05:30",
        ] {
            assert_eq!(Moment::parse(text), Some(noon), "{text}");
        }
        assert_eq!(noon.text(TimeForm::Seconds), "2026-02-02T02:40:00Z");
        assert_eq!(noon.text(TimeForm::Milliseconds), "2026-02-02T02:40:00.000Z");
        assert_eq!(
            Moment::parse("9999-12-31T23:59:59.5Z").unwrap().text(TimeForm::Milliseconds),
            "9999-12-31T23:59:59.500Z"
        );
    }

    #[test]
    fn the_year_one_is_no_time_of_the_calendar() {
        for text in
            ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "0001-01-01T00:00:00.000+01:00", "0000-00-00T00:00:00Z"]
        {
            assert_eq!(Moment::parse(text), Some(Moment::Unknown), "{text}");
        }
        assert_eq!(Moment::Unknown.text(TimeForm::Seconds), "0001-01-01T00:00:00Z");
        let hour = Moment::SinceBoot(Duration::from_secs(3_600));
        assert_eq!(Moment::parse("0001-01-01T01:00:00Z"), Some(hour));
        assert_eq!(hour.text(TimeForm::Seconds), "0001-01-01T01:00:00Z");
        assert_eq!(Moment::SinceBoot(Duration::MAX).text(TimeForm::Seconds), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2026-02-02",
            "2026-02-02 02:40:00",
            "26-02-02T02:40:00Z",
            "2026-2-2T02:40:00Z",
            "2026-02-30T02:40:00Z",
            "2026-02-02T24:00:00Z",
            "2026-02-02T02:40Z",
            "2026-02-02T02:40:00.Z",
            "2026-02-02T02:40:00+2",
            "2026-02-02T02:40:00+99:00",
            "2026-02-02-02T02:40:00Z",
            "9999-12-31T23:59:59-01:00",
            "2026-02-02T02:40:00.é",
            "+026-02-02T02:40:00Z",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
