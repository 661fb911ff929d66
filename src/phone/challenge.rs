//! Answering HTTP's 401 and 407 with user and password: Basic (RFC 7617) and Digest (RFC 2617, RFC 7616; MD5 and SHA-256,
//! with and without `qop=auth`). Cisco's guide names both and says no more, Aastra's parameters are called `http digest …`, Grandstream's
//! guide says nothing: the strongest that is offered is taken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::phone::{Credentials, Method};

/// What a server wants to be answered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Digest(DigestChallenge),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestChallenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    qop_auth: bool,
}

/// In the order in which they are preferred, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Challenge {
    /// The strongest challenge that these headers hold and that the phone can answer.
    pub fn strongest<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let rank = |challenge: &Self| match challenge {
            Self::Basic => None,
            Self::Digest(digest) => Some(digest.algorithm),
        };
        headers.flat_map(parse).max_by_key(rank)
    }

    /// `Basic`, `Digest MD5` or `Digest SHA-256`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Digest(digest) if digest.algorithm == Algorithm::Md5 => "Digest MD5",
            Self::Digest(_) => "Digest SHA-256",
        }
    }

    /// The value of `Authorization` or `Proxy-Authorization`. `count` is how often this nonce is used, from 1.
    pub fn answer(
        &self,
        credentials: &Credentials,
        method: Method,
        uri: &str,
        client_nonce: &str,
        count: u32,
    ) -> String {
        let (user, password) = (credentials.user.as_bytes(), credentials.password.expose());
        match self {
            Self::Basic => format!("Basic {}", STANDARD.encode([user, b":", password].concat())),
            Self::Digest(digest) => digest.answer(&credentials.user, password, method, uri, client_nonce, count),
        }
    }
}

impl DigestChallenge {
    fn answer(&self, user: &str, password: &[u8], method: Method, uri: &str, client_nonce: &str, count: u32) -> String {
        let hash = |parts: &[&[u8]]| self.algorithm.hex(&parts.join(&b':'));
        let method = match method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        };
        let who = hash(&[user.as_bytes(), self.realm.as_bytes(), password]);
        let what = hash(&[method.as_bytes(), uri.as_bytes()]);
        let count = format!("{count:08x}");
        let response = if self.qop_auth {
            let parts = [&who, &self.nonce, &count, client_nonce, "auth", &what];
            hash(&parts.map(str::as_bytes))
        } else {
            hash(&[&who, &self.nonce, &what].map(|part| part.as_bytes()))
        };
        let mut answer = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\", algorithm={}",
            quoted(user),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
            self.algorithm.name(),
        );
        if self.qop_auth {
            answer.push_str(&format!(", qop=auth, nc={count}, cnonce=\"{}\"", quoted(client_nonce)));
        }
        if let Some(opaque) = &self.opaque {
            answer.push_str(&format!(", opaque=\"{}\"", quoted(opaque)));
        }
        answer
    }
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hex(self, bytes: &[u8]) -> String {
        let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Md5 => hex(&Md5::digest(bytes)),
            Self::Sha256 => hex(&Sha256::digest(bytes)),
        }
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The challenges of one header that can be answered: it may hold several, separated by commas as their parameters are.
fn parse(header: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for item in items(header) {
        let (word, rest) = item.split_once(' ').map_or((item.as_str(), ""), |(word, rest)| (word, rest.trim_start()));
        let begins = !word.contains('=') && !rest.starts_with('=');
        let parameter = if begins {
            found.push((word.to_ascii_lowercase(), Vec::new()));
            rest
        } else {
            item.as_str()
        };
        let parameter = parameter.split_once('=');
        if let (Some((name, value)), Some((_, parameters))) = (parameter, found.last_mut()) {
            parameters.push((name.trim().to_ascii_lowercase(), unquoted(value.trim())));
        }
    }
    found.iter().filter_map(|(scheme, parameters)| challenge(scheme, parameters)).collect()
}

fn challenge(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    match scheme {
        "basic" => Some(Challenge::Basic),
        "digest" => {
            let algorithm = match get("algorithm").map(|name| name.to_ascii_uppercase()).as_deref() {
                None | Some("MD5") => Algorithm::Md5,
                Some("SHA-256") => Algorithm::Sha256,
                Some(_) => return None,
            };
            let qop = get("qop");
            let qop_auth = qop.as_deref().is_some_and(|qop| qop.split(',').any(|one| one.trim() == "auth"));
            if qop.is_some() && !qop_auth {
                return None;
            }
            let (realm, nonce, opaque) = (get("realm")?, get("nonce")?, get("opaque"));
            Some(Challenge::Digest(DigestChallenge { realm, nonce, opaque, algorithm, qop_auth }))
        }
        _ => None,
    }
}

/// What commas outside of quotes separate.
fn items(header: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let (mut in_quotes, mut escaped) = (false, false);
    for character in header.chars() {
        if character == ',' && !in_quotes {
            items.push(String::new());
            continue;
        }
        in_quotes ^= character == '"' && !escaped;
        escaped = in_quotes && character == '\\' && !escaped;
        if let Some(item) = items.last_mut() {
            item.push(character);
        }
    }
    items.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials { user: user.to_owned(), password: Secret::new(password) }
    }

    fn strongest(header: &str) -> Challenge {
        Challenge::strongest(std::iter::once(header)).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfcs() {
        let rfc_2617 = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let answer = strongest(rfc_2617).answer(
            &credentials("Mufasa", "Circle Of Life"),
            Method::Get,
            "/dir/index.html",
            "0a4f113b",
            1,
        );
        assert!(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{answer}");
        let rfc_7616 = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", \
            Digest realm=\"http-auth@example.org\", qop=\"auth\", algorithm=MD5, nonce=\"x\", Basic realm=\"x, y\"";
        let challenge = strongest(rfc_7616);
        assert_eq!(challenge.label(), "Digest SHA-256");
        let nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer =
            challenge.answer(&credentials("Mufasa", "Circle of Life"), Method::Get, "/dir/index.html", nonce, 1);
        let expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert!(answer.contains(expected), "{answer}");
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for header in ["", ",,=", "Bearer realm=\"x\"", "Digest realm=\"x\"", "Digest algorithm=X, nonce=a, realm=b"] {
            assert_eq!(Challenge::strongest(std::iter::once(header)), None, "{header}");
        }
        let basic = strongest("Negotiate, Basic realm=\"a \\\" b\"");
        assert_eq!(
            basic.answer(&credentials("Aladdin", "open sesame"), Method::Get, "/", "", 1),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        let old = strongest("Digest realm=\"a\\\"b\", nonce=\"n\"");
        assert!(!old.answer(&credentials("u", "p"), Method::Post, "/", "c", 1).contains("cnonce"));
    }
}
