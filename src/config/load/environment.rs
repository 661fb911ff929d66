//! The variables of the environment: which override keys, and which are a slip of the pen.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use crate::config::reference::{PREFIX, RESERVED, RESERVED_PREFIXES, RESERVED_URL};
use crate::document::{Problem, nearest};

/// The environment as it was when loading began. Like a [`Reader`](crate::document::Reader), it remembers what was asked
/// for, so that what nobody asked for can be reported.
pub struct Environment {
    /// None: the value is not UTF-8.
    variables: BTreeMap<String, Option<String>>,
    asked: RefCell<BTreeSet<String>>,
}

impl Environment {
    pub fn new<N: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into().to_string_lossy().into_owned(), value.into().into_string().ok()))
            .collect();
        Self { variables, asked: RefCell::default() }
    }

    /// A variable, if it is set: its text, or nothing where it is not UTF-8.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.variables.get(name).map(Option::as_deref)
    }

    /// Reports every variable that begins as an override does and overrides nothing.
    pub fn finish(self) -> Vec<Problem> {
        let asked = self.asked.into_inner();
        let mut problems = Vec::new();
        for (name, value) in &self.variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let known = asked.contains(name)
                || RESERVED.iter().any(|reserved| reserved.name == name)
                || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                || name == RESERVED_URL && value.as_ref().is_some_and(|value| value.contains("://"));
            if known {
                continue;
            }
            // Compared without the prefix, which alone would make any two of them alike.
            let names = asked.iter().map(String::as_str).chain(RESERVED.iter().map(|reserved| reserved.name));
            let help = match nearest(rest, names.filter_map(|name| name.strip_prefix(PREFIX))) {
                Some(near) => format!("did you mean {PREFIX}{near}?"),
                None => "docs/configuration.md tells which there are".to_owned(),
            };
            problems.push(Problem::file(Path::new(name), "this variable overrides no key").help(help));
        }
        problems
    }
}
