//! A tree of settings as JSON: what the API takes, and what the database holds.

use std::fmt;

use serde_json::{Map, Value};

use crate::document::Problems;
use crate::settings::{Key, Layer, read_record};

/// What stands for a secret where it may not be shown. Written back, it means the secret that is there.
pub const MASK: &str = "***";

/// The settings of a record: the tree of a device's file. May hold secrets, so that `Debug` shows nothing of it.
#[derive(Clone, Default, PartialEq)]
pub struct Tree(Map<String, Value>);

/// Why a tree is none of settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("{0}: null is no value; leave the setting out, or name it in `unset`")]
    Null(String),
    #[error("{0}: is too large a number")]
    Number(String),
    #[error("can't be written as TOML: {0}")]
    Toml(String),
}

impl Tree {
    pub fn new(tree: Map<String, Value>) -> Self {
        Self(tree)
    }

    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a path of names.
    pub fn get(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(first)?, |value, name| value.get(name))
    }

    /// The place of a value that is there.
    pub fn get_mut(&mut self, path: &[String]) -> Option<&mut Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get_mut(first)?, |value, name| value.get_mut(name))
    }

    /// The path that a setting's value stands at, in the form that it was written in.
    pub fn path_of(&self, key: &Key) -> Vec<String> {
        match key {
            Key::Param(_) => {
                let mut path = key.tree_path();
                if self.get(&path).is_some_and(|value| value.get("value").is_some()) {
                    path.push("value".to_owned());
                }
                path
            }
            _ => key.tree_path(),
        }
    }

    /// The tree as a layer of settings; `name` is what messages call it.
    pub fn layer(&self, name: &str) -> Result<Layer, Problems> {
        let problem = |error: TreeError| {
            Problems::from(crate::document::Problem::file(std::path::Path::new(name), error.to_string()))
        };
        read_record(name, self.toml().map_err(problem)?)
    }

    /// The tree as TOML, the same text for the same tree.
    pub fn toml(&self) -> Result<String, TreeError> {
        let mut path = Vec::new();
        self.0.iter().try_for_each(|(name, value)| check(name, value, &mut path))?;
        toml::to_string(&self.0).map_err(|error| TreeError::Toml(error.to_string()))
    }

    /// Visits every object of the tree with its dotted name; where the visitor gives a value, it takes the object's place.
    pub fn replace_objects<E>(
        &mut self,
        mut replace: impl FnMut(&str, &Map<String, Value>) -> Result<Option<Value>, E>,
    ) -> Result<(), E> {
        let mut path = Vec::new();
        self.0.iter_mut().try_for_each(|(name, value)| visit(name, value, &mut path, &mut replace))
    }

    /// Every text of the tree with its path.
    pub fn texts(&self) -> Vec<(Vec<String>, &str)> {
        let mut found = Vec::new();
        let mut path = Vec::new();
        self.0.iter().for_each(|(name, value)| texts(name, value, &mut path, &mut found));
        found
    }
}

fn check(name: &str, value: &Value, path: &mut Vec<String>) -> Result<(), TreeError> {
    path.push(name.to_owned());
    match value {
        Value::Null => return Err(TreeError::Null(path.join("."))),
        Value::Number(number) if number.as_i64().is_none() && !number.is_f64() => {
            return Err(TreeError::Number(path.join(".")));
        }
        Value::Object(inner) => inner.iter().try_for_each(|(name, value)| check(name, value, path))?,
        Value::Array(items) => items.iter().try_for_each(|value| check("[]", value, path))?,
        _ => {}
    }
    path.pop();
    Ok(())
}

fn visit<E>(
    name: &str,
    value: &mut Value,
    path: &mut Vec<String>,
    replace: &mut impl FnMut(&str, &Map<String, Value>) -> Result<Option<Value>, E>,
) -> Result<(), E> {
    let Value::Object(inner) = value else { return Ok(()) };
    path.push(name.to_owned());
    match replace(&path.join("."), inner)? {
        Some(new) => *value = new,
        None => inner.iter_mut().try_for_each(|(name, value)| visit(name, value, path, replace))?,
    }
    path.pop();
    Ok(())
}

fn texts<'t>(name: &str, value: &'t Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, &'t str)>) {
    path.push(name.to_owned());
    match value {
        Value::String(text) => found.push((path.clone(), text)),
        Value::Object(inner) => inner.iter().for_each(|(name, value)| texts(name, value, path, found)),
        _ => {}
    }
    path.pop();
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tree(…)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(value: Value) -> Tree {
        match value {
            Value::Object(map) => Tree::new(map),
            _ => Tree::default(),
        }
    }

    #[test]
    fn a_tree_is_read_as_a_file_would_be() {
        let tree = tree(json!({
            "params": {"Foo": 1, "Bar": {"value": "x", "access": "ro"}},
            "lines": {"1": {"user": "1001", "enabled": true, "codecs": ["g722"]}},
            "unset": ["params.Baz"],
        }));
        let layer = tree.layer("database/devices/000e08abcdef").unwrap();
        let told: Vec<String> = layer.leaves.iter().map(|leaf| format!("{} {}", leaf.key, leaf.value)).collect();
        assert_eq!(
            told,
            [
                "lines.1.enabled true",
                "lines.1.user \"1001\"",
                "lines.1.codecs [\"g722\"]",
                "params.Bar \"x\"",
                "params.Foo 1",
                "params.Bar.access \"ro\""
            ]
        );
        assert_eq!(layer.unset.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_dotted_name() {
        let wrong = |value: Value| tree(value).layer("database/devices/x").unwrap_err().to_string();
        assert_eq!(
            wrong(json!({"lines": {"1": {"usr": "1001"}}})),
            "database/devices/x: lines.1.usr: unknown setting (did you mean \"user\"?)"
        );
        assert!(wrong(json!({"lines": {"1": {"user": null}}})).contains("lines.1.user: null is no value"));
        assert!(wrong(json!({"lines": {"1": {"password": {"file": "/etc/passwd"}}}})).contains("outside the record"));
        assert!(wrong(json!({"model": "x"})).contains("model"));
    }

    #[test]
    fn the_same_tree_has_the_same_fingerprint() {
        let fingerprint = |value: Value| tree(value).layer("x").unwrap().fingerprint;
        let one = json!({"lines": {"1": {"user": "1001"}}});
        assert_eq!(fingerprint(one.clone()), fingerprint(one));
    }
}
