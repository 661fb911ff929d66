//! `SETTING=VALUE` on the command line, as the settings of a record.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Failure, data_file};
use crate::fleet::typed;
use crate::settings::Key;

/// What of a record stands beside its settings; those have options of their own.
const TEXTS: [&str; 5] = ["mac", "model", "serial", "group", "parent"];

/// Reads assignments into a tree of settings. `SETTING=@FILE` takes the value from a file and `SETTING=@-` from standard
/// input, without the line end after it; `@@` stands for a value that begins with `@`. A name that is none of a setting's
/// is put into the tree all the same: whoever reads it tells what would have been right.
///
/// # Errors
/// When an assignment is none, or a file can't be read. No message repeats a value: it may be a secret.
pub fn read(assignments: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut settings = Map::new();
    for assignment in assignments {
        let (name, value) = assignment.split_once('=').ok_or_else(|| {
            Failure::Other("a setting is written SETTING=VALUE, such as lines.1.user=1001".to_owned())
        })?;
        if let Some(option) = TEXTS.iter().find(|text| **text == name) {
            let message = match *option {
                "mac" => "a device's MAC stays as it is: add another device, and remove this one".to_owned(),
                option => format!("{option} is no setting: write --{option} VALUE"),
            };
            return Err(Failure::Other(message));
        }
        let value = given(name, value)?;
        let value = if name == "unset" {
            value.split(';').map(str::trim).filter(|name| !name.is_empty()).map(Value::from).collect()
        } else {
            match Key::parse(name) {
                Some(key) => typed(&key, &value).map_err(|message| Failure::because(name, message))?,
                None => value.into(),
            }
        };
        put(&mut settings, &path(name), value);
    }
    Ok(settings)
}

/// The patch that takes settings out of a record again.
pub fn without(settings: &mut Map<String, Value>, texts: &mut Map<String, Value>, names: &[String]) {
    for name in names {
        if TEXTS.contains(&name.as_str()) {
            texts.insert(name.clone(), Value::Null);
        } else {
            put(settings, &path(name), Value::Null);
        }
    }
}

/// Where a setting stands in the tree. A parameter's name is one name, whatever is in it.
pub fn path(name: &str) -> Vec<String> {
    match name.split_once('.') {
        Some(("params", parameter)) => vec!["params".to_owned(), parameter.to_owned()],
        Some(("acs", _)) if let Some(key @ (Key::AcsParam(_) | Key::AcsNotification(_))) = Key::parse(name) => {
            key.tree_path()
        }
        _ => name.split('.').map(str::to_owned).collect(),
    }
}

fn put(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => drop(object.insert(name.clone(), value)),
        [name, rest @ ..] => {
            let inner = object.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The value that is meant: `@FILE` is what stands in a file, `@-` what comes from standard input, `@@` begins one with `@`.
///
/// # Errors
/// When a file can't be read.
pub fn given(name: &str, value: &str) -> Result<String, Failure> {
    match value.strip_prefix('@') {
        Some(literal) if literal.starts_with('@') => Ok(literal.to_owned()),
        Some(file) => from_file(name, file),
        None => Ok(value.to_owned()),
    }
}

fn from_file(name: &str, file: &str) -> Result<String, Failure> {
    let file = Path::new(file);
    let text = String::from_utf8(data_file::read(file)?)
        .map_err(|_| Failure::because(name, format_args!("{} is no UTF-8 text", data_file::name(file))))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(assignments: &[&str]) -> Result<Value, String> {
        let assignments: Vec<_> = assignments.iter().map(|text| (*text).to_owned()).collect();
        read(&assignments).map(Value::Object).map_err(|failure| failure.to_string())
    }

    #[test]
    fn assignments_become_a_tree() {
        let made = tree(&[
            "lines.1.user=1001",
            "lines.1.port=5061",
            "lines.1.enabled=true",
            "lines.1.codecs=g722; pcma",
            "params.a.b=x=y",
            "acs.params.Device.LAN.DNSServers=192.0.2.1",
            "vars.site.name=@@home",
            "unset=params.Foo; lines.2",
        ]);
        let expected = serde_json::json!({
            "lines": {"1": {"user": "1001", "port": 5061, "enabled": true, "codecs": ["g722", "pcma"]}},
            "params": {"a.b": "x=y"},
            "acs": {"params": {"Device.LAN.DNSServers": "192.0.2.1"}},
            "vars": {"site": {"name": "@home"}},
            "unset": ["params.Foo", "lines.2"],
        });
        assert_eq!(made, Ok(expected));
    }

    #[test]
    fn what_is_none_is_told_without_its_value() {
        let wrong = |assignment: &str| tree(&[assignment]).unwrap_err();
        assert!(wrong("lines.1.password").contains("SETTING=VALUE"));
        assert!(wrong("model=secret-word").contains("--model") && !wrong("model=secret-word").contains("secret"));
        assert!(wrong("lines.1.port=many").contains("lines.1.port: must be a whole number"));
        assert!(wrong("lines.1.password=@/nowhere/at-all").contains("/nowhere/at-all"));
    }
}
