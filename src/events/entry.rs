//! An event as it is spooled, stored and shown: the same facts, each with its id, none of them borrowed.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::{Event, Flag, Kind, Outcome};
use crate::model::MacAddr;

/// Names an event for ever: 48 bits of milliseconds, 24 that count, 56 that are this process's own, so that ids sort by
/// time and the same event never counts twice, however often it is inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

/// A text that is no event's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event's id has 32 hexadecimal digits")]
pub struct ParseEventIdError;

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = if fits { u128::from_str_radix(text, 16).ok() } else { None };
        number.map(Self).ok_or(ParseEventIdError)
    }
}

/// Gives out ids.
#[derive(Debug)]
pub struct EventIds {
    process: u64,
    next: AtomicU32,
}

impl EventIds {
    /// Fails when the operating system has no randomness to give.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self { process: getrandom::u64()? & 0x00ff_ffff_ffff_ffff, next: AtomicU32::new(0) })
    }

    /// The id of an event of this time.
    pub fn next(&self, time: OffsetDateTime) -> EventId {
        let milliseconds = u128::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0) & 0xffff_ffff_ffff;
        let count = u128::from(self.next.fetch_add(1, Ordering::Relaxed) & 0x00ff_ffff);
        EventId(milliseconds << 80 | count << 56 | u128::from(self.process))
    }
}

/// One event; see [`Event`] for what each field means. Its JSON form is what `resyncd log --format json` prints, and a
/// line of the spool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub id: EventId,
    /// To the millisecond, in UTC.
    #[serde(serialize_with = "as_rfc3339", deserialize_with = "from_rfc3339")]
    pub time: OffsetDateTime,
    pub kind: Kind,
    pub listener: String,
    pub peer: SocketAddr,
    pub method: String,
    pub target: String,
    pub status: u16,
    pub bytes: u64,
    /// To the microsecond.
    #[serde(rename = "duration_ms", serialize_with = "as_milliseconds", deserialize_with = "from_milliseconds")]
    pub duration: Duration,
    pub tls_version: Option<Cow<'static, str>>,
    pub tls_cipher: Option<String>,
    pub certificate: Option<String>,
    pub user_agent: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    #[serde(deserialize_with = "from_optional_text")]
    pub device: Option<MacAddr>,
    #[serde(deserialize_with = "from_optional_text")]
    pub asked_mac: Option<MacAddr>,
    pub file: Option<String>,
    pub generation: u64,
    pub encoding: Option<Cow<'static, str>>,
    #[serde(flatten)]
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub flags: Vec<Flag>,
}

impl Entry {
    pub fn new(id: EventId, event: Event) -> Self {
        Self {
            id,
            time: to_milliseconds(event.time),
            kind: event.kind,
            listener: event.listener.as_ref().to_owned(),
            peer: event.peer,
            method: storable(event.method),
            target: storable(event.target),
            status: event.status,
            bytes: event.bytes,
            duration: Duration::from_micros(u64::try_from(event.duration.as_micros()).unwrap_or(u64::MAX)),
            tls_version: event.tls_version.map(Cow::Borrowed),
            tls_cipher: event.tls_cipher,
            certificate: event.certificate.map(storable),
            user_agent: event.user_agent.map(storable),
            vendor: event.vendor.map(storable),
            model: event.model.map(storable),
            firmware: event.firmware.map(storable),
            device: event.device,
            asked_mac: event.asked_mac,
            file: event.file,
            generation: event.generation,
            encoding: event.encoding.map(Cow::Borrowed),
            outcome: event.outcome,
            reason: event.reason.map(storable),
            flags: event.flags,
        }
    }

    /// The phone's MAC as far as it is known: its device's, else the one that was asked for.
    pub fn mac(&self) -> Option<MacAddr> {
        self.device.or(self.asked_mac)
    }

    pub fn duration_ms(&self) -> f64 {
        milliseconds(self.duration)
    }

    /// The flags' words with commas between; none without flags.
    pub fn flag_words(&self) -> Option<String> {
        let words: Vec<_> = self.flags.iter().map(|flag| flag.as_str()).collect();
        if words.is_empty() { None } else { Some(words.join(",")) }
    }
}

/// `2026-03-01T10:00:00.123Z`.
pub fn rfc3339(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time.to_offset(time::UtcOffset::UTC).format(&format).unwrap_or_else(|_| time.to_string())
}

/// PostgreSQL takes no NUL in a text, and an event that can't be stored would stand in the way of all after it.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

fn to_milliseconds(time: OffsetDateTime) -> OffsetDateTime {
    let time = time.to_offset(time::UtcOffset::UTC);
    time.replace_millisecond(time.millisecond()).unwrap_or(time)
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn from_optional_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    Option::<String>::deserialize(deserializer)?.map(|text| text.parse()).transpose().map_err(D::Error::custom)
}

fn as_rfc3339<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

fn from_rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    OffsetDateTime::parse(&text, &Rfc3339).map(to_milliseconds).map_err(D::Error::custom)
}

/// Divided once, so that 1234 µs is 1.234 and not 1.2339999999999998.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

fn as_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(milliseconds(*duration))
}

fn from_milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let milliseconds = f64::deserialize(deserializer)?;
    let exact = Duration::try_from_secs_f64(milliseconds / 1e3).map_err(D::Error::custom)?;
    // Back to whole microseconds: the fraction was written in decimal.
    Ok(Duration::from_micros(u64::try_from((exact.as_nanos() + 500) / 1_000).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::sample;

    #[test]
    fn the_json_form_reads_back_to_the_same() {
        let ids = EventIds::new().unwrap();
        let events = sample::events();
        for event in events {
            let entry = Entry::new(ids.next(event.time), event);
            let json = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry, "{json}");
        }
    }

    #[test]
    fn the_json_form_is_plain() {
        let entry = Entry::new(EventId(7), sample::served());
        let json = serde_json::to_value(&entry).unwrap();
        assert_eq!(json["id"], "00000000000000000000000000000007");
        assert_eq!(json["time"], "2026-03-01T10:00:00.123Z");
        assert_eq!(json["duration_ms"], 1.234);
        assert_eq!(json["peer"], "192.0.2.7:50001");
        assert_eq!(json["device"], "000e08abcdef");
        assert_eq!((&json["outcome"], &json["refusal"]), (&"served".into(), &serde_json::Value::Null));
    }

    #[test]
    fn ids_sort_by_time_and_differ() {
        let ids = EventIds::new().unwrap();
        let time = time::macros::datetime!(2026-03-01 10:00 UTC);
        let (first, second, later) = (ids.next(time), ids.next(time), ids.next(time + Duration::from_millis(1)));
        assert!(first < second && second < later);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert!("+000000000000000000000000000000f".parse::<EventId>().is_err());
    }

    #[test]
    fn a_nul_is_replaced() {
        let mut event = sample::served();
        event.reason = Some("a\0b".to_owned());
        assert_eq!(Entry::new(EventId(1), event).reason.as_deref(), Some("a\u{fffd}b"));
    }
}
