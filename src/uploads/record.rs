//! What is known of an upload beside its content.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::events::rfc3339;
use crate::model::MacAddr;
use crate::packs::UploadKind;

/// Names an upload for ever: 48 bits of milliseconds and 80 random ones, so that ids sort by time and can't be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(u128);

/// A text that is no upload's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an upload's id has 32 hexadecimal digits, in lower case")]
pub struct ParseUploadIdError;

impl UploadId {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn new(time: OffsetDateTime) -> Result<Self, getrandom::Error> {
        let milliseconds = u128::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0) & 0xffff_ffff_ffff;
        let (high, low) = (u128::from(getrandom::u32()? & 0xffff), u128::from(getrandom::u64()?));
        Ok(Self(milliseconds << 80 | high << 64 | low))
    }

    /// The folder that its file lies in: one for four and a half hours, so that none grows without bound.
    pub(super) fn folder(self) -> String {
        let mut text = self.to_string();
        text.truncate(FOLDER_DIGITS);
        text
    }

    /// The first and the last id whose file lies in a folder; none for what is no folder's name.
    pub(super) fn in_folder(folder: &str) -> Option<(Self, Self)> {
        let is_one = folder.len() == FOLDER_DIGITS && folder.bytes().all(is_digit);
        let number = if is_one { u128::from_str_radix(folder, 16).ok()? } else { return None };
        let below = 128 - 4 * u32::try_from(FOLDER_DIGITS).ok()?;
        let first = number << below;
        Some((Self(first), Self(first | ((1 << below) - 1))))
    }
}

const FOLDER_DIGITS: usize = 6;

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for UploadId {
    type Err = ParseUploadIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // One spelling only: it is a file's name too.
        let fits = text.len() == 32 && text.bytes().all(is_digit);
        let number = if fits { u128::from_str_radix(text, 16).ok() } else { None };
        number.map(Self).ok_or(ParseUploadIdError)
    }
}

/// One upload that is kept. `name`, `content_type` and `fields` are the phone's own words: any text at all, at most
/// [`TEXT_LIMIT`] bytes each, and never a path or markup of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    #[serde(serialize_with = "as_text")]
    pub id: UploadId,
    /// When its headers had been read; to the millisecond, in UTC.
    #[serde(serialize_with = "as_rfc3339")]
    pub time: OffsetDateTime,
    #[serde(serialize_with = "as_text")]
    pub device: MacAddr,
    #[serde(serialize_with = "as_text")]
    pub kind: UploadKind,
    /// The pack and its `[[upload]]` that took it.
    pub pack: String,
    pub upload: String,
    /// Whether it tells a part of the parameters only.
    pub partial: bool,
    /// The file name that the phone gave: of a form's part, else the last of the path.
    pub name: Option<String>,
    pub content_type: Option<String>,
    /// The other fields of its form.
    pub fields: BTreeMap<String, String>,
    /// Bytes as they came.
    pub received: u64,
    /// Bytes of the content as it is kept.
    pub bytes: u64,
    /// Of the content as it is kept, 64 hexadecimal digits.
    pub sha256: String,
    /// What was undone, outermost last: `aes-256-cbc`, `gzip+aes128gcm`, `gzip`.
    pub encoding: Option<String>,
    /// Encrypted with a key that is not the device's; the content is what came.
    pub sealed: bool,
    pub peer: SocketAddr,
    pub listener: String,
    /// The host that took it.
    pub node: String,
    /// Within the folder of uploads; none: the content is in the database.
    #[serde(skip)]
    pub path: Option<String>,
}

/// Longest text of a phone's that is kept beside an upload, in bytes.
pub const TEXT_LIMIT: usize = 255;

/// A phone's text as it is kept: cut, and without NUL, which PostgreSQL takes in no text.
pub(super) fn cut(text: &str) -> String {
    let end = (0..=TEXT_LIMIT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().replace('\0', "\u{fffd}")
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_rfc3339<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_have_one_spelling() {
        let time = time::macros::datetime!(2026-03-01 10:00 UTC);
        let first = UploadId::new(time).unwrap();
        let later = UploadId::new(time + std::time::Duration::from_millis(1)).unwrap();
        assert!(first < later);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert!(first.to_string().to_uppercase().parse::<UploadId>().is_err());
        assert!("../../../../../../../etc/passwd0".parse::<UploadId>().is_err());
        let (from, to) = UploadId::in_folder(&first.folder()).unwrap();
        assert!(from <= first && first <= to && to.folder() == from.folder());
        assert_eq!(UploadId::in_folder("partial"), None);
        assert_eq!(UploadId::in_folder("+12345"), None);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(200)).len(), 254);
        assert_eq!(cut("a\0b"), "a\u{fffd}b");
    }
}
