//! A table read key by key: what was asked for is known, so what was not can be reported.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::{Document, Problem, Problems, nearest};

/// A value and its place.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    pub value: &'d DeValue<'d>,
    /// The line of the key, counted from 1.
    pub line: u32,
}

/// One table of a document. Every read remembers the key, and [`Reader::finish`] reports the keys that nobody read.
pub struct Reader<'d> {
    document: &'d Document,
    table: &'d DeTable<'d>,
    line: u32,
    /// The dotted key of this table, empty for the document itself.
    prefix: String,
    asked: RefCell<Vec<String>>,
    problems: &'d RefCell<Problems>,
}

impl<'d> Reader<'d> {
    /// The document's own table. Problems are added to `problems`.
    pub fn new(document: &'d Document, table: &'d DeTable<'d>, problems: &'d RefCell<Problems>) -> Self {
        Self { document, table, line: 1, prefix: String::new(), asked: RefCell::default(), problems }
    }

    /// The line that this table begins in.
    pub fn line(&self) -> u32 {
        self.line
    }

    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// `key` with this table's own name before it.
    pub fn dotted(&self, key: &str) -> String {
        if self.prefix.is_empty() { quoted(key) } else { format!("{}.{}", self.prefix, quoted(key)) }
    }

    /// Whether the key is there at all. Counts as having asked for it.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The line of a key that is there, else this table's own.
    pub fn line_of(&self, key: &str) -> u32 {
        self.table.get_key_value(key).map_or(self.line, |(key, _)| self.document.line_at(key.span().start))
    }

    /// Reports a problem of a key of this table.
    pub fn problem(&self, key: &str, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.problems.borrow_mut().push(Problem {
            file: self.document.path().clone(),
            line: Some(self.line_of(key)),
            key: Some(self.dotted(key)),
            message: message.into(),
            help: help.into(),
            rule: None,
        });
    }

