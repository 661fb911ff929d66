//! One table of the file, read key by key: a variable wins over what is written, and what is written over the
//! reference's default. Every mistake is reported where it was made.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::environment::Environment;
use crate::config::reference::{self, Key, Kind, Otherwise, PREFIX};
use crate::document::{DeValue, Problem, Problems, Reader, Value, parse_duration, parse_size};

/// What all tables of one file share.
pub struct Context<'d> {
    pub environment: Environment,
    pub problems: &'d RefCell<Problems>,
    pub file: Arc<Path>,
    /// What paths are relative to.
    pub folder: PathBuf,
}

/// One table of the file.
pub struct Table<'d> {
    context: &'d Context<'d>,
    reference: &'static reference::Table,
    /// None: the table is not in the file.
    reader: Option<Reader<'d>>,
    /// The dotted name, for a table that is not in the file.
    name: String,
    /// What the variables of its keys begin with; none where keys can't be overridden.
    variables: Option<String>,
}

/// Why a value can't be used.
pub struct Wrong {
    pub message: String,
    pub help: Option<String>,
}

impl Wrong {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What was typed for a key.
enum Typed {
    Nothing,
    /// Something of a wrong type, which is reported already.
    Refused,
    Text(String),
}

impl<'d> Table<'d> {
    /// The top of the file.
    pub fn top(context: &'d Context<'d>, reader: Reader<'d>) -> Self {
        Self {
            context,
            reference: &reference::TOP,
            reader: Some(reader),
            name: String::new(),
            variables: Some(PREFIX.to_owned()),
        }
    }

    pub fn context(&self) -> &'d Context<'d> {
        self.context
    }

    /// A table within this one, written `[name]`.
    pub fn table(&self, name: &str, reference: &'static reference::Table) -> Table<'d> {
        Table {
            context: self.context,
            reference,
            reader: self.reader.as_ref().and_then(|reader| reader.table(name)),
            name: self.dotted(name),
            variables: self.variable(name).map(|variable| variable + "_"),
        }
    }

    /// The tables within this one that are written `[[name]]`. Their keys have no variables.
    pub fn tables(&self, name: &str, reference: &'static reference::Table) -> Vec<Table<'d>> {
        let readers = self.reader.as_ref().map(|reader| reader.tables(name)).unwrap_or_default();
        readers
            .into_iter()
            .map(|reader| Table {
                context: self.context,
                reference,
                reader: Some(reader),
                name: self.dotted(name),
                variables: None,
            })
            .collect()
    }

    /// The same table, the variables of whose keys begin with `RESYNCD_`, `path` and `_`.
    pub fn overridden_as(mut self, path: &str) -> Self {
        self.variables = Some(variable_name(PREFIX, path) + "_");
        self
    }

    /// Whether the table is in the file, or a variable writes one of its keys.
    pub fn is_written(&self) -> bool {
        // All are asked for, so that each counts as a variable that there is.
        let by_variable = self.reference.keys.iter().filter(|key| self.overridden(key.name).is_some()).count() > 0;
        self.reader.is_some() || by_variable
    }

    /// Whether a key is written in the file or by a variable.
    pub fn has(&self, name: &str) -> bool {
        self.overridden(name).is_some() || self.written(name).is_some()
    }

    /// What the file holds for a key.
    pub fn written(&self, name: &str) -> Option<Value<'d>> {
        self.reader.as_ref().and_then(|reader| reader.find(name))
    }

    /// Whether the file holds a list for the key, and nothing in it.
    pub fn written_is_empty_list(&self, name: &str) -> bool {
        matches!(self.written(name), Some(Value { value: DeValue::Array(items), .. }) if items.is_empty())
    }

    /// The file's own table of that name, which is the value of a key and no table of the reference.
    pub fn inline_table(&self, name: &str) -> Option<Reader<'d>> {
        self.reader.as_ref().and_then(|reader| reader.table(name))
    }

    /// The tables in a list of that name, which is the value of a key; what else the list holds is passed over.
    pub fn inline_tables(&self, name: &str) -> Vec<Reader<'d>> {
        self.reader.as_ref().map(|reader| reader.tables_in(name)).unwrap_or_default()
    }

