//! Conditions of resync triggers (guide: "Conditional Expressions"), read by the emulated phone's own parser.

use super::macro_text::{Expanded, unknown};
use super::{Quoted, Wrong};
use crate::packs::Dialect;
use crate::phone::cisco::condition::{Condition, ConditionError};

/// A trigger's condition, as it reads when its macros are expanded.
pub(super) fn condition(dialect: Dialect, value: &str) -> Result<(), Wrong> {
    unknown(value)?;
    let mut wrong = None;
    for expanded in Expanded::readings(dialect, value, true) {
        match Condition::parse(&expanded.text) {
            Ok(_) => return Ok(()),
            Err(error) => wrong = wrong.or_else(|| Some(of_condition(&error, &expanded, value))),
        }
    }
    wrong.map_or(Ok(()), Err)
}

/// Without the offset, which the span tells; and without the text of it, which may be as long as the value.
pub(super) fn of_condition(error: &ConditionError, expanded: &Expanded, value: &str) -> Wrong {
    let span = expanded.word(value, error.at());
    let written = expanded.macro_at(value, error.at());
    if let (ConditionError::NoLiteral { .. }, Some(written)) = (error, written) {
        let message = format!("{} expands to a string, which must stand in double quotes", Quoted(written));
        return Wrong::new(message).help(format!("write \"{written}\"")).at(span);
    }
    let message = match error {
        ConditionError::Empty => "there is no condition".to_owned(),
        ConditionError::NoOperand { .. } => {
            "an operand is missing: a macro that is empty leaves nothing, unless it stands in double quotes".to_owned()
        }
        ConditionError::NoOperator { .. } => "an operator is missing: = != < <= > >= or eq ne lt le gt ge".to_owned(),
        ConditionError::NoAnd { .. } => "comparisons must be joined by `and`".to_owned(),
        ConditionError::Unclosed { .. } => "the string that begins here is never closed".to_owned(),
        ConditionError::NoLiteral { text, .. } => {
            format!("{} is no integer and no version number: a string must stand in double quotes", Quoted(text))
        }
        ConditionError::NotForStrings { operator, .. } => {
            format!("{operator} compares integers and version numbers: strings can only be = or !=")
        }
        ConditionError::Types { operator, left, right, .. } => {
            format!("{operator} has {left} on its left and {right} on its right: both must be of one kind")
        }
    };
    Wrong::new(message).at(span)
}
