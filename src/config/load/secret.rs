//! The keys of the database's secrets, and other secrets: texts, or where they stand. Nothing here may ever show what they
//! are.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::table::{Table, Wrong};
use crate::document::{DeValue, Problem, Reader};
use crate::model::{KeyEncoding, Secret};

/// Length of a key in bytes: the key of AES-256.
pub const MASTER_KEY_BYTES: usize = 32;

/// The most keys that a file names beside the master key: opening a secret never takes long.
const MOST_READ_KEYS: usize = 16;

/// Reads the master key, and names its file if it stands in one. What is wrong with it is reported; that it is not to be
/// had here is the result, since most commands need no key.
pub fn master_key(table: &Table<'_>, name: &str) -> (Result<Option<Secret>, Problem>, Option<PathBuf>) {
    if let Some((_, text)) = table.overridden(name) {
        return (Ok(key(table, name, text.unwrap_or_default())), None);
    }
    match table.written(name).map(|found| found.value) {
        None => (Ok(None), None),
        Some(DeValue::String(text)) => (Ok(key(table, name, text)), None),
        Some(DeValue::Table(_)) => {
            let source = table.inline_table(name).and_then(|reader| source(table, reader, name));
            let file = match &source {
                Some(Source::File(path)) => Some(path.clone()),
                _ => None,
            };
            (source.map_or(Ok(None), |source| fetch(table, name, source)), file)
        }
        Some(_) => {
            table.problem(name, Wrong::new("must be a text, { env = \"NAME\" } or { file = \"PATH\" }"));
            (Ok(None), None)
        }
    }
}

/// Reads the keys that only open; in a variable, with commas between.
pub fn read_keys(table: &Table<'_>, name: &str) -> Vec<Result<Secret, Problem>> {
    let mut keys = Vec::new();
    if let Some((_, text)) = table.overridden(name) {
        if text.is_none() {
            table.problem(name, Wrong::new("is not UTF-8"));
        }
        let texts = text.unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
        keys.extend(texts.map(|text| Ok(key(table, name, text))));
    } else if let Some(found) = table.written(name) {
        let DeValue::Array(items) = found.value else {
            table.problem(name, Wrong::new("must be a list of texts, { env = \"NAME\" } and { file = \"PATH\" }"));
            return Vec::new();
        };
        let mut tables = table.inline_tables(name).into_iter();
        for item in items.iter() {
            keys.push(match item.get_ref() {
                DeValue::String(text) => Ok(key(table, name, text)),
                DeValue::Table(_) => {
                    let source = tables.next().and_then(|reader| source(table, reader, name));
                    source.map_or(Ok(None), |source| fetch(table, name, source))
                }
                _ => {
                    table.problem(name, Wrong::new("must hold texts, { env = \"NAME\" } and { file = \"PATH\" }"));
                    Ok(None)
                }
            });
        }
    }
    if keys.len() > MOST_READ_KEYS {
        let wrong = Wrong::new(format!("holds {} keys and may hold {MOST_READ_KEYS}", keys.len()));
        table.problem(name, wrong.help("`resyncd secrets rotate` tells which are needed no more"));
    }
    keys.into_iter().filter_map(Result::transpose).collect()
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

/// The key from where it stands; none after a mistake, which is reported.
fn fetch(table: &Table<'_>, name: &str, source: Source) -> Result<Option<Secret>, Problem> {
    fetch_text(table, name, source).map(|text| key(table, name, &text))
}

fn fetch_text(table: &Table<'_>, name: &str, source: Source) -> Result<Zeroizing<String>, Problem> {
    let unavailable = |message: String| table.problem_of(name, Wrong::new(message));
    match source {
        Source::Variable(variable) => match table.context().environment.get(&variable) {
            Some(text) => Ok(Zeroizing::new(text.unwrap_or_default().to_owned())),
            None => Err(unavailable(format!("the environment variable {variable} is not set"))),
        },
        Source::File(path) => match std::fs::read_to_string(&path).map(Zeroizing::new) {
            // A line end at its end is the editor's.
            Ok(text) => Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => Err(unavailable(format!("{} can't be read: {error}", path.display()))),
        },
    }
}

/// The text of a secret that no variable overrides. None where it isn't written, or after a mistake, which is reported; an
/// error where the variable or file that it names is not to be had here.
pub fn text(table: &Table<'_>, name: &str) -> Result<Option<Zeroizing<String>>, Problem> {
    match table.written(name).map(|found| found.value) {
        None => Ok(None),
        Some(DeValue::String(text)) => Ok(Some(Zeroizing::new(text.to_string()))),
        Some(DeValue::Table(_)) => {
            let source = table.inline_table(name).and_then(|reader| source(table, reader, name));
            source.map(|source| fetch_text(table, name, source)).transpose()
        }
        Some(_) => {
            table.problem(name, Wrong::new("must be a text, { env = \"NAME\" } or { file = \"PATH\" }"));
            Ok(None)
        }
    }
}

/// The key that a text stands for; none after a mistake, which is reported.
fn key(table: &Table<'_>, name: &str, text: &str) -> Option<Secret> {
    let key = KeyEncoding::Hex.parse(text.as_bytes()).ok().filter(|key| key.expose().len() == MASTER_KEY_BYTES);
    if key.is_none() {
        let wrong = Wrong::new(format!("must be {MASTER_KEY_BYTES} bytes in hexadecimal: 64 digits"));
        table.problem(name, wrong.help("make one with: openssl rand -hex 32"));
    }
    key
}
