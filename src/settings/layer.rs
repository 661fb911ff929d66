//! One layer: a TOML file read against the schema into a flat list of settings, each with its line.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::key::{Key, MAX_NUMBER, Prefix};
use super::schema::{Kind, SECTIONS, Section, Shape, TOP};
use super::value::{SecretError, SecretSource, Value};
use super::zone;
use crate::document::{DeValue, Document, Problem, Problems, Reader, Value as Raw, kind as kind_of, nearest};
use crate::model::{Secret, data_path as path};

/// Which layer a file is; decides what may stand at its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// A pack's `defaults.toml`.
    Pack,
    /// `profiles/defaults.toml`.
    Defaults,
    /// `profiles/models/<model>.toml`.
    Model,
    /// `profiles/groups/<name>.toml`.
    Group,
    /// `profiles/devices/<mac>.toml`.
    Device,
    /// A device's record in the database, or a group's that was set at run time. Model, group, serial number and parent
    /// stand beside it.
    Record,
    /// A pack's `samples/<name>/device.toml`: a device that also says its MAC.
    Sample,
}

/// One setting of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub key: Key,
    pub value: Value,
    /// Counted from 1; 0 where the layer has no lines: a record.
    pub line: u32,
}

/// What a layer says outside the sections, each with its line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Head {
    pub model: Option<(Arc<str>, u32)>,
    pub group: Option<(Arc<str>, u32)>,
    pub serial: Option<(Arc<str>, u32)>,
    pub parent: Option<(Arc<str>, u32)>,
    pub mac: Option<(Arc<str>, u32)>,
}

/// One layer of settings. Immutable; leaves are sorted by key.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The file, as messages name it.
    pub source: Arc<Path>,
    pub unset: Box<[(Prefix, u32)]>,
    pub leaves: Box<[Leaf]>,
    /// Changes when, and only when, the file's text does.
    pub fingerprint: u64,
    /// Whether it holds a secret that stands elsewhere, and can change while the layer does not.
    pub outside: bool,
}

impl Layer {
    /// A layer without settings.
    pub fn empty(source: &Path) -> Self {
        Self { source: source.into(), unset: Box::default(), leaves: Box::default(), fingerprint: 0, outside: false }
    }

    /// The leaf of a key.
    pub fn get(&self, key: &Key) -> Option<&Leaf> {
        self.leaves.binary_search_by(|leaf| leaf.key.cmp(key)).ok().and_then(|at| self.leaves.get(at))
    }
}

/// Reads the settings of a record. `name` is what messages call it; `text` is TOML that was made of its tree, so that its
/// lines mean nothing to anyone, and aren't told.
pub fn read_record(name: &str, text: String) -> Result<Layer, Problems> {
    let document = Document::from_text(name, text);
    match read(&document, LayerKind::Record, Path::new("")) {
        Ok((_, mut layer)) => {
            layer.leaves.iter_mut().for_each(|leaf| leaf.line = 0);
            layer.unset.iter_mut().for_each(|(_, line)| *line = 0);
            Ok(layer)
        }
        Err(found) => {
            let mut problems = Problems::default();
            problems.extend(found.into_iter().map(|problem| Problem { line: None, ..problem }));
            Err(problems)
        }
    }
}

/// Reads one layer. `folder` is what relative `{ file = … }` paths are relative to. Every mistake of the file is
/// reported in one go.
pub fn read(document: &Document, kind: LayerKind, folder: &Path) -> Result<(Head, Layer), Problems> {
    let table = document.parse()?;
    let problems = RefCell::new(Problems::default());
    let reading =
        Reading { reader: Reader::new(document, &table, &problems), kind, folder, leaves: RefCell::default() };
    let head = reading.head(kind);
    let unset = reading.unset();
    for section in SECTIONS {
        reading.section(section);
    }
    let Reading { reader, leaves, .. } = reading;
    reader.finish();
    let mut leaves = leaves.into_inner();
    leaves.sort_by(|a, b| a.key.cmp(&b.key));
    let outside = leaves.iter().any(|leaf| matches!(&leaf.value, Value::Secret(source) if source.is_outside()));
    let layer = Layer {
        outside,
        source: document.path().clone(),
        unset: unset.into(),
        leaves: leaves.into(),
        fingerprint: crate::model::fingerprint(document.text().as_bytes()),
    };
    problems.into_inner().into_result((head, layer))
}

