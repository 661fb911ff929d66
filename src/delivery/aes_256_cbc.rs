//! AES-256-CBC as `openssl enc -aes-256-cbc` writes it: `Salted__`, 8 bytes of salt, and the padded ciphertext.
//!
//! Key and IV come from a passphrase and the salt. The guides of the phones were tested with versions of `openssl`
//! whose defaults differ (MD5 until 1.0.2, SHA-256 from 1.1.0), and name no digest: so it is a setting, and a file can
//! be opened by trying them all.

use std::fmt;
use std::str::FromStr;

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use md5::Md5;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::model::Secret;

use super::{DecryptError, gzip};

/// What the file begins with.
const MAGIC: &[u8] = b"Salted__";
const SALT_SIZE: usize = 8;
const BLOCK_SIZE: usize = 16;
const KEY_SIZE: usize = 32;

/// How key and IV are derived from the passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyDigest {
    /// EVP_BytesToKey with MD5, one round: `-md md5`, and the default of `openssl` before 1.1.0.
    #[default]
    Md5,
    /// EVP_BytesToKey with SHA-256, one round: `-md sha256`, and the default of `openssl` from 1.1.0.
    Sha256,
    /// PBKDF2 with HMAC-SHA-256: `-pbkdf2 -iter N`.
    Pbkdf2 { iterations: u32 },
}

/// A text that names no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is md5, sha256 or pbkdf2, not \"{0}\"")]
pub struct ParseKeyDigestError(String);

impl KeyDigest {
    /// Every digest's name, as `FromStr` takes them.
    pub const NAMES: [&str; 3] = ["md5", "sha256", "pbkdf2"];

    /// The rounds of `openssl enc -pbkdf2` that isn't told another number by `-iter`.
    pub const DEFAULT_ITERATIONS: u32 = 10_000;
}

impl FromStr for KeyDigest {
    type Err = ParseKeyDigestError;

    /// Reads a digest's name; pbkdf2 gets [`KeyDigest::DEFAULT_ITERATIONS`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "md5" => Ok(Self::Md5),
            "sha256" => Ok(Self::Sha256),
            "pbkdf2" => Ok(Self::Pbkdf2 { iterations: Self::DEFAULT_ITERATIONS }),
            other => Err(ParseKeyDigestError(other.to_owned())),
        }
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Pbkdf2 { .. } => "pbkdf2",
        })
    }
}

/// Whether this begins as what `openssl enc` writes does.
pub fn is_salted(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// The file that holds `content`.
pub fn encrypt(content: &[u8], passphrase: &Secret, digest: KeyDigest, salt: &[u8; SALT_SIZE]) -> Vec<u8> {
    let keys = Keys::derive(passphrase, salt, digest);
    let ciphertext =
        cbc::Encryptor::<Aes256>::new((&*keys.key).into(), (&*keys.iv).into()).encrypt_padded_vec::<Pkcs7>(content);
    let mut file = Vec::with_capacity(MAGIC.len() + SALT_SIZE + ciphertext.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(salt);
    file.extend_from_slice(&ciphertext);
    file
}

/// Opens what `openssl enc -aes-256-cbc` wrote.
///
/// The format has no checksum but its padding, so that one wrong key in 256 is not found out, and neither are changes
/// to the ciphertext: the content is then garbage.
///
/// # Errors
/// When it is no such file, or the key or digest is found to be wrong.
pub fn decrypt_aes_256_cbc(file: &[u8], passphrase: &Secret, digest: KeyDigest) -> Result<Vec<u8>, DecryptError> {
    let (salt, ciphertext) =
        file.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk()).ok_or(DecryptError::NotSalted)?;
    // There is always padding, hence always a block.
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK_SIZE) {
        return Err(DecryptError::NotWholeBlocks(ciphertext.len()));
    }
    let keys = Keys::derive(passphrase, salt, digest);
    cbc::Decryptor::<Aes256>::new((&*keys.key).into(), (&*keys.iv).into())
        .decrypt_padded_vec::<Pkcs7>(ciphertext)
        .map_err(|_| DecryptError::WrongKeyOrDigest)
}

