//! The path that a request names, decoded once and for all.

use percent_encoding::percent_decode_str;

/// The path of a request target, decoded, without its query. None where no file can be meant: text that is not UTF-8,
/// control characters, a backslash, or steps upwards.
pub fn path_of(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let wrong = !decoded.starts_with('/')
        || decoded.chars().any(|c| c.is_control() || c == '\\')
        || decoded.split('/').any(|segment| matches!(segment, "." | ".."));
    (!wrong).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::path_of;

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
}
