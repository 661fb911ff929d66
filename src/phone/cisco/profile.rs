//! What a profile sets, and what becomes of a phone's parameters when it is applied (guide: "Configuration File Components",
//! "Parameter Properties").
//!
//! A file is read as a whole before anything of it is applied: a corrupt one changes nothing. The plain text that SPA
//! phones also have is compiled away from the phone, so no phone reads it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::alias::AliasMap;
use super::markup::{self, MarkupError};

/// What a profile sets, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub settings: Vec<Setting>,
}

/// One parameter as a profile has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    /// Byte offset of its tag.
    pub at: usize,
    /// None for `<X/>`.
    pub value: Option<String>,
    pub access: WrittenAccess,
}

/// The `ua` attribute: who may do what with a parameter on the phone's own pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenAccess {
    /// There is none; what the phone has stays.
    None,
    Set(Access),
    /// It is no value of `ua`, or not in double quotes; what the phone has stays.
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    Na,
    Ro,
    Rw,
}

/// Why a file can't be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error(transparent)]
    Markup(#[from] MarkupError),
    #[error("the file holds no <flat-profile>, and nothing that the alias map names")]
    NoProfile,
}

impl ProfileError {
    /// Byte offset in the file.
    pub fn at(&self) -> usize {
        match self {
            Self::NoProfile => 0,
            Self::Markup(
                MarkupError::NotUtf8 { at }
                | MarkupError::NeverClosed { at, .. }
                | MarkupError::Mismatch { at, .. }
                | MarkupError::NeverOpened { at, .. }
                | MarkupError::Tag { at }
                | MarkupError::Unended { at }
                | MarkupError::Declaration { at }
                | MarkupError::TooDeep { at },
            ) => *at,
        }
    }
}

/// What `<X/>` does: the guide says that it sets X empty, and that it keeps the user's value; the SPA guide has the
/// latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmptyElement {
    #[default]
    SetsEmpty,
    Unchanged,
}

/// What `<X></X>` does: the section on elements says that it sets X empty; the notes on data types, that it brings back the
/// default, and that `""` stands for empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmptyValue {
    #[default]
    SetsEmpty,
    SetsDefault,
}

/// The parameters that a phone knows, injected: this module has no list.
#[derive(Debug, Clone, Default)]
pub struct KnownNames {
    /// Whether names that are not listed are taken too.
    pub open: bool,
    /// Whether each holds a secret, which a transcript doesn't show.
    pub names: BTreeMap<String, bool>,
}

impl KnownNames {
    /// Every name is known.
    pub fn any() -> Self {
        Self { open: true, names: BTreeMap::new() }
    }

    fn knows(&self, name: &str) -> bool {
        self.open || self.names.contains_key(name)
    }

    /// Whether its value stays out of transcripts and reports; where no list tells, by its name.
    pub fn is_secret(&self, name: &str) -> bool {
        const HINTS: [&str; 6] = ["Passw", "GPP_S", "IKM_", "PSK", "WEP_Key", "Secret"];
        self.names.get(name).copied().unwrap_or_else(|| HINTS.iter().any(|hint| name.contains(hint)))
    }
}

/// What became of one setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub name: String,
    /// Byte offset of its tag; of an assignment, in the rule.
    pub at: usize,
    #[serde(flatten)]
    pub effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Effect {
    /// It has another value now.
    Applied { value: String },
    /// It has this value already.
    Same,
    /// It was brought back to what a factory-new phone has.
    Default { value: String },
    /// An empty element that leaves the value alone.
    LeftUnchanged,
    /// The phone knows no such parameter.
    Unknown,
    /// The same parameter comes again further on, and the last one counts.
    Overridden,
}

/// The parameters of a phone, and what else applying a profile needs.
pub struct Target<'a> {
    pub parameters: &'a mut BTreeMap<String, String>,
    pub access: &'a mut BTreeMap<String, String>,
    pub known: &'a KnownNames,
    /// What a factory-new phone has.
    pub defaults: &'a BTreeMap<String, String>,
    pub empty_element: EmptyElement,
    pub empty_value: EmptyValue,
}

