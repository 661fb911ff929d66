//! Which layer set what: the settings that hold for a device with what each layer did to them, and how each parameter of
//! a file came about. Nothing here shows a secret.

use std::collections::BTreeSet;
use std::fmt;

use super::generation::Generation;
use super::profiles::Device;
use crate::packs::{Entry, Expressions, Mapping, Model, Pack, sources_of};
use crate::render::{MASK, Made, Parameter};
use crate::settings::{Key, Layer, Setting, Step, Value, trace};

/// One device's settings, and what they come from.
#[derive(Debug)]
pub struct Provenance<'g> {
    layers: Vec<&'g Layer>,
    pack: &'g Pack,
    model: &'g Model,
    /// Every setting that holds, in the order of the docs.
    settings: Vec<(String, Key)>,
    /// The same by dotted name.
    by_name: Vec<usize>,
    /// What of `vars` a secret parameter is made from.
    secret_vars: BTreeSet<&'g str>,
}

/// One setting, and what every layer did to it, weakest first.
#[derive(Debug, Clone)]
pub struct Explained {
    pub key: Key,
    pub steps: Vec<Step>,
    /// Whether its values may not be shown, though nothing in their layer says so.
    secret: bool,
}

/// How a parameter of a file came about.
#[derive(Debug)]
pub struct ParameterTrace<'g> {
    /// File and line of the expression, or of the `[params]` that set it.
    pub made_by: String,
    pub expression: Option<&'g str>,
    /// What the expression reads.
    pub settings: Vec<Explained>,
    /// Settings that the expression reads and nothing sets.
    pub unset: Vec<String>,
}

impl<'g> Provenance<'g> {
    /// None where the device's model has gone.
    pub fn new(generation: &'g Generation, device: &'g Device) -> Option<Self> {
        let (pack, model) = generation.packs.pack_and_model(device.model)?;
        let effective = generation.settings(device);
        let settings: Vec<_> = effective.iter().map(|(key, _)| (key.to_string(), key.clone())).collect();
        let mut by_name: Vec<usize> = (0..settings.len()).collect();
        by_name.sort_by_key(|at| settings.get(*at).map(|(name, _)| name.as_str()));
        let secret_vars = secret_vars(pack, model);
        Some(Self { layers: generation.layers(device), pack, model, settings, by_name, secret_vars })
    }

    /// Every setting that holds.
    pub fn all(&self) -> Vec<Explained> {
        self.settings.iter().map(|(_, key)| self.explained(key, false)).collect()
    }

    /// The settings at or under a dotted name.
    pub fn under(&self, name: &str) -> Vec<Explained> {
        self.found(name).into_iter().map(|key| self.explained(key, false)).collect()
    }

    fn found(&self, name: &str) -> Vec<&Key> {
        let dotted = |at: &usize| self.settings.get(*at).map_or("", |(dotted, _)| dotted.as_str());
        let first = self.by_name.partition_point(|at| dotted(at) < name);
        let after = self.by_name.get(first..).unwrap_or_default().iter();
        let mut places: Vec<usize> = after
            .take_while(|at| dotted(at).starts_with(name))
            .filter(|at| is_under(dotted(at), name))
            .copied()
            .collect();
        places.sort_unstable();
        places.iter().filter_map(|at| self.settings.get(*at)).map(|(_, key)| key).collect()
    }

    fn explained(&self, key: &Key, in_secret: bool) -> Explained {
        let steps = trace(self.layers.iter().copied(), key);
        let secret = match key {
            Key::Param(name) => in_secret || self.pack.parameters.get(name).is_some_and(|known| known.secret),
            Key::AcsParam(path) => {
                let known = self.pack.data_model.as_ref().and_then(|data_model| data_model.get(path));
                in_secret || known.is_some_and(|known| known.secret)
            }
            // The schema doesn't know what the operator keeps in one.
            Key::Var(name) => in_secret || self.secret_vars.iter().any(|read| is_under(name, read)),
            _ => false,
        };
        Explained { key: key.clone(), steps, secret }
    }

    /// How a parameter of one of the device's files came about; `mapping` is the file's.
    pub fn of_parameter(&self, mapping: Option<&'g Mapping>, parameter: &Parameter) -> ParameterTrace<'g> {
        let (made_by, expression, reads) = match &parameter.made {
            Made::Params(origin) => (origin.to_string(), None, vec![Key::Param(parameter.name.clone()).to_string()]),
            Made::Mapping { line, pattern, n } => {
                let expressions = mapping.and_then(|mapping| mapping.of_family(&self.model.family));
                let is_it = |entry: &&Entry| entry.line == *line && entry.pattern == *pattern;
                let entry = expressions.and_then(|expressions| expressions.iter().find(is_it));
                let reads = entry.map(|entry| entry.reads.as_slice()).unwrap_or_default();
                let reads = reads.iter().map(|read| read.replace("{n}", &n.to_string())).collect();
                let made_by = mapping
                    .map_or_else(|| format!("line {line}"), |mapping| format!("{}:{line}", mapping.source.display()));
                (made_by, entry.map(|entry| entry.expression.as_str()), reads)
            }
        };
        let (mut settings, mut unset): (Vec<Explained>, Vec<String>) = (Vec::new(), Vec::new());
        for read in reads.iter().flat_map(|read| sources_of(read)) {
            let under = self.found(&read);
            if under.is_empty() && !unset.contains(&read) {
                unset.push(read);
            } else {
                settings.extend(under.into_iter().map(|key| self.explained(key, parameter.secret)));
            }
        }
        ParameterTrace { made_by, expression, settings, unset }
    }
}

/// Whether a dotted name is another, or lies under it.
fn is_under(name: &str, other: &str) -> bool {
    name.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn secret_vars<'g>(pack: &'g Pack, model: &Model) -> BTreeSet<&'g str> {
    let is_secret = |entry: &&Entry| {
        entry.names.iter().flatten().any(|name| pack.parameters.get(name).is_some_and(|known| known.secret))
    };
    let entries =
        pack.mappings.values().filter_map(|mapping| mapping.of_family(&model.family)).flat_map(Expressions::iter);
    entries.filter(is_secret).flat_map(|entry| &entry.reads).filter_map(|read| read.strip_prefix("vars.")).collect()
}

impl Explained {
    /// Whether its values may not be shown, though nothing in their layers says so.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// A value as it may be shown.
    pub fn shown<'s>(&self, setting: &'s Setting) -> impl fmt::Display + use<'s> {
        Shown { value: &setting.value, secret: self.secret }
    }
}

struct Shown<'s> {
    value: &'s Value,
    secret: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            // Where a secret stands may be told.
            Value::Secret(_) => self.value.fmt(f),
            _ if self.secret => f.write_str(MASK),
            value => value.fmt(f),
        }
    }
}
