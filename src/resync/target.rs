//! The path that a request names, decoded once and for all.

use percent_encoding::percent_decode_str;

use crate::identity::url_token::{Presented, masked, split};

/// So many characters look like a token, or most of one; a MAC has fewer.
const LIKE_A_TOKEN: usize = 16;

/// What a request target names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The path of the file.
    pub path: String,
    /// The token that stood before it.
    pub token: Option<Presented>,
}

impl Target {
    /// Reads a request target. None where it names no file.
    pub fn of(target: &str) -> Option<Self> {
        let path = path_of(target)?;
        let (token, file) = split(&path);
        Some(match token {
            Some(token) => Self { path: file.to_owned(), token: Some(token) },
            None => Self { path, token: None },
        })
    }

    /// A request target as it may be told: without its token.
    pub fn told(target: &str) -> String {
        let decoded = percent_decode_str(target).decode_utf8_lossy();
        match Self::of(target) {
            Some(Self { path, token: Some(Presented::Malformed) }) if is_like_token(&path) => masked(""),
            Some(Self { path, token: Some(_) }) if !may_hold_token(&path) => masked(&path),
            Some(Self { token: None, .. }) if !may_hold_token(&decoded) => target.to_owned(),
            // It names no path, and may hold a token all the same: an escape too many after it.
            None if !decoded.contains("/t/") => target.to_owned(),
            _ => masked(""),
        }
    }
}

/// Whether a token may stand where it is none: behind two slashes or a folder too many, or in a query.
fn may_hold_token(text: &str) -> bool {
    text.split("/t/").skip(1).any(is_like_token)
}

/// Whether what comes first in a path may be a token, be there something odd before or in it.
fn is_like_token(path: &str) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let first = path.split('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    first.bytes().filter(is_of_token).count() >= LIKE_A_TOKEN
}

/// The path of a request target, decoded, without its query. None where no file can be meant: text that is not UTF-8,
/// control characters, a backslash, or steps upwards.
fn path_of(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let wrong = !decoded.starts_with('/')
        || decoded.chars().any(|c| c.is_control() || c == '\\')
        || decoded.split('/').any(|segment| matches!(segment, "." | ".."));
    (!wrong).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(path_of("/cisco/000e08abcdef.xml?x=../..").as_deref(), Some("/cisco/000e08abcdef.xml"));
        assert_eq!(path_of("/%63isco/a%20b").as_deref(), Some("/cisco/a b"));
        assert_eq!(path_of("/%252e%252e/x").as_deref(), Some("/%2e%2e/x"));
    }

    #[test]
    fn what_names_no_file_is_no_path() {
        for target in [
            "",
            "*",
            "x",
            "/../etc/passwd",
            "/a/%2e%2e/b",
            "/a/./b",
            "/a%00b",
            "/a\\b",
            "/%5c..",
            "/%ff",
            "/a%0ab",
            "http://host/x",
        ] {
            assert_eq!(path_of(target), None, "{target}");
        }
    }

    #[test]
    fn a_token_is_told_nowhere() {
        let token = "abcdefghijklmnopqrstuvwxyz01";
        for target in [
            format!("/t/{token}/cisco/x.xml"),
            format!("/%74/{token}/cisco/x.xml"),
            format!("/t/{token}"),
            format!("/t/{token}x/cisco/x.xml?a"),
            format!("/t/{token}/../x"),
            format!("/t/{token}/%ff"),
            format!("//t/{token}/%zz%00"),
            format!("//t/{token}/cisco/x.xml"),
            format!("/prov/t/{token}/cisco/x.xml"),
            format!("/cisco/x.xml?from=/t/{token}/y"),
            format!("/cisco/x.xml?from=%2Ft%2F{token}"),
            format!("/t//{token}/cisco/x.xml"),
            format!("/t/%20/{token}/cisco/x.xml"),
            format!("/prov/t//{token}/cisco/x.xml"),
            format!("/prov/t/%5B{token}/cisco/x.xml"),
        ] {
            let told = Target::told(&target);
            assert!(!told.contains(token) && told.contains("/t/***"), "{target}: {told}");
        }
        for target in ["/cisco/x.xml?a", "/t/000e08abcdef.xml", "/firmware/t/sip.loads"] {
            assert_eq!(Target::told(target), target);
        }
    }
}
