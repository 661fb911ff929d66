//! The code of an invitation: what a customer types or clicks.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::model::Secret;

/// Crockford's base 32: no I, L, O and U, so that a code survives being read out.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of a code: 80 bits.
const LENGTH: usize = 16;

/// Between the dashes of a code as it is written.
const BLOCK: usize = 4;

/// A code. Shown as `***`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(Secret);

impl Code {
    /// A new one, from the operating system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; LENGTH];
        getrandom::fill(&mut random)?;
        let text: Vec<u8> =
            random.iter().map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0')).collect();
        random.fill(0);
        Ok(Self(Secret::new(text)))
    }

    /// A code as somebody wrote it: in any case, with dashes or without, with the letters that look like digits. None where it
    /// can't be one.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut code = Vec::with_capacity(LENGTH);
        for byte in text.iter().filter(|byte| **byte != b'-') {
            let upper = match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            if !ALPHABET.contains(&upper) || code.len() == LENGTH {
                return None;
            }
            code.push(upper);
        }
        (code.len() == LENGTH).then(|| Self(Secret::new(code)))
    }

    /// As it is given to the customer: `7KQ2-M9XB-4TRW-P0HZ`.
    pub fn written(&self) -> String {
        let blocks = self.0.expose().chunks(BLOCK).map(String::from_utf8_lossy);
        blocks.collect::<Vec<_>>().join("-")
    }

    /// What the database keeps of it. No salt: it has more bits than anyone can try.
    pub fn hash(&self) -> String {
        let digest = Sha256::new().chain_update(b"resyncd invitation ").chain_update(self.0.expose()).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = Code::generate().unwrap();
        let written = code.written();
        assert_eq!(written.len(), 19);
        for spelling in [written.to_lowercase(), written.replace('-', ""), written.replace('0', "o").replace('1', "l")]
        {
            assert_eq!(Code::parse(spelling.as_bytes()).as_ref(), Some(&code), "{spelling}");
        }
        assert_ne!(Code::generate().unwrap(), code);
        for wrong in ["", "7KQ2", "7KQ2-M9XB-4TRW-P0HZ-0", "7KQ2-M9XB-4TRW-P0H!", "7KQ2-M9XB-4TRW-P0HU"] {
            assert_eq!(Code::parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!((code.to_string(), format!("{code:?}")), ("***".to_owned(), "Code(***)".to_owned()));
    }
}
