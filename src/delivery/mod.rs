//! Delivery: gzip and encryption of a rendered profile, in that order, and their undoing.
//!
//! Everything here is a function of its arguments and of the operating system's randomness: nothing is read, written,
//! looked up or logged. The server and the `encrypt` and `decrypt` commands pack and unpack by this code alone.

mod aes_128_gcm;
mod aes_256_cbc;
mod gzip;

use crate::model::Secret;

pub use aes_128_gcm::{DEFAULT_RECORD_SIZE, MAX_KEY_ID, MIN_RECORD_SIZE, decrypt_aes128gcm};
pub use aes_256_cbc::{
    KeyDigest, ParseKeyDigestError, decrypt_aes_256_cbc, decrypt_aes_256_cbc_by_any_digest, is_salted, is_text,
};
pub use gzip::{GZIP_LEVEL, GunzipError, gunzip, is_gzip};

/// How a profile is packed for its way to the phone; by default not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Whether the body is a gzip file. Phones know it by the file's own header, so this is no transfer or content
    /// coding.
    pub gzip: bool,
    pub encryption: Encryption,
}

/// How the body is encrypted, and by which key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    #[default]
    None,
    /// The file that `openssl enc -aes-256-cbc` writes. It is not authenticated: who can change it on its way can
    /// garble it unnoticed, so it wants HTTPS around it.
    Aes256Cbc { passphrase: Secret, digest: KeyDigest },
    /// The content coding of RFC 8188.
    Aes128Gcm {
        keying_material: Secret,
        /// Bytes of one record with its delimiter and tag, at least [`MIN_RECORD_SIZE`].
        record_size: u32,
        /// Names the key to the phone in clear, up to [`MAX_KEY_ID`] bytes; empty for none.
        key_id: Vec<u8>,
    },
}

/// A packed profile: the body of the answer, and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    pub body: Vec<u8>,
    /// What was done, for logs and events: `gzip`, `aes-256-cbc`, `gzip+aes-256-cbc`, `aes128gcm` or `gzip+aes128gcm`.
    pub label: Option<&'static str>,
    /// The value of the Content-Encoding header. Only RFC 8188 is a content coding: gzip and AES-256-CBC make files
    /// that are what the URL names, and a header would have the phone's HTTP client undo what its provisioning
    /// expects.
    pub content_encoding: Option<&'static str>,
}

/// Why a profile could not be packed. The messages hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("the encryption key is empty: give the device a delivery.key")]
    EmptyKey,
    #[error("0 iterations of pbkdf2: delivery.iterations has to be 1 or more")]
    NoIterations,
    #[error("a record size of {0} bytes: delivery.record_size has to be {MIN_RECORD_SIZE} or more")]
    RecordSize(u32),
    #[error("a key id of {0} bytes: delivery.key_id may have {MAX_KEY_ID} at most")]
    KeyId(usize),
    #[error("the operating system gave no random bytes for a salt: {0}")]
    Salt(getrandom::Error),
    #[error("the profile could not be compressed: {0}")]
    Gzip(std::io::Error),
    #[error("the cipher did not take {0} bytes of content")]
    Cipher(usize),
}

/// Why an encrypted file could not be opened. The messages hold no secret.
///
/// They are as exact as an operator needs. Whoever answers a peer over the network must answer all of them
/// alike, at least for AES-256-CBC: telling bad padding from a bad file is all that is needed to decrypt without the
/// key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    #[error("it does not begin with `Salted__`, as what `openssl enc` writes does unless it was given a salt by -S")]
    NotSalted,
    #[error("{0} bytes of ciphertext are no whole number of 16-byte blocks: the file is cut off or damaged")]
    NotWholeBlocks(usize),
    #[error("wrong key or wrong digest, or the file is damaged")]
    WrongKeyOrDigest,
    #[error("the key fits with no digest (md5, sha256, pbkdf2 with {iterations} iterations), or the file is damaged")]
    NoDigestFits { iterations: u32 },
    #[error("it ends within the header of RFC 8188, or is no such file")]
    NoHeader,
    #[error("its header gives a record size of {0} bytes, less than RFC 8188 allows: it is damaged or no such file")]
    RecordSize(u32),
    #[error("record {0} does not open: wrong key, or records are damaged, cut off or out of order")]
    WrongKeyOrRecord(u64),
    #[error("record {0} holds nothing but padding: it was not made by the rules of RFC 8188")]
    NoDelimiter(u64),
    #[error("record {0} ends with an unknown delimiter: it was not made by the rules of RFC 8188")]
    UnknownDelimiter(u64),
    #[error("it ends after record {0}, which is not marked as the last one: the file is cut off")]
    NoLastRecord(u64),
    #[error("more follows after record {0}, which is marked as the last one")]
    AfterLastRecord(u64),
}