impl Profile {
    /// Reads a file. Text around its elements doesn't matter, a byte order mark included.
    ///
    /// # Errors
    /// When it is corrupt, or holds nothing for a phone.
    pub fn read(file: &[u8], aliases: &AliasMap) -> Result<Self, ProfileError> {
        let text = std::str::from_utf8(file).map_err(|error| MarkupError::NotUtf8 { at: error.valid_up_to() })?;
        let mut settings = Vec::new();
        let mut found = false;
        markup::read(text, |element| {
            found |= element.path.last() == Some(&"flat-profile");
            let Some(name) = parameter(&element.path, aliases) else { return };
            found = true;
            settings.push(Setting {
                name: name.to_owned(),
                at: element.at,
                value: element.content.as_deref().map(markup::value),
                access: access(&element.attributes),
            });
        })?;
        if found { Ok(Self { settings }) } else { Err(ProfileError::NoProfile) }
    }

    /// Applies it, and tells what became of each setting.
    pub fn apply(&self, target: &mut Target<'_>) -> Vec<Change> {
        let mut last = BTreeMap::new();
        for (index, setting) in self.settings.iter().enumerate() {
            last.insert(setting.name.as_str(), index);
        }
        self.settings
            .iter()
            .enumerate()
            .map(|(index, setting)| {
                let overridden = last.get(setting.name.as_str()) != Some(&index);
                let effect = if overridden { Effect::Overridden } else { target.set(setting) };
                let reached = !matches!(effect, Effect::Overridden | Effect::Unknown);
                let access = match setting.access {
                    WrittenAccess::Set(access) if reached => {
                        target.access.insert(setting.name.clone(), access.to_string());
                        Some(access)
                    }
                    _ => None,
                };
                Change { name: setting.name.clone(), at: setting.at, effect, access }
            })
            .collect()
    }
}

/// The parameter that an element sets: by its alias, or because it stands right in a `<flat-profile>`.
fn parameter<'a>(path: &[&'a str], aliases: &'a AliasMap) -> Option<&'a str> {
    if let Some(name) = aliases.parameter(path) {
        return Some(name);
    }
    match path {
        [.., "flat-profile", name] => Some(name),
        _ => None,
    }
}

fn access(attributes: &[(&str, &str)]) -> WrittenAccess {
    match attributes.iter().find(|(name, _)| *name == "ua") {
        None => WrittenAccess::None,
        Some((_, "\"na\"")) => WrittenAccess::Set(Access::Na),
        Some((_, "\"ro\"")) => WrittenAccess::Set(Access::Ro),
        Some((_, "\"rw\"")) => WrittenAccess::Set(Access::Rw),
        Some(_) => WrittenAccess::Invalid,
    }
}

impl Target<'_> {
    fn set(&mut self, setting: &Setting) -> Effect {
        if !self.known.knows(&setting.name) {
            return Effect::Unknown;
        }
        let value = match setting.value.as_deref() {
            None if self.empty_element == EmptyElement::Unchanged => return Effect::LeftUnchanged,
            None => "",
            Some("") if self.empty_value == EmptyValue::SetsDefault => {
                let value = self.defaults.get(&setting.name).cloned().unwrap_or_default();
                self.parameters.insert(setting.name.clone(), value.clone());
                return Effect::Default { value: self.shown(&setting.name, &value) };
            }
            Some("\"\"") if self.empty_value == EmptyValue::SetsDefault => "",
            Some(value) => value,
        };
        self.assign(&setting.name, value)
    }

    /// Sets one known parameter, as an assignment of a rule does.
    pub fn assign(&mut self, name: &str, value: &str) -> Effect {
        if !self.known.knows(name) {
            return Effect::Unknown;
        }
        let before = self.parameters.insert(name.to_owned(), value.to_owned());
        if before.as_deref() == Some(value) {
            return Effect::Same;
        }
        Effect::Applied { value: self.shown(name, value) }
    }

    fn shown(&self, name: &str, value: &str) -> String {
        if self.known.is_secret(name) && !value.is_empty() { "***".to_owned() } else { value.to_owned() }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Na => "na",
            Self::Ro => "ro",
            Self::Rw => "rw",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.effect {
            Effect::Applied { value } => write!(f, "{} = {value:?}", self.name)?,
            Effect::Same => write!(f, "{} has this value already", self.name)?,
            Effect::Default { value } => write!(f, "{} back to its default {value:?}", self.name)?,
            Effect::LeftUnchanged => write!(f, "{} left unchanged: an empty element", self.name)?,
            Effect::Unknown => write!(f, "{} ignored: the phone knows no such parameter", self.name)?,
            Effect::Overridden => write!(f, "{} ignored: it comes again further on", self.name)?,
        }
        match self.access {
            Some(access) => write!(f, ", user access {access}"),
            None => Ok(()),
        }
    }
}