/// Opens what `openssl enc -aes-256-cbc` wrote with any digest, and tells which one it was: MD5, SHA-256, or PBKDF2
/// with so many iterations, tried in this order.
///
/// Padding alone doesn't tell: one wrong digest in 256 leaves bytes at the end that read as padding. So the content
/// also has to be what phones and operators encrypt, a gzip file or text; random bytes are neither. Content of another
/// kind opens only by [`decrypt_aes_256_cbc`].
///
/// # Errors
/// When it is no such file, or no digest gives a gzip file or text.
pub fn decrypt_aes_256_cbc_by_any_digest(
    file: &[u8],
    passphrase: &Secret,
    iterations: u32,
) -> Result<(Vec<u8>, KeyDigest), DecryptError> {
    for digest in [KeyDigest::Md5, KeyDigest::Sha256, KeyDigest::Pbkdf2 { iterations }] {
        match decrypt_aes_256_cbc(file, passphrase, digest) {
            Ok(content) if gzip::is_gzip(&content) || is_text(&content) => return Ok((content, digest)),
            Ok(_) | Err(DecryptError::WrongKeyOrDigest) => {}
            Err(other) => return Err(other),
        }
    }
    Err(DecryptError::NoDigestFits { iterations })
}

/// Whether this is text: no control characters but white space, and either UTF-8 or, as old phones report in Latin-1,
/// at least three quarters ASCII. Of the 15 random bytes that a wrong key leaves of a single block beside a byte of
/// padding about one in 1300 is taken for text, which with the padding makes one in 300 000; longer ones far less.
pub fn is_text(content: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    if content.iter().any(is_control) {
        return false;
    }
    let others = content.iter().filter(|byte| !byte.is_ascii()).count();
    std::str::from_utf8(content).is_ok() || others <= content.len() / 4
}

/// What the cipher is keyed with.
struct Keys {
    key: Zeroizing<[u8; KEY_SIZE]>,
    iv: Zeroizing<[u8; BLOCK_SIZE]>,
}

impl Keys {
    fn derive(passphrase: &Secret, salt: &[u8; SALT_SIZE], digest: KeyDigest) -> Self {
        let mut derived = Zeroizing::new([0; KEY_SIZE + BLOCK_SIZE]);
        match digest {
            KeyDigest::Md5 => bytes_to_key::<Md5>(passphrase, salt, derived.as_mut_slice()),
            KeyDigest::Sha256 => bytes_to_key::<Sha256>(passphrase, salt, derived.as_mut_slice()),
            KeyDigest::Pbkdf2 { iterations } => {
                pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.expose(), salt, iterations, derived.as_mut_slice());
            }
        }
        let mut keys = Self { key: Zeroizing::default(), iv: Zeroizing::default() };
        for (to, from) in keys.key.iter_mut().chain(keys.iv.iter_mut()).zip(derived.iter()) {
            *to = *from;
        }
        keys
    }
}

