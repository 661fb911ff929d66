//! A connection request in a datagram, as TR-111 part 2 has it, and what a phone makes sure of before it believes one:
//! `GET http://HOST:PORT?ts=…&id=…&un=…&cn=…&sig=… HTTP/1.1`, where `sig` is the hex of HMAC-SHA1 over `ts`, `id`, `un` and `cn`.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::stun::hmac_sha1;

/// What a phone remembers of the last one that it believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Believed {
    /// Seconds since 1970, by the server's clock.
    pub timestamp: u64,
    pub id: String,
}

/// Why one is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    #[error("it is no connection request")]
    NoRequest,
    #[error("it is of no user that the phone knows")]
    User,
    #[error("its signature is wrong")]
    Signature,
    #[error("it was heard before")]
    Twice,
    #[error("it is older than the last one")]
    Old,
}

/// Reads one, and makes sure of it.
///
/// # Errors
/// Why it is not believed. Copies of one that was believed are [`Doubt::Twice`].
pub fn read(datagram: &[u8], user: &str, password: &[u8], last: Option<&Believed>) -> Result<Believed, Doubt> {
    let text = std::str::from_utf8(datagram).map_err(|_| Doubt::NoRequest)?;
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    let (Some("GET"), Some(url), Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Doubt::NoRequest);
    };
    let query = url.strip_prefix("http://").and_then(|rest| rest.split_once('?')).ok_or(Doubt::NoRequest)?.1;
    let part = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(own, _)| *own == name).ok_or(Doubt::NoRequest)?.1;
        Ok(percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    let (ts, id, un, cn, sig) = (part("ts")?, part("id")?, part("un")?, part("cn")?, part("sig")?);
    let timestamp = ts.parse().map_err(|_| Doubt::NoRequest)?;
    // Without a user nobody can have signed it.
    if un != user || user.is_empty() {
        return Err(Doubt::User);
    }
    let signed = hmac_sha1(password, format!("{ts}{id}{un}{cn}").as_bytes());
    let hex = signed.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a text can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    if !hex.eq_ignore_ascii_case(&sig) {
        return Err(Doubt::Signature);
    }
    match last {
        Some(last) if last.id == id => Err(Doubt::Twice),
        Some(last) if last.timestamp >= timestamp => Err(Doubt::Old),
        _ => Ok(Believed { timestamp, id }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"not-a-real-password";

    fn datagram(ts: &str, id: &str, un: &str) -> String {
        let signed = hmac_sha1(KEY, format!("{ts}{id}{un}c+1").as_bytes());
        let hex: String = signed.iter().map(|byte| format!("{byte:02X}")).collect();
        format!(
            "GET http://192.0.2.1:8000?ts={ts}&id={id}&un={un}&cn=c%2B1&sig={hex} HTTP/1.1\r\nHost: 192.0.2.1:8000\r\n\r\n"
        )
    }

    #[test]
    fn only_what_is_new_and_signed_is_believed() {
        let read = |text: &str, last| read(text.as_bytes(), "phone-1", KEY, last);
        let first = read(&datagram("100", "7", "phone-1"), None).unwrap();
        assert_eq!(first, Believed { timestamp: 100, id: "7".to_owned() });
        for (text, doubt) in [
            (datagram("100", "7", "phone-1"), Doubt::Twice),
            (datagram("100", "8", "phone-1"), Doubt::Old),
            (datagram("99", "8", "phone-1"), Doubt::Old),
            (datagram("101", "8", "phone-2"), Doubt::User),
            (datagram("101", "8", "phone-1").replace("ts=101", "ts=102"), Doubt::Signature),
            (datagram("101", "8", "phone-1").replace("GET", "POST"), Doubt::NoRequest),
            (datagram("x", "8", "phone-1"), Doubt::NoRequest),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), Doubt::NoRequest),
            (String::new(), Doubt::NoRequest),
        ] {
            assert_eq!(read(&text, Some(&first)), Err(doubt), "{text}");
        }
        assert_eq!(read(&datagram("101", "8", "phone-1"), Some(&first)).unwrap().timestamp, 101);
        assert_eq!(super::read(datagram("1", "1", "").as_bytes(), "", KEY, None), Err(Doubt::User));
    }
}
