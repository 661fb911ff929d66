//! The one line that every event is in the log: a message that is readable alone, and every fact as a field.

use std::fmt;

use super::{Entry, Escaped, Kind, Outcome, Refusal};

/// The target of the lines, for filters: `resyncd::resync=warn` keeps refusals and failures only.
pub const TARGET: &str = "resyncd::resync";

/// Writes the line. A refusal is a warning, a failure an error. A phone that goes away before its answer is one too, but
/// a connection that never asked for anything is how health checks and scanners look, and mere information. So is a file
/// that isn't there: phones try several names, and most deployments have only one of them.
pub fn write(entry: &Entry) {
    macro_rules! at {
        ($level:ident) => {
            tracing::event!(
                target: TARGET,
                tracing::Level::$level,
                event = %entry.id,
                kind = entry.kind.as_str(),
                listener = entry.listener,
                peer = %entry.peer,
                method = entry.method,
                // Not `target`: that is what the line itself has.
                request_target = entry.target,
                status = entry.status,
                bytes = entry.bytes,
                duration_ms = entry.duration_ms(),
                tls_version = entry.tls_version.as_deref(),
                tls_cipher = entry.tls_cipher.as_deref(),
                certificate = entry.certificate.as_deref(),
                user_agent = entry.user_agent.as_deref(),
                vendor = entry.vendor.as_deref(),
                model = entry.model.as_deref(),
                firmware = entry.firmware.as_deref(),
                device = entry.device.map(tracing::field::display),
                asked_mac = entry.asked_mac.map(tracing::field::display),
                file = entry.file.as_deref(),
                generation = entry.generation,
                encoding = entry.encoding.as_deref(),
                outcome = entry.outcome.as_str(),
                refusal = entry.outcome.refusal().map(|refusal| refusal.as_str()),
                reason = entry.reason.as_deref(),
                flags = entry.flag_words().as_deref(),
                "{}",
                Message(entry)
            )
        };
    }
    match (entry.outcome, entry.kind) {
        (Outcome::Served | Outcome::NotModified | Outcome::Stored | Outcome::Refused(Refusal::NoFile), _)
        // How every resync by Digest begins.
        | (Outcome::Refused(Refusal::Challenged), _)
        | (Outcome::Aborted, Kind::Connection) => at!(INFO),
        (Outcome::Failed | Outcome::Refused(Refusal::BrokenRecord), _) => at!(ERROR),
        (Outcome::Refused(_) | Outcome::Aborted, _) => at!(WARN),
    }
}

/// `CP-6841-3PCC 000e08abcdef got /cisco/000e08abcdef.xml: 200, 8311 bytes gzip+aes-256-cbc in 1.2 ms`
#[derive(Debug, Clone, Copy)]
pub struct Message<'e>(pub &'e Entry);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entry) = self;
        self.who(f)?;
        let target = Escaped(&entry.target);
        let why = entry.reason.as_deref();
        // It may quote what came from outside.
        let why = why.map_or_else(|| clause(entry.outcome.explanation()), |reason| Escaped(reason).to_string());
        let why = Escaped(&why);
        let status = entry.status;
        match (entry.outcome, entry.kind) {
            (Outcome::Refused(refusal), Kind::Connection) => {
                write!(f, " was refused a connection to {}: {refusal}, {why}", Escaped(&entry.listener))?;
            }
            (_, Kind::Scan) => write!(f, " asks for many phones: {why}")?,
            (_, Kind::Connection) => write!(f, " asked {} for nothing: {why}", Escaped(&entry.listener))?,
            (Outcome::Served, Kind::Session) => write!(f, " had a session: {why}")?,
            (Outcome::Served, _) => {
                write!(f, " got {target}: {status}, {} bytes", entry.bytes)?;
                if let Some(encoding) = &entry.encoding {
                    write!(f, " {encoding}")?;
                }
                write!(f, " in {:.1} ms", entry.duration_ms())?;
            }
            (Outcome::NotModified, _) => write!(f, " has {target} already: {status}")?,
            (Outcome::Stored, _) => {
                write!(f, " sent {target}: {status}, {} bytes", entry.bytes)?;
                if let Some(encoding) = &entry.encoding {
                    write!(f, " {encoding}")?;
                }
                write!(f, " in {:.1} ms", entry.duration_ms())?;
                if let Some(reason) = &entry.reason {
                    write!(f, ", {}", Escaped(reason))?;
                }
            }
            (Outcome::Failed, Kind::Upload) => write!(f, " sent {target} in vain: {status}, {why}")?,
            (Outcome::Aborted, Kind::Upload) => write!(f, " did not finish sending {target}: {why}")?,
            (Outcome::Refused(refusal), _) => write!(f, " was refused {target}: {status} {refusal}, {why}")?,
            (Outcome::Failed, _) => write!(f, " got no {target}: {status}, {why}")?,
            (Outcome::Aborted, _) => write!(f, " did not wait for {target}: {why}")?,
        }
        if let Some(flags) = entry.flag_words() {
            write!(f, " ({flags})")?;
        }
        Ok(())
    }
}

