//! What an ACS would have a phone hold: the data-model parameters that its settings come to, checked against the pack's data
//! model, with `[acs.params]` laid over them, and the notifications that are asked for.
//!
//! The expressions of tr069.toml are rendered as those of a mapping.toml are: in the same Tera environment, under the same
//! guard and limits.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::behind::behind;
use super::context::{MASK, Shown, plain};
use super::engine::{DeviceFacts, Engine};
use super::error::RenderError;
use super::escape;
use super::guard::Limit;
use super::parameters::{Made, Parameter};
use crate::model::{Secret, data_path};
use crate::packs::data_model::{DataModel, Kind, Notification, Refusal};
use crate::packs::{Format, Model, Pack, sources_of};
use crate::settings::{Effective, Key, Origin, Setting, Value as Own};

/// A device whose parameters are to be made.
#[derive(Debug)]
pub struct Wanting<'w> {
    pub pack: &'w Pack,
    /// Its place among the pack's models.
    pub model_index: usize,
    pub model: &'w Model,
    pub device: &'w DeviceFacts,
    pub settings: &'w Effective,
    pub shown: Shown,
    pub limit: Limit,
}

/// A value, which may be one that nobody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesiredValue {
    Plain(String),
    Secret(Secret),
}

impl DesiredValue {
    /// The value itself: for the phone.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose_text().unwrap_or_default(),
        }
    }

    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

/// As it may be shown: a secret as `***`.
impl fmt::Display for DesiredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Secret(_) => f.write_str(MASK),
        }
    }
}

/// Where a value came from: the setting that made it, or the expression of tr069.toml where none can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub key: Option<Key>,
    pub file: Arc<Path>,
    /// Counted from 1; 0 where there are no lines: in a record.
    pub line: u32,
    /// The settings that the value is made of, whether they are set or not; a name stands for all under it.
    pub reads: Vec<String>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Origin { source: self.file.clone(), line: self.line }.fmt(f)
    }
}

/// One parameter that a phone should hold.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredParameter {
    /// With all its instance numbers.
    pub path: Arc<str>,
    /// As phones of this model write it ([`crate::packs::data_model::Quirks`]).
    pub value: DesiredValue,
    /// Its type; a string where the data model doesn't know it.
    pub kind: Kind,
    /// What is asked for its notification attribute, where anything is.
    pub notification: Option<Notification>,
    pub from: Source,
}

/// A parameter or notification that can't be had, and why. Holds no value.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    pub path: Arc<str>,
    pub why: Refusal,
    pub from: Source,
}

/// `FILE:LINE: KEY: PATH WHY`, as problems of files are told.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.from.key.as_ref().map(ToString::to_string).unwrap_or_default();
        write!(f, "{}: ", self.from)?;
        if key.is_empty() || key.ends_with(&*self.path) {
            write!(f, "{}: {}", if key.is_empty() { &self.path } else { key.as_str() }, self.why)
        } else {
            write!(f, "{key} (for {}): {}", self.path, self.why)
        }
    }
}

/// Everything that a phone should hold, as far as its ACS is concerned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    /// In the order in which they are set: that of the mapping, then the data model's.
    pub parameters: Vec<DesiredParameter>,
    /// Notifications by path or, with a dot at its end, object, in the order of their names; a parameter's own wins over its
    /// object's.
    pub notifications: Vec<(Arc<str>, Notification, Source)>,
    /// What the settings come to, and the phone would refuse. It is in neither list.
    pub refused: Vec<Refused>,
}

/// Whether the settings say that an ACS manages the phone, or what it should set.
pub fn is_managed(settings: &Effective) -> bool {
    let is_own = |key: &Key| matches!(key, Key::AcsParam(_) | Key::AcsNotification(_));
    match settings.boolean("acs.enabled") {
        Some(enabled) => enabled,
        None => settings.text("acs.url").is_some() || settings.iter().any(|(key, _)| is_own(key)),
    }
}

impl Engine {
    /// What a phone should hold; none where its pack has no data model, or its model knows no ACS.
    ///
    /// # Errors
    /// Where an expression fails, or a secret can't be had.
    pub fn desired(&self, job: &Wanting<'_>) -> Result<Option<Desired>, RenderError> {
        let Some(data_model) = job.pack.data_model.as_ref().filter(|data_model| data_model.is_for(job.model_index))
        else {
            return Ok(None);
        };
        let made = self.acs_parameters(job, &data_model.mapping)?;
        let mut building =
            Building { job, data_model, secrets: made.secrets, desired: Desired::default(), at: HashMap::new() };
        for parameter in made.list {
            building.derived(parameter);
        }
        building.lay_params()?;
        building.notifications();
        Ok(Some(building.desired))
    }
}

