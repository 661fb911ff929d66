//! The master key and other secrets: a text, or where it stands. Nothing here may ever show what it is.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::table::{Table, Wrong};
use crate::document::{DeValue, Problem, Reader};
use crate::model::{KeyEncoding, Secret};

/// Length of the master key in bytes: the key of AES-256.
pub const MASTER_KEY_BYTES: usize = 32;

/// Reads the key. What is wrong with it is reported; that it is not to be had here is the result, since most commands
/// need no key.
pub fn master_key(table: &Table<'_>, name: &str) -> Result<Option<Secret>, Problem> {
    let Some(text) = text(table, name)? else { return Ok(None) };
    match decode(&text) {
        Some(key) => Ok(Some(key)),
        None => {
            let wrong = Wrong::new(format!("must be {MASTER_KEY_BYTES} bytes in hexadecimal: 64 digits"));
            table.problem(name, wrong.help("make one with: openssl rand -hex 32"));
            Ok(None)
        }
    }
}

/// The text of a secret. None where it isn't written, or after a mistake, which is reported; an error where the variable
/// or file that it names is not to be had here.
pub fn text(table: &Table<'_>, name: &str) -> Result<Option<Zeroizing<String>>, Problem> {
    let unavailable = |message: String| table.problem_of(name, Wrong::new(message));
    Ok(Some(if let Some((_, text)) = table.overridden(name) {
        Zeroizing::new(text.unwrap_or_default().to_owned())
    } else {
        match table.written(name).map(|found| found.value) {
            None => return Ok(None),
            Some(DeValue::String(text)) => Zeroizing::new(text.to_string()),
            Some(DeValue::Table(_)) => match table.inline_table(name).and_then(|reader| source(table, reader, name)) {
                Some(Source::Variable(variable)) => match table.context().environment.get(&variable) {
                    Some(text) => Zeroizing::new(text.unwrap_or_default().to_owned()),
                    None => return Err(unavailable(format!("the environment variable {variable} is not set"))),
                },
                Some(Source::File(path)) => match std::fs::read_to_string(&path) {
                    // A line end at its end is the editor's.
                    Ok(text) => Zeroizing::new(Zeroizing::new(text).trim_end_matches(['\r', '\n']).to_owned()),
                    Err(error) => return Err(unavailable(format!("{} can't be read: {error}", path.display()))),
                },
                _ => return Ok(None),
            },
            Some(_) => {
                table.problem(name, Wrong::new("must be a text, { env = \"NAME\" } or { file = \"PATH\" }"));
                return Ok(None);
            }
        }
    }))
}

enum Source {
    Variable(String),
    File(PathBuf),
}

/// Where the key stands, as an inline table says it. None after a mistake, which is reported.
fn source(table: &Table<'_>, reader: Reader<'_>, name: &str) -> Option<Source> {
    let (variable, file) = (reader.text("env"), reader.text("file"));
    reader.finish();
    match (variable, file) {
        (Some(variable), None) if !variable.is_empty() => Some(Source::Variable(variable)),
        (None, Some(file)) => match table.located(&file) {
            Ok(path) => Some(Source::File(path)),
            Err(wrong) => {
                table.problem(name, wrong);
                None
            }
        },
        _ => {
            table.problem(name, Wrong::new("must hold one of env and file, and a text in it"));
            None
        }
    }
}

fn decode(text: &str) -> Option<Secret> {
    let key = KeyEncoding::Hex.parse(text.as_bytes()).ok()?;
    (key.expose().len() == MASTER_KEY_BYTES).then_some(key)
}
