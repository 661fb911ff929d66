//! How the phone reads the binary form: length, checksum, MAC and URL-encoded pairs, after three public encoders (none of
//! them this server's).
//!
//! They agree on what is written, so the phone is taken to check it all: the length is that of the file, the words add
//! up to 0, the MAC is the phone's own, the pairs end with the key of the encoder and no more than one NUL. An encoder that
//! writes blanks as `+` is PHP's; so `+` is a blank.

use percent_encoding::percent_decode_str;

use crate::model::MacAddr;
use crate::phone::state::Parameters;

/// What every encoder ends the pairs with, as name and value.
const KEY: (&str, &str) = ("gnkey", "0b82");
const HEADER_SIZE: usize = 16;

/// Why it is no binary file for this phone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    #[error("{0} octets are fewer than the header of a binary file has")]
    NoHeader(usize),
    #[error("the header says {said} octets, the file has {found}")]
    Length { said: u64, found: usize },
    #[error("the checksum is wrong: the words add up to {0:#06x}")]
    Checksum(u16),
    #[error("it is for the phone with the address {0}")]
    OtherMac(String),
    #[error("no empty line between header and pairs")]
    NoSeparator,
    #[error("the pairs are no text")]
    NotText,
    #[error("the pairs don't end with the encoder's key")]
    NoKey,
}

/// Reads a whole file; what is no `P…=…` is left out.
///
/// # Errors
/// When the frame is not whole, or is another phone's.
pub fn read(file: &[u8], mac: MacAddr) -> Result<Parameters, BinaryError> {
    let no_header = || BinaryError::NoHeader(file.len());
    let (header, pairs) = file.split_first_chunk::<HEADER_SIZE>().ok_or_else(no_header)?;
    let (length, rest) = header.split_first_chunk::<4>().ok_or_else(no_header)?;
    let (_, rest) = rest.split_first_chunk::<2>().ok_or_else(no_header)?;
    let (address, separator) = rest.split_first_chunk::<6>().ok_or_else(no_header)?;

    let said = u64::from(u32::from_be_bytes(*length)) * 2;
    if u64::try_from(file.len()) != Ok(said) {
        return Err(BinaryError::Length { said, found: file.len() });
    }
    let sum = sum(file);
    if sum != 0 {
        return Err(BinaryError::Checksum(sum));
    }
    if *address != mac.octets() {
        return Err(BinaryError::OtherMac(address.iter().map(|octet| format!("{octet:02x}")).collect()));
    }
    if separator != b"\r\n\r\n" {
        return Err(BinaryError::NoSeparator);
    }
    let pairs = pairs.strip_suffix(b"\0").unwrap_or(pairs);
    let text = std::str::from_utf8(pairs).ok().filter(|text| text.is_ascii()).ok_or(BinaryError::NotText)?;
    if text.contains(|character: char| character.is_ascii_control()) {
        return Err(BinaryError::NotText);
    }
    let mut parameters = Parameters::new();
    let mut last = ("", String::new());
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned();
        if is_p_value(name) {
            parameters.insert(name.to_owned(), value.clone());
        }
        last = (name, value);
    }
    if (last.0, last.1.as_str()) == KEY { Ok(parameters) } else { Err(BinaryError::NoKey) }
}

/// `P271`
pub fn is_p_value(name: &str) -> bool {
    name.strip_prefix('P').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The sum of the 16-bit words, modulo 65536. The length is even where it is checked.
fn sum(file: &[u8]) -> u16 {
    let mut words = file.iter().copied();
    let mut sum = 0_u16;
    while let Some(high) = words.next() {
        sum = sum.wrapping_add(u16::from_be_bytes([high, words.next().unwrap_or(0)]));
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mac() -> MacAddr {
        "000b82a0001c".parse().unwrap()
    }

    /// A frame around pairs, as an encoder makes it.
    fn sealed(pairs: &str) -> Vec<u8> {
        let mut file = vec![0, 0, 0, 0, 0, 0, 0x00, 0x0b, 0x82, 0xa0, 0x00, 0x1c];
        file.extend_from_slice(b"\r\n\r\n");
        file.extend_from_slice(pairs.as_bytes());
        if file.len() % 2 == 1 {
            file.push(0);
        }
        let words = (file.len() / 2) as u32;
        file[..4].copy_from_slice(&words.to_be_bytes());
        let rest = 0_u16.wrapping_sub(sum(&file));
        file[4..6].copy_from_slice(&rest.to_be_bytes());
        file
    }

    #[test]
    fn a_frame_written_out_octet_by_octet() {
        let file = b"\x00\x00\x00\x10\x09\xff\x00\x0b\x82\xa0\x00\x1c\r\n\r\nP2=1&gnkey=0b82\0";
        assert_eq!(read(file, mac()).unwrap(), Parameters::from([("P2".to_owned(), "1".to_owned())]));
    }

    #[test]
    fn pairs_are_decoded() {
        let parameters = read(&sealed("P1=a%26b%3D%25&P2=a+b%2B&P3=&x=1&P4&P1=c&gnkey=0b82"), mac()).unwrap();
        let expected = [("P1", "c"), ("P2", "a b+"), ("P3", "")];
        assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_bad_frame_is_told_by_what_is_wrong_with_it() {
        let good = sealed("P2=1&gnkey=0b82");
        assert!(read(&good, mac()).is_ok());
        for length in 0..good.len() {
            let error = read(&good[..length], mac()).unwrap_err();
            let expected = match length {
                0..16 => BinaryError::NoHeader(length),
                _ => BinaryError::Length { said: good.len() as u64, found: length },
            };
            assert_eq!(error, expected, "{length}");
        }
        let mut longer = good.clone();
        longer.extend_from_slice(&[0, 0]);
        assert!(matches!(read(&longer, mac()), Err(BinaryError::Length { .. })));
        let mut lying = good.clone();
        lying[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(read(&lying, mac()), Err(BinaryError::Length { said: 0x1_ffff_fffe, .. })));
        let mut changed = good.clone();
        changed[17] ^= 1;
        assert!(matches!(read(&changed, mac()), Err(BinaryError::Checksum(_))));
        let other = "000b82a0001d".parse().unwrap();
        assert_eq!(read(&good, other), Err(BinaryError::OtherMac("000b82a0001c".to_owned())));
        assert_eq!(read(&sealed("P2=1"), mac()), Err(BinaryError::NoKey));
        assert_eq!(read(&sealed("P2=1&gnkey=0b82\n"), mac()), Err(BinaryError::NotText));
        assert_eq!(read(&sealed("P2=é&gnkey=0b82"), mac()), Err(BinaryError::NotText));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(file: Vec<u8>) {
            let _ = read(&file, mac());
        }

        #[test]
        fn no_pairs_make_it_panic(pairs in "[ -~]{0,80}") {
            let _ = read(&sealed(&pairs), mac());
            let ended = sealed(&format!("{pairs}&gnkey=0b82"));
            prop_assert!(read(&ended, mac()).is_ok());
        }
    }
}
