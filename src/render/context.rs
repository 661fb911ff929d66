//! What expressions and templates see: every setting by its name, unset ones as none.

use tera::{Context, Map, Value};

use super::error::RenderError;
use crate::model::Secret;
use crate::settings::schema::{Kind, SECTIONS, Section, Shape};
use crate::settings::zone::{self, Transition};
use crate::settings::{Effective, Key, SecretSource, Setting, Value as Own};

/// What becomes of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As they are: for the phone itself.
    Real,
    /// As `***`: for people. Secrets are not even fetched.
    Masked,
    /// Not there at all, so that reading one is an error: for files that anyone may fetch.
    Absent,
}

/// What a secret is shown as.
pub const MASK: &str = "***";

/// A context, and the secrets that went into it, so that messages can be kept free of them.
pub struct Built {
    pub context: Context,
    pub lines: Vec<Value>,
    pub keys: Vec<Value>,
    pub secrets: Vec<Secret>,
}

/// Builds the context for a model with so many lines and keys.
pub fn build(settings: &Effective, lines: u16, keys: u16, shown: Shown) -> Result<Built, RenderError> {
    let mut building = Building { settings, shown, secrets: Vec::new() };
    let mut context = Context::new();
    let mut numbered = [Vec::new(), Vec::new()];
    for section in SECTIONS {
        match section.shape {
            Shape::Table => {
                let mut map = building.section(section, None)?;
                derive(section.name, &mut map);
                context.insert_value(section.name, Value::from(map));
            }
            Shape::Numbered => {
                let (count, slot) = if section.name == "lines" { (lines, 0) } else { (keys, 1) };
                let mut list = Vec::with_capacity(usize::from(count));
                for n in 1..=count {
                    let mut map = building.section(section, Some(n))?;
                    map.insert("n".into(), Value::from(u64::from(n)));
                    derive(section.name, &mut map);
                    list.push(Value::from(map));
                }
                context.insert_value(section.name, Value::from(list.clone()));
                if let Some(slot) = numbered.get_mut(slot) {
                    *slot = list;
                }
            }
            Shape::Params => {}
            Shape::Free => {
                let vars = building.vars()?;
                context.insert_value(section.name, vars);
            }
        }
    }
    let [lines, keys] = numbered;
    Ok(Built { context, lines, keys, secrets: building.secrets })
}

struct Building<'s> {
    settings: &'s Effective,
    shown: Shown,
    secrets: Vec<Secret>,
}

impl Building<'_> {
    fn section(&mut self, section: &'static Section, n: Option<u16>) -> Result<Map, RenderError> {
        let mut map = Map::with_capacity_and_hasher(section.settings.len() + 2, Default::default());
        for setting in section.settings {
            if setting.kind == Kind::Secret && self.shown == Shown::Absent {
                continue;
            }
            // Parameters of the phone's own, which are laid over what expressions make.
            if matches!(setting.kind, Kind::Paths | Kind::Notifications) {
                continue;
            }
            let found = Key::of(section.name, n, setting.name)
                .and_then(|key| self.settings.get(&key).map(|setting| (key, setting)));
            let value = match found {
                Some((key, setting)) => self.value(&key, setting)?,
                None => Value::none(),
            };
            map.insert(setting.name.into(), value);
        }
        Ok(map)
    }

    /// A setting's value; the caller has dealt with secrets that must be absent.
    fn value(&mut self, key: &Key, setting: &Setting) -> Result<Value, RenderError> {
        match &setting.value {
            Own::Secret(_) if self.shown == Shown::Masked => Ok(Value::from(MASK)),
            Own::Secret(source) => self.secret(key, setting, source),
            other => Ok(plain(other)),
        }
    }

    fn secret(&mut self, key: &Key, setting: &Setting, source: &SecretSource) -> Result<Value, RenderError> {
        let refused = |why| RenderError::Secret { setting: key.to_string(), origin: setting.origin.clone(), why };
        let secret = source.text().map_err(refused)?;
        let value = Value::from(secret.expose_text().unwrap_or_default());
        self.secrets.push(secret);
        Ok(value)
    }

    fn vars(&mut self) -> Result<Value, RenderError> {
        let mut root = Tree::default();
        for (key, setting) in self.settings.iter() {
            let Key::Var(name) = key else { continue };
            if self.shown == Shown::Absent && matches!(setting.value, Own::Secret(_)) {
                continue;
            }
            root.insert(name, self.value(key, setting)?);
        }
        Ok(root.into_value())
    }
}