struct Reading<'d> {
    reader: Reader<'d>,
    kind: LayerKind,
    folder: &'d Path,
    leaves: RefCell<Vec<Leaf>>,
}

impl Reading<'_> {
    fn push(&self, key: Key, value: Value, line: u32) {
        self.leaves.borrow_mut().push(Leaf { key, value, line });
    }

    fn head(&self, kind: LayerKind) -> Head {
        let mut head = Head::default();
        let is_device = matches!(kind, LayerKind::Device | LayerKind::Sample);
        for setting in TOP.iter().map(|setting| setting.name).chain(["mac"]) {
            let (slot, allowed, whose) = match setting {
                "model" => (&mut head.model, is_device, "a device's own file"),
                "group" => (&mut head.group, is_device, "a device's own file"),
                "serial" => (&mut head.serial, is_device, "a device's own file"),
                "mac" if kind == LayerKind::Sample => (&mut head.mac, true, ""),
                "parent" => (&mut head.parent, kind == LayerKind::Group, "a group's file"),
                _ => continue,
            };
            if !allowed {
                if self.reader.has(setting) {
                    self.reader.problem(setting, format!("belongs only into {whose}"), None);
                }
                continue;
            }
            let line = self.reader.line_of(setting);
            *slot = self.reader.text(setting).map(|text| (text.into(), line));
        }
        head
    }

    fn unset(&self) -> Vec<(Prefix, u32)> {
        let line = self.reader.line_of("unset");
        let mut unset = Vec::new();
        for name in self.reader.texts("unset").unwrap_or_default() {
            match Prefix::parse(&name) {
                Some(prefix) => unset.push((prefix, line)),
                None => self.reader.problem(
                    "unset",
                    format!("there is no setting \"{name}\""),
                    "write a dotted name such as params.Foo, lines.2 or lines.2.proxy".to_owned(),
                ),
            }
        }
        unset
    }

    fn section(&self, section: &'static Section) {
        let Some(table) = self.reader.table(section.name) else { return };
        match section.shape {
            Shape::Table => self.settings(table, section, None),
            Shape::Numbered => {
                for (name, _) in table.entries() {
                    match name.parse::<u16>() {
                        Ok(n) if (1..=MAX_NUMBER).contains(&n) && !name.starts_with('0') => {
                            if let Some(one) = table.table(name) {
                                self.settings(one, section, Some(n));
                            }
                        }
                        _ => table.problem(
                            name,
                            format!("is no number from 1 to {MAX_NUMBER}"),
                            format!("write [{}.1], [{0}.2] …", section.name),
                        ),
                    }
                }
            }
            Shape::Params => {
                for (name, raw) in table.entries() {
                    self.param(&table, name, raw);
                }
            }
            Shape::Free => self.vars(&table, ""),
        }
    }

    fn settings(&self, table: Reader<'_>, section: &'static Section, n: Option<u16>) {
        for (name, raw) in table.entries() {
            let Some(setting) = section.setting(name) else {
                let help = nearest(name, section.settings.iter().map(|setting| setting.name))
                    .map(|name| format!("did you mean \"{name}\"?"));
                table.problem(name, "unknown setting", help);
                continue;
            };
            if matches!(setting.kind, Kind::Paths | Kind::Notifications) {
                if let Some(inner) = table.table(name) {
                    self.paths(&inner, setting.kind);
                }
                continue;
            }
            let Some(key) = Key::of(section.name, n, setting.name) else { continue };
            match self.value(setting.kind, raw) {
                Ok(value) => self.push(key, value, raw.line),
                Err((message, help)) => table.problem(name, message, help),
            }
        }
    }

    fn value(&self, kind: Kind, raw: Raw<'_>) -> Result<Value, (String, Option<String>)> {
        let wrong = |wanted: &str| Err((format!("must be {wanted}, not {}", kind_of(raw.value)), None));
        match (kind, raw.value) {
            (Kind::Text, DeValue::String(text)) => checked_text(text),
            (Kind::Text, _) => wrong("a text in quotes"),
            (Kind::Bool, DeValue::Boolean(value)) => Ok(Value::Bool(*value)),
            (Kind::Bool, _) => wrong("true or false"),
            (Kind::Integer(min, max), DeValue::Integer(_)) => match integer(raw.value) {
                Some(value) if (min..=max).contains(&value) => Ok(Value::Integer(value)),
                _ => Err((format!("must be from {min} to {max}"), None)),
            },
            (Kind::Integer(..), _) => wrong("a whole number"),
            (Kind::Choice(words), DeValue::String(text)) => choice(text, words),
            (Kind::Choice(_), _) => wrong("a text in quotes"),
            (Kind::Texts | Kind::Choices(_) | Kind::Networks, DeValue::Array(items)) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items.iter() {
                    let DeValue::String(text) = item.get_ref() else { return wrong("a list of texts") };
                    values.push(match kind {
                        Kind::Choices(words) => choice(text, words)?,
                        Kind::Networks => network(text)?,
                        _ => checked_text(text)?,
                    });
                }
                Ok(Value::List(values.into()))
            }
            (Kind::Texts | Kind::Choices(_) | Kind::Networks, _) => wrong("a list of texts"),
            (Kind::TimeZone, DeValue::String(text)) => match zone::clock(text) {
                Ok(_) => Ok(Value::Text(text.as_ref().into())),
                Err(error) => {
                    Err((error.to_string(), zone::nearest(text).map(|name| format!("did you mean \"{name}\"?"))))
                }
            },
            (Kind::TimeZone, _) => wrong("a text in quotes"),
            (Kind::Schedule, DeValue::Integer(_)) => match integer(raw.value) {
                Some(value) if (0..=31_536_000).contains(&value) => Ok(Value::Integer(value)),
                _ => Err(("must be from 0 to 31536000 seconds".to_owned(), None)),
            },
            (Kind::Schedule, DeValue::String(text)) if is_schedule(text) => Ok(Value::Text(text.as_ref().into())),
            (Kind::Schedule, DeValue::String(_)) => Err((
                "is no schedule".to_owned(),
                Some("write seconds: 3600, \"3600+600\" or \"1800,3600,7200\"".to_owned()),
            )),
            (Kind::Schedule, _) => wrong("a number of seconds or a schedule in quotes"),
            (Kind::BaseUrl, DeValue::String(text)) => base_url(text),
            (Kind::BaseUrl, _) => wrong("a text in quotes"),
            (Kind::Paths | Kind::Notifications, _) => wrong("a table"),
            (Kind::Secret, DeValue::String(text)) => {
                checked_text(text)?;
                Ok(Value::Secret(SecretSource::Text(Secret::new(text.as_bytes()))))
            }
            (Kind::Secret, DeValue::Table(_)) => match self.secret(raw.value) {
                Some(result) => result,
                None => Err(not_a_secret()),
            },
            (Kind::Secret, _) => wrong("a secret: a text, { env = … }, { file = … }, { hex = … } or { base64url = … }"),
        }
    }

    /// A secret reference, if the value is a table of one of its forms.
    fn secret(&self, value: &DeValue<'_>) -> Option<Result<Value, (String, Option<String>)>> {
        let DeValue::Table(table) = value else { return None };
        let mut entries = table.iter();
        let (Some((name, value)), None) = (entries.next(), entries.next()) else { return None };
        let DeValue::String(text) = value.get_ref() else { return None };
        let source = match name.get_ref().as_ref() {
            // Whoever may write a record must not read the server's files by it.
            "env" | "file" if self.kind == LayerKind::Record => Err(SecretError::Outside),
            "env" | "file" if text.is_empty() => Err(SecretError::Nowhere),
            "env" => Ok(SecretSource::Env(text.as_ref().into())),
            "file" => Ok(SecretSource::File(self.folder.join(PathBuf::from(text.as_ref())).into())),
            "hex" => SecretSource::hex(text),
            "base64url" => SecretSource::base64url(text),
            _ => return None,
        };
        Some(source.map(Value::Secret).map_err(|error| (error.to_string(), None)))
    }

    fn param(&self, table: &Reader<'_>, name: &str, raw: Raw<'_>) {
        if name.is_empty() || name.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | '&' | '"')) {
            table.problem(name, "is no name of a parameter", None);
            return;
        }
        let key = || Key::Param(name.into());
        if let Some(result) = self.secret(raw.value) {
            match result {
                Ok(value) => self.push(key(), value, raw.line),
                Err((message, help)) => table.problem(name, message, help),
            }
            return;
        }
        if let DeValue::Table(_) = raw.value {
            let Some(inner) = table.table(name) else { return };
            if let Some(value) = inner.find("value") {
                match self.secret(value.value).unwrap_or_else(|| scalar(value)) {
                    Ok(found) => self.push(key(), found, value.line),
                    Err((message, help)) => inner.problem("value", message, help),
                }
            }
            let line = inner.line_of("access");
            if let Some(access) = inner.text("access") {
                self.push(Key::ParamAccess(name.into()), Value::Text(access.into()), line);
            }
            inner.finish();
            return;
        }
        match scalar(raw) {
            Ok(value) => self.push(key(), value, raw.line),
            Err((message, help)) => table.problem(name, message, help),
        }
    }

    /// A table of data-model parameters, by their paths.
    fn paths(&self, table: &Reader<'_>, kind: Kind) {
        for (path, raw) in table.entries() {
            let checked = if kind == Kind::Paths { path::check_path(path) } else { path::check_partial(path) };
            if let Err(error) = checked {
                table.problem(
                    path,
                    error.to_string(),
                    "write the whole path in quotes: \"Device.LAN.DNSServers\"".to_owned(),
                );
                continue;
            }
            let result = match (kind, raw.value) {
                (Kind::Paths, _) => self.secret(raw.value).unwrap_or_else(|| scalar(raw)),
                (_, DeValue::String(text)) => choice(text, NOTIFICATIONS),
                (_, other) => Err((format!("must be a text in quotes, not {}", kind_of(other)), None)),
            };
            let key = if kind == Kind::Paths { Key::AcsParam(path.into()) } else { Key::AcsNotification(path.into()) };
            match result {
                Ok(value) => self.push(key, value, raw.line),
                Err((message, help)) => table.problem(path, message, help),
            }
        }
    }

    fn vars(&self, table: &Reader<'_>, prefix: &str) {
        for (name, raw) in table.entries() {
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                table.problem(name, "templates can't name this", "use letters, digits and _".to_owned());
                continue;
            }
            let dotted = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            let result = match (self.secret(raw.value), raw.value) {
                (Some(result), _) => result,
                (None, DeValue::Table(_)) => {
                    if let Some(inner) = table.table(name) {
                        self.vars(&inner, &dotted);
                    }
                    continue;
                }
                (None, DeValue::Array(items)) => items
                    .iter()
                    .map(|item| scalar(Raw { value: item.get_ref(), line: raw.line }))
                    .collect::<Result<Vec<_>, _>>()
                    .map(|items| Value::List(items.into())),
                (None, _) => scalar(raw),
            };
            match result {
                Ok(value) => self.push(Key::Var(dotted.into()), value, raw.line),
                Err((message, help)) => table.problem(name, message, help),
            }
        }
    }
}

