use std::fmt;
use std::str::FromStr;

/// The Ethernet address that names a phone: 48 bits.
///
/// Read in any spelling that phones and people use (`000e08abcdef`, `00:0E:08:AB:CD:EF`, `00-0e-08-ab-cd-ef`,
/// `000e.08ab.cdef`); shown as twelve lower-case hexadecimal digits, as Cisco's `$MA` writes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

/// Why a text is not a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseMacError {
    #[error("a MAC address has 12 hexadecimal digits, this has {0}")]
    Length(usize),
    #[error("a MAC address can't hold {0:?}")]
    Character(char),
    #[error("the separators of a MAC address must be of one kind and evenly spaced")]
    Separators,
    #[error("{0} is no phone's address: a multicast or all-zero address")]
    NotUnicast(MacAddr),
}

impl MacAddr {
    /// Six octets, if they can be the address of a device: neither zero nor multicast.
    pub fn from_octets(octets: [u8; 6]) -> Result<Self, ParseMacError> {
        let mac = Self(octets);
        let [first, ..] = octets;
        if octets == [0; 6] || first & 1 == 1 { Err(ParseMacError::NotUnicast(mac)) } else { Ok(mac) }
    }

    pub fn octets(self) -> [u8; 6] {
        self.0
    }

    /// `000E08ABCDEF`, as Cisco's `$MAU` and Aastra's file names write it.
    pub fn upper(self) -> String {
        format!("{self}").to_uppercase()
    }

    /// `00:0e:08:ab:cd:ef`, with the separator given.
    pub fn separated(self, separator: char) -> String {
        let mut text = String::with_capacity(17);
        for (index, octet) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(separator);
            }
            text.push_str(&format!("{octet:02x}"));
        }
        text
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written in one go: every resync writes it several times.
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{:012x}", u64::from_be_bytes([0, 0, a, b, c, d, e, g]))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut octets = [0u8; 6];
        let mut digits = 0usize;
        let mut separator = None;
        // Where each separator stood, as the count of digits before it.
        let mut places = Vec::new();
        for character in text.chars() {
            if let Some(digit) = character.to_digit(16) {
                if let Some(octet) = octets.get_mut(digits / 2) {
                    *octet = (*octet << 4) | u8::try_from(digit).unwrap_or_default();
                }
                digits += 1;
            } else if matches!(character, ':' | '-' | '.') {
                if *separator.get_or_insert(character) != character || places.len() >= 5 {
                    return Err(ParseMacError::Separators);
                }
                places.push(digits);
            } else {
                return Err(ParseMacError::Character(character));
            }
        }
        if digits != 12 {
            return Err(ParseMacError::Length(digits));
        }
        if !matches!(places.as_slice(), [] | [2, 4, 6, 8, 10] | [4, 8]) {
            return Err(ParseMacError::Separators);
        }
        Self::from_octets(octets)
    }
}

impl serde::Serialize for MacAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_is_the_same_address() {
        for text in ["000e08abcdef", "000E08ABCDEF", "00:0e:08:ab:cd:ef", "00-0E-08-AB-CD-EF", "000e.08ab.cdef"] {
            assert_eq!(text.parse::<MacAddr>().unwrap().to_string(), "000e08abcdef", "{text}");
        }
        let mac: MacAddr = "000e08abcdef".parse().unwrap();
        assert_eq!(mac.upper(), "000E08ABCDEF");
        assert_eq!(mac.separated('-'), "00-0e-08-ab-cd-ef");
    }

    #[test]
    fn what_is_not_an_address_says_why() {
        let error = |text: &str| text.parse::<MacAddr>().unwrap_err();
        assert_eq!(error("000e08abcde"), ParseMacError::Length(11));
        assert_eq!(error("000e08abcdef00"), ParseMacError::Length(14));
        assert_eq!(error("000e08abcdeg"), ParseMacError::Character('g'));
        assert_eq!(error("00:0e-08:ab:cd:ef"), ParseMacError::Separators);
        assert_eq!(error("0:00e08abcdef"), ParseMacError::Separators);
        assert!(matches!(error("ffffffffffff"), ParseMacError::NotUnicast(_)));
        assert!(matches!(error("000000000000"), ParseMacError::NotUnicast(_)));
    }
}
