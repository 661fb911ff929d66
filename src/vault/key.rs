//! One key, and the name that it goes by.

use std::fmt;
use std::str::FromStr;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest, Sha256};

use super::VaultError;
use super::sealed::{NONCE_BYTES, Sealed};
use crate::document::Problem;
use crate::model::Secret;

/// What a key's digest begins with, so that it is the digest of nothing else that resyncd has.
const LABEL: &[u8] = b"resyncd master key v1\0";

/// Names a key without telling what it is: the first 4 octets of SHA-256 over a label and the key, as 8 hexadecimal
/// digits. Two keys of one database have the same with a chance of one in four thousand million.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

/// A text that is no key's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's name has 8 hexadecimal digits in lower case")]
pub struct ParseKeyIdError;

impl FromStr for KeyId {
    type Err = ParseKeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u32::from_str_radix(text, 16).ok().filter(|_| is_plain).ok_or(ParseKeyIdError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key, ready to work. What it was made of is wiped when it is dropped.
pub struct Key {
    id: KeyId,
    cipher: Aes256Gcm,
}

impl Key {
    /// # Errors
    /// When it has not 32 bytes, which the configuration has checked.
    pub fn new(key: &Secret) -> Result<Self, Problem> {
        let wrong = |_| Problem::file(std::path::Path::new("secrets.master_key"), "a key must have 32 bytes");
        let cipher = Aes256Gcm::new_from_slice(key.expose()).map_err(wrong)?;
        let digest = Sha256::new().chain_update(LABEL).chain_update(key.expose()).finalize();
        let id = digest.first_chunk().copied().unwrap_or_default();
        Ok(Self { id: KeyId(id), cipher })
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<Sealed, VaultError> {
        // Random nonces of 96 bits: a key may seal 2^32 times (NIST SP 800-38D, section 8.3), 4,000 times a million phones.
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| VaultError::Randomness { place: place.to_owned(), error })?;
        let payload = Payload { msg: secret, aad: place.as_bytes() };
        let text = self.cipher.encrypt(&Nonce::from(nonce), payload);
        let text = text.map_err(|_| VaultError::TooLong { place: place.to_owned() })?;
        Ok(Sealed { key: self.id, nonce, text })
    }

    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<Secret, VaultError> {
        let payload = Payload { msg: &sealed.text, aad: place.as_bytes() };
        let opened = self.cipher.decrypt(&Nonce::from(sealed.nonce), payload);
        opened.map(Secret::new).map_err(|_| VaultError::Damaged { place: place.to_owned() })
    }
}
