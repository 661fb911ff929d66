//! What was packed is unpacked: encryption first, then gzip, each at most once. An archive (zip, tar) is never looked into.

use crate::delivery::{
    DecryptError, GunzipError, KeyDigest, decrypt_aes_256_cbc_by_any_digest, decrypt_aes128gcm, gunzip, is_gzip,
    is_salted,
};
use crate::model::Secret;

/// What may be undone, and by which key.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The device's delivery key; none where nothing is to be decrypted, or there is none.
    pub key: Option<Secret>,
    /// Of pbkdf2, which is tried as the last of the digests.
    pub iterations: u32,
    pub decrypt: bool,
    pub gunzip: bool,
    /// Bytes that the content may have.
    pub limit: usize,
}

impl Default for Opening {
    fn default() -> Self {
        Self { key: None, iterations: KeyDigest::DEFAULT_ITERATIONS, decrypt: false, gunzip: false, limit: usize::MAX }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// None: nothing was to be done, or nothing could be.
    pub content: Option<Vec<u8>>,
    /// What was undone.
    pub encoding: Option<&'static str>,
    /// Encrypted, and not opened.
    pub sealed: bool,
    /// Opened by a cipher that nobody can write for without the key.
    pub authentic: bool,
    /// What could not be undone, for the operator.
    pub problem: Option<String>,
}

/// Content that unpacks to more than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Whether anything may have to be undone, by the first bytes and the Content-Encoding header.
pub fn is_packed(begin: &[u8], content_encoding: Option<&str>) -> bool {
    is_sealed(content_encoding) || is_salted(begin) || is_gzip(begin)
}

fn is_sealed(content_encoding: Option<&str>) -> bool {
    content_encoding.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("aes128gcm"))
}

/// Unpacks. What does not open stays as it came: the phone has proved itself in another way, and who asks for it gets all
/// that it sent. That also keeps the answer the same whether a ciphertext is well padded or not: an answer that told would
/// be all that is needed to read a captured profile, which is under the same key.
pub fn open(body: &[u8], content_encoding: Option<&str>, opening: &Opening) -> Result<Opened, TooLarge> {
    let mut opened = Opened::default();
    let mut cipher = None;
    if opening.decrypt && (is_sealed(content_encoding) || is_salted(body)) {
        match decrypted(body, content_encoding, opening) {
            Ok((content, name)) => {
                opened.content = Some(content);
                opened.authentic = name == "aes128gcm";
                cipher = Some(name);
            }
            Err(problem) => {
                return Ok(Opened { sealed: true, problem: Some(problem), ..opened });
            }
        }
    }
    let packed = opened.content.as_deref().unwrap_or(body);
    let mut unpacked = false;
    if opening.gunzip && is_gzip(packed) {
        match gunzip(packed, opening.limit) {
            Ok(content) => {
                opened.content = Some(content);
                unpacked = true;
            }
            Err(GunzipError::TooLarge(_)) => return Err(TooLarge),
            Err(error) => opened.problem = Some(error.to_string()),
        }
    }
    opened.encoding = match (unpacked, cipher) {
        (false, cipher) => cipher,
        (true, None) => Some("gzip"),
        (true, Some("aes128gcm")) => Some("gzip+aes128gcm"),
        (true, Some(_)) => Some("gzip+aes-256-cbc"),
    };
    Ok(opened)
}

