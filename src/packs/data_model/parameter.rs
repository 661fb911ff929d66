//! One parameter of a data model, or one that repeats.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::kind::Kind;
use super::quirks::words;
use crate::document::Reader;
use crate::packs::manifest::Model;

words! {
    /// What may be done with a parameter.
    Access, "no access of a data-model parameter", default ReadOnly, {
        ReadOnly = "read-only",
        ReadWrite = "read-write",
        /// It can be set, and reads back empty whatever it holds: a password.
        WriteOnly = "write-only",
    }
}

impl Access {
    pub fn is_writable(self) -> bool {
        self != Self::ReadOnly
    }
}

words! {
    /// Whether a phone tells of a change by itself (TR-069, "Notification").
    Notification, "no notification", default Off, {
        /// It does not.
        Off = "off",
        /// In its next Inform.
        Passive = "passive",
        /// By an Inform at once.
        Active = "active",
    }
}

impl Notification {
    /// As SetParameterAttributes has it.
    pub fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Passive => 1,
            Self::Active => 2,
        }
    }

    /// The notification of that number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.number() == number)
    }
}

/// What of the model a parameter's first `{i}` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    Lines,
    Keys,
}

/// One parameter of a data model.
#[derive(Debug, Clone, PartialEq)]
pub struct DataParameter {
    /// The path with `{i}` for each instance number.
    pub path: Arc<str>,
    pub kind: Kind,
    pub access: Access,
    /// Most characters of a string, or octets of base64.
    pub size: Option<u32>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// The only values that a string may have; empty: any.
    pub choices: Vec<String>,
    pub secret: bool,
    /// The notification that it has whatever is asked for.
    pub notification: Option<Notification>,
    /// Whether it takes notification attributes, where not all parameters do.
    pub notifiable: bool,
    pub counts: Option<Counts>,
    /// Models or families that have it; empty: all.
    pub models: Vec<String>,
    /// Where it stands in tr069.toml.
    pub line: u32,
}

impl DataParameter {
    pub(super) fn read(entry: Reader<'_>, path: &str, models: &[Model]) -> Option<Self> {
        for key in ["type", "access"] {
            if !entry.has(key) {
                entry.missing(key);
            }
        }
        let kind = entry.parsed::<Kind>("type");
        let access = entry.parsed::<Access>("access");
        let size = entry.integer("size", 1..=i64::from(u32::MAX)).and_then(|size| u32::try_from(size).ok());
        let (min, max) = (entry.integer("min", i64::MIN..=i64::MAX), entry.integer("max", i64::MIN..=i64::MAX));
        if let Some(kind) = kind {
            if size.is_some() && !matches!(kind, Kind::String | Kind::Base64) {
                entry.problem("size", format!("is for string and base64, and this is {kind}"), None);
            }
            for key in ["min", "max"].into_iter().filter(|key| entry.has(key) && !kind.is_number()) {
                entry.problem(key, format!("is for numbers, and this is {kind}"), None);
            }
            if entry.has("choices") && kind != Kind::String {
                entry.problem("choices", format!("is for strings, and this is {kind}"), None);
            }
        }
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            entry.problem("max", format!("is below min, {min}"), None);
        }
        let counts = match entry.text("counts").as_deref() {
            None => None,
            Some("lines") => Some(Counts::Lines),
            Some("keys") => Some(Counts::Keys),
            Some(other) => {
                entry.problem("counts", format!("\"{other}\" is nothing that {{i}} counts: it is lines or keys"), None);
                None
            }
        };
        if counts.is_some() && !path.contains("{i}") {
            entry.problem("counts", "goes with a path that holds {i}", None);
        }
        let limited = entry.texts("models").unwrap_or_default();
        for name in &limited {
            if !models.iter().any(|model| model.is_called(name) || model.family == *name) {
                entry.problem("models", format!("the pack has no model or family \"{name}\""), None);
            }
        }
        let parameter = Self {
            path: path.into(),
            kind: kind.unwrap_or(Kind::String),
            access: access.unwrap_or_default(),
            size,
            min,
            max,
            choices: entry.texts("choices").unwrap_or_default(),
            secret: entry.boolean("secret").unwrap_or(false) || access == Some(Access::WriteOnly),
            notification: entry.parsed("notification"),
            notifiable: entry.boolean("notifiable").unwrap_or(false),
            counts,
            models: limited,
            line: entry.line(),
        };
        entry.finish();
        kind.and(access).map(|_| parameter)
    }

    /// Whether phones of this model have it at these instance numbers.
    pub fn is_of(&self, model: &Model, instances: &[u32]) -> bool {
        let counted = match (self.counts, instances.first()) {
            (Some(Counts::Lines), Some(first)) => *first <= u32::from(model.lines),
            (Some(Counts::Keys), Some(first)) => *first <= u32::from(model.keys),
            _ => true,
        };
        let is_named = |name: &String| model.is_called(name) || model.family == *name;
        counted && (self.models.is_empty() || self.models.iter().any(is_named))
    }

    /// The canonical form of a value that the parameter may have.
    ///
    /// # Errors
    /// What a value has to be, in words that don't repeat it.
    pub fn fitted(&self, value: &str) -> Result<String, String> {
        let canonical = self.kind.canonical(value)?;
        let length = match self.kind {
            Kind::Base64 => STANDARD.decode(&canonical).map_or(0, |bytes| bytes.len()),
            _ => value.chars().count(),
        };
        if let Some(size) = self.size.filter(|size| usize::try_from(*size).is_ok_and(|size| length > size)) {
            let unit = if self.kind == Kind::Base64 { "octets" } else { "characters" };
            return Err(format!("has {length} {unit}, and may have {size}"));
        }
        if self.kind.is_number()
            && let Ok(number) = canonical.parse::<i128>()
        {
            let below = self.min.is_some_and(|min| number < min.into());
            let above = self.max.is_some_and(|max| number > max.into());
            if below || above {
                return Err(match (self.min, self.max) {
                    (Some(min), Some(max)) => format!("must be from {min} to {max}"),
                    (Some(min), None) => format!("must be {min} or more"),
                    (_, max) => format!("must be {} or less", max.unwrap_or_default()),
                });
            }
        }
        if !self.choices.is_empty() && !self.choices.contains(&canonical) {
            return Err(format!("must be one of {}", self.choices.join(", ")));
        }
        Ok(canonical)
    }
}