type Refused = (String, Option<String>);

/// What a phone does about the change of a data-model parameter.
const NOTIFICATIONS: &[&str] = &["off", "passive", "active"];

fn not_a_secret() -> Refused {
    ("must be a secret: a text, { env = … }, { file = … }, { hex = … } or { base64url = … }".to_owned(), None)
}

/// A text that a profile can carry. Line ends and tabs are left to the file's format.
fn checked_text(text: &str) -> Result<Value, Refused> {
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        None => Ok(Value::Text(text.into())),
        Some(control) => {
            Err((format!("holds the control character U+{:04X}, which no profile can carry", u32::from(control)), None))
        }
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let DeValue::Integer(number) = value else { return None };
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn scalar(raw: Raw<'_>) -> Result<Value, Refused> {
    match raw.value {
        DeValue::String(text) => checked_text(text),
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        DeValue::Integer(_) => {
            integer(raw.value).map(Value::Integer).ok_or_else(|| ("is too large a number".to_owned(), None))
        }
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Float(value)),
            _ => Err(("must be a finite number".to_owned(), None)),
        },
        other => Err((format!("must be a text, a number, true or false, not {}", kind_of(other)), None)),
    }
}

fn choice(text: &str, words: &'static [&'static str]) -> Result<Value, Refused> {
    match words.iter().find(|word| **word == text) {
        Some(word) => Ok(Value::Text((*word).into())),
        None => Err((
            format!("must be one of {}, not \"{text}\"", words.join(", ")),
            nearest(text, words.iter().copied()).map(|word| format!("did you mean \"{word}\"?")),
        )),
    }
}