/// Dotted names put back into tables.
#[derive(Default)]
struct Tree {
    leaves: Vec<(String, Value)>,
    tables: Vec<(String, Tree)>,
}

impl Tree {
    fn insert(&mut self, dotted: &str, value: Value) {
        let Some((head, rest)) = dotted.split_once('.') else {
            self.leaves.push((dotted.to_owned(), value));
            return;
        };
        let at = self.tables.iter().position(|(name, _)| name == head).unwrap_or_else(|| {
            self.tables.push((head.to_owned(), Self::default()));
            self.tables.len() - 1
        });
        if let Some((_, table)) = self.tables.get_mut(at) {
            table.insert(rest, value);
        }
    }

    fn into_value(self) -> Value {
        let mut map = Map::default();
        for (name, value) in self.leaves {
            map.insert(name.into(), value);
        }
        for (name, table) in self.tables {
            map.insert(name.into(), table.into_value());
        }
        Value::from(map)
    }
}

/// A value that is no secret.
pub fn plain(value: &Own) -> Value {
    match value {
        Own::Text(text) => Value::from(&**text),
        Own::Bool(value) => Value::from(*value),
        Own::Integer(value) => Value::from(*value),
        Own::Float(value) => Value::from(*value),
        Own::List(items) => Value::from(items.iter().map(plain).collect::<Vec<_>>()),
        Own::Secret(_) => Value::from(MASK),
    }
}

/// Fills in what a section says without being told, as the schema describes it.
fn derive(section: &str, map: &mut Map) {
    let is_none = |map: &Map, name: &'static str| map.get(&name.into()).is_none_or(Value::is_none);
    let copy = |map: &mut Map, from: &'static str, to: &'static str| {
        if let Some(value) = map.get(&from.into()).filter(|value| !value.is_none()).cloned() {
            map.insert(to.into(), value);
        }
    };
    match section {
        "lines" => {
            if is_none(map, "enabled") {
                let has_user = !is_none(map, "user");
                map.insert("enabled".into(), Value::from(has_user));
            }
            if is_none(map, "auth_user") {
                copy(map, "user", "auth_user");
            }
            if is_none(map, "label") {
                let from = if is_none(map, "display_name") { "user" } else { "display_name" };
                copy(map, from, "label");
            }
        }
        "keys" if is_none(map, "line") && !is_none(map, "type") => {
            map.insert("line".into(), Value::from(1));
        }
        "report" | "acs" if is_none(map, "enabled") && !is_none(map, "url") => {
            map.insert("enabled".into(), Value::from(true));
        }
        "time" => derive_clock(map),
        _ => {}
    }
}

/// What phones want to know of the zone.
fn derive_clock(map: &mut Map) {
    let zone = map.get(&"zone".into()).and_then(|zone| zone.as_str().map(str::to_owned));
    // The layer's reader has refused zones that can't be told.
    let clock = zone.and_then(|zone| zone::clock(&zone).ok());
    let without_dst = map.get(&"dst".into()).and_then(Value::as_bool) == Some(false);
    let rule = clock.as_ref().and_then(|clock| clock.rule.as_ref()).filter(|_| !without_dst);
    let rule = rule.map_or_else(Value::none, |rule| {
        let mut map = Map::default();
        map.insert("save".into(), Value::from(rule.save));
        map.insert("start".into(), transition(&rule.start));
        map.insert("end".into(), transition(&rule.end));
        map.insert("abbreviation".into(), Value::from(rule.abbreviation.as_str()));
        Value::from(map)
    });
    let posix = clock.as_ref().map(|clock| if without_dst { clock.posix_standard() } else { clock.posix.clone() });
    map.insert("rule".into(), rule);
    map.insert("offset".into(), clock.as_ref().map_or_else(Value::none, |clock| Value::from(clock.offset)));
    map.insert("posix".into(), posix.map_or_else(Value::none, Value::from));
    let abbreviation = clock.map(|clock| clock.abbreviation);
    map.insert("abbreviation".into(), abbreviation.map_or_else(Value::none, Value::from));
}

fn transition(transition: &Transition) -> Value {
    let mut map = Map::default();
    map.insert("month".into(), Value::from(transition.month));
    map.insert("week".into(), Value::from(transition.week));
    map.insert("weekday".into(), Value::from(transition.weekday));
    map.insert("time".into(), Value::from(transition.time));
    Value::from(map)
}
