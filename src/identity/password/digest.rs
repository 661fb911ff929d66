//! The digests of RFC 7616, with `qop=auth`.

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::model::Secret;

/// A digest's algorithm. Those with `-sess` are not offered and not taken: their key is made of the first request's nonces,
/// which a server would have to keep for each phone, and they protect no better. SHA-512/256 no phone has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// As the header writes it, in any case.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// Hexadecimal digits of a digest.
    pub fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
        }
    }

    /// The digest of these parts with a colon between each two, in hexadecimal, lower case.
    fn of(self, parts: &[&[u8]]) -> Secret {
        match self {
            Self::Md5 => hashed::<Md5>(parts),
            Self::Sha256 => hashed::<Sha256>(parts),
        }
    }
}

fn hashed<D: Digest>(parts: &[&[u8]]) -> Secret {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digest = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            digest.update(b":");
        }
        digest.update(part);
    }
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    Secret::new(digest.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<Vec<_>>())
}

/// What a digest is made over, beside user and password.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'s> {
    pub algorithm: Algorithm,
    pub realm: &'s str,
    pub method: &'s str,
    pub uri: &'s str,
    pub nonce: &'s str,
    /// As it was sent.
    pub nc: &'s str,
    pub cnonce: &'s str,
}

impl Signed<'_> {
    /// The response that proves user and password (RFC 7616, section 3.4.1), in hexadecimal, lower case.
    pub fn response(&self, user: &str, password: &Secret) -> Secret {
        let who = self.algorithm.of(&[user.as_bytes(), self.realm.as_bytes(), password.expose()]);
        let what = self.algorithm.of(&[self.method.as_bytes(), self.uri.as_bytes()]);
        let texts = [self.nonce, self.nc, self.cnonce, "auth"].map(str::as_bytes);
        let [nonce, nc, cnonce, qop] = texts;
        self.algorithm.of(&[who.expose(), nonce, nc, cnonce, qop, what.expose()])
    }

    /// The same as RFC 2069 has it, where a phone asks without `qop`. It is never taken, only given.
    pub fn response_without_qop(&self, user: &str, password: &Secret) -> Secret {
        let who = self.algorithm.of(&[user.as_bytes(), self.realm.as_bytes(), password.expose()]);
        let what = self.algorithm.of(&[self.method.as_bytes(), self.uri.as_bytes()]);
        self.algorithm.of(&[who.expose(), self.nonce.as_bytes(), what.expose()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7616() {
        // Section 3.9.1; the password is `Circle of Life`.
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let signed = Signed {
                algorithm,
                realm: "http-auth@example.org",
                method: "GET",
                uri: "/dir/index.html",
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                nc: "00000001",
                cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            };
            let response = signed.response("Mufasa", &Secret::new("Circle of Life"));
            assert_eq!(response.expose_text(), Some(expected));
            assert_eq!(expected.len(), algorithm.digits());
        }
    }

    #[test]
    fn without_qop() {
        // RFC 2069, section 2.4, with the correction of its erratum 749.
        let signed = Signed {
            algorithm: Algorithm::Md5,
            realm: "testrealm@host.com",
            method: "GET",
            uri: "/dir/index.html",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            nc: "",
            cnonce: "",
        };
        let response = signed.response_without_qop("Mufasa", &Secret::new("CircleOfLife"));
        assert_eq!(response.expose_text(), Some("1949323746fe6a43ef61f9606e7febea"));
    }

    #[test]
    fn algorithms_by_name() {
        assert_eq!(Algorithm::named("sha-256"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::named("MD5"), Some(Algorithm::Md5));
        assert_eq!([Algorithm::named("MD5-sess"), Algorithm::named("SHA-512-256"), Algorithm::named("")], [None; 3]);
    }
}