fn network(text: &str) -> Result<Value, Refused> {
    let net = text
        .parse::<ipnet::IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from))
        .map_err(|_| (format!("\"{text}\" is no network"), Some("write 192.0.2.0/24 or 2001:db8::/32".to_owned())))?;
    Ok(Value::Text(net.trunc().to_string().into()))
}

/// Comma-separated seconds, each with an optional `+seconds` of chance: `1800+300,3600`.
fn is_schedule(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.len() <= 8 && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split(',').all(|element| match element.trim().split_once('+') {
        Some((seconds, chance)) => is_number(seconds) && is_number(chance),
        None => is_number(element.trim()),
    })
}

fn base_url(text: &str) -> Result<Value, Refused> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = host.is_some_and(|host| {
        !host.is_empty()
            && !host.starts_with(['/', ':'])
            && !host.ends_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !host.contains(['?', '#', '"', '<', '>', '\''])
    });
    if fits {
        return Ok(Value::Text(text.into()));
    }
    Err((
        "is no base URL".to_owned(),
        Some(
            "write https://prov.example.com or https://prov.example.com:8443/path, with no slash at the end".to_owned(),
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Result<(Head, Layer), Vec<String>> {
        let document = Document::from_text("d.toml", text.to_owned());
        read(&document, LayerKind::Device, Path::new("profiles"))
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_device_file_is_read_with_its_lines() {
        let (head, layer) = layer("model = \"CP-6841-3PCC\"\n[lines.1]\nuser = \"1001\"\npassword = { env = \"SIP_1001\" }\n[params]\nFoo = { value = 3, access = \"rw\" }\n[vars.site]\nfloor = 2\n").unwrap();
        assert_eq!(head.model, Some(("CP-6841-3PCC".into(), 1)));
        let names: Vec<_> =
            layer.leaves.iter().map(|leaf| format!("{}:{}={}", leaf.line, leaf.key, leaf.value)).collect();
        assert_eq!(
            names,
            [
                "3:lines.1.user=\"1001\"",
                "4:lines.1.password={ env = \"SIP_1001\" }",
                "6:params.Foo=3",
                "6:params.Foo.access=\"rw\"",
                "8:vars.site.floor=2"
            ]
        );
    }

    #[test]
    fn every_mistake_is_named() {
        let problems = layer("parent = \"x\"\nunset = [\"linse.2\"]\n[line.1]\nuser = \"1\"\n[lines.1]\npasword = \"x\"\nport = 0\ntransport = \"tpc\"\nuser = \"a\\u0000b\"\n[lines.first]\n[access]\nnetworks = [\"10.0.0.0/33\"]\n[time]\nzone = \"Europe/Wien\"\n[provisioning]\nurl = \"prov.example.com\"\ninterval = \"often\"\n").unwrap_err();
        assert_eq!(problems.len(), 12, "{problems:#?}");
        assert!(
            problems.contains(&"d.toml:6: lines.1.pasword: unknown setting (did you mean \"password\"?)".to_owned()),
            "{problems:#?}"
        );
        assert!(
            problems.contains(&"d.toml:3: line: unknown key (did you mean \"lines\"?)".to_owned()),
            "{problems:#?}"
        );
    }

    #[test]
    fn schedules() {
        for good in ["3600", "3600+600", "1800+300,3600+600, 7200"] {
            assert!(is_schedule(good), "{good}");
        }
        for bad in ["", "a", "1,", "+5", "1+", "1 2", "123456789"] {
            assert!(!is_schedule(bad), "{bad}");
        }
    }

    #[test]
    fn all_schema_sections_are_named_apart() {
        for (index, section) in SECTIONS.iter().enumerate() {
            assert!(SECTIONS.iter().skip(index + 1).all(|other| other.name != section.name));
            for (index, setting) in section.settings.iter().enumerate() {
                assert!(section.settings.iter().skip(index + 1).all(|other| other.name != setting.name));
            }
        }
    }
}
