//! Which setting a change comes from, and the file and line that set it.

use std::path::Path;
use std::sync::Arc;

use super::Side;
use super::change::Source;
use crate::packs::{Mapping, sources_of};
use crate::render::{Made, Parameter};
use crate::settings::{Effective, Key, Layer, Origin, SecretSource, Step, Value, trace};

/// One setting that is another now.
#[derive(Debug)]
pub struct Differing {
    pub name: Arc<str>,
    pub key: Key,
    /// As it may be shown: a secret by the place where it stands.
    pub old: Option<String>,
    pub new: Option<String>,
    pub secret: bool,
    pub source: Source,
    pub line: Option<u32>,
}

/// The settings of one side: as they are, and with tokens in the place of secrets.
#[derive(Debug)]
pub struct Settings<'s> {
    pub side: &'s Side<'s>,
    pub plain: Effective,
    pub sealed: Effective,
    pub layers: Vec<&'s Layer>,
    /// The device's own file.
    pub own: Option<&'s Path>,
}

impl Settings<'_> {
    fn shown(&self, key: &Key) -> Option<String> {
        self.plain.get(key).map(|setting| match &setting.value {
            Value::Secret(SecretSource::File(path)) => format!("{{ file = {:?} }}", self.side.named(path)),
            other => other.to_string(),
        })
    }

    fn source(&self, origin: &Origin) -> Source {
        if self.own == Some(&*origin.source) { Source::Own } else { self.side.file(&origin.source) }
    }

    /// The dotted name and the token of each secret.
    pub fn tokens(&self) -> Vec<(String, String)> {
        let secrets = self.sealed.iter().filter_map(|(key, setting)| match &setting.value {
            Value::Secret(source) => Some((key.to_string(), source.text().ok()?.expose_text()?.to_owned())),
            _ => None,
        });
        secrets.collect()
    }
}

/// The settings that differ, in the order of their keys.
pub fn differing(old: &Settings<'_>, new: &Settings<'_>) -> Vec<Differing> {
    let (mut olds, mut news) = (old.sealed.iter().peekable(), new.sealed.iter().peekable());
    let mut found = Vec::new();
    loop {
        let key = match (olds.peek(), news.peek()) {
            (Some((old, _)), Some((new, _))) => (*old).min(*new).clone(),
            (Some((key, _)), None) | (None, Some((key, _))) => (*key).clone(),
            (None, None) => return found,
        };
        let before = olds.next_if(|(own, _)| **own == key).map(|(_, setting)| setting);
        let after = news.next_if(|(own, _)| **own == key).map(|(_, setting)| setting);
        if before.map(|setting| &setting.value) == after.map(|setting| &setting.value) {
            continue;
        }
        let (source, line) = match after {
            Some(setting) => (new.source(&setting.origin), Some(setting.origin.line)),
            None => {
                // What took it away, or, where its line is simply gone, the file that it stood in.
                let unset = trace(new.layers.iter().copied(), &key).into_iter().rev().find_map(|step| match step {
                    Step::Unset(origin, _) => Some((new.source(&origin), Some(origin.line))),
                    Step::Set(_) => None,
                });
                let gone = || before.map(|setting| (old.source(&setting.origin), None));
                unset.or_else(gone).unwrap_or((Source::Unknown, None))
            }
        };
        let secret = [before, after].into_iter().flatten().any(|setting| matches!(setting.value, Value::Secret(_)));
        found.push(Differing {
            name: key.to_string().into(),
            old: before.and_then(|_| old.shown(&key)),
            new: after.and_then(|_| new.shown(&key)),
            key,
            secret,
            source,
            line,
        });
    }
}

/// The settings that a parameter is made from, by dotted name; a name stands for everything under it too.
pub fn reads(parameter: &Parameter, mapping: Option<&Mapping>, family: &str) -> Vec<String> {
    match &parameter.made {
        Made::Params(_) => vec![format!("params.{}", parameter.name)],
        Made::Mapping { pattern, n, .. } => {
            let entries = mapping.and_then(|mapping| mapping.of_family(family));
            let entry = entries.and_then(|entries| entries.iter().find(|entry| entry.pattern == *pattern));
            let read = entry.into_iter().flat_map(|entry| &entry.reads).flat_map(|read| sources_of(read));
            read.map(|read| read.replace("{n}", &n.to_string())).collect()
        }
    }
}

/// The first of the settings that differ which is at or under one of the names.
pub fn among<'d>(differing: &'d [Differing], reads: &[String]) -> Option<&'d Differing> {
    differing.iter().find(|setting| {
        reads.iter().any(|read| {
            setting.name.strip_prefix(read.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    })
}
