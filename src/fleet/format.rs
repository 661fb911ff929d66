//! Devices in files: read for an import, written by an export. CSV has a line for a device; TOML and JSON have what the API
//! takes.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::edit::{Edit, Expect, Name, What, typed};
use super::find::Entry;
use super::shown::{Secrecy, Shown};
use crate::document::{Problem, Problems, nearest};
use crate::model::MacAddr;
use crate::records::MASK;
use crate::settings::Key;

/// How devices are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A header line, and a line for each device.
    Csv,
    /// `[[device]]` for each device.
    Toml,
    /// An array of objects.
    Json,
}

/// Why a file can't be read at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);

/// Columns that say something of the device itself.
const HEAD: [&str; 4] = ["mac", "model", "serial", "group"];

/// Columns with short names: those of line 1.
const SHORT: [(&str, &str); 3] =
    [("user", "lines.1.user"), ("password", "lines.1.password"), ("proxy", "lines.1.proxy")];

impl Format {
    /// The format that a file's name says.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// What was read of a file: the rows that are right, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Reading {
    pub edits: Vec<Edit>,
    pub problems: Problems,
}

/// Reads the devices of a file as changes; `name` is what messages call it. What a CSV file has no column for stays as it is;
/// in TOML and JSON each device is whole.
///
/// # Errors
/// Everything that is wrong, each with its line.
pub fn read(format: Format, name: &str, text: &str) -> Result<Vec<Edit>, Problems> {
    let Reading { edits, problems } = read_rows(format, name, text)?;
    problems.into_result(edits)
}

/// The same where the rows that are right are to be looked at, too, though others are wrong.
///
/// # Errors
/// When the file as a whole can't be read.
pub fn read_rows(format: Format, name: &str, text: &str) -> Result<Reading, Problems> {
    match format {
        Format::Csv => read_csv(name, text),
        Format::Toml => {
            let document: toml::Table = toml::from_str(text).map_err(|error| {
                let line = error.span().map(|span| line_at(text, span.start));
                let mut problem = problem(name, format!("not valid TOML: {}", error.message().replace('\n', ", ")));
                problem.line = line;
                problem
            })?;
            let value = serde_json::to_value(document).map_err(|error| problem(name, error.to_string()))?;
            let Value::Object(mut top) = value else { return Err(problem(name, "is no table").into()) };
            let devices = top.shift_remove("device").unwrap_or_else(|| json!([]));
            if let Some(key) = top.keys().next() {
                let help = "write [[device]] for each device".to_owned();
                return Err(problem(name, "unknown key").key(key.as_str()).help(help).into());
            }
            objects(name, "device", devices)
        }
        Format::Json => {
            let value = serde_json::from_str(text).map_err(|error| {
                let mut problem = problem(name, format!("not valid JSON: {error}"));
                problem.line = u32::try_from(error.line()).ok();
                problem
            })?;
            objects(name, "", value)
        }
    }
}

fn problem(name: &str, message: impl Into<String>) -> Problem {
    Problem::file(Path::new(name), message)
}

fn line_at(text: &str, offset: usize) -> u32 {
    let before = text.get(..offset).unwrap_or(text);
    u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
}

/// Devices as the API takes them, each with its `mac`.
fn objects(name: &str, what: &str, value: Value) -> Result<Reading, Problems> {
    let Value::Array(items) = value else {
        return Err(problem(name, "must hold an array of devices").into());
    };
    let mut problems = Problems::default();
    let mut edits = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let row = format!("{name}: {}[{index}]", if what.is_empty() { "" } else { what });
        let wrong = |message: &str| problem(&row, message);
        let Value::Object(mut object) = item else {
            problems.push(wrong("must be an object"));
            continue;
        };
        match object.shift_remove("mac") {
            Some(Value::String(text)) => match text.parse::<MacAddr>() {
                Ok(mac) => edits.push(Edit {
                    row: Some(row),
                    name: Name::Device(mac),
                    what: What::Put(object),
                    expect: Expect::Any,
                }),
                Err(error) => problems.push(wrong(&error.to_string()).key("mac")),
            },
            Some(_) => problems.push(wrong("must be a text").key("mac")),
            None => problems.push(wrong("is missing").key("mac")),
        }
    }
    Ok(Reading { edits, problems })
}

