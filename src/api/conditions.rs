//! `If-Match` and `If-None-Match`: nobody overwrites what they have not seen. An ETag is the revision at which a thing was
//! last changed, in quotes.

use axum::extract::FromRequestParts;
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;

use super::Api;
use super::problem::{Kind, Mistake, Problem};

/// What a change expects to find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<Wanted>,
    /// Nothing.
    create_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// Whatever it is.
    Any,
    /// One of these revisions.
    Revisions(Vec<i64>),
}

/// The ETag of a revision.
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

impl FromRequestParts<Api> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let text = |name: HeaderName| {
            let values: Vec<_> =
                parts.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        Self::read(text(IF_MATCH).as_deref(), text(IF_NONE_MATCH).as_deref())
    }
}

impl Conditions {
    fn read(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Self, Problem> {
        let wrong = |key, message: &str| Err(Problem::of(Kind::Malformed, vec![Mistake::of_key(key, message)]));
        let if_match = match if_match.map(str::trim) {
            None => None,
            Some("*") => Some(Wanted::Any),
            Some(text) => {
                // Strong ETags only: what can't be one of ours matches nothing.
                let revision = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse::<i64>().ok();
                let is_tag = |tag: &str| {
                    let tag = tag.trim();
                    let tag = tag.strip_prefix("W/").unwrap_or(tag);
                    tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')
                };
                if !text.split(',').all(is_tag) {
                    // What is no ETag is none of this thing's.
                    let message = "has to be the ETag as it was answered, quotes and all, or *";
                    return Err(Problem::of(Kind::Stale, vec![Mistake::of_key("If-Match", message)]));
                }
                Some(Wanted::Revisions(text.split(',').filter_map(revision).collect()))
            }
        };
        let create_only = match if_none_match.map(str::trim) {
            None => false,
            Some("*") => true,
            Some(_) => return wrong("If-None-Match", "can be * only: to create, and never to change"),
        };
        Ok(Self { if_match, create_only })
    }

    /// Whether what is there is what the change expects: its revision, or none where it isn't there.
    ///
    /// # Errors
    /// 412 where it is not, 428 where something is there and the request doesn't say which.
    pub fn check(&self, current: Option<i64>) -> Result<(), Problem> {
        let stale = |detail: String| Err(Problem::new(Kind::Stale, detail));
        match (current, &self.if_match) {
            (Some(_), _) if self.create_only => {
                stale("it is there already, and If-None-Match: * would only create it".to_owned())
            }
            (None, Some(_)) => stale("it isn't there (any more), and If-Match expects it".to_owned()),
            (Some(revision), Some(Wanted::Revisions(wanted))) if !wanted.contains(&revision) => {
                stale(format!("it has been changed since; read it again: its ETag is now {}", etag(revision)))
            }
            (Some(_), None) => Err(Problem::new(
                Kind::NeedsCondition,
                "it is there already: send If-Match with the ETag that you have read, or * for whatever it is",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(if_match: Option<&str>, if_none_match: Option<&str>, current: Option<i64>) -> Option<Kind> {
        let conditions = Conditions::read(if_match, if_none_match);
        conditions.and_then(|conditions| conditions.check(current)).err().map(|problem| problem.kind)
    }

    #[test]
    fn nobody_overwrites_what_they_have_not_seen() {
        assert_eq!(check(None, None, None), None);
        assert_eq!(check(None, None, Some(7)), Some(Kind::NeedsCondition));
        assert_eq!(check(Some("\"7\""), None, Some(7)), None);
        assert_eq!(check(Some("\"6\", \"7\""), None, Some(7)), None);
        assert_eq!(check(Some("*"), None, Some(7)), None);
        assert_eq!(check(Some("\"6\""), None, Some(7)), Some(Kind::Stale));
        assert_eq!(check(Some("W/\"7\""), None, Some(7)), Some(Kind::Stale));
        assert_eq!(check(Some("\"seven\""), None, Some(7)), Some(Kind::Stale));
        assert_eq!(check(Some("\"7\""), None, None), Some(Kind::Stale));
        assert_eq!(check(None, Some("*"), None), None);
        assert_eq!(check(None, Some("*"), Some(7)), Some(Kind::Stale));
        // The two contradict each other: one of them never holds.
        assert_eq!(check(Some("*"), Some("*"), Some(7)), Some(Kind::Stale));
        assert_eq!(check(Some("*"), Some("*"), None), Some(Kind::Stale));
        for no_etag in ["7", "", "\""] {
            assert_eq!(check(Some(no_etag), None, Some(7)), Some(Kind::Stale), "{no_etag}");
        }
        for (if_match, if_none_match) in [(None, Some("\"7\"")), (Some("*"), Some("7"))] {
            assert_eq!(check(if_match, if_none_match, None), Some(Kind::Malformed), "{if_match:?} {if_none_match:?}");
        }
    }
}