    fn dotted(&self, name: &str) -> String {
        match &self.reader {
            Some(reader) => reader.dotted(name),
            None => format!("{}.{name}", self.name),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.as_ref().map(|prefix| variable_name(prefix, name))
    }

    /// The variable that is set for a key, and its text; no text where it is not UTF-8. What the file holds for the key
    /// counts as asked for: it is no unknown key because it is overridden.
    pub fn overridden(&self, name: &str) -> Option<(String, Option<&'d str>)> {
        self.written(name);
        let variable = self.variable(name)?;
        let text = self.context.environment.get(&variable)?;
        Some((variable, text))
    }

    /// A problem of a key, at the place that decides its value.
    pub fn problem_of(&self, name: &str, wrong: Wrong) -> Problem {
        let mut problem = match (self.overridden(name), &self.reader) {
            (Some((variable, _)), _) => Problem::file(PathBuf::from(variable), wrong.message),
            (None, Some(reader)) => {
                Problem::file(reader.document().path().clone(), wrong.message).line(reader.line_of(name))
            }
            (None, None) => Problem::file(self.context.file.clone(), wrong.message),
        };
        problem.help = wrong.help;
        problem.key(self.dotted(name))
    }

    /// Reports a problem of a key.
    pub fn problem(&self, name: &str, wrong: Wrong) {
        let problem = self.problem_of(name, wrong);
        self.context.problems.borrow_mut().push(problem);
    }

    fn typed(&self, key: &Key) -> Typed {
        match self.overridden(key.name) {
            Some((_, Some(text))) => return Typed::Text(text.to_owned()),
            Some((_, None)) => {
                self.problem(key.name, Wrong::new("is not UTF-8"));
                return Typed::Refused;
            }
            None => {}
        }
        let Some(reader) = &self.reader else { return Typed::Nothing };
        let typed = match key.kind {
            Kind::Bool => reader.boolean(key.name).map(|value| value.to_string()),
            Kind::Integer(min, max) => reader.integer(key.name, min..=max).map(|value| value.to_string()),
            _ => reader.text(key.name),
        };
        match typed {
            Some(text) => Typed::Text(text),
            None if reader.has(key.name) => Typed::Refused,
            None => Typed::Nothing,
        }
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        let key = self.reference.key(name);
        if key.is_none() {
            self.problem(name, Wrong::new("the reference has no such key"));
        }
        key
    }

    /// The value of a key, as `parse` makes it of the text. None where there is none, or none that is usable, which is
    /// reported. After a mistake the default is gone on with, so that more mistakes are found.
    fn value<T>(&self, name: &str, parse: impl Fn(&str, Kind) -> Result<T, Wrong>) -> Option<T> {
        let key = self.key(name)?;
        let typed = self.typed(key);
        if let Typed::Text(text) = &typed {
            match parse(text, key.kind) {
                Ok(value) => return Some(value),
                Err(wrong) => self.problem(name, wrong),
            }
        }
        match key.otherwise {
            Otherwise::Value(default) => match parse(default, key.kind) {
                Ok(value) => Some(value),
                Err(wrong) => {
                    self.problem(name, wrong);
                    None
                }
            },
            Otherwise::Required => {
                if let Typed::Nothing = typed {
                    self.problem(name, Wrong::new("is missing"));
                }
                None
            }
            Otherwise::Nothing(_) => None,
        }
    }

    /// A text that `parse` makes something of.
    pub fn parsed<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        self.value(name, |text, _| parse(text))
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.value(name, |text, _| {
            text.parse().map_err(|_| Wrong::new(format!("must be true or false, not \"{text}\"")))
        })
    }

