//! Whether a parameter's value is what its type allows: one file per kind, all pure. The rules are those of the *Cisco IP
//! Phone 6800 Series Multiplatform Phones Provisioning Guide*, section "Data Types" ("guide" in these modules), and of the
//! other makers' guides where the list says that it is of their dialect. Where a guide and its own sample disagree the
//! sample is right: it is what a phone gave out.
//!
//! A value is checked as the phone gets it: bools in the pack's words, nothing escaped. An empty value is fine for every
//! type: it puts the phone back to its default, or is nothing (guide: the note below "Data Types").

mod address;
mod cadence;
mod choice;
mod condition;
mod dial_plan;
mod macro_text;
mod number;
mod phone;
mod rule;
mod schedule;
mod script;
mod template;
mod text;
mod tone;
mod url;

use std::fmt;
use std::ops::Range;

use crate::model::Escaped;
use crate::packs::{Dialect, Parameter, ParameterList, Type};

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong and what it must be; who shows it says of which parameter.
    pub message: String,
    /// What to write, where that is plain.
    pub help: Option<String>,
    /// Bytes of the value that are wrong; none where it is all of it.
    pub span: Option<Range<usize>>,
}

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn helped(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    /// The same in a value that this one's stands in, `offset` bytes from its beginning.
    fn moved(mut self, offset: usize) -> Self {
        self.span = self.span.map(|span| span.start + offset..span.end + offset);
        self
    }
}

/// Checks a value as it is written to a phone against its parameter's type.
///
/// # Errors
/// With the first thing that is wrong. Of a secret it tells the kind of fault alone, never a part of the value.
pub fn check(list: &ParameterList, parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    if value.is_empty() || (list.dialect.is_cisco() && value == "\"\"") {
        return Ok(());
    }
    let checked = of_type(list, parameter, value).map_err(|wrong| placed(wrong, value));
    if parameter.secret { checked.map_err(|_| silenced(parameter, value)) } else { checked }
}

fn of_type(list: &ParameterList, parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    let dialect = list.dialect;
    match parameter.kind {
        Type::Bool => choice::bool_word(list, parameter, value),
        Type::Choice => choice::one_of(&parameter.choices, value),
        Type::Unsigned => number::unsigned(parameter, value),
        Type::Signed => number::signed(parameter, value),
        Type::Decimal => number::decimal(parameter, value),
        Type::Time => number::time(parameter, value),
        Type::PowerLevel => number::power_level(parameter, value),
        Type::Port => number::port(parameter, value),
        Type::Ip => address::ip(value),
        Type::Fqdn => address::fqdn(value),
        Type::HostPort => address::host_port(value),
        Type::Url => url::url(dialect, value),
        Type::Phone => phone::phone(parameter, value),
        Type::PhoneTemplate => template::phone(parameter, value),
        Type::StatusTemplate => template::status(parameter, value),
        Type::Text => text::text(parameter, value),
        Type::Cadence => cadence::cadence(dialect, value),
        Type::Frequency => tone::frequencies(value),
        Type::Tone => tone::tone(value),
        Type::DialPlan => dial_plan::dial_plan(dialect, value),
        Type::ProfileRule => rule::rule(dialect, parameter, value),
        Type::Condition => condition::condition(dialect, value),
        Type::Schedule => schedule::schedule(value),
        Type::HhMm => schedule::time_of_day(dialect, value),
        Type::MacroText => macro_text::macro_text(parameter, value),
    }
}

/// The kind of fault of a secret: nothing that comes from the value but its length.
fn silenced(parameter: &Parameter, value: &str) -> Wrong {
    let length = value.chars().count();
    match parameter.max.and_then(|max| usize::try_from(max).ok()) {
        Some(max) if parameter.kind == Type::Text && length > max => text::too_long(length, max),
        _ => Wrong::new("the value is not what the parameter's type allows; it is a secret and not shown"),
    }
}

/// A span always lies within the value, on the boundaries of characters, and holds a character where there is one.
fn placed(mut wrong: Wrong, value: &str) -> Wrong {
    wrong.span = wrong.span.map(|span| {
        let start = floor(value, span.start);
        let mut end = floor(value, span.end.max(start));
        if end < span.end.min(value.len()) || end == start {
            end = start + value.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        }
        start..end
    });
    wrong
}

/// The boundary of a character at or before a byte.
fn floor(value: &str, at: usize) -> usize {
    let at = at.min(value.len());
    (0..=at).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0)
}

/// A part of a value in a message: on one line, and no longer than a reader looks at.
struct Quoted<'v>(&'v str);

/// How many characters of a value a message repeats.
const SHOWN: usize = 60;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            None => write!(f, "\"{}\"", Escaped(self.0)),
            Some((end, _)) => write!(f, "\"{}…\"", Escaped(self.0.get(..end).unwrap_or_default())),
        }
    }
}

/// The nearest of some names. Nothing as long as a whole paragraph is a slip for one of them, and comparing takes time.
fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if name.len() > 64 { None } else { crate::document::nearest(name, candidates) }
}

/// Where `part` stands in `whole`, of which it is a slice.
fn span_of(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len());
    start..(start + part.len()).min(whole.len())
}

/// Whether the dialect takes macros in what it fetches.
fn has_macros(dialect: Dialect, value: &str) -> bool {
    dialect.is_cisco() && value.contains('$')
}
