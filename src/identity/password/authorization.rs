//! The header `Authorization`: Basic (RFC 7617) and Digest (RFC 7616), read strictly. What stands there twice, isn't closed or
//! isn't known is refused, so that no two readers can take one header for two things.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::digest::Algorithm;
use crate::model::Secret;

/// Longest header that is looked at, in bytes; those of phones have a few hundred.
const LONGEST: usize = 4096;

/// Some phones leave out the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a phone says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    Basic { user: Secret, password: Secret },
    Digest(Box<DigestAnswer>),
}

/// The answer to a challenge. Every field as it was sent, unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestAnswer {
    pub user: Secret,
    pub realm: String,
    pub nonce: String,
    pub uri: String,
    pub algorithm: Algorithm,
    pub cnonce: String,
    /// As it was sent, 8 hexadecimal digits: the digest is made of the text.
    pub nc: String,
    /// From 1.
    pub count: u32,
    /// In hexadecimal, lower case.
    pub response: Secret,
}

/// Why a header is no proof of anything. Nothing of the header is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    #[error("the Authorization header is longer than {LONGEST} bytes")]
    TooLong,
    #[error("the Authorization header is not text")]
    NotText,
    #[error("the Authorization header names another scheme than Basic and Digest")]
    Scheme,
    #[error("the Authorization header has no user and password in base64")]
    Basic,
    #[error("the Authorization header can't be taken apart")]
    Syntax,
    #[error("the Authorization header has {0} twice")]
    Twice(&'static str),
    #[error("the Authorization header has no {0}")]
    Missing(&'static str),
    #[error("the Authorization header has a {0} that is not supported")]
    Unsupported(&'static str),
}

use AuthorizationError::{Basic, Missing, NotText, Scheme, Syntax, TooLong, Twice, Unsupported};

impl Authorization {
    /// Reads the header's value.
    ///
    /// # Errors
    /// When it is none of the two schemes, or not whole.
    pub fn parse(header: &[u8]) -> Result<Self, AuthorizationError> {
        if header.len() > LONGEST {
            return Err(TooLong);
        }
        let text = std::str::from_utf8(header).map_err(|_| NotText)?.trim_matches([' ', '\t']);
        let (scheme, rest) = text.split_once([' ', '\t']).ok_or(Scheme)?;
        let rest = rest.trim_start_matches([' ', '\t']);
        if scheme.eq_ignore_ascii_case("basic") {
            basic(rest)
        } else if scheme.eq_ignore_ascii_case("digest") {
            digest(rest).map(|answer| Self::Digest(Box::new(answer)))
        } else {
            Err(Scheme)
        }
    }
}

fn basic(encoded: &str) -> Result<Authorization, AuthorizationError> {
    let pair = Secret::new(BASE64.decode(encoded).map_err(|_| Basic)?);
    let mut parts = pair.expose().splitn(2, |byte| *byte == b':');
    match (parts.next(), parts.next()) {
        (Some(user), Some(password)) => {
            Ok(Authorization::Basic { user: Secret::new(user), password: Secret::new(password) })
        }
        _ => Err(Basic),
    }
}

/// What is read of a digest. Anything else that a phone sends (`opaque`, which is not asked for) is passed over.
const NAMES: [&str; 11] =
    ["username", "username*", "realm", "nonce", "uri", "response", "algorithm", "cnonce", "nc", "qop", "userhash"];

fn digest(text: &str) -> Result<DigestAnswer, AuthorizationError> {
    let mut found: [Option<String>; NAMES.len()] = Default::default();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            break;
        }
        let (name, value, after) = parameter(rest)?;
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(Syntax);
        }
        let known = NAMES.iter().zip(&mut found).find(|(known, _)| name.eq_ignore_ascii_case(known));
        if let Some((known, place)) = known {
            if place.is_some() {
                return Err(Twice(known));
            }
            *place = Some(value);
        }
    }
    let [user, extended, realm, nonce, uri, response, algorithm, cnonce, nc, qop, userhash] = found;
    if extended.is_some() {
        return Err(Unsupported("username*"));
    }
    if userhash.is_some_and(|hashed| !hashed.eq_ignore_ascii_case("false")) {
        return Err(Unsupported("userhash"));
    }
    // Without qop it would be RFC 2069, which counts no requests: it could be replayed as long as its nonce lives.
    if !qop.ok_or(Missing("qop"))?.eq_ignore_ascii_case("auth") {
        return Err(Unsupported("qop"));
    }
    let algorithm = match algorithm {
        None => Algorithm::Md5,
        Some(name) => Algorithm::named(&name).ok_or(Unsupported("algorithm"))?,
    };
    let response = response.ok_or(Missing("response"))?.to_ascii_lowercase();
    if response.len() != algorithm.digits() || !is_hexadecimal(&response) {
        return Err(Unsupported("response"));
    }
    let nc = nc.ok_or(Missing("nc"))?;
    let count = u32::from_str_radix(&nc, 16).ok().filter(|count| nc.len() == 8 && is_hexadecimal(&nc) && *count > 0);
    Ok(DigestAnswer {
        user: Secret::new(user.ok_or(Missing("username"))?),
        realm: realm.ok_or(Missing("realm"))?,
        nonce: nonce.ok_or(Missing("nonce"))?,
        uri: uri.ok_or(Missing("uri"))?,
        algorithm,
        cnonce: cnonce.ok_or(Missing("cnonce"))?,
        count: count.ok_or(Unsupported("nc"))?,
        nc,
        response: Secret::new(response),
    })
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One `name=value`: its name, its value without quotes, and what follows.
pub(crate) fn parameter(text: &str) -> Result<(&str, String, &str), AuthorizationError> {
    let (name, rest) = text.split_once('=').ok_or(Syntax)?;
    let name = name.trim_end_matches([' ', '\t']);
    // The characters of a token, as RFC 9110 has them.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Syntax);
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ' ', '\t']).unwrap_or(rest.len());
        let (value, after) = rest.split_at(end);
        return if value.contains('"') { Err(Syntax) } else { Ok((name, value.to_owned(), after)) };
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((name, value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.push(characters.next().ok_or(Syntax)?.1),
            other => value.push(other),
        }
    }
    Err(Syntax)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616, section 3.9.1.
    const EXAMPLE: &str = "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
        algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
        cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
        response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", \
        opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    fn parse(text: &str) -> Result<Authorization, AuthorizationError> {
        Authorization::parse(text.as_bytes())
    }

    #[test]
    fn the_examples_of_the_rfcs_are_read() {
        let Ok(Authorization::Digest(answer)) = parse(EXAMPLE) else { panic!("no digest") };
        assert_eq!((answer.user.expose(), answer.algorithm, answer.count), (&b"Mufasa"[..], Algorithm::Sha256, 1));
        assert_eq!((answer.uri.as_str(), answer.realm.as_str()), ("/dir/index.html", "http-auth@example.org"));
        let basic = Authorization::Basic { user: Secret::new("Aladdin"), password: Secret::new("open sesame") };
        assert_eq!(parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Ok(basic.clone()));
        assert_eq!(parse("bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ"), Ok(basic));
    }

    #[test]
    fn a_password_may_have_colons_and_be_empty() {
        let read = |pair: &str| match parse(&format!("Basic {}", BASE64.encode(pair))).unwrap() {
            Authorization::Basic { user, password } => (user.expose().to_vec(), password.expose().to_vec()),
            Authorization::Digest(_) => panic!("a digest"),
        };
        assert_eq!(read("u:a:b"), (b"u".to_vec(), b"a:b".to_vec()));
        assert_eq!(read("u:"), (b"u".to_vec(), b"".to_vec()));
        assert_eq!(parse(&format!("Basic {}", BASE64.encode("no colon"))), Err(Basic));
    }

    #[test]
    fn names_in_any_case_and_quotes_where_old_phones_put_them() {
        let text = EXAMPLE.replace("nc=00000001", "NC = \"00000001\"").replace("qop=auth", "qop=\"auth\"");
        assert_eq!(parse(&text), parse(EXAMPLE));
        let escaped = EXAMPLE.replace("\"Mufasa\"", "\"Mu\\\"fa\\\\sa, =\"");
        let Ok(Authorization::Digest(answer)) = parse(&escaped) else { panic!("no digest") };
        assert_eq!(answer.user.expose(), b"Mu\"fa\\sa, =");
        let without = EXAMPLE.replace("algorithm=SHA-256, ", "");
        assert_eq!(parse(&without), Err(Unsupported("response")), "MD5 is shorter");
    }

    #[test]
    fn what_is_not_whole_or_ambiguous_is_refused() {
        let changed = |from: &str, to: &str| {
            assert!(EXAMPLE.contains(from), "{from}");
            parse(&EXAMPLE.replace(from, to))
        };
        assert_eq!(changed("nc=00000001", "nc=00000001, nc=00000002"), Err(Twice("nc")));
        assert_eq!(changed("nc=00000001", "nc=1"), Err(Unsupported("nc")));
        assert_eq!(changed("nc=00000001", "nc=+0000001"), Err(Unsupported("nc")));
        assert_eq!(changed("nc=00000001", "nc=00000000"), Err(Unsupported("nc")));
        assert_eq!(changed("qop=auth, ", ""), Err(Missing("qop")));
        assert_eq!(changed("qop=auth", "qop=auth-int"), Err(Unsupported("qop")));
        assert_eq!(changed("algorithm=SHA-256", "algorithm=SHA-256-sess"), Err(Unsupported("algorithm")));
        assert_eq!(changed("username=\"Mufasa\"", "username*=UTF-8''Mufasa"), Err(Unsupported("username*")));
        assert_eq!(changed("qop=auth", "qop=auth, userhash=true"), Err(Unsupported("userhash")));
        assert_eq!(changed("\"Mufasa\", ", "\"Mufasa\" "), Err(Syntax));
        for text in ["", "Basic", "Digest", "Bearer x", "Digest a", "Digest =", "Digest uri=\"", "Digest uri=\"\\"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(Authorization::parse(b"Basic \xff"), Err(NotText));
        assert_eq!(parse(&format!("Basic {}", "A".repeat(LONGEST))), Err(TooLong));
    }

    #[test]
    fn nothing_of_a_header_shows() {
        let shown = format!("{:?} {:?}", parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), parse(EXAMPLE));
        assert!(!shown.contains("Aladdin") && !shown.contains("sesame") && !shown.contains("753927"), "{shown}");
    }
}