    pub fn integer<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        self.value(name, |text, kind| {
            let Ok(number) = text.parse::<i64>() else {
                return Err(Wrong::new(format!("must be a whole number, not \"{text}\"")));
            };
            let within = matches!(kind, Kind::Integer(min, max) if (min..=max).contains(&number));
            T::try_from(number).ok().filter(|_| within).ok_or_else(|| outside(kind))
        })
    }

    pub fn time(&self, name: &str) -> Option<Duration> {
        self.value(name, parse_time)
    }

    /// A length of time; nothing for the word that may stand instead of it.
    pub fn time_or_word(&self, name: &str) -> Option<Option<Duration>> {
        self.value(name, |text, kind| match kind {
            Kind::TimeOr(word, ..) if word == text => Ok(None),
            _ => parse_time(text, kind).map(Some),
        })
    }

    /// In bytes.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.value(name, |text, kind| {
            let Some(size) = parse_size(text) else {
                return Err(Wrong::new(format!("\"{text}\" is no size"))
                    .help("write a number and its unit: 1500 B, 64 KiB, 64 MiB or 10 GiB"));
            };
            let within = matches!(kind, Kind::Size(min, max) if (min..=max).contains(&size));
            if within { Ok(size) } else { Err(outside(kind)) }
        })
    }

    /// One of the reference's words, as the value that `values` pairs with it.
    pub fn choice<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Option<T> {
        self.value(name, |text, kind| {
            let found = values.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            found.ok_or_else(|| Wrong::new(format!("must be {kind}, not \"{text}\"").replace('`', "")))
        })
    }

    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name, |text, _| self.located(text))
    }

    /// One path or a list of them; in a variable, with commas between.
    pub fn paths(&self, name: &str) -> Vec<PathBuf> {
        let texts = match self.overridden(name) {
            Some((_, Some(text))) => text.split(',').map(|text| text.trim().to_owned()).collect(),
            Some((_, None)) => {
                self.problem(name, Wrong::new("is not UTF-8"));
                return Vec::new();
            }
            None => self.reader.as_ref().and_then(|reader| reader.texts(name)).unwrap_or_default(),
        };
        let mut paths = Vec::with_capacity(texts.len());
        for text in texts {
            match self.located(&text) {
                Ok(path) => paths.push(path),
                Err(wrong) => self.problem(name, wrong),
            }
        }
        paths
    }

    /// A list of texts, each as `parse` makes it; in a variable, and in the reference's default, with commas between.
    pub fn list<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let key = self.key(name)?;
        let split = |text: &str| -> Vec<String> {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let texts = match (self.overridden(name), &self.reader) {
            (Some((_, Some(text))), _) => split(text),
            (Some((_, None)), _) => {
                self.problem(name, Wrong::new("is not UTF-8"));
                return None;
            }
            (None, Some(reader)) if reader.has(name) => reader.texts(name)?,
            _ => match key.otherwise {
                Otherwise::Value(default) => split(default),
                Otherwise::Required => {
                    self.problem(name, Wrong::new("is missing"));
                    return None;
                }
                Otherwise::Nothing(_) => Vec::new(),
            },
        };
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match parse(&text) {
                Ok(value) => values.push(value),
                Err(wrong) => self.problem(name, wrong),
            }
        }
        Some(values)
    }

    /// A path as the program has to open it.
    pub fn located(&self, text: &str) -> Result<PathBuf, Wrong> {
        if text.is_empty() { Err(Wrong::new("may not be empty")) } else { Ok(self.context.folder.join(text)) }
    }

    /// Reports the keys that nothing read.
    pub fn finish(self) {
        if let Some(reader) = self.reader {
            reader.finish();
        }
    }
}

/// The variable for a dotted name: upper case, with `_` for what a variable can't hold.
fn variable_name(prefix: &str, name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("{prefix}{name}")
}

fn parse_time(text: &str, kind: Kind) -> Result<Duration, Wrong> {
    let Some(time) = parse_duration(text) else {
        return Err(Wrong::new(format!("\"{text}\" is no length of time"))
            .help("write a number and its unit: 500ms, 30s, 10m, 24h or 90d"));
    };
    let within = matches!(kind, Kind::Time(min, max) | Kind::TimeOr(_, min, max) if (min..=max).contains(&time));
    if within { Ok(time) } else { Err(outside(kind)) }
}

fn outside(kind: Kind) -> Wrong {
    match kind.bounds() {
        Some(bounds) => Wrong::new(format!("must be {bounds}")),
        None => Wrong::new("can't be used here"),
    }
}
