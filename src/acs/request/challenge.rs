//! A phone's 401, answered: Digest (RFC 7616, and RFC 2069 where it asks without `qop`), and Basic where its model asks for
//! nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::identity::password::{Algorithm, Signed, parameter};
use crate::model::Secret;

/// Most challenges of a header that are looked at.
const MOST: usize = 8;

/// Who this server is to a phone: `acs.connection_user` and `acs.connection_password`.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub user: String,
    pub password: Secret,
}

/// What a phone wants to be answered by.
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
    has_qop: bool,
}

impl Challenge {
    /// The strongest that these headers hold and that can be answered; Basic only if that is taken.
    pub fn strongest<'h>(headers: impl Iterator<Item = &'h str>, takes_basic: bool) -> Option<Self> {
        let rank = |challenge: &Self| match challenge {
            Self::Basic => 0,
            Self::Digest(digest) if digest.algorithm == Algorithm::Md5 => 1,
            Self::Digest(_) => 2,
        };
        let challenges = headers.flat_map(read).take(MOST);
        challenges.filter(|challenge| takes_basic || *challenge != Self::Basic).max_by_key(rank)
    }

    /// The value of `Authorization` for a request of `uri` by `method`, with a nonce of our own.
    pub fn answer(&self, credentials: &Credentials, method: &str, uri: &str, cnonce: &str) -> Secret {
        let Credentials { user, password } = credentials;
        let digest = match self {
            Self::Basic => {
                let pair = Secret::new([user.as_bytes(), b":", password.expose()].concat());
                return Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
            }
            Self::Digest(digest) => digest,
        };
        let DigestChallenge { realm, nonce, opaque, algorithm, has_qop } = digest;
        let nc = "00000001";
        let signed = Signed { algorithm: *algorithm, realm, method, uri, nonce, nc, cnonce };
        let response =
            if *has_qop { signed.response(user, password) } else { signed.response_without_qop(user, password) };
        let mut answer = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{}\", algorithm={}",
            quoted(user),
            quoted(realm),
            quoted(nonce),
            quoted(uri),
            response.expose_text().unwrap_or_default(),
            algorithm.name(),
        );
        if *has_qop {
            answer.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{}\"", quoted(cnonce)));
        }
        if let Some(opaque) = opaque {
            answer.push_str(&format!(", opaque=\"{}\"", quoted(opaque)));
        }
        Secret::new(answer)
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The challenges of one header, as far as it can be read.
fn read(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut scheme: Option<(&str, Vec<(String, String)>)> = None;
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            break;
        }
        // A word with `=` behind it is a parameter; one without begins another challenge.
        if after.trim_start_matches([' ', '\t']).starts_with('=') {
            let Ok((name, value, after)) = parameter(rest) else { break };
            if let Some((_, parameters)) = &mut scheme {
                parameters.push((name.to_ascii_lowercase(), value));
            }
            rest = after;
        } else {
            found.extend(scheme.take().and_then(|(name, parameters)| challenge(name, &parameters)));
            scheme = Some((word, Vec::new()));
            rest = after;
        }
    }
    found.extend(scheme.and_then(|(name, parameters)| challenge(name, &parameters)));
    found
}

fn challenge(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let named = |name: &str| parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
    let algorithm = match named("algorithm") {
        None => Algorithm::Md5,
        Some(name) => Algorithm::named(&name)?,
    };
    let qop = named("qop");
    let offers = |qop: &String| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
    if qop.as_ref().is_some_and(|qop| !offers(qop)) {
        return None;
    }
    Some(Challenge::Digest(DigestChallenge {
        realm: named("realm")?,
        nonce: named("nonce")?,
        opaque: named("opaque"),
        algorithm,
        has_qop: qop.is_some(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616, section 3.9.1, in one header.
    const BOTH: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", \
        Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", Basic realm=\"x\"";

    fn strongest(header: &str, takes_basic: bool) -> Option<Challenge> {
        Challenge::strongest([header].into_iter(), takes_basic)
    }

    fn mufasa() -> Credentials {
        Credentials { user: "Mufasa".to_owned(), password: Secret::new("Circle of Life") }
    }

    #[test]
    fn the_strongest_is_answered() {
        let challenge = strongest(BOTH, true).unwrap();
        let answer =
            challenge.answer(&mufasa(), "GET", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ");
        let answer = answer.expose_text().unwrap().to_owned();
        for part in [
            "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"",
            "algorithm=SHA-256",
            "qop=auth, nc=00000001",
            "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
        ] {
            assert!(answer.contains(part), "{answer}");
        }
        let md5 = BOTH.replace("SHA-256", "SHA-512-256");
        let answer = strongest(&md5, true).unwrap();
        let answer = answer.answer(&mufasa(), "GET", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ");
        assert!(answer.expose_text().unwrap().contains("8ca523f5e9506fed4657c9700eebdbec"));
    }

    #[test]
    fn basic_is_answered_only_where_it_is_taken() {
        assert_eq!(strongest("Basic realm=\"phone\"", false), None);
        assert_eq!(strongest("Basic", true), Some(Challenge::Basic));
        let credentials = Credentials { user: "Aladdin".to_owned(), password: Secret::new("open sesame") };
        let answer = Challenge::Basic.answer(&credentials, "GET", "/", "");
        assert_eq!(answer.expose_text(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert!(matches!(
            strongest("Basic realm=\"x\", Digest realm=\"y\", nonce=\"z\"", true),
            Some(Challenge::Digest(_))
        ));
    }

    #[test]
    fn what_can_t_be_answered_is_none() {
        for header in [
            "",
            ",",
            "=",
            "Digest",
            "Digest realm=\"a\"",
            "Digest nonce=\"a\"",
            "Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"",
            "Digest realm=\"a\", nonce=\"b\", algorithm=MD5-sess",
            "Digest realm=\"a, nonce=\"b\"",
            "Negotiate abc==",
            "Bearer realm=\"a\"",
            "\"",
        ] {
            assert_eq!(strongest(header, true), None, "{header}");
        }
        let odd = strongest("NTLM, digest REALM=a , nonce = \"b\\\"c\", stale=false", false).unwrap();
        let Challenge::Digest(digest) = odd else { panic!("{odd:?}") };
        assert_eq!((digest.realm.as_str(), digest.nonce.as_str(), digest.has_qop), ("a", "b\"c", false));
    }
}
