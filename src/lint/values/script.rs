//! What the scripts of signals share: a limit, durations, and sections `total(segment,…)` (guide: "CadScript",
//! "ToneScript").

use super::number::is_decimal;
use super::{Quoted, Wrong, span_of, text};

/// The guide's limit for every script of a signal, in characters.
pub(super) const LONGEST: usize = 127;

/// The most segments a section has.
const SEGMENTS: usize = 6;

/// The sections of a script, separated by `;`, each segment of which `segment` checks. Two at the most.
pub(super) fn sections(
    whole: &str,
    text: &str,
    segment: impl Fn(&str, &[&str]) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    for (index, section) in text.split(';').enumerate() {
        if index == 2 {
            let start = span_of(whole, section).start;
            return Err(Wrong::new("there are more than two sections").at(start..whole.len()));
        }
        one(whole, section, &segment)?;
    }
    Ok(())
}

fn one(whole: &str, section: &str, segment: &impl Fn(&str, &[&str]) -> Result<(), Wrong>) -> Result<(), Wrong> {
    let shape = || {
        let message = format!("{} is no section: it must be like 60(2/4), a duration and segments", Quoted(section));
        Wrong::new(message).at(span_of(whole, section))
    };
    let (total, rest) = section.split_once('(').ok_or_else(shape)?;
    let inner = rest.trim_end().strip_suffix(')').filter(|inner| !inner.contains(['(', ')'])).ok_or_else(shape)?;
    duration(whole, total)?;
    for (index, part) in inner.split(',').enumerate() {
        if index == SEGMENTS {
            let start = span_of(whole, part).start;
            return Err(Wrong::new(format!("a section has at most {SEGMENTS} segments")).at(start..start + part.len()));
        }
        let fields: Vec<&str> = part.splitn(5, '/').collect();
        segment(part, &fields)?;
    }
    Ok(())
}

/// Seconds with up to three decimal places, or `*` for ever.
pub(super) fn duration(whole: &str, text: &str) -> Result<(), Wrong> {
    let trimmed = text.trim();
    let places = trimmed.split_once('.').map_or(0, |(_, places)| places.len());
    if trimmed == "*" || (is_decimal(trimmed) && places <= 3) {
        return Ok(());
    }
    let message = if is_decimal(trimmed) {
        format!("{} has more than three decimal places", Quoted(trimmed))
    } else {
        format!("{} is no duration: it must be seconds like 2 or .25, or * for ever", Quoted(trimmed))
    };
    Err(Wrong::new(message).at(span_of(whole, text)))
}

pub(super) fn limited(value: &str) -> Result<(), Wrong> {
    text::at_most(value, LONGEST)
}