/// OpenSSL's EVP_BytesToKey of one round: every block is the digest of the block before it, the passphrase and the
/// salt.
fn bytes_to_key<D: Digest>(passphrase: &Secret, salt: &[u8], derived: &mut [u8]) {
    let mut digest = D::new();
    for part in derived.chunks_mut(<D as Digest>::output_size()) {
        let mut block = digest.chain_update(passphrase.expose()).chain_update(salt).finalize();
        for (to, from) in part.iter_mut().zip(&block) {
            *to = *from;
        }
        digest = D::new().chain_update(&block);
        block.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"I am the walrus, and this is longer than a block";
    const SALT: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    /// Made by `openssl enc -aes-256-cbc -S 0102030405060708 -k not-a-real-key` and the options named, version 3.0.19.
    const WRITTEN_BY_OPENSSL: [(KeyDigest, &str); 4] = [
        (
            KeyDigest::Md5, // -md md5
            "56fdd85675f21713b4827b043b05900952d83143a0ab01fe611787dc2bb29252\
             bece5e7737556e5da12c36158c5fa98d24012ef86e47f4bbb0a674374e4f7e86",
        ),
        (
            KeyDigest::Sha256, // -md sha256
            "fc53096d3bf64218b8a5c22e89c41b399ac88056ef2320761c64a9fd36b57441\
             1ed33edc4ae09133d8309b2d4abeee6a16ff26233bf5649ece4da8a6fa8545ee",
        ),
        (
            KeyDigest::Pbkdf2 { iterations: 10_000 }, // -pbkdf2
            "937a9b9f3099e8deba682f4711fac8b7434be9e6730075cdfe2152b05e338b31\
             f38f62130c25a23c8a79b6e10e023d7e5d370f0f36cdb4ce337a5d3add25893e",
        ),
        (
            KeyDigest::Pbkdf2 { iterations: 7 }, // -pbkdf2 -iter 7
            "efa1927afebe5c1c25011a6dfae86b2a90397e89644b8d0412d26f46268d3ebb\
             692e25bf8ace81e27942d6096054f31909391a58d6c8745527f9f9a9f78fb063",
        ),
    ];

    fn key() -> Secret {
        Secret::new("not-a-real-key")
    }

    #[test]
    fn the_bytes_are_those_of_openssl() {
        for (digest, ciphertext) in WRITTEN_BY_OPENSSL {
            let ciphertext = crate::model::KeyEncoding::Hex.parse(ciphertext.as_bytes()).unwrap();
            // Given -S, openssl 3 leaves the header out; without, it writes this one.
            let file = [MAGIC, &SALT, ciphertext.expose()].concat();
            assert_eq!(encrypt(CONTENT, &key(), digest, &SALT), file, "{digest:?}");
            assert_eq!(decrypt_aes_256_cbc(&file, &key(), digest).unwrap(), CONTENT, "{digest:?}");
            assert_eq!(decrypt_aes_256_cbc(ciphertext.expose(), &key(), digest), Err(DecryptError::NotSalted));
        }
    }

    #[test]
    fn a_file_cut_off_anywhere_is_refused() {
        let file = encrypt(CONTENT, &key(), KeyDigest::Md5, &SALT);
        for length in 0..file.len() {
            let error = decrypt_aes_256_cbc(&file[..length], &key(), KeyDigest::Md5).unwrap_err();
            let expected = match length {
                0..16 => DecryptError::NotSalted,
                16 => DecryptError::NotWholeBlocks(0),
                _ if length % 16 == 0 => DecryptError::WrongKeyOrDigest,
                _ => DecryptError::NotWholeBlocks(length - 16),
            };
            assert_eq!(error, expected, "{length}");
        }
    }

    #[test]
    fn a_wrong_digest_is_told_by_the_content_not_by_the_padding_alone() {
        // Salts where the wrong digest leaves bytes that read as padding: about one in 256.
        let mut misleading = 0;
        for number in 0..2000_u64 {
            let file = encrypt(CONTENT, &key(), KeyDigest::Sha256, &number.to_be_bytes());
            misleading += usize::from(decrypt_aes_256_cbc(&file, &key(), KeyDigest::Md5).is_ok());
            let (content, digest) = decrypt_aes_256_cbc_by_any_digest(&file, &key(), 1).unwrap();
            assert_eq!((content.as_slice(), digest), (CONTENT, KeyDigest::Sha256));
        }
        assert!(misleading > 0, "2000 salts and none misleading: the test shows nothing");
    }

    #[test]
    fn a_wrong_key_fits_with_no_digest() {
        let file = encrypt(CONTENT, &key(), KeyDigest::Md5, &SALT);
        let error = decrypt_aes_256_cbc_by_any_digest(&file, &Secret::new("another"), 7).unwrap_err();
        assert_eq!(error, DecryptError::NoDigestFits { iterations: 7 });
    }

    #[test]
    fn text_is_told_from_binary() {
        for text in ["", "<flat-profile/>\r\n\t\u{c}", "電話機", "käse"] {
            assert!(is_text(text.as_bytes()), "{text:?}");
        }
        assert!(is_text(b"Display name: B\xfcro"));
        assert!(!is_text(b"a\0b"));
        assert!(!is_text(&[0xfc; 8]));
    }

    #[test]
    fn names_read_as_they_are_shown() {
        for name in KeyDigest::NAMES {
            assert_eq!(name.parse::<KeyDigest>().unwrap().to_string(), name);
        }
        assert_eq!("pbkdf2".parse(), Ok(KeyDigest::Pbkdf2 { iterations: 10_000 }));
        assert!("MD5".parse::<KeyDigest>().is_err());
    }
}
