//! How commands write what they found: stdout is data, in a form for people or for scripts.

use std::io::{self, BufWriter, Write};

use serde_json::Value;

use super::Failure;
use crate::model::steers;

/// How a command's result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Human,
    Json,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Rows {
    Table,
    Json,
    Csv,
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure.
pub fn write(body: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match body(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::because("stdout", error)),
        _ => Ok(()),
    }
}

/// Writes a value as indented JSON.
pub fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::because("JSON", error))?;
    write(|out| writeln!(out, "{text}"))
}

/// Writes an array with one object a line.
pub fn json_rows(values: impl Iterator<Item = Value>) -> Result<(), Failure> {
    write(|mut out| print_array(values, &mut out))
}

/// An array with one object a line, so that it can be looked at and searched too.
pub fn print_array(values: impl Iterator<Item = Value>, out: &mut impl Write) -> io::Result<()> {
    let mut before = "[\n";
    for value in values {
        write!(out, "{before}{}", safe_json(&value))?;
        before = ",\n";
    }
    writeln!(out, "{}", if before == "[\n" { "[]" } else { "\n]" })
}

/// JSON that is safe to look at: it lets DEL, C1 controls and what reorders text stand as they are, so they are written
/// as JSON's own escapes, which they can be because they occur in texts only.
pub fn safe_json(value: &Value) -> String {
    let json = value.to_string();
    if !json.contains(steers) {
        return json;
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if steers(character) {
            safe.extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_safe_to_look_at() {
        assert_eq!(safe_json(&"a\u{9b}\u{202e}\x1b\u{e0041}é".into()), r#""a\u009b\u202e\u001b\udb40\udc41é""#);
    }
}
