use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The serial number printed on a phone: 4 to 40 letters, digits and dashes, kept in upper case.
///
/// Phones that name themselves by serial alone (Cisco SPA9xx, SPA525G) are found by it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Arc<str>);

/// A text that is no serial number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a serial number has 4 to 40 letters, digits or dashes")]
pub struct ParseSerialError;

impl Serial {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Serial {
    type Err = ParseSerialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits =
            (4..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits { Ok(Self(text.to_ascii_uppercase().into())) } else { Err(ParseSerialError) }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Serial {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_compare_without_case() {
        assert_eq!("ccq162306ea".parse::<Serial>().unwrap().to_string(), "CCQ162306EA");
        assert_eq!("a b".parse::<Serial>(), Err(ParseSerialError));
        assert_eq!("x".repeat(41).parse::<Serial>(), Err(ParseSerialError));
    }
}
