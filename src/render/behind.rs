//! From a value that an expression made back to the setting that it was made of.

use crate::packs::sources_of;
use crate::settings::{Effective, Key, Setting, Value};

/// The setting that a mapped value most likely comes from: the one whose text stands in the value, the longest first;
/// else the only one that the operator has set.
pub fn behind<'s>(settings: &'s Effective, reads: &[String], n: u16, value: &str) -> Option<(&'s Key, &'s Setting)> {
    let number = n.to_string();
    let reads: Vec<String> =
        reads.iter().flat_map(|read| sources_of(read)).map(|read| read.replace("{n}", &number)).collect();
    let is_read = |key: &Key| {
        let key = key.to_string();
        reads
            .iter()
            .any(|read| key.strip_prefix(read.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    let set: Vec<(&Key, &Setting)> = settings.iter().filter(|(key, _)| is_read(key)).collect();
    let held = set
        .iter()
        .filter_map(|(key, setting)| Some((text(&setting.value)?, *key, *setting)))
        .filter(|(text, ..)| !text.is_empty() && value.contains(text.as_str()))
        .max_by_key(|(text, ..)| text.len());
    match (held, set.as_slice()) {
        (Some((_, key, setting)), _) => Some((key, setting)),
        (None, [(key, setting)]) => Some((*key, *setting)),
        (None, _) => None,
    }
}

/// A value as templates write it; none for secrets and lists.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(_) | Value::List(_) | Value::Secret(_) => None,
    }
}
