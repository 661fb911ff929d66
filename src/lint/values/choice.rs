//! Bools and choices (guide: "Bool", "{a,b,c,...}").

use super::{Quoted, Wrong, nearest};
use crate::packs::{Parameter, ParameterList};

/// One of the list's, or the parameter's own, two words. In any case: the guide speaks of "yes" and "no", its sample has
/// Yes and No, and once yes.
pub(super) fn bool_word(list: &ParameterList, parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    let words = parameter.bool_words.as_ref().or(list.bool_words.as_ref());
    let (yes, no) = words.map_or(("true", "false"), |words| (&*words.yes, &*words.no));
    if value.eq_ignore_ascii_case(yes) || value.eq_ignore_ascii_case(no) {
        return Ok(());
    }
    let meant = match value.trim().to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "on" | "enable" | "enabled" => Some(yes),
        "no" | "n" | "false" | "0" | "off" | "disable" | "disabled" => Some(no),
        _ => nearest(value, [yes, no]),
    };
    Err(Wrong::new(format!("{} is neither {yes} nor {no}", Quoted(value)))
        .helped(meant.map(|word| format!("write {word}"))))
}

/// One of the choices, as it is written: phones compare them character by character.
pub(super) fn one_of(choices: &[String], value: &str) -> Result<(), Wrong> {
    if choices.iter().any(|choice| choice == value) {
        return Ok(());
    }
    let choices = choices.iter().map(String::as_str);
    let same = choices.clone().find(|choice| choice.eq_ignore_ascii_case(value.trim()));
    let help = same.or_else(|| nearest(value, choices.clone())).map(|choice| format!("write {choice}"));
    let message = match same {
        Some(choice) => format!("{} is written {choice}", Quoted(value)),
        None => format!("{} is none of {}", Quoted(value), listed(choices)),
    };
    Err(Wrong::new(message).helped(help))
}

/// The first dozen: the rest is in the documentation.
fn listed<'c>(choices: impl Iterator<Item = &'c str>) -> String {
    let mut listed = String::new();
    for (index, choice) in choices.enumerate() {
        if index == 12 {
            listed.push_str(", …");
            break;
        }
        listed.push_str(if index == 0 { "" } else { ", " });
        listed.push_str(if choice.is_empty() { "nothing" } else { choice });
    }
    listed
}