/// The only setting of those read whose text a value is a part of: the host of a proxy's name.
fn part_of<'s>(settings: &'s Effective, reads: &[String], value: &str) -> Option<(Key, &'s Setting)> {
    // A digit stands in every other text.
    if value.len() < 4 {
        return None;
    }
    let keys = reads.iter().filter_map(|read| Key::parse(read));
    let holds = |setting: &Setting| matches!(&setting.value, Own::Text(text) if text.contains(value));
    let found =
        keys.filter_map(|key| settings.get(&key).filter(|setting| holds(setting)).map(|setting| (key, setting)));
    let mut found = found.collect::<Vec<_>>();
    // An expression may read the same setting several times.
    found.dedup_by(|(one, _), (other, _)| one == other);
    if found.len() == 1 { found.pop() } else { None }
}

struct Building<'b> {
    job: &'b Wanting<'b>,
    data_model: &'b DataModel,
    secrets: Vec<Secret>,
    desired: Desired,
    at: HashMap<Arc<str>, usize>,
}

impl Building<'_> {
    fn derived(&mut self, parameter: Parameter) {
        let Made::Mapping { line, pattern, n } = &parameter.made else { return };
        let expressions = self.data_model.mapping.of_family(&self.job.model.family);
        let is_it = |entry: &&crate::packs::Entry| entry.line == *line && entry.pattern == *pattern;
        let entry = expressions.and_then(|all| all.iter().find(is_it));
        let reads = entry.map(|entry| entry.reads.as_slice()).unwrap_or_default();
        let of_n = |read: String| read.replace("{n}", &n.to_string());
        let all: Vec<String> = reads.iter().flat_map(|read| sources_of(read)).map(of_n).collect();
        let holds_secret = self.holds_secret(&parameter.value);
        let settings = self.job.settings;
        let found = if holds_secret {
            let keys = all.iter().filter_map(|read| Key::parse(read));
            let mut keys = keys.filter_map(|key| settings.get(&key).map(|setting| (key, setting)));
            keys.find(|(_, setting)| matches!(setting.value, Own::Secret(_)))
        } else {
            let whole = behind(settings, reads, *n, &parameter.value).map(|(key, setting)| (key.clone(), setting));
            whole.or_else(|| part_of(settings, &all, &parameter.value))
        };
        let from = match found {
            Some((key, setting)) => {
                Source { key: Some(key), file: setting.origin.source.clone(), line: setting.origin.line, reads: all }
            }
            None => Source { key: None, file: self.data_model.mapping.source.clone(), line: *line, reads: all },
        };
        self.set(parameter.name, &parameter.value, holds_secret, from);
    }

    /// Whether a value is made of a secret.
    fn holds_secret(&self, value: &str) -> bool {
        let mut secrets = self.secrets.iter().filter_map(Secret::expose_text).filter(|secret| !secret.is_empty());
        // A short secret may stand in a text by chance; as the whole of it it doesn't.
        let is_in = |secret: &str| secret == value || (secret.len() > 3 && value.contains(secret));
        (self.job.shown == Shown::Masked && value.contains(MASK)) || secrets.any(is_in)
    }

    fn lay_params(&mut self) -> Result<(), RenderError> {
        let settings = self.job.settings;
        let mut own: Vec<_> = settings
            .iter()
            .filter_map(|(key, setting)| match key {
                Key::AcsParam(path) => Some((path, key, setting)),
                _ => None,
            })
            .collect();
        own.sort_by_cached_key(|(path, ..)| (self.data_model.position(path), (*path).clone()));
        for (path, key, setting) in own {
            let (value, is_secret) = match &setting.value {
                Own::Secret(_) if self.job.shown == Shown::Masked => (MASK.to_owned(), true),
                Own::Secret(source) => {
                    let refused =
                        |why| RenderError::Secret { setting: key.to_string(), origin: setting.origin.clone(), why };
                    let secret = source.text().map_err(refused)?;
                    (secret.expose_text().unwrap_or_default().to_owned(), true)
                }
                other => (plain(other).to_string(), false),
            };
            if let Some(why) = escape::refusal(Format::Xml, &value) {
                return Err(RenderError::Value {
                    parameter: key.to_string(),
                    why,
                    made_by: setting.origin.to_string(),
                });
            }
            let from = Source {
                key: Some(key.clone()),
                file: setting.origin.source.clone(),
                line: setting.origin.line,
                reads: vec![key.to_string()],
            };
            self.set(path.clone(), &value, is_secret, from);
        }
        Ok(())
    }

    fn set(&mut self, path: Arc<str>, value: &str, is_secret: bool, from: Source) {
        let known = match self.data_model.writable(&path, self.job.model) {
            Ok(known) => known,
            // Expressions repeat for as many lines as the family's largest model has.
            Err(Refusal::NotOfModel { .. }) if !matches!(from.key, Some(Key::AcsParam(_))) => return,
            Err(why) => return self.desired.refused.push(Refused { path, why, from }),
        };
        let kind = known.map_or(Kind::String, |known| known.kind);
        let is_masked = self.job.shown == Shown::Masked && (is_secret || known.is_some_and(|known| known.secret));
        let written = if is_masked {
            MASK.to_owned()
        } else {
            let quirks = self.data_model.quirks(Some(self.job.model_index));
            match known.map_or_else(|| Ok(value.to_owned()), |known| known.fitted(value)) {
                Ok(canonical) => kind.written(&canonical, quirks),
                Err(why) => return self.desired.refused.push(Refused { path, why: Refusal::Value(why), from }),
            }
        };
        let is_secret = is_secret || known.is_some_and(|known| known.secret);
        let value = if is_secret { DesiredValue::Secret(Secret::new(written)) } else { DesiredValue::Plain(written) };
        let parameter = DesiredParameter { path: path.clone(), value, kind, notification: None, from };
        match self.at.get(&path).and_then(|at| self.desired.parameters.get_mut(*at)) {
            Some(place) => *place = parameter,
            None => {
                self.at.insert(path, self.desired.parameters.len());
                self.desired.parameters.push(parameter);
            }
        }
    }

    fn notifications(&mut self) {
        for (key, setting) in self.job.settings.iter() {
            let (Key::AcsNotification(path), Own::Text(word)) = (key, &setting.value) else { continue };
            let Ok(notification) = word.parse::<Notification>() else { continue };
            let from = Source {
                key: Some(key.clone()),
                file: setting.origin.source.clone(),
                line: setting.origin.line,
                reads: vec![key.to_string()],
            };
            match self.notifiable(path, notification) {
                Ok(()) => self.desired.notifications.push((path.clone(), notification, from)),
                Err(why) => self.desired.refused.push(Refused { path: path.clone(), why, from }),
            }
        }
        let of = |path: &str| {
            let mut best: Option<(&str, Notification)> = None;
            for (named, notification, _) in &self.desired.notifications {
                let covers = **named == *path || (named.ends_with('.') && path.starts_with(&**named));
                if covers && best.is_none_or(|(other, _)| named.len() > other.len()) {
                    best = Some((named, *notification));
                }
            }
            best.map(|(_, notification)| notification)
        };
        let found: Vec<_> = self.desired.parameters.iter().map(|parameter| of(&parameter.path)).collect();
        for (parameter, notification) in self.desired.parameters.iter_mut().zip(found) {
            parameter.notification = notification;
        }
    }

    /// Whether the phone takes a notification for a path.
    fn notifiable(&self, path: &str, wanted: Notification) -> Result<(), Refusal> {
        let index = Some(self.job.model_index);
        if path.ends_with('.') {
            let shape = data_path::shape(path);
            let mut all = self.data_model.parameters();
            let is_known = self.data_model.open || all.any(|one| data_path::shape(&one.path).starts_with(&shape));
            return if is_known { Ok(()) } else { Err(Refusal::Unknown { near: None }) };
        }
        match self.data_model.find(path) {
            None if self.data_model.open => Ok(()),
            None => Err(Refusal::Unknown { near: self.data_model.nearest(path) }),
            Some((parameter, instances)) if !parameter.is_of(self.job.model, &instances) => {
                Err(Refusal::NotOfModel { model: self.job.model.name.clone() })
            }
            Some((parameter, _)) if parameter.notification.is_some_and(|forced| forced != wanted) => {
                let forced = parameter.notification.unwrap_or_default().word();
                Err(Refusal::Value(format!("has the notification {forced}, which can't be changed")))
            }
            Some(_) if wanted != Notification::Off && !self.data_model.is_notifiable(path, index) => {
                Err(Refusal::Value("takes no notification on these phones".to_owned()))
            }
            Some(_) => Ok(()),
        }
    }
}
