//! The token of a URL: an unguessable part of it that tells whose phone asks, for phones that show no certificate. It stands
//! before the path of the file, as the guides' `cisco/Dj6Lmp23Q/$MA.cfg` has it: `/t/<token>/cisco/000e08abcdef.xml`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::model::Secret;

/// Bytes of randomness in a token: 168 bits, which nobody guesses, so that its digest needs no salt and no slow hash.
const BYTES: usize = 21;

/// What stands before a token in a path.
const BEFORE: &str = "/t/";

/// What stands in the place of a path's token wherever it is told.
const MASK: &str = "***";

/// A token: 28 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlToken(Secret);

impl UrlToken {
    /// A new one, from the operating system's randomness.
    ///
    /// # Errors
    /// When that has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// What stood in the place of one, if it can be one at all.
    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == BYTES).then(|| Self(Secret::new(text)))
    }

    /// What the database knows it by: SHA-256, in hexadecimal.
    pub fn digest(&self) -> String {
        let digest = Sha256::new().chain_update(b"resyncd url token ").chain_update(self.0.expose()).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The URL of a server as a phone with this token uses it. For the phone's own profile, and whoever sets the phone up.
    pub fn url(&self, server: &str) -> String {
        format!("{}{BEFORE}{}", server.trim_end_matches('/'), self.0.expose_text().unwrap_or_default())
    }
}

/// What stands in the place of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    Token(UrlToken),
    /// It can't be one: cut off, or made up.
    Malformed,
}

/// Parts a path into its token and the path of the file. The same path where there is none.
pub fn split(path: &str) -> (Option<Presented>, &str) {
    let Some(after) = path.strip_prefix(BEFORE) else { return (None, path) };
    match after.find('/').and_then(|end| after.split_at_checked(end)) {
        Some((token, file)) => (Some(UrlToken::parse(token).map_or(Presented::Malformed, Presented::Token)), file),
        // A token, and nothing after it.
        None => match UrlToken::parse(after) {
            Some(token) => (Some(Presented::Token(token)), "/"),
            None => (None, path),
        },
    }
}

/// The path of a file as it is told where it was asked for with a token.
pub fn masked(file: &str) -> String {
    format!("{BEFORE}{MASK}{file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_before_the_path_of_the_file() {
        let token = UrlToken::generate().unwrap();
        let url = token.url("https://prov.example.com/");
        let path = url.strip_prefix("https://prov.example.com").unwrap();
        assert_eq!(path.len(), "/t/".len() + 28);
        let file = "/cisco/000e08abcdef.xml";
        assert_eq!(split(&format!("{path}{file}")), (Some(Presented::Token(token.clone())), file));
        assert_eq!(split(path), (Some(Presented::Token(token.clone())), "/"));
        assert_eq!(split(file), (None, file));
        assert_eq!(split("/t/short/cisco/x"), (Some(Presented::Malformed), "/cisco/x"));
        assert_eq!(split("/t//cisco/x"), (Some(Presented::Malformed), "/cisco/x"));
        assert_eq!(split("/t/000e08abcdef.xml"), (None, "/t/000e08abcdef.xml"));
        assert_ne!(UrlToken::generate().unwrap().digest(), token.digest());
        assert_eq!(token.digest().len(), 64);
    }

    #[test]
    fn a_token_shows_itself_nowhere() {
        let token = UrlToken::generate().unwrap();
        assert_eq!(format!("{token:?}"), "UrlToken(***)");
        assert_eq!(masked("/cisco/x.xml"), "/t/***/cisco/x.xml");
    }
}
