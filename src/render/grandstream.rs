//! The frame of Grandstream's binary files: length, checksum and MAC before URL-encoded pairs. Nothing in it is
//! encrypted. Three public encoders agree on it.

use crate::model::MacAddr;

/// Frames pairs (`P271=1&P47=…`; line ends between them are dropped):
///
/// | octets | |
/// | --- | --- |
/// | 4 | length of the whole file in 16-bit words, big-endian |
/// | 2 | checksum: all 16-bit words of the file add up to 0 modulo 65536 |
/// | 6 | MAC |
/// | 4 | CR LF CR LF |
/// | … | the pairs and `gnkey=0b82`, with NULs up to an even length |
pub fn frame(pairs: &str, mac: MacAddr) -> Vec<u8> {
    let mut file = vec![0; 6];
    file.extend_from_slice(&mac.octets());
    file.extend_from_slice(b"\r\n\r\n");
    for line in pairs.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        file.extend_from_slice(line.trim_matches('&').as_bytes());
        file.push(b'&');
    }
    file.extend_from_slice(b"gnkey=0b82");
    if file.len() % 2 == 1 {
        file.push(0);
    }
    let words = u32::try_from(file.len() / 2).unwrap_or(u32::MAX);
    file.splice(..4, words.to_be_bytes());
    let checksum = sum(&file).wrapping_neg();
    file.splice(4..6, checksum.to_be_bytes());
    file
}

/// The sum of all 16-bit words.
fn sum(file: &[u8]) -> u16 {
    file.chunks_exact(2)
        .fold(0u16, |sum, word| sum.wrapping_add(word.iter().fold(0, |value, octet| value << 8 | u16::from(*octet))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_checksum_hold() {
        for pairs in ["P271=1&P47=proxy", "P271=1&\n# a comment\nP47=proxyy\n", ""] {
            let file = frame(pairs, "000b822726c8".parse().unwrap());
            assert_eq!(sum(&file), 0);
            assert_eq!(u32::from_be_bytes(file[..4].try_into().unwrap()) as usize * 2, file.len());
            assert_eq!(&file[6..16], b"\x00\x0b\x82\x27\x26\xc8\r\n\r\n");
        }
        let file = frame("P271=1&\nP47=proxy&\n", "000b822726c8".parse().unwrap());
        assert_eq!(&file[16..], b"P271=1&P47=proxy&gnkey=0b82\0");
    }
}
