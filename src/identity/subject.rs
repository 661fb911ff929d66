//! The subject name of a certificate, field by field.

use std::fmt;
use std::str::FromStr;

/// The fields of a certificate's subject in their order, each by OpenSSL's short name (`CN`, `OU`, `L`, `ST`, …).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject(pub Vec<(String, String)>);

impl Subject {
    /// The value of a field that occurs exactly once. A field given twice could mean either, so it means nothing.
    pub fn only(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let first = values.next()?;
        if values.next().is_some() { None } else { Some(first) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, value)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{field}={value}")?;
        }
        Ok(())
    }
}

/// A text that is no subject name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" has no field name: write a subject as OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef")]
pub struct ParseSubjectError(String);

impl FromStr for Subject {
    type Err = ParseSubjectError;

    /// Reads `OU=…, L=…, ST=…` as the samples and guides write it. `S` is taken for `ST`. A comma in a value continues it
    /// when what follows has no `=`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for part in text.split(',') {
            let name_and_value =
                part.trim_start().split_once('=').filter(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric()));
            match (name_and_value, fields.last_mut()) {
                (Some((name, value)), _) => {
                    let name = if name == "S" { "ST" } else { name };
                    fields.push((name.to_owned(), value.trim_end().to_owned()));
                }
                (None, Some((_, value))) => {
                    value.push(',');
                    value.push_str(part);
                }
                (None, None) => return Err(ParseSubjectError(part.to_owned())),
            }
        }
        Ok(Self(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::Subject;

    #[test]
    fn fields_are_read_one_by_one() {
        let subject: Subject =
            "ST=0002FDFF2103, L=CBT1, CN=SPA-525G2, MAC: 0002FDFF2103, Serial: CBT1".parse().unwrap();
        assert_eq!(subject.only("CN"), Some("SPA-525G2, MAC: 0002FDFF2103, Serial: CBT1"));
        assert_eq!(subject.only("ST"), Some("0002FDFF2103"));
        let twice: Subject = "OU=a, OU=b".parse().unwrap();
        assert_eq!(twice.only("OU"), None);
        assert!("nothing".parse::<Subject>().is_err());
    }
}
