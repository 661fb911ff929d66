//! The content coding `aes128gcm` of RFC 8188, with plain input keying material.
//!
//! A header (salt, record size, key id) and then records, each sealed by AES-128-GCM under a nonce that counts them.
//! The plaintext of a record ends with a delimiter octet, which tells the last record from the others, and padding.
//!
//! The header is not authenticated. Another salt or a longer or shorter key id makes other keys or other records, so
//! that nothing opens; but other letters of the key id, or a larger record size where there is but one record, go
//! unnoticed. They change nothing of the content.

use aes_gcm::aead::{Aead, AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::Secret;

use super::{DecryptError, DeliveryError};

/// Bytes of a record where nothing else is asked for, as in the examples of RFC 8188.
pub const DEFAULT_RECORD_SIZE: u32 = 4096;
/// The smallest record that holds a byte of content: 16 bytes of tag, one of delimiter (RFC 8188, section 2).
pub const MIN_RECORD_SIZE: u32 = 18;
/// The longest key id: its length is one byte of the header.
pub const MAX_KEY_ID: usize = 255;

const SALT_SIZE: usize = 16;
const TAG_SIZE: usize = 16;
const KEY_SIZE: usize = 16;
const NONCE_SIZE: usize = 12;
/// Salt, record size and length of the key id.
const HEADER_SIZE: usize = SALT_SIZE + 4 + 1;

/// The delimiter of every record but the last one.
const MORE: u8 = 1;
/// The delimiter of the last record.
const LAST: u8 = 2;

/// The file that holds `content`, in records as full as they get. Record size and key id are checked by
/// [`super::Encryption::check`].
pub fn encrypt(
    content: &[u8],
    keying_material: &Secret,
    salt: &[u8; SALT_SIZE],
    record_size: u32,
    key_id: &[u8],
) -> Result<Vec<u8>, DeliveryError> {
    let refused = || DeliveryError::Cipher(content.len());
    let room = usize::try_from(record_size)
        .ok()
        .and_then(|size| size.checked_sub(TAG_SIZE + 1))
        .filter(|room| *room > 0)
        .ok_or(DeliveryError::RecordSize(record_size))?;
    let key_id_size = u8::try_from(key_id.len()).map_err(|_| DeliveryError::KeyId(key_id.len()))?;
    let records = Records::new(keying_material, salt).map_err(|_| refused())?;

    let count = content.len().div_ceil(room).max(1);
    let size = HEADER_SIZE + key_id.len() + content.len() + count.saturating_mul(TAG_SIZE + 1);
    let mut file = Vec::with_capacity(size);
    file.extend_from_slice(salt);
    file.extend_from_slice(&record_size.to_be_bytes());
    file.push(key_id_size);
    file.extend_from_slice(key_id);

    let mut rest = content;
    let mut number = 0;
    loop {
        let (part, after) = rest.split_at_checked(room).unwrap_or((rest, &[]));
        let is_last = after.is_empty();
        let mut plaintext = Vec::with_capacity(part.len() + 1 + TAG_SIZE);
        plaintext.extend_from_slice(part);
        plaintext.push(if is_last { LAST } else { MORE });
        file.extend_from_slice(&records.seal(number, plaintext).map_err(|_| refused())?);
        if is_last {
            return Ok(file);
        }
        rest = after;
        number += 1;
    }
}

/// Opens a body of the content coding `aes128gcm`, whatever its record size, padding and key id.
///
/// # Errors
/// When the key is another one, or anything of the file is missing, changed or in another place.
pub fn decrypt_aes128gcm(file: &[u8], keying_material: &Secret) -> Result<Vec<u8>, DecryptError> {
    let (salt, rest) = file.split_first_chunk::<SALT_SIZE>().ok_or(DecryptError::NoHeader)?;
    let (record_size, rest) = rest.split_first_chunk::<4>().ok_or(DecryptError::NoHeader)?;
    let (key_id_size, rest) = rest.split_first().ok_or(DecryptError::NoHeader)?;
    let sealed = rest.get(usize::from(*key_id_size)..).ok_or(DecryptError::NoHeader)?;
    let record_size = u32::from_be_bytes(*record_size);
    if record_size < MIN_RECORD_SIZE {
        return Err(DecryptError::RecordSize(record_size));
    }
    // A record size beyond what memory can hold is one record, like any beyond the file.
    let record_size = usize::try_from(record_size).unwrap_or(usize::MAX);
    let records = Records::new(keying_material, salt).map_err(|_| DecryptError::WrongKeyOrRecord(1))?;

    let mut content = Vec::with_capacity(sealed.len());
    let mut parts = sealed.chunks(record_size).peekable();
    let mut number = 0;
    while let Some(part) = parts.next() {
        // Counted from 1 for people, from 0 by the nonce.
        let counted = number + 1;
        let plaintext = records.open(number, part).map_err(|_| DecryptError::WrongKeyOrRecord(counted))?;
        let delimiter_at = plaintext.iter().rposition(|byte| *byte != 0).ok_or(DecryptError::NoDelimiter(counted))?;
        let (text, padding) = plaintext.split_at_checked(delimiter_at).unwrap_or_default();
        match (padding.first(), parts.peek().is_none()) {
            (Some(&LAST), true) | (Some(&MORE), false) => content.extend_from_slice(text),
            (Some(&LAST), false) => return Err(DecryptError::AfterLastRecord(counted)),
            (Some(&MORE), true) => return Err(DecryptError::NoLastRecord(counted)),
            _ => return Err(DecryptError::UnknownDelimiter(counted)),
        }
        number = counted;
    }
    // Even an empty text has a record, with the delimiter in it.
    if number == 0 { Err(DecryptError::NoLastRecord(0)) } else { Ok(content) }
}

/// What seals and opens the records of one file.
struct Records {
    cipher: Aes128Gcm,
    nonce: Zeroizing<[u8; NONCE_SIZE]>,
}

impl Records {
    /// Derives key and nonce (RFC 8188, sections 2.2 and 2.3). The error is only that of the library's signature: these
    /// lengths always fit.
    fn new(keying_material: &Secret, salt: &[u8; SALT_SIZE]) -> Result<Self, hkdf::InvalidLength> {
        let hkdf = Hkdf::<Sha256>::new(Some(salt), keying_material.expose());
        let mut key = Zeroizing::new([0; KEY_SIZE]);
        hkdf.expand(b"Content-Encoding: aes128gcm\0", key.as_mut_slice())?;
        let mut nonce = Zeroizing::new([0; NONCE_SIZE]);
        hkdf.expand(b"Content-Encoding: nonce\0", nonce.as_mut_slice())?;
        Ok(Self { cipher: Aes128Gcm::new((&*key).into()), nonce })
    }

    /// The nonce of one record: the file's own, exclusive-or the record's number as a 96-bit integer. Bound so, a
    /// record opens only in its place.
    fn nonce(&self, number: u64) -> [u8; NONCE_SIZE] {
        let mut nonce = *self.nonce;
        for (to, from) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *to ^= from;
        }
        nonce
    }

    /// Seals content, delimiter and padding.
    fn seal(&self, number: u64, mut plaintext: Vec<u8>) -> Result<Vec<u8>, aes_gcm::Error> {
        self.cipher.encrypt_in_place(&Nonce::from(self.nonce(number)), &[], &mut plaintext)?;
        Ok(plaintext)
    }

    /// Opens to content, delimiter and padding.
    fn open(&self, number: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, aes_gcm::Error> {
        self.cipher.decrypt(&Nonce::from(self.nonce(number)), sealed).map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyEncoding;

    const WALRUS: &[u8] = b"I am the walrus";

    fn base64url(text: &str) -> Vec<u8> {
        KeyEncoding::Base64Url.parse(text.as_bytes()).unwrap().expose().to_vec()
    }

    fn salt_of(file: &[u8]) -> [u8; SALT_SIZE] {
        *file.first_chunk().unwrap()
    }

    #[test]
    fn the_example_with_one_record_of_the_rfc() {
        let key = Secret::new(base64url("yqdlZ-tYemfogSmv7Ws5PQ"));
        let file = base64url("I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg");
        assert_eq!(decrypt_aes128gcm(&file, &key).unwrap(), WALRUS);
        assert_eq!(encrypt(WALRUS, &key, &salt_of(&file), 4096, b"").unwrap(), file);
    }

    #[test]
    fn the_example_with_two_records_and_padding_of_the_rfc() {
        let key = Secret::new(base64url("BO3ZVPxUlnLORbVGMpbT1Q"));
        let file = base64url(
            "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA",
        );
        assert_eq!(decrypt_aes128gcm(&file, &key).unwrap(), WALRUS);
        // `encrypt` never pads, so the records are sealed one by one.
        let records = Records::new(&key, &salt_of(&file)).unwrap();
        let first = records.seal(0, b"I am th\x01\0".to_vec()).unwrap();
        let second = records.seal(1, b"e walrus\x02".to_vec()).unwrap();
        assert_eq!([&file[..16], &[0, 0, 0, 25, 2], b"a1", &first, &second].concat(), file);
    }

    #[test]
    fn records_are_as_full_as_they_get_and_the_last_one_is_marked() {
        let key = Secret::new("not-a-real-key");
        for (size, sealed) in [(0, 17), (1, 18), (8, 25), (9, 25 + 18), (16, 50), (17, 50 + 18)] {
            let content = vec![b'x'; size];
            let file = encrypt(&content, &key, &[7; 16], 25, b"a1").unwrap();
            assert_eq!(file.len(), HEADER_SIZE + 2 + sealed, "{size}");
            assert_eq!(decrypt_aes128gcm(&file, &key).unwrap(), content, "{size}");
        }
    }

    #[test]
    fn records_that_break_the_rules_are_refused() {
        let key = Secret::new("not-a-real-key");
        let salt = [7; SALT_SIZE];
        let records = Records::new(&key, &salt).unwrap();
        let open = |plaintexts: &[&[u8]]| {
            let mut file = [&salt[..], &[0, 0, 0, 20, 0]].concat();
            for (number, plaintext) in plaintexts.iter().enumerate() {
                file.extend(records.seal(number as u64, plaintext.to_vec()).unwrap());
            }
            decrypt_aes128gcm(&file, &key)
        };
        assert_eq!(open(&[b"abc\x01", b"d\x02"]).unwrap(), b"abcd");
        assert_eq!(open(&[b"\x01\0\0\0", b"\x02"]).unwrap(), b"");
        assert_eq!(open(&[]), Err(DecryptError::NoLastRecord(0)));
        assert_eq!(open(&[b"abc\x01"]), Err(DecryptError::NoLastRecord(1)));
        assert_eq!(open(&[b"abc\x02", b"d\x02"]), Err(DecryptError::AfterLastRecord(1)));
        assert_eq!(open(&[b"abc\x03"]), Err(DecryptError::UnknownDelimiter(1)));
        assert_eq!(open(&[b"abc\x01", b"\0\0\0"]), Err(DecryptError::NoDelimiter(2)));
        assert_eq!(open(&[b"abc\x01", b""]), Err(DecryptError::NoDelimiter(2)));
        let size_of_17 = [&salt[..], &[0, 0, 0, 17, 0]].concat();
        assert_eq!(decrypt_aes128gcm(&size_of_17, &key), Err(DecryptError::RecordSize(17)));
    }

    #[test]
    fn records_open_only_in_their_place() {
        let key = Secret::new("not-a-real-key");
        let file = encrypt(b"one two three four", &key, &[7; 16], 21, b"").unwrap();
        let (header, sealed) = file.split_at(HEADER_SIZE);
        let records: Vec<&[u8]> = sealed.chunks(21).collect();
        let swapped = [header, records[1], records[0], &records[2..].concat()].concat();
        assert_eq!(decrypt_aes128gcm(&swapped, &key), Err(DecryptError::WrongKeyOrRecord(1)));
        let missing = [header, records[0], &records[2..].concat()].concat();
        assert_eq!(decrypt_aes128gcm(&missing, &key), Err(DecryptError::WrongKeyOrRecord(2)));
        let cut_off = [header, &records[..2].concat()].concat();
        assert_eq!(decrypt_aes128gcm(&cut_off, &key), Err(DecryptError::NoLastRecord(2)));
    }
}
