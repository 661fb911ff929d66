//! The connection request of TR-111 part 2 (TR-069, Annex G.2.2): one datagram, signed.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;

use super::challenge::Credentials;

/// What a query holds as it is (RFC 3986, section 2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What makes a datagram another one than that before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds since 1970. A phone takes none that is not later than the last it took.
    pub time: u64,
    pub id: u32,
    pub cnonce: String,
}

/// Writes the datagram for a phone that has told `host` as its address. None where the password makes no key.
pub fn write(host: &str, stamp: &Stamp, credentials: &Credentials) -> Option<String> {
    let Stamp { time, id, cnonce } = stamp;
    let mut signature = Hmac::<Sha1>::new_from_slice(credentials.password.expose()).ok()?;
    for part in [&time.to_string(), &id.to_string(), &credentials.user, cnonce] {
        signature.update(part.as_bytes());
    }
    let signature: String = signature.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let user = utf8_percent_encode(&credentials.user, VALUE);
    Some(format!(
        "GET http://{host}?ts={time}&id={id}&un={user}&cn={cnonce}&sig={signature} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    #[test]
    fn a_datagram_is_signed_over_its_values_and_not_over_their_spelling() {
        let stamp =
            Stamp { time: 1_700_000_000, id: 305_419_896, cnonce: "00112233445566778899aabbccddeeff".to_owned() };
        let credentials = Credentials { user: "user 1".to_owned(), password: Secret::new("not-a-real-password") };
        assert_eq!(
            write("192.0.2.7:40001", &stamp, &credentials).unwrap(),
            "GET http://192.0.2.7:40001?ts=1700000000&id=305419896&un=user%201&cn=00112233445566778899aabbccddeeff\
             &sig=cc3e93d790fa8a9e0fdab8167cf20e4a3c1d519c HTTP/1.1\r\nHost: 192.0.2.7:40001\r\n\r\n"
        );
    }
}
