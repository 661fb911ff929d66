//! What the check makes of its rules. Their names are the check's to know, so that they are compared there.

use super::table::Table;
use crate::config::{Level, Lint, RuleLevel};
use crate::document::{DeValue, kind, nearest};

const LEVELS: [(&str, Level); 4] =
    [("off", Level::Off), ("note", Level::Note), ("warning", Level::Warning), ("error", Level::Error)];

pub fn read(table: Table<'_>) -> Option<Lint> {
    let severity = levels(&table);
    let certificate_expiry = table.time("certificate_expiry");
    table.finish();
    Some(Lint { severity, certificate_expiry: certificate_expiry? })
}

fn levels(table: &Table<'_>) -> Vec<RuleLevel> {
    let Some(reader) = table.inline_table("severity") else { return Vec::new() };
    let mut levels = Vec::new();
    for (rule, found) in reader.entries() {
        let DeValue::String(word) = found.value else {
            reader.problem(rule, format!("must be a text in quotes, not {}", kind(found.value)), None);
            continue;
        };
        match LEVELS.iter().find(|(known, _)| *known == word.as_ref()) {
            Some((_, level)) => levels.push(RuleLevel {
                rule: rule.to_owned(),
                level: *level,
                file: reader.document().path().clone(),
                line: found.line,
            }),
            None => {
                let near =
                    nearest(word, LEVELS.map(|(known, _)| known)).map(|near| format!("did you mean \"{near}\"?"));
                reader.problem(rule, format!("must be one of off, note, warning and error, not \"{word}\""), near);
            }
        }
    }
    levels
}