impl Delivery {
    /// Packs one profile. Where it is encrypted, every call gives other bytes: the salt is new each time.
    ///
    /// # Errors
    /// When the settings cannot be used ([`Encryption::check`]) or the operating system gives no random bytes.
    pub fn pack(&self, profile: &[u8]) -> Result<Delivered, DeliveryError> {
        self.encryption.check()?;
        let compressed = if self.gzip { Some(gzip::gzip(profile).map_err(DeliveryError::Gzip)?) } else { None };
        let content = compressed.as_deref().unwrap_or(profile);
        let body = match &self.encryption {
            Encryption::None => content.to_vec(),
            Encryption::Aes256Cbc { passphrase, digest } => {
                aes_256_cbc::encrypt(content, passphrase, *digest, &random()?)
            }
            Encryption::Aes128Gcm { keying_material, record_size, key_id } => {
                aes_128_gcm::encrypt(content, keying_material, &random()?, *record_size, key_id)?
            }
        };
        Ok(Delivered { body, label: self.label(), content_encoding: self.content_encoding() })
    }

    /// What [`Delivered::label`] will be.
    pub fn label(&self) -> Option<&'static str> {
        match (&self.encryption, self.gzip) {
            (Encryption::None, false) => None,
            (Encryption::None, true) => Some("gzip"),
            (Encryption::Aes256Cbc { .. }, false) => Some("aes-256-cbc"),
            (Encryption::Aes256Cbc { .. }, true) => Some("gzip+aes-256-cbc"),
            (Encryption::Aes128Gcm { .. }, false) => Some("aes128gcm"),
            (Encryption::Aes128Gcm { .. }, true) => Some("gzip+aes128gcm"),
        }
    }

    /// What [`Delivered::content_encoding`] will be.
    pub fn content_encoding(&self) -> Option<&'static str> {
        matches!(self.encryption, Encryption::Aes128Gcm { .. }).then_some("aes128gcm")
    }
}

impl Encryption {
    /// Whether these settings can be used, told without encrypting anything.
    ///
    /// # Errors
    /// When the key is empty, or the iterations, record size or key id are out of bounds.
    pub fn check(&self) -> Result<(), DeliveryError> {
        match self {
            Self::None => Ok(()),
            Self::Aes256Cbc { passphrase: key, .. } | Self::Aes128Gcm { keying_material: key, .. }
                if key.expose().is_empty() =>
            {
                Err(DeliveryError::EmptyKey)
            }
            Self::Aes256Cbc { digest: KeyDigest::Pbkdf2 { iterations: 0 }, .. } => Err(DeliveryError::NoIterations),
            Self::Aes256Cbc { .. } => Ok(()),
            Self::Aes128Gcm { record_size, .. } if *record_size < MIN_RECORD_SIZE => {
                Err(DeliveryError::RecordSize(*record_size))
            }
            Self::Aes128Gcm { key_id, .. } if key_id.len() > MAX_KEY_ID => Err(DeliveryError::KeyId(key_id.len())),
            Self::Aes128Gcm { .. } => Ok(()),
        }
    }
}

/// So many bytes from the operating system.
fn random<const N: usize>() -> Result<[u8; N], DeliveryError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(DeliveryError::Salt)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gcm(record_size: u32, key_id: Vec<u8>) -> Encryption {
        Encryption::Aes128Gcm { keying_material: Secret::new("not-a-real-key"), record_size, key_id }
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_by_name() {
        let cbc = |key: &str, digest| Encryption::Aes256Cbc { passphrase: Secret::new(key), digest }.check().err();
        assert!(matches!(cbc("", KeyDigest::Md5), Some(DeliveryError::EmptyKey)));
        assert!(matches!(cbc("k", KeyDigest::Pbkdf2 { iterations: 0 }), Some(DeliveryError::NoIterations)));
        assert!(cbc("k", KeyDigest::Pbkdf2 { iterations: 1 }).is_none());
        assert!(matches!(gcm(17, Vec::new()).check(), Err(DeliveryError::RecordSize(17))));
        assert!(matches!(gcm(18, vec![b'x'; 256]).check(), Err(DeliveryError::KeyId(256))));
        assert!(gcm(18, vec![b'x'; 255]).check().is_ok());
        let refused = Delivery { gzip: true, encryption: gcm(0, Vec::new()) }.pack(b"profile");
        assert!(matches!(refused, Err(DeliveryError::RecordSize(0))));
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let delivered = Delivery { gzip: false, encryption: Encryption::None }.pack(b"profile").unwrap();
        assert_eq!(delivered, Delivered { body: b"profile".to_vec(), label: None, content_encoding: None });
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let shown = format!("{:?}", Delivery { gzip: true, encryption: gcm(4096, Vec::new()) });
        assert!(!shown.contains("not-a-real-key"), "{shown}");
    }
}
