//! Keys as people write them down.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::Secret;

/// base64url as RFC 4648 has it, with or without the `=` at its end: RFC 8188 and JWK leave it out, many tools don't.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a key is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyEncoding {
    /// The characters are the key, as `openssl enc -k` takes them.
    #[default]
    Text,
    /// Two hex digits a byte.
    Hex,
    /// The alphabet for URLs of RFC 4648.
    Base64Url,
}

/// A text that names no encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key's encoding is text, hex or base64url, not \"{0}\"")]
pub struct ParseKeyEncodingError(String);

/// A text that is no key in its encoding. What the text was stays unsaid: it may be a key with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    #[error("the key is empty")]
    Empty,
    #[error("the key is no hex: it takes an even number of the digits 0-9 and a-f, and nothing between them")]
    Hex,
    #[error("the key is no base64url: it takes letters, digits, - and _ (not + and /), and nothing between them")]
    Base64Url,
}

impl KeyEncoding {
    /// Every encoding's name, as `FromStr` takes them.
    pub const NAMES: [&str; 3] = ["text", "hex", "base64url"];

    /// The key that is written as `written` in this encoding.
    ///
    /// # Errors
    /// When it is not written so, or is empty.
    pub fn parse(self, written: &[u8]) -> Result<Secret, ParseKeyError> {
        let key = match self {
            Self::Text => Zeroizing::new(written.to_vec()),
            Self::Hex => hex(written).ok_or(ParseKeyError::Hex)?,
            Self::Base64Url => Zeroizing::new(BASE64URL.decode(written).map_err(|_| ParseKeyError::Base64Url)?),
        };
        if key.is_empty() { Err(ParseKeyError::Empty) } else { Ok(Secret::new(key.as_slice())) }
    }
}

/// The bytes that hex digits stand for.
fn hex(written: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, rest) = written.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    // Reserved at once: growing would leave copies of the key behind.
    let mut key = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        let byte = digit(*high)? << 4 | digit(*low)?;
        key.push(byte);
    }
    Some(key)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl FromStr for KeyEncoding {
    type Err = ParseKeyEncodingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "hex" => Ok(Self::Hex),
            "base64url" => Ok(Self::Base64Url),
            other => Err(ParseKeyEncodingError(other.to_owned())),
        }
    }
}

impl fmt::Display for KeyEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Hex => "hex",
            Self::Base64Url => "base64url",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_the_same_in_every_encoding() {
        let key = Secret::new([0xfb, 0xef, 0xff, 0x00]);
        assert_eq!(KeyEncoding::Hex.parse(b"fbEFff00"), Ok(key.clone()));
        assert_eq!(KeyEncoding::Base64Url.parse(b"--__AA"), Ok(key.clone()));
        assert_eq!(KeyEncoding::Base64Url.parse(b"--__AA=="), Ok(key.clone()));
        assert_eq!(KeyEncoding::Text.parse(key.expose()), Ok(key));
        assert_eq!(KeyEncoding::Text.parse(b"00"), Ok(Secret::new("00")));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for encoding in [KeyEncoding::Text, KeyEncoding::Hex, KeyEncoding::Base64Url] {
            assert_eq!(encoding.parse(b""), Err(ParseKeyError::Empty));
        }
        for written in ["0", "000", "0g", "+1", "00 00", "é"] {
            assert_eq!(KeyEncoding::Hex.parse(written.as_bytes()), Err(ParseKeyError::Hex), "{written}");
        }
        for written in ["A", "++//", "AA AA", "AB\n", "é"] {
            assert_eq!(KeyEncoding::Base64Url.parse(written.as_bytes()), Err(ParseKeyError::Base64Url), "{written}");
        }
    }

    #[test]
    fn names_read_as_they_are_shown() {
        for name in KeyEncoding::NAMES {
            assert_eq!(name.parse::<KeyEncoding>().unwrap().to_string(), name);
        }
        assert!("base64".parse::<KeyEncoding>().is_err());
    }
}
