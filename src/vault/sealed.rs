//! A sealed secret as the database holds it: `v1.KEY.TEXT`, where KEY names the key and TEXT is base64url, without
//! padding, of nonce (12 octets), ciphertext and tag (16 octets).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::KeyId;

/// The key of the object that stands in the place of a secret: `{"sealed": "v1.…"}`.
pub const SEALED: &str = "sealed";

pub const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const VERSION: &str = "v1";

/// A sealed text, taken apart.
pub struct Sealed {
    pub key: KeyId,
    pub nonce: [u8; NONCE_BYTES],
    /// Ciphertext and tag.
    pub text: Vec<u8>,
}

impl Sealed {
    /// None where it is no sealed text.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(VERSION)?.strip_prefix('.')?;
        let (key, rest) = rest.split_once('.')?;
        let bytes = URL_SAFE_NO_PAD.decode(rest).ok()?;
        let (nonce, text) = bytes.split_first_chunk()?;
        let sealed = Self { key: key.parse().ok()?, nonce: *nonce, text: text.to_vec() };
        (sealed.text.len() >= TAG_BYTES).then_some(sealed)
    }
}

/// Whether a text has the form of a sealed secret.
pub fn is_sealed(text: &str) -> bool {
    Sealed::parse(text).is_some()
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.nonce, self.text.as_slice()].concat();
        write!(f, "{VERSION}.{}.{}", self.key, URL_SAFE_NO_PAD.encode(bytes))
    }
}
