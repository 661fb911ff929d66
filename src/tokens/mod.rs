//! Bearer tokens: what they look like, what they may do, and who comes with one. They come from the operating system's
//! randomness and are stored by their digests only; nothing here shows one but [`Bearer::expose`].

mod brake;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

use crate::events::rfc3339;
use crate::model::Secret;

pub use brake::Brake;

/// What a token begins with, so that those who search for leaked secrets recognise one.
pub const PREFIX: &str = "rsy_";

/// Bytes of randomness in a token: nobody guesses one, however fast, so its digest needs no salt and no slow hash.
const BYTES: usize = 32;

/// A token as it is presented: `rsy_` and 43 characters of base64url.
#[derive(Debug, Clone)]
pub struct Bearer(Secret);

impl Bearer {
    /// A new token.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))))
    }

    /// What was presented, if it can be a token at all.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let random = text.strip_prefix(PREFIX.as_bytes())?;
        let bytes = URL_SAFE_NO_PAD.decode(random).ok()?;
        (bytes.len() == BYTES).then(|| Self(Secret::new(text)))
    }

    /// What the database knows it by: the SHA-256 of its text, in hexadecimal.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.expose()).iter().map(|octet| format!("{octet:02x}")).collect())
    }

    /// The token itself: to be printed once, or to key a digest by.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// The digest of a token. Compared in constant time.
#[derive(Debug, Clone)]
pub struct TokenDigest(String);

impl TokenDigest {
    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the digest that the database holds.
    pub fn is(&self, stored: &str) -> bool {
        self.0.as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

/// What a token may do. Each includes the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Read everything, with secrets masked.
    Read,
    /// Change things, set secrets, see the audit.
    Write,
    /// Have secrets shown.
    Secrets,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Secrets];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Secrets => "secrets",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no scope: write read, write or secrets")]
pub struct ParseScopeError(String);

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| ParseScopeError(text.to_owned()))
    }
}

/// The name of a token: 1 to 64 letters, digits, `-`, `_` and `.`, so that it can stand in an audit row as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

/// A text that can't name a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a token's name has 1 to 64 letters, digits, \"-\", \"_\" and \".\", unlike {0:?}")]
pub struct ParseTokenNameError(String);

impl FromStr for TokenName {
    type Err = ParseTokenNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if fits { Ok(Self(text.to_owned())) } else { Err(ParseTokenNameError(text.to_owned())) }
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token as the database holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub name: String,
    pub scope: Scope,
    /// It sees and touches only this group and what lies under it; none: the whole fleet.
    pub group: Option<String>,
    pub created: OffsetDateTime,
    /// From then on it is none.
    pub expires: Option<OffsetDateTime>,
    /// To the minute.
    pub last_used: Option<OffsetDateTime>,
}

impl Token {
    /// What the audit tells of it.
    pub fn as_json(&self) -> serde_json::Value {
        serde_json::json!({
            "scope": self.scope.as_str(), "group": self.group, "created": rfc3339(self.created),
            "expires": self.expires.map(rfc3339),
        })
    }

    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    pub token: Token,
    pub bearer: Bearer,
    pub peer: IpAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_and_shows_itself_to_nobody() {
        let (token, other) = (Bearer::generate().unwrap(), Bearer::generate().unwrap());
        let text = std::str::from_utf8(token.expose()).unwrap();
        assert!(text.starts_with("rsy_") && text.len() == 47, "{text}");
        let read = Bearer::parse(text.as_bytes()).unwrap();
        assert!(read.digest().is(token.digest().as_str()) && !read.digest().is(other.digest().as_str()));
        assert_eq!(format!("{token:?}"), "Bearer(***)");
        assert_eq!(read.digest().as_str().len(), 64);
    }

    #[test]
    fn what_can_be_no_token_is_none() {
        let text = String::from_utf8(Bearer::generate().unwrap().expose().to_vec()).unwrap();
        for wrong in ["", "rsy_", &text[1..], &text[..46], &format!("{text}A"), &text.replace("rsy_", "RSY_")] {
            assert!(Bearer::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert!(Bearer::parse(b"rsy_\xff").is_none());
    }

    #[test]
    fn each_scope_includes_the_ones_before() {
        assert!(Scope::Read < Scope::Write && Scope::Write < Scope::Secrets);
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("admin".parse::<Scope>().unwrap_err().to_string().contains("read, write or secrets"));
    }

    #[test]
    fn names_are_plain() {
        assert!("crm-1.prod_x".parse::<TokenName>().is_ok());
        for wrong in ["", "a b", "a\nb", "é", &"x".repeat(65)] {
            assert!(wrong.parse::<TokenName>().is_err(), "{wrong}");
        }
    }
}
