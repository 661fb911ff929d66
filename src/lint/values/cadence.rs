//! Cadences (guide: "CadScript"; Grandstream's own: `c=2000/4000;`).

use super::script::{duration, limited, sections};
use super::{Quoted, Wrong, span_of};
use crate::packs::Dialect;

/// `60(2/4)`, `60(.2/.2,1/4);30(1/1)`: sections with their total duration and segments of on and off.
pub(super) fn cadence(dialect: Dialect, value: &str) -> Result<(), Wrong> {
    limited(value)?;
    if dialect == Dialect::Grandstream {
        return milliseconds(value);
    }
    sections(value, value, |segment, fields| match fields {
        [on, off] => duration(value, on).and_then(|()| duration(value, off)),
        _ => Err(Wrong::new(format!("{} is no segment: it must be on/off, like 2/4", Quoted(segment)))
            .at(span_of(value, segment))),
    })
}

/// `c=on/off[-on/off[-on/off]];` in milliseconds. Written from common practice, not from a guide: none at hand
/// describes it.
fn milliseconds(value: &str) -> Result<(), Wrong> {
    let Some(cadence) = value.trim().strip_prefix("c=") else {
        return Err(Wrong::new(format!("{} is no cadence: it must be like c=2000/4000;", Quoted(value))));
    };
    for part in cadence.trim_end_matches(';').split('-') {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = match part.split_once('/') {
            Some((on, off)) => digits(on) && digits(off),
            None => part == "0",
        };
        if !fits {
            return Err(Wrong::new(format!("{} must be milliseconds on/off, like 2000/4000", Quoted(part)))
                .at(span_of(value, part)));
        }
    }
    Ok(())
}
