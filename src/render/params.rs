//! `[params]` of the settings, put in the list's order and made ready for templates. Devices of a model and group have nearly
//! all of it in common: a profile that a phone gives out has a thousand parameters, of which a device sets three.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use tera::Value;

use super::context::plain;
use crate::packs::{Parameter as Known, ParameterList};
use crate::settings::{Effective, Key, Origin, SecretSource, Setting, Value as Own};

/// The parameters of `[params]` that settings have in common with others.
#[derive(Debug)]
pub struct SharedParams {
    of: Arc<BTreeMap<Key, Setting>>,
    /// In the order in which they are written.
    params: Vec<Param>,
}

/// One of them.
#[derive(Debug)]
pub struct Param {
    /// In the pack's list: parameters that it doesn't have come last.
    place: usize,
    pub name: Arc<str>,
    pub value: Written,
    pub origin: Origin,
}

/// What is written for a parameter.
#[derive(Debug)]
pub enum Written {
    /// The text, and the parameter as templates see it.
    Plain {
        text: String,
        seen: Value,
    },
    Secret(SecretSource),
}

impl Param {
    fn new(key: &Key, setting: &Setting, list: &ParameterList) -> Option<Self> {
        let Key::Param(name) = key else { return None };
        let value = match &setting.value {
            Own::Secret(source) => Written::Secret(source.clone()),
            other => {
                let known = list.get(name);
                let text = plain(other).to_string();
                let text = list.spelled(known, &text).to_owned();
                let seen = seen(name, &text, known.and_then(|known| known.access.as_deref()));
                Written::Plain { text, seen }
            }
        };
        Some(Self { place: list.position(name), name: name.clone(), value, origin: setting.origin.clone() })
    }

    /// What is set for the parameter in the pack's list.
    pub fn known<'l>(&self, list: &'l ParameterList) -> Option<&'l Known> {
        list.at(self.place)
    }

    fn order(&self, other: &Self) -> Ordering {
        (self.place, &self.name).cmp(&(other.place, &other.name))
    }
}

impl SharedParams {
    pub fn of(settings: &Effective, list: &ParameterList) -> Self {
        let shared = settings.shared().range(params());
        let mut params: Vec<_> = shared.filter_map(|(key, setting)| Param::new(key, setting, list)).collect();
        params.sort_unstable_by(Param::order);
        Self { of: settings.shared().clone(), params }
    }

    /// Whether these are the ones that the settings have in common with others.
    pub fn is_of(&self, settings: &Effective) -> bool {
        Arc::ptr_eq(&self.of, settings.shared())
    }

    /// With those that the settings lay over them, in the order in which they are written.
    pub fn with<'p>(&'p self, over: &'p OwnParams) -> Vec<&'p Param> {
        if over.replaced.is_empty() {
            return self.params.iter().collect();
        }
        let kept = self.params.iter().filter(|param| !over.replaced.contains(&param.name));
        let mut all: Vec<_> = kept.chain(&over.params).collect();
        all.sort_by(|one, other| one.order(other));
        all
    }
}

/// The parameters of `[params]` that settings lay over the shared ones.
#[derive(Debug)]
pub struct OwnParams {
    params: Vec<Param>,
    /// The names that are set otherwise, or taken away.
    replaced: HashSet<Arc<str>>,
}

impl OwnParams {
    pub fn of(settings: &Effective, list: &ParameterList) -> Self {
        let mut own = Self { params: Vec::new(), replaced: HashSet::new() };
        for (key, setting) in settings.over(params()) {
            let Key::Param(name) = key else { continue };
            own.replaced.insert(name.clone());
            own.params.extend(setting.and_then(|setting| Param::new(key, setting, list)));
        }
        own
    }
}

/// The keys of parameters' values.
fn params() -> Range<Key> {
    Key::Param("".into())..Key::ParamAccess("".into())
}

/// A parameter as templates see it.
pub fn seen(name: &str, value: &str, access: Option<&str>) -> Value {
    /// Tera makes the map of a struct in one go; a map of ours it would put together again.
    #[derive(Serialize)]
    struct Seen<'p> {
        name: &'p str,
        value: &'p str,
        access: Option<&'p str>,
    }
    Value::from_serializable(&Seen { name, value, access })
}
