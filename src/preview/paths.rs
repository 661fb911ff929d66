//! Where pages stand in the site, and how they lead to each other. Every path is made here of letters, digits, `-`, `.`, `_`
//! and `/` alone, whatever groups and models are called, so that links need no encoding and any file system takes them.

use crate::model::{MacAddr, fingerprint};

/// Rows of one page of a list.
pub const ROWS: usize = 500;

pub const OVERVIEW: &str = "index.html";
pub const STYLE: &str = "style.css";

/// A device's page. The folder is the last octet of the MAC: phones are bought in rows, and it is the last octet that
/// spreads them evenly over 256 folders.
pub fn device(mac: MacAddr) -> String {
    let [.., last] = mac.octets();
    format!("device/{last:02x}/{mac}.html")
}

/// A page of a list, counted from 1.
pub fn numbered(folder: &str, page: usize) -> String {
    format!("{folder}/{page}.html")
}

/// The page of a list that holds a row, which is counted from 0.
pub fn page_of(row: usize, rows: usize) -> usize {
    row / rows.max(1) + 1
}

/// What leads from a page back to the site's own folder: `../` for each folder that it stands in.
pub fn root_of(page: &str) -> String {
    "../".repeat(page.matches('/').count())
}

/// A name as a part of a path. Different names have different ones, also where a file system takes upper and lower case for
/// the same.
pub fn slug(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.len() <= 48 && name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let kept: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(48).collect();
    format!("{kept}_{:08x}", fingerprint(name.as_bytes()) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_spread_over_folders() {
        assert_eq!(device("000e08abcdef".parse().unwrap()), "device/ef/000e08abcdef.html");
        assert_eq!(root_of("device/ef/000e08abcdef.html"), "../../");
        assert_eq!(root_of(OVERVIEW), "");
        assert_eq!((page_of(0, 500), page_of(499, 500), page_of(500, 500)), (1, 1, 2));
    }

    #[test]
    fn a_slug_is_safe_and_different_for_each_name() {
        assert_eq!(slug("acme-hq"), "acme-hq");
        let names = ["Acme", "acme", "..", "a/b", "a b", "a-b", "ä", "\"><script>", "", &"x".repeat(300)];
        let slugs: std::collections::HashSet<String> = names.iter().map(|name| slug(name)).collect();
        assert_eq!(slugs.len(), names.len());
        for slug in &slugs {
            let is_safe = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
            assert!(slug.bytes().all(is_safe), "{slug}");
        }
    }
}