impl Message<'_> {
    /// Model and MAC as far as they are known, else where the connection comes from.
    fn who(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entry) = self;
        match (&entry.model, entry.mac()) {
            (Some(model), Some(mac)) => write!(f, "{} {mac}", Escaped(model)),
            (None, Some(mac)) => write!(f, "{mac}"),
            (Some(model), None) => write!(f, "{} at {}", Escaped(model), entry.peer.ip()),
            (None, None) => write!(f, "{}", entry.peer.ip()),
        }
    }
}

/// A sentence as a part of another.
fn clause(sentence: &str) -> String {
    let mut characters = sentence.trim_end_matches('.').chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Event, EventIds, Refusal, sample};

    fn messages() -> Vec<String> {
        let ids = EventIds::new().unwrap();
        sample::events()
            .into_iter()
            .map(|event| Message(&Entry::new(ids.next(event.time), event)).to_string())
            .collect()
    }

    #[test]
    fn each_message_is_readable_alone() {
        assert_eq!(
            messages(),
            [
                "CP-6841-3PCC 000e08abcdef got /cisco/000e08abcdef.xml: 200, 8311 bytes gzip+aes-256-cbc in 1.2 ms",
                "CP-6841-3PCC 000e08abcdef has /cisco/000e08abcdef.xml already: 304",
                "SPA504G 000e08000001 was refused /spa/000e08000001.xml: 404 unknown-device, there is no device of \
                 that MAC or serial number",
                "CP-6841-3PCC 000e08abcdef got no /cisco/000e08abcdef.xml: 500, profile.xml.tera:7: line 1 has no user \
                 (model-differs,certificate-dates)",
                "CP-6841-3PCC 000e08abcdef sent /cisco/report/000e08abcdef.xml: 200, 8311 bytes aes-256-cbc in 1.2 ms",
                "203.0.113.9 was refused a connection to https: handshake, unsupported protocol",
                "203.0.113.9 asked https for nothing: closed after 0 bytes",
                "evil\\u{1b}[2J at 203.0.113.9 was refused /x\\u{9b}31m\\nINFO fake: 400 bad-request, the request is \
                 malformed",
            ]
        );
    }

    #[test]
    fn a_reason_from_outside_begins_no_other_line() {
        let ids = EventIds::new().unwrap();
        let reason = Some("a\nINFO fake\u{1b}[2J".to_owned());
        for outcome in [Outcome::Aborted, Outcome::Failed, Outcome::Refused(Refusal::BadRequest), Outcome::Served] {
            let event = Event { kind: Kind::Session, outcome, reason: reason.clone(), ..sample::served() };
            let message = Message(&Entry::new(ids.next(event.time), event)).to_string();
            assert!(message.contains("a\\nINFO fake\\u{1b}[2J"), "{message}");
        }
    }
}
