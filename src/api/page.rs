//! Lists that come in pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::problem::{Kind, Mistake, Problem};

/// Items of a page where no limit is asked for, and the most.
const USUAL: u32 = 100;
const MOST: u32 = 1_000;

/// Bytes that bind a cursor to its list.
const SUM: usize = 8;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What to ask for the next page with, as `cursor`; null where there is none. A page may have fewer items than were asked
    /// for, and one follow all the same.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// How many items a page has.
pub fn limit(asked: Option<u32>) -> Result<usize, Problem> {
    match asked {
        Some(limit) if !(1..=MOST).contains(&limit) => {
            Err(Problem::of(Kind::Malformed, vec![Mistake::of_key("limit", format!("must be from 1 to {MOST}"))]))
        }
        limit => Ok(usize::try_from(limit.unwrap_or(USUAL)).unwrap_or(usize::MAX)),
    }
}

/// One list, filters and all: a cursor of one means nothing in another.
#[derive(Debug)]
pub struct List(Vec<u8>);

impl List {
    /// `name` and everything that decides what is in it.
    pub fn new(name: &str, filters: &[Option<&str>]) -> Self {
        let mut sum = Sha256::new();
        for part in [Some(name)].iter().chain(filters) {
            sum.update([u8::from(part.is_some())]);
            sum.update(u64::try_from(part.map_or(0, str::len)).unwrap_or_default().to_be_bytes());
            sum.update(part.unwrap_or_default());
        }
        Self(sum.finalize().to_vec())
    }

    /// The cursor of a position in the list.
    pub fn cursor(&self, position: &str) -> String {
        let mut bytes = self.sum(position);
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position of a cursor that this list gave out.
    pub fn position(&self, cursor: &str) -> Result<String, Problem> {
        let opened = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| {
            let (sum, position) = bytes.split_at_checked(SUM)?;
            let position = std::str::from_utf8(position).ok()?;
            (self.sum(position) == sum).then(|| position.to_owned())
        });
        opened.ok_or_else(|| {
            let mistake = Mistake::of_key("cursor", "is none that this list gave out").help(
                "take `next` of the page before as it is, and leave the other parameters as they were".to_owned(),
            );
            Problem::of(Kind::Invalid, vec![mistake])
        })
    }

    fn sum(&self, position: &str) -> Vec<u8> {
        let digest = Sha256::new().chain_update(&self.0).chain_update(position).finalize();
        digest.iter().take(SUM).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list() {
        let list = List::new("events", &[Some("a"), None]);
        let cursor = list.cursor("17");
        assert_eq!(list.position(&cursor).unwrap(), "17");
        for other in [List::new("events", &[None, Some("a")]), List::new("devices", &[Some("a"), None])] {
            assert!(other.position(&cursor).is_err());
        }
        for wrong in ["", "x", "AAAA", "\u{e9}", &cursor[1..], &format!("{cursor}A")] {
            assert!(list.position(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some(1_000)).unwrap(), 1_000);
        assert!(limit(Some(0)).is_err() && limit(Some(1_001)).is_err());
    }
}