    /// Reports a problem of this table as a whole.
    pub fn problem_of_itself(&self, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.problems.borrow_mut().push(Problem {
            file: self.document.path().clone(),
            line: Some(self.line),
            key: Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty()),
            message: message.into(),
            help: help.into(),
            rule: None,
        });
    }

    /// The raw value of a key.
    pub fn find(&self, key: &str) -> Option<Value<'d>> {
        self.asked.borrow_mut().push(key.to_owned());
        let (key, value) = self.table.get_key_value(key)?;
        Some(Value { value: value.get_ref(), line: self.document.line_at(key.span().start) })
    }

    /// All keys in the order they are written, for tables whose keys are names of the operator's. Asks for all of them.
    pub fn entries(&self) -> Vec<(&'d str, Value<'d>)> {
        self.table
            .iter()
            .map(|(key, value)| {
                let name: &'d str = key.get_ref();
                self.asked.borrow_mut().push(name.to_owned());
                (name, Value { value: value.get_ref(), line: self.document.line_at(key.span().start) })
            })
            .collect()
    }

    fn wrong_type(&self, key: &str, wanted: &str, found: &DeValue<'_>) {
        self.problem(key, format!("must be {wanted}, not {}", kind(found)), None);
    }

    pub fn text(&self, key: &str) -> Option<String> {
        let found = self.find(key)?;
        match found.value {
            DeValue::String(text) => Some(text.to_string()),
            other => {
                self.wrong_type(key, "a text in quotes", other);
                None
            }
        }
    }

    /// A text that must be there.
    pub fn required_text(&self, key: &str) -> Option<String> {
        if !self.has(key) {
            self.missing(key);
        }
        self.text(key)
    }

    /// Reports that a key must be there and isn't.
    pub fn missing(&self, key: &str) {
        self.problem(key, "is missing", None);
    }

    pub fn boolean(&self, key: &str) -> Option<bool> {
        let found = self.find(key)?;
        match found.value {
            DeValue::Boolean(value) => Some(*value),
            other => {
                self.wrong_type(key, "true or false", other);
                None
            }
        }
    }

    pub fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let found = self.find(key)?;
        let DeValue::Integer(number) = found.value else {
            self.wrong_type(key, "a whole number", found.value);
            return None;
        };
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) if range.contains(&value) => Some(value),
            _ => {
                self.problem(key, format!("must be from {} to {}", range.start(), range.end()), None);
                None
            }
        }
    }

    /// One text, or a list of them.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        let found = self.find(key)?;
        match found.value {
            DeValue::String(text) => Some(vec![text.to_string()]),
            DeValue::Array(items) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::String(text) => texts.push(text.to_string()),
                        other => {
                            self.wrong_type(key, "a list of texts", other);
                            return None;
                        }
                    }
                }
                Some(texts)
            }
            other => {
                self.wrong_type(key, "a text or a list of texts", other);
                None
            }
        }
    }

    /// A text that `T` can be made of; what `T` says of a wrong one is the message.
    pub fn parsed<T>(&self, key: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(key, format!("{error}"), None);
                None
            }
        }
    }

    /// A length of time: `"500ms"`, `"30s"`, `"10m"`, `"24h"`, `"90d"`.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        let text = self.text(key)?;
        let parsed = parse_duration(&text);
        if parsed.is_none() {
            self.problem(
                key,
                format!("\"{text}\" is no length of time"),
                "write a number and its unit: 500ms, 30s, 10m, 24h or 90d".to_owned(),
            );
        }
        parsed
    }

    /// An amount of memory or disk in bytes: `"64 MiB"`, `"10 GiB"`, `"1500 B"`.
    pub fn size(&self, key: &str) -> Option<u64> {
        let text = self.text(key)?;
        let parsed = parse_size(&text);
        if parsed.is_none() {
            self.problem(
                key,
                format!("\"{text}\" is no size"),
                "write a number and its unit: 1500 B, 64 KiB, 64 MiB or 10 GiB".to_owned(),
            );
        }
        parsed
    }

    /// A table within this one.
    pub fn table(&self, key: &str) -> Option<Reader<'d>> {
        let found = self.find(key)?;
        match found.value {
            DeValue::Table(table) => Some(self.within(key, table, found.line)),
            other => {
                self.wrong_type(key, &format!("a table, written [{}]", self.dotted(key)), other);
                None
            }
        }
    }

    /// A list of tables, `[[key]]`; empty where there is none.
    pub fn tables(&self, key: &str) -> Vec<Reader<'d>> {
        let Some(found) = self.find(key) else { return Vec::new() };
        let DeValue::Array(items) = found.value else {
            self.wrong_type(key, &format!("a list of tables, written [[{}]]", self.dotted(key)), found.value);
            return Vec::new();
        };
        let mut readers = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    readers.push(self.within(key, table, self.document.line_at(item.span().start)))
                }
                other => self.wrong_type(key, &format!("a list of tables, written [[{}]]", self.dotted(key)), other),
            }
        }
        readers
    }

    /// The tables in a list that may hold other things too, which are passed over.
    pub fn tables_in(&self, key: &str) -> Vec<Reader<'d>> {
        let Some(Value { value: DeValue::Array(items), .. }) = self.find(key) else { return Vec::new() };
        let tables = items.iter().filter_map(|item| match item.get_ref() {
            DeValue::Table(table) => Some(self.within(key, table, self.document.line_at(item.span().start))),
            _ => None,
        });
        tables.collect()
    }

    fn within(&self, key: &str, table: &'d DeTable<'d>, line: u32) -> Reader<'d> {
        Reader {
            document: self.document,
            table,
            line,
            prefix: self.dotted(key),
            asked: RefCell::default(),
            problems: self.problems,
        }
    }

    /// Reports every key that nobody asked for, with the nearest that somebody did.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table {
            let key = key.get_ref().as_ref();
            if asked.iter().any(|name| name == key) {
                continue;
            }
            let help = nearest(key, asked.iter().map(String::as_str)).map(|name| format!("did you mean \"{name}\"?"));
            self.problem(key, "unknown key", help);
        }
    }
}

/// A key as TOML would write it within a dotted one.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { format!("\"{key}\"") }
}

/// What a value is, in the words of a message.
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim()))
}

/// Reads `"500ms"`, `"30s"`, `"10m"`, `"24h"` or `"90d"`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// Reads `"1500 B"`, `"64 KiB"`, `"64 MiB"` or `"10 GiB"`, in bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, body: impl FnOnce(Reader<'_>)) -> Vec<String> {
        let document = Document::from_text("a.toml", text.to_owned());
        let problems = RefCell::default();
        let table = document.parse().unwrap();
        body(Reader::new(&document, &table, &problems));
        problems.into_inner().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest() {
        let problems = read("[tls]\nkey = \"k\"\ncertificat = \"c\"\n", |reader| {
            let tls = reader.table("tls").unwrap();
            assert_eq!(tls.text("key").as_deref(), Some("k"));
            assert_eq!(tls.text("certificate"), None);
            tls.finish();
            reader.finish();
        });
        assert_eq!(problems, ["a.toml:3: tls.certificat: unknown key (did you mean \"certificate\"?)"]);
    }

    #[test]
    fn all_problems_are_collected() {
        let problems = read("port = 70000\nname = 3\nwait = \"5 parsecs\"\n", |reader| {
            assert_eq!(reader.integer("port", 1..=65_535), None);
            assert_eq!(reader.text("name"), None);
            assert_eq!(reader.duration("wait"), None);
            reader.finish();
        });
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn sizes_and_durations() {
        assert_eq!(parse_size("64 MiB"), Some(64 << 20));
        assert_eq!(parse_size("64 megs"), None);
        assert_eq!(parse_duration("90d"), Some(Duration::from_secs(90 * 86_400)));
        assert_eq!(parse_duration("99999999999999999999d"), None);
    }
}