/// What a column of a CSV file is.
enum Column {
    Mac,
    Text(&'static str),
    Setting(Key, Vec<String>),
}

/// A column's name in full.
fn long(title: &str) -> &str {
    SHORT.iter().find(|(short, _)| *short == title).map_or(title, |(_, dotted)| dotted)
}

fn column(title: &str) -> Result<Column, Option<String>> {
    let title = title.trim();
    if title == "mac" {
        return Ok(Column::Mac);
    }
    if let Some(head) = HEAD.iter().find(|head| **head == title) {
        return Ok(Column::Text(head));
    }
    let dotted = long(title);
    match Key::parse(dotted) {
        Some(key @ (Key::Param(_) | Key::ParamAccess(_))) => {
            let (first, rest) = dotted.split_once('.').unwrap_or((dotted, ""));
            Ok(Column::Setting(key, vec![first.to_owned(), rest.to_owned()]))
        }
        Some(key) => {
            let path = key.tree_path();
            Ok(Column::Setting(key, path))
        }
        None => {
            let names = HEAD.into_iter().chain(SHORT.map(|(short, _)| short));
            Err(nearest(title, names).map(str::to_owned))
        }
    }
}

fn read_csv(name: &str, text: &str) -> Result<Reading, Problems> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    let broken = |error: csv::Error, lines: &mut Lines<'_>| {
        let mut problem = problem(name, format!("not valid CSV: {}", csv_message(&error)));
        problem.line = error.position().map(|position| lines.line_of(position));
        problem
    };
    let mut problems = Problems::default();
    // The reader would take everything up to the end of the file for one cell.
    if let Some(line) = open_quote(text) {
        let problem =
            problem(name, "a quote that opens here is never closed: the file is cut off, or a quote is missing");
        return Err(problem.line(line).into());
    }
    let mut columns = Vec::new();
    let headers = reader.headers().map_err(|error| broken(error, &mut lines))?.clone();
    for (index, title) in headers.iter().enumerate() {
        let first = headers.iter().take(index).find(|other| long(other) == long(title));
        match column(title) {
            _ if first == Some(title) => {
                problems.push(problem(name, format!("the column \"{title}\" is there twice")).line(1));
            }
            _ if first.is_some() => {
                let message = format!("\"{title}\" is the same column as \"{}\"", first.unwrap_or_default());
                problems.push(problem(name, message).line(1));
            }
            Ok(column) => columns.push(column),
            Err(near) => {
                let help = match near {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "columns are mac, model, serial, group, user, password, proxy and dotted settings such as \
                             lines.2.user or params.Time_Zone"
                        .to_owned(),
                };
                problems.push(problem(name, format!("there is no column \"{title}\"")).line(1).help(help));
            }
        }
    }
    if !headers.iter().any(|title| title == "mac") {
        problems.push(
            problem(name, "has no column \"mac\"").line(1).help("write the names of the columns in the first line"),
        );
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut edits = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(broken(error, &mut lines));
                continue;
            }
        };
        let line = record.position().map_or(1, |position| lines.line_of(position));
        match row(&columns, record.iter()) {
            Ok((mac, patch)) => edits.push(Edit {
                row: Some(format!("{name}:{line}")),
                name: Name::Device(mac),
                what: What::Merge(patch),
                expect: Expect::Any,
            }),
            Err((title, message)) => problems.push(problem(name, message).line(line).key(title)),
        }
    }
    Ok(Reading { edits, problems })
}

/// Counts lines along with a reader, whose own count takes the end of a line for a part of the next.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
}

impl Lines<'_> {
    /// The line that a record begins in; records come in their order.
    fn line_of(&mut self, position: &csv::Position) -> u32 {
        let start = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.text.get(self.at..start + ends).unwrap_or_default();
        let count = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.at = self.at.max(start + ends);
        self.line
    }
}

/// The line of a quote that opens a cell and isn't closed.
fn open_quote(text: &str) -> Option<u32> {
    let (mut line, mut opened) = (1, None);
    let mut begins = true;
    let mut characters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(character) = characters.next() {
        match (opened, character) {
            (None, '"') if begins => opened = Some(line),
            // Two of them stand for one.
            (Some(_), '"') if characters.peek() == Some(&'"') => drop(characters.next()),
            (Some(_), '"') => opened = None,
            _ => {}
        }
        line += u32::from(character == '\n');
        begins = matches!(character, ',' | '\n' | '\r');
    }
    opened
}

/// The reason alone: the position is told with the file.
fn csv_message(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the line has {len} fields, and there are {expected_len} columns")
        }
        csv::ErrorKind::Utf8 { .. } => "holds bytes that are no UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

fn row<'r>(
    columns: &[Column],
    cells: impl Iterator<Item = &'r str>,
) -> Result<(MacAddr, Map<String, Value>), (String, String)> {
    let (mut mac, mut patch, mut settings) = (None, Map::new(), Map::new());
    for (column, cell) in columns.iter().zip(cells) {
        match column {
            Column::Mac => {
                mac = Some(cell.parse::<MacAddr>().map_err(|error| ("mac".to_owned(), error.to_string()))?);
            }
            // What is left empty stays as it is.
            _ if cell.is_empty() => {}
            Column::Text(name) => drop(patch.insert((*name).to_owned(), cell.into())),
            Column::Setting(key, path) => {
                let value = typed(key, cell).map_err(|message| (key.to_string(), message))?;
                put(&mut settings, path, value);
            }
        }
    }
    let mac = mac.ok_or_else(|| ("mac".to_owned(), "is missing".to_owned()))?;
    if !settings.is_empty() {
        patch.insert("settings".to_owned(), settings.into());
    }
    Ok((mac, patch))
}

