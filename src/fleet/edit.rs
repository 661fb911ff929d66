//! What is to be changed: a device or group as it is to be, or what is to be different about it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::document::{Problem, Problems, nearest};
use crate::model::{MacAddr, Serial};
use crate::records::{GroupRecord, MASK, Record, Tree};
use crate::settings::Key;
use crate::settings::schema::Kind;

/// Whose record it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    Device(MacAddr),
    Group(String),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(mac) => mac.fmt(f),
            Self::Group(name) => write!(f, "the group {name}"),
        }
    }
}

impl Name {
    /// What messages and origins call the record.
    pub(super) fn source(&self) -> String {
        match self {
            Self::Device(mac) => Record::name(*mac),
            Self::Group(name) => GroupRecord::source(name),
        }
    }
}

/// One change.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Where it was asked for, `phones.csv:7`; none where there is but one.
    pub row: Option<String>,
    pub name: Name,
    pub what: What,
    pub expect: Expect,
}

/// What becomes of a record. Objects have `model`, `serial`, `group` (a group: `parent`) and `settings`.
#[derive(Clone)]
pub enum What {
    /// It is to be this.
    Put(Map<String, Value>),
    /// These are to be different: a JSON merge patch (RFC 7396); null takes a value away.
    Merge(Map<String, Value>),
    Remove,
}

/// Only what: the values may be secret.
impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Put(_) => "Put",
            Self::Merge(_) => "Merge",
            Self::Remove => "Remove",
        })
    }
}

/// What has to be there for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Any,
    Absent,
    Present,
    /// The record as it was at this revision.
    Revision(i64),
}

/// The parts that an object is made of.
pub(super) struct Parts {
    pub texts: HashMap<&'static str, String>,
    pub settings: Tree,
}

const DEVICE_TEXTS: &[&str] = &["model", "serial", "group"];
const GROUP_TEXTS: &[&str] = &["parent"];

impl Name {
    pub(super) fn texts(&self) -> &'static [&'static str] {
        match self {
            Self::Device(_) => DEVICE_TEXTS,
            Self::Group(_) => GROUP_TEXTS,
        }
    }
}

/// Takes an object apart.
pub(super) fn parts(name: &Name, object: Map<String, Value>) -> Result<Parts, Problems> {
    let source = name.source();
    let problem = |message: String| Problem::file(std::path::Path::new(&source), message);
    let mut problems = Problems::default();
    let mut parts = Parts { texts: HashMap::new(), settings: Tree::default() };
    for (key, value) in object {
        let known = name.texts().iter().find(|text| **text == key);
        match (known, value) {
            (Some(_), Value::Null) => {}
            (Some(known), Value::String(text)) if !text.is_empty() => {
                parts.texts.insert(*known, text);
            }
            (Some(_), _) => problems.push(problem("must be a text that is not empty, or null".to_owned()).key(key)),
            (None, Value::Object(settings)) if key == "settings" => parts.settings = Tree::new(settings),
            (None, Value::Null) if key == "settings" => {}
            (None, _) if key == "settings" => problems.push(problem("must be an object".to_owned()).key(key)),
            (None, _) => {
                let names = name.texts().iter().copied().chain(["settings"]);
                let near = nearest(&key, names).map(|near| format!("did you mean \"{near}\"?"));
                let unknown = problem("unknown key".to_owned()).key(key);
                problems.push(match near {
                    Some(near) => unknown.help(near),
                    None => unknown.help(format!("there are {} and settings", name.texts().join(", "))),
                });
            }
        }
    }
    problems.into_result(parts)
}

/// A device's record of its parts.
pub(super) fn record(mac: MacAddr, mut parts: Parts) -> Result<Record, Problems> {
    let serial =
        parts.texts.remove("serial").map(|text| text.parse::<Serial>()).transpose().map_err(|error| {
            Problem::file(std::path::Path::new(&Record::name(mac)), error.to_string()).key("serial")
        })?;
    Ok(Record {
        mac,
        model: parts.texts.remove("model"),
        serial,
        group: parts.texts.remove("group"),
        settings: parts.settings,
    })
}

/// The longest name of a group.
const NAME_LIMIT: usize = 100;

/// A group's record of its parts.
pub(super) fn group(name: &str, mut parts: Parts) -> Result<GroupRecord, Problems> {
    let fits = !name.is_empty()
        && name.len() <= NAME_LIMIT
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !fits {
        let problem =
            Problem::file(std::path::Path::new("database/groups"), format!("\"{name}\" is no name of a group"));
        let help = format!("use up to {NAME_LIMIT} letters, digits, -, _ and . beginning with a letter or digit");
        return Err(problem.help(help).into());
    }
    Ok(GroupRecord { name: name.to_owned(), parent: parts.texts.remove("parent"), settings: parts.settings })
}

/// The object that a record is changed as.
pub(super) fn object_of(texts: [(&str, Option<String>); 3], settings: &Tree) -> Map<String, Value> {
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::String(text?))));
    texts.chain([("settings".to_owned(), Value::Object(settings.as_map().clone()))]).collect()
}

/// A merge patch, as RFC 7396 has it.
pub(super) fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.shift_remove(&key)),
            Value::Object(inner) => {
                let place = target.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                if let Value::Object(place) = place {
                    merge(place, inner);
                }
            }
            value => drop(target.insert(key, value)),
        }
    }
}

/// Puts back the secrets that were masked where they were shown.
pub(super) fn unmask(settings: &mut Tree, old: Option<&Tree>, name: &Name) -> Result<(), Problems> {
    let masked: Vec<Vec<String>> =
        settings.texts().into_iter().filter(|(_, text)| *text == MASK).map(|(path, _)| path).collect();
    let mut problems = Problems::default();
    for path in masked {
        match (old.and_then(|old| old.get(&path)), settings.get_mut(&path)) {
            (Some(stored), Some(place)) => *place = stored.clone(),
            _ => {
                let message = format!("{MASK} stands for a secret that is stored, and none is stored here");
                let problem = Problem::file(std::path::Path::new(&name.source()), message);
                problems.push(problem.key(path.join(".")).help("write the secret itself"));
            }
        }
    }
    problems.into_result(())
}

/// The value that a text means for a setting: of a column, or of the command line.
///
/// # Errors
/// What is wrong, in words.
pub fn typed(key: &Key, text: &str) -> Result<Value, String> {
    let kind = key.schema().map(|(_, setting)| setting.kind);
    Ok(match kind {
        Some(Kind::Bool) => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(format!("must be true or false, not \"{text}\"")),
        },
        Some(Kind::Integer(..)) => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => return Err(format!("must be a whole number, not \"{text}\"")),
        },
        Some(Kind::Schedule) => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        Some(Kind::Texts | Kind::Choices(_) | Kind::Networks) => {
            text.split(';').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
        }
        _ => text.into(),
    })
}