fn decrypted(
    body: &[u8],
    content_encoding: Option<&str>,
    opening: &Opening,
) -> Result<(Vec<u8>, &'static str), String> {
    let Some(key) = &opening.key else { return Err("it is encrypted, and the device has no delivery.key".to_owned()) };
    let told = |error: DecryptError| format!("it does not open with the device's delivery.key: {error}");
    // The header wins, as it does for profiles (MPP guide, "RFC 8188-Based HTTP Content Encryption").
    if is_sealed(content_encoding) {
        return Ok((decrypt_aes128gcm(body, key).map_err(told)?, "aes128gcm"));
    }
    // By any digest: the guides name none, and a phone need not encrypt by the one that it decrypts by.
    let (content, _) = decrypt_aes_256_cbc_by_any_digest(body, key, opening.iterations).map_err(told)?;
    Ok((content, "aes-256-cbc"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{DEFAULT_RECORD_SIZE, Delivery, Encryption};

    const REPORT: &[u8] = b"<flat-profile><A>b</A></flat-profile>";

    fn opening(key: &str) -> Opening {
        Opening { key: Some(Secret::new(key)), decrypt: true, gunzip: true, limit: 1 << 20, ..Opening::default() }
    }

    fn packed(gzip: bool, encryption: Encryption) -> Vec<u8> {
        Delivery { gzip, encryption }.pack(REPORT).unwrap().body
    }

    fn cbc(digest: KeyDigest) -> Encryption {
        Encryption::Aes256Cbc { passphrase: Secret::new("example-only"), digest }
    }

    fn gcm() -> Encryption {
        let keying_material = Secret::new("example-only");
        Encryption::Aes128Gcm { keying_material, record_size: DEFAULT_RECORD_SIZE, key_id: Vec::new() }
    }

    #[test]
    fn every_way_to_pack_is_undone() {
        let iterations = KeyDigest::DEFAULT_ITERATIONS;
        for (body, coding, label) in [
            (packed(true, Encryption::None), None, "gzip"),
            (packed(false, cbc(KeyDigest::Md5)), None, "aes-256-cbc"),
            (packed(true, cbc(KeyDigest::Sha256)), None, "gzip+aes-256-cbc"),
            (packed(false, cbc(KeyDigest::Pbkdf2 { iterations })), None, "aes-256-cbc"),
            (packed(false, gcm()), Some("AES128GCM"), "aes128gcm"),
            (packed(true, gcm()), Some("aes128gcm"), "gzip+aes128gcm"),
        ] {
            assert!(is_packed(&body, coding));
            let opened = open(&body, coding, &opening("example-only")).unwrap();
            assert_eq!((opened.content.as_deref(), opened.encoding), (Some(REPORT), Some(label)));
            assert_eq!((opened.authentic, opened.problem), (coding.is_some(), None));
        }
        assert!(!is_packed(REPORT, None));
        assert_eq!(open(REPORT, None, &opening("example-only")).unwrap(), Opened::default());
    }

    #[test]
    fn what_does_not_open_stays_as_it_came() {
        for (body, coding) in [(packed(false, cbc(KeyDigest::Md5)), None), (packed(false, gcm()), Some("aes128gcm"))] {
            for opening in [opening("another"), Opening { key: None, ..opening("") }] {
                let opened = open(&body, coding, &opening).unwrap();
                assert!(opened.sealed && !opened.authentic && opened.content.is_none());
                let problem = opened.problem.unwrap();
                assert!(problem.contains("delivery.key") && !problem.contains("another"), "{problem}");
            }
        }
        let mut damaged = packed(true, Encryption::None);
        damaged.truncate(20);
        let opened = open(&damaged, None, &opening("")).unwrap();
        assert_eq!((opened.content, opened.sealed), (None, false));
        assert!(opened.problem.unwrap().contains("cut off"));
    }

    #[test]
    fn a_gzip_bomb_is_refused_packed_once_or_within_encryption() {
        let zeros = vec![0; 2 << 20];
        for encryption in [Encryption::None, cbc(KeyDigest::Md5)] {
            let body = Delivery { gzip: true, encryption }.pack(&zeros).unwrap().body;
            assert!(body.len() < 1 << 16);
            assert_eq!(open(&body, None, &opening("example-only")), Err(TooLarge));
        }
    }

    #[test]
    fn nothing_is_undone_that_was_not_asked_for() {
        let opening = Opening { limit: 10, ..Opening::default() };
        let body = packed(true, cbc(KeyDigest::Md5));
        assert_eq!(open(&body, Some("gzip"), &opening).unwrap(), Opened::default());
    }
}
