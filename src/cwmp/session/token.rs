//! The cookie that holds a session together where a phone changes its connection.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::Secret;

/// Bytes of randomness in a token: 144 bits, which nobody guesses.
const BYTES: usize = 18;

/// The cookie's name.
pub const COOKIE: &str = "cwmp-session";

/// How many values of one request are looked at.
const MOST: usize = 8;

/// The value of a session's cookie: 24 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(Secret);

impl Token {
    /// A new one, from the operating system's randomness.
    ///
    /// # Errors
    /// When that has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The value of a cookie, if it can be a token.
    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == BYTES).then(|| Self(Secret::new(text)))
    }

    /// The bytes to find a session by.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// The value of `Set-Cookie`, for the path of the endpoint. Nothing else is said of it: some phones send every attribute back.
    pub fn set_cookie(&self, path: &str) -> String {
        format!("{COOKIE}={}; Path={path}", self.0.expose_text().unwrap_or_default())
    }
}

/// The tokens of a request's `Cookie` headers, each once, in their order. Phones send attributes back (`Path=…`, `$Path=…`), part
/// cookies by commas, put values in quotes, and send an old cookie beside the new one: the one of a session that lives counts.
pub fn presented<'h>(headers: impl IntoIterator<Item = &'h str>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let pairs = headers.into_iter().flat_map(|header| header.split([';', ',']));
    for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        if name.trim() != COOKIE || tokens.len() >= MOST {
            continue;
        }
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        if let Some(token) = Token::parse(value)
            && !tokens.contains(&token)
        {
            tokens.push(token);
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_however_phones_send_them() {
        let token = Token::generate().unwrap();
        let other = Token::generate().unwrap();
        assert_ne!(token, other);
        let (text, second) = (token.0.expose_text().unwrap(), other.0.expose_text().unwrap());
        assert_eq!(token.set_cookie("/cwmp"), format!("cwmp-session={text}; Path=/cwmp"));
        for header in [
            format!("cwmp-session={text}"),
            format!("cwmp-session={text}; Path=/cwmp"),
            format!("$Version=1; cwmp-session=\"{text}\"; $Path=\"/cwmp\""),
            format!("a=b, cwmp-session = {text} ,c=d"),
            format!("cwmp-session={text};cwmp-session={text}"),
            format!("cwmp-session=made-up; cwmp-session={text}="),
            format!(";;,=,cwmp-session,cwmp-session={text},"),
        ] {
            let expected = if header.ends_with('=') { vec![] } else { vec![token.clone()] };
            assert_eq!(presented([header.as_str()]), expected, "{header}");
        }
        let both = [format!("cwmp-session={text}"), format!("cwmp-session={second}")];
        assert_eq!(presented(both.iter().map(String::as_str)), [token, other]);
    }

    #[test]
    fn what_is_no_token_of_ours_is_not_looked_at() {
        for header in [
            "",
            "cwmp-session",
            "cwmp-session=",
            "cwmp-session=x",
            "session=AAAAAAAAAAAAAAAAAAAAAAAA",
            "Cwmp-Session=AAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(presented([header]), [], "{header}");
        }
        let many: String = (0..100).map(|number| format!("cwmp-session={number:024};")).collect();
        assert_eq!(presented([many.as_str()]).len(), MOST);
    }

    #[test]
    fn a_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", Token::generate().unwrap()), "Token(***)");
    }
}