/// Puts a value at a path.
pub(super) fn put(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => drop(object.insert(name.clone(), value)),
        [name, rest @ ..] => {
            let inner = object.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Writes devices so that they can be read again. Masked secrets, read again, mean those that are stored.
///
/// # Errors
/// When CSV can't hold what a record has.
pub fn export(format: Format, entries: &[Entry], secrecy: &Secrecy, shown: Shown) -> Result<String, FormatError> {
    let objects: Vec<Map<String, Value>> = entries
        .iter()
        .filter_map(|entry| {
            let record = &entry.record.as_ref()?.record;
            let settings = match shown {
                Shown::Real => record.settings.clone(),
                Shown::Masked => secrecy.masked(&record.settings),
            };
            let mut object = Map::from_iter([("mac".to_owned(), json!(entry.mac.to_string()))]);
            let serial = record.serial.as_ref().map(ToString::to_string);
            for (key, text) in [("model", &record.model), ("serial", &serial), ("group", &record.group)] {
                object.extend(text.as_ref().map(|text| (key.to_owned(), json!(text))));
            }
            object.insert("settings".to_owned(), settings.into_map().into());
            Some(object)
        })
        .collect();
    match format {
        Format::Json => {
            let mut text = String::from("[");
            for (index, object) in objects.iter().enumerate() {
                let _ = write!(text, "{}\n  {}", if index == 0 { "" } else { "," }, Value::Object(object.clone()));
            }
            text.push_str(if objects.is_empty() { "]\n" } else { "\n]\n" });
            Ok(text)
        }
        Format::Toml => {
            let document = Map::from_iter([("device".to_owned(), json!(objects))]);
            toml::to_string(&document).map_err(|error| FormatError(error.to_string()))
        }
        Format::Csv => write_csv(&objects),
    }
}

fn write_csv(objects: &[Map<String, Value>]) -> Result<String, FormatError> {
    let mut titles: Vec<String> = HEAD.iter().map(ToString::to_string).collect();
    let mut rows = Vec::with_capacity(objects.len());
    for object in objects {
        let mac = object.get("mac").and_then(Value::as_str).unwrap_or_default();
        let cells = cells(object);
        rows.push(
            cells.map_err(|key| {
                FormatError(format!("{mac}: CSV has no form for what {key} is; export as TOML or JSON"))
            })?,
        );
    }
    for (title, _) in rows.iter().flatten() {
        if !titles.contains(title) {
            titles.push(title.clone());
        }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| FormatError(error.to_string());
    writer.write_record(&titles).map_err(failed)?;
    for row in &rows {
        let cell = |title: &String| row.iter().find(|(name, _)| name == title).map_or("", |(_, cell)| cell.as_str());
        writer.write_record(titles.iter().map(cell)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| FormatError(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| FormatError(error.to_string()))
}

/// The cells of a device by their columns; else the key that CSV can't hold so that it would be read as it was.
fn cells(object: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    let mut cells = Vec::new();
    for (name, value) in object {
        match value {
            Value::Object(settings) if name == "settings" => flatten(settings, "", &mut cells)?,
            value => cells.push((name.clone(), value.as_str().unwrap_or_default().to_owned())),
        }
    }
    Ok(cells)
}

fn flatten(object: &Map<String, Value>, before: &str, cells: &mut Vec<(String, String)>) -> Result<(), String> {
    for (name, value) in object {
        let dotted = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        let cell = match value {
            // A parameter with an access of its own is a table, too; its name may have dots in it.
            Value::Object(inner) if before != "params" && before != "acs.params" => {
                flatten(inner, &dotted, cells)?;
                continue;
            }
            Value::Array(items) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
            }
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        if !is_read_back(&dotted, &cell, value) {
            return Err(dotted);
        }
        let short = SHORT.iter().find(|(_, long)| *long == dotted).map(|(short, _)| (*short).to_owned());
        cells.push((short.unwrap_or(dotted), cell));
    }
    Ok(())
}

/// Whether an import makes the same value of a cell. An empty one means nothing, blanks around it are dropped, and what a
/// line end was depends on the program that the file went through.
fn is_read_back(dotted: &str, cell: &str, value: &Value) -> bool {
    let Some(key) = Key::parse(dotted) else { return false };
    if cell.is_empty() || cell.trim() != cell || cell.contains('\r') {
        return false;
    }
    match (&key, value) {
        // A parameter's number and its text are the same to a phone.
        (Key::Param(_) | Key::AcsParam(_), Value::Number(_) | Value::Bool(_) | Value::String(_)) => true,
        _ if cell == MASK => true,
        _ => typed(&key, cell).is_ok_and(|read| read == *value),
    }
}
