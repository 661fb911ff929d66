//! The value of one setting.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{KeyEncoding, ParseKeyError, Secret, fingerprint};

/// The value of one setting, as a layer holds it. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(Arc<str>),
    Bool(bool),
    Integer(i64),
    Float(f64),
    List(Arc<[Value]>),
    /// A value that nothing may show.
    Secret(SecretSource),
}

/// Where a secret stands. What is not in the layer itself is fetched only when a profile is made.
#[derive(Debug, Clone, PartialEq)]
pub enum SecretSource {
    Text(Secret),
    /// An environment variable of the server.
    Env(Arc<str>),
    /// A file; a line end at its end is not part of the secret.
    File(Arc<Path>),
    /// Bytes, written in hexadecimal: the text as written, and the bytes.
    Hex(Secret, Secret),
    /// Bytes, written in base64url without padding: the text as written, and the bytes.
    Base64Url(Secret, Secret),
}

/// Why a secret can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("the environment variable {0} is not set; set it for the server, or give the secret another way")]
    NoVariable(Arc<str>),
    #[error("the environment variable {0} is not UTF-8")]
    NotText(Arc<str>),
    #[error("the secret's file {path} can't be read: {why}", path = path.display())]
    NoFile { path: PathBuf, why: String },
    #[error("the secret is empty")]
    Empty,
    #[error(transparent)]
    Encoding(#[from] ParseKeyError),
    #[error("names no place where the secret stands")]
    Nowhere,
    #[error("can't stand outside the record; write the secret itself: it is stored sealed")]
    Outside,
    #[error("the secret holds a control character, which no profile can carry")]
    Control,
}

/// Secrets longer than this are a mistake: the wrong file was named.
const MAX_SECRET_BYTES: usize = 4096;

impl SecretSource {
    pub fn hex(text: &str) -> Result<Self, SecretError> {
        Ok(Self::Hex(Secret::new(text), KeyEncoding::Hex.parse(text.as_bytes())?))
    }

    pub fn base64url(text: &str) -> Result<Self, SecretError> {
        Ok(Self::Base64Url(Secret::new(text), KeyEncoding::Base64Url.parse(text.as_bytes())?))
    }

    /// The secret as text: what is written into a profile. Bytes come as they were written.
    pub fn text(&self) -> Result<Secret, SecretError> {
        let secret = match self {
            Self::Text(secret) | Self::Hex(secret, _) | Self::Base64Url(secret, _) => secret.clone(),
            Self::Env(name) => match std::env::var(&**name) {
                Ok(text) => Secret::new(text),
                Err(std::env::VarError::NotPresent) => return Err(SecretError::NoVariable(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError::NotText(name.clone())),
            },
            Self::File(path) => read_file(path)?,
        };
        match secret.expose_text() {
            Some("") => Err(SecretError::Empty),
            Some(text) if text.chars().any(char::is_control) => Err(SecretError::Control),
            _ => Ok(secret),
        }
    }

    /// The secret as bytes: what a key is made of.
    pub fn bytes(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Hex(_, bytes) | Self::Base64Url(_, bytes) => Ok(bytes.clone()),
            _ => self.text(),
        }
    }

    /// A text that stands in for the secret where it can't be had, the same one for each place: a phone can be played where
    /// only the server has the secrets.
    pub fn stand_in(&self) -> Option<Self> {
        match self.text() {
            Err(SecretError::NoVariable(_) | SecretError::NoFile { .. }) => {
                let place = fingerprint(format!("{self:?}").as_bytes());
                Some(Self::Text(Secret::new(format!("{place:016x}{place:016x}"))))
            }
            _ => None,
        }
    }

    /// Whether the value can change while the layers do not.
    pub fn is_outside(&self) -> bool {
        matches!(self, Self::Env(_) | Self::File(_))
    }
}

fn read_file(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |why: String| SecretError::NoFile { path: path.to_owned(), why };
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if usize::try_from(length).is_ok_and(|length| length > MAX_SECRET_BYTES) {
        return Err(unreadable(format!("it has {length} bytes, and no secret is longer than {MAX_SECRET_BYTES}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

/// Shows the value as an operator would write it, and a secret as where it stands, never what it is.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Secret(SecretSource::Env(name)) => write!(f, "{{ env = {name:?} }}"),
            Self::Secret(SecretSource::File(path)) => write!(f, "{{ file = {:?} }}", path.display().to_string()),
            Self::Secret(_) => f.write_str("***"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_decoded_and_text_kept_as_written() {
        let secret = SecretSource::hex("00ff").unwrap();
        assert_eq!(secret.bytes().unwrap().expose(), [0, 255]);
        assert_eq!(secret.text().unwrap().expose(), b"00ff");
        let secret = SecretSource::base64url("yqdlZ-tYemfogSmv7Ws5PQ").unwrap();
        assert_eq!(secret.bytes().unwrap().expose().len(), 16);
        assert_eq!(SecretSource::hex("0f0"), Err(SecretError::Encoding(ParseKeyError::Hex)));
        assert_eq!(SecretSource::base64url("a+b"), Err(SecretError::Encoding(ParseKeyError::Base64Url)));
    }

    #[test]
    fn a_secret_that_is_not_there_says_so() {
        let missing = SecretSource::Env("RESYNCD_TEST_NO_SUCH_VARIABLE".into());
        assert!(matches!(missing.text(), Err(SecretError::NoVariable(_))));
        let missing = SecretSource::File(Path::new("/nonexistent/key").into());
        assert!(matches!(missing.text(), Err(SecretError::NoFile { .. })));
        assert_eq!(SecretSource::Text(Secret::new("a\nb")).text(), Err(SecretError::Control));
    }

    #[test]
    fn what_stands_in_for_a_secret_is_the_same_for_one_place() {
        let missing = |name: &str| SecretSource::Env(name.into()).stand_in().unwrap().text().unwrap();
        let name = "RESYNCD_TEST_NO_SUCH_VARIABLE";
        assert_eq!(missing(name), missing(name));
        assert_ne!(missing(name), missing("RESYNCD_TEST_NOR_SUCH_A_ONE"));
        assert_eq!(SecretSource::Text(Secret::new("here")).stand_in(), None);
    }

    #[test]
    fn a_secret_shows_where_it_stands() {
        assert_eq!(Value::Secret(SecretSource::Env("SIP_1001".into())).to_string(), "{ env = \"SIP_1001\" }");
        assert_eq!(Value::Secret(SecretSource::Text(Secret::new("hidden"))).to_string(), "***");
    }
}
