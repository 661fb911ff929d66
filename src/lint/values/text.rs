//! Text (guide: "Str<n>", "UserID").

use super::Wrong;
use crate::packs::Parameter;

/// At most as many characters as the parameter holds.
pub(super) fn text(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    let Some(max) = parameter.max.and_then(|max| usize::try_from(max).ok()) else { return Ok(()) };
    at_most(value, max)
}

/// At most `max` characters, the rest of them being what is wrong.
pub(super) fn at_most(value: &str, max: usize) -> Result<(), Wrong> {
    match value.char_indices().nth(max) {
        None => Ok(()),
        Some((end, _)) => Err(too_long(value.chars().count(), max).at(end..value.len())),
    }
}

pub(super) fn too_long(length: usize, max: usize) -> Wrong {
    Wrong::new(format!("the value has {length} characters, {max} at most are allowed"))
}
