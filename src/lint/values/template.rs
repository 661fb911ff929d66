//! Templates of phone numbers and of SIP status codes (guide: "PhTmplt", "RscTmplt").

use super::{Quoted, Wrong, span_of, text};
use crate::packs::Parameter;

/// The guide's limit for both, in characters.
const LONGEST: i64 = 39;

/// `1408*, 555?1.`: patterns with `?` and `*`; `%2a` is a star that means itself.
pub(super) fn phone(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    limited(parameter, value)?;
    patterns(value, |pattern| {
        let mut rest = pattern;
        while let Some((_, after)) = rest.split_once('%') {
            let escape = after.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let Some(escape) = escape else {
                let at = pattern.len() - after.len() - 1;
                return Err(Wrong::new("% must be followed by two hexadecimal digits, like %2a for *").at(at..at + 1));
            };
            rest = after.get(escape.len()..).unwrap_or_default();
        }
        Ok(())
    })
}

/// `404, 5*, 61?`: status codes with `?` for a digit and `*` for the rest.
pub(super) fn status(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    limited(parameter, value)?;
    patterns(value, |pattern| {
        let (digits, star) = pattern.strip_suffix('*').map_or((pattern, false), |digits| (digits, true));
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'?');
        let begins = digits.starts_with(['1', '2', '3', '4', '5', '6', '?']) || (digits.is_empty() && star);
        let fits = if star { digits.len() < 3 } else { digits.len() == 3 };
        if plain && begins && fits {
            return Ok(());
        }
        let message =
            format!("{} is no template of a SIP status code: it must be like 404, 5* or 61?", Quoted(pattern));
        Err(Wrong::new(message).at(0..pattern.len()))
    })
}

fn limited(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    text::at_most(value, usize::try_from(parameter.max.unwrap_or(LONGEST)).unwrap_or(usize::MAX))
}

fn patterns(value: &str, one: impl Fn(&str) -> Result<(), Wrong>) -> Result<(), Wrong> {
    for part in value.split(',') {
        let pattern = part.trim();
        let start = span_of(value, pattern).start;
        if pattern.is_empty() {
            return Err(Wrong::new("there is nothing between two commas").at(span_of(value, part)));
        }
        one(pattern).map_err(|wrong| wrong.moved(start))?;
    }
    Ok(())
}
