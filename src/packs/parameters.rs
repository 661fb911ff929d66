//! The parameters that a family's phones know: `parameters.toml`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::manifest::Model;
use crate::document::{DeValue, Document, Problems, Reader};

/// What a parameter's value may be, in the words of parameters.toml.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Bool,
    Choice,
    Unsigned,
    Signed,
    Decimal,
    Time,
    Ip,
    Fqdn,
    HostPort,
    Url,
    Port,
    Phone,
    PhoneTemplate,
    StatusTemplate,
    Text,
    PowerLevel,
    Cadence,
    Frequency,
    Tone,
    DialPlan,
    ProfileRule,
    Condition,
    Schedule,
    HhMm,
    MacroText,
}

impl FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "bool" => Self::Bool,
            "choice" => Self::Choice,
            "unsigned" => Self::Unsigned,
            "signed" => Self::Signed,
            "decimal" => Self::Decimal,
            "time" => Self::Time,
            "ip" => Self::Ip,
            "fqdn" => Self::Fqdn,
            "host-port" => Self::HostPort,
            "url" => Self::Url,
            "port" => Self::Port,
            "phone" => Self::Phone,
            "phone-template" => Self::PhoneTemplate,
            "status-template" => Self::StatusTemplate,
            "text" => Self::Text,
            "power-level" => Self::PowerLevel,
            "cadence" => Self::Cadence,
            "frequency" => Self::Frequency,
            "tone" => Self::Tone,
            "dial-plan" => Self::DialPlan,
            "profile-rule" => Self::ProfileRule,
            "condition" => Self::Condition,
            "schedule" => Self::Schedule,
            "hhmm" => Self::HhMm,
            "macro-text" => Self::MacroText,
            other => return Err(format!("\"{other}\" is no type of a parameter")),
        })
    }
}

/// Whose ways of writing a list's values follow: what a dial plan is differs between makers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Nothing is known of it.
    #[default]
    Unknown,
    /// Cisco's multiplatform phones.
    CiscoMpp,
    /// The SPA phones and adapters before them.
    CiscoSpa,
    /// Aastra's, later Mitel's.
    Aastra,
    Grandstream,
}

impl Dialect {
    /// Whether values may hold Cisco's macros.
    pub fn is_cisco(self) -> bool {
        matches!(self, Self::CiscoMpp | Self::CiscoSpa)
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "cisco-mpp" => Self::CiscoMpp,
            "cisco-spa" => Self::CiscoSpa,
            "aastra" => Self::Aastra,
            "grandstream" => Self::Grandstream,
            other => {
                return Err(format!(
                    "\"{other}\" is no dialect: they are cisco-mpp, cisco-spa, aastra and grandstream"
                ));
            }
        })
    }
}

/// What a phone does about a changed value, beside taking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It starts anew: no calls meanwhile.
    Reboot,
    /// It registers again, at the same server or another.
    Register,
    /// It asks for its files elsewhere, at other times or in another way: a mistake here can't be mended from afar.
    Resync,
}

impl Effect {
    pub const ALL: [Self; 3] = [Self::Reboot, Self::Register, Self::Resync];

    /// As parameters.toml has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Register => "register",
            Self::Resync => "resync",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Reboot => 1,
            Self::Register => 2,
            Self::Resync => 4,
        }
    }
}

/// Any number of effects, each once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effects(u8);

impl Effects {
    #[must_use]
    pub fn with(self, effect: Effect) -> Self {
        Self(self.0 | effect.bit())
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn has(self, effect: Effect) -> bool {
        self.0 & effect.bit() != 0
    }

    /// The words of parameters.toml, in its order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Effect::ALL.into_iter().filter(move |effect| self.has(*effect)).map(Effect::word)
    }
}

/// How a Bool is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoolWords {
    pub yes: Arc<str>,
    pub no: Arc<str>,
}

/// One parameter, or one that repeats.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// As parameters.toml has it, `Proxy_{n}_`.
    pub name: Arc<str>,
    pub kind: Type,
    pub choices: Vec<String>,
    pub min: Option<i64>,
    /// The largest number, or the most characters.
    pub max: Option<i64>,
    /// What a factory-new phone holds.
    pub default: Option<String>,
    /// The access that is written for it.
    pub access: Option<Arc<str>>,
    pub secret: bool,
    /// What a change makes the phone do; nothing where it isn't known.
    pub effects: Effects,
    pub bool_words: Option<BoolWords>,
    /// Models or families that have it; empty: all.
    pub models: Vec<String>,
    pub line: u32,
}

/// Something of each parameter. The names are the packs' and the operator's own, so that nobody can choose them to collide; a
/// render looks up every one of hundreds.
pub type ByName<T> = HashMap<Arc<str>, T, foldhash::fast::RandomState>;

/// All parameters of a pack.
#[derive(Debug, Clone, Default)]
pub struct ParameterList {
    /// The list is known to be incomplete.
    pub open: bool,
    /// Whose syntax values have where makers differ.
    pub dialect: Dialect,
    /// The words that `access` may be.
    pub access_words: Vec<Arc<str>>,
    pub bool_words: Option<BoolWords>,
    parameters: Vec<Parameter>,
    /// Every concrete name, `Proxy_1_`, and where its parameter stands.
    by_name: ByName<usize>,
}

impl ParameterList {
    /// An open and empty list: nothing is known of the family's parameters.
    pub fn unknown() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// The parameter of a concrete name, `Proxy_1_`.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.by_name.get(name).and_then(|at| self.parameters.get(*at))
    }

    /// The parameter in a place.
    pub fn at(&self, place: usize) -> Option<&Parameter> {
        self.parameters.get(place)
    }

    /// All concrete names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter()
    }

    /// The place of a parameter in the list: what is not mapped is written in the list's order.
    pub fn position(&self, name: &str) -> usize {
        self.by_name.get(name).copied().unwrap_or(usize::MAX)
    }

    /// What is written for `true` and `false` where the parameter's type is `bool`; everything else as it is.
    pub fn spelled<'v>(&'v self, parameter: Option<&'v Parameter>, value: &'v str) -> &'v str {
        let Some(parameter) = parameter.filter(|parameter| parameter.kind == Type::Bool) else { return value };
        let Some(words) = parameter.bool_words.as_ref().or(self.bool_words.as_ref()) else { return value };
        match value {
            "true" => &words.yes,
            "false" => &words.no,
            other => other,
        }
    }

    /// Reads `parameters.toml`; a pack without one has an open and empty list.
    pub fn read(path: &Path, models: &[Model]) -> Result<Self, Problems> {
        if !path.exists() {
            return Ok(Self::unknown());
        }
        let document = Document::read(path)?;
        let table = document.parse()?;
        let problems = RefCell::new(Problems::default());
        let reader = Reader::new(&document, &table, &problems);
        let mut list = Self {
            open: reader.boolean("open").unwrap_or(false),
            dialect: reader.parsed::<Dialect>("dialect").unwrap_or_default(),
            access_words: reader.texts("access").unwrap_or_default().into_iter().map(Into::into).collect(),
            bool_words: bool_words(&reader),
            ..Self::default()
        };
        let lines = models.iter().map(|model| model.lines).max().unwrap_or(0);
        let keys = models.iter().map(|model| model.keys).max().unwrap_or(0);
        if let Some(parameters) = reader.table("parameters") {
            for (name, _) in parameters.entries() {
                if let Some(entry) = parameters.table(name) {
                    let repeat = repeat(&entry, name, lines, keys);
                    if let Some(parameter) = parameter(entry, name, &list.access_words, models) {
                        list.add(parameter, &repeat, &parameters);
                    }
                }
            }
        }
        reader.finish();
        problems.into_inner().into_result(list)
    }

    fn add(&mut self, parameter: Parameter, repeat: &[String], table: &Reader<'_>) {
        let at = self.parameters.len();
        for n in repeat {
            let name: Arc<str> = parameter.name.replace("{n}", n).into();
            if let Some(other) = self.by_name.insert(name.clone(), at).and_then(|at| self.parameters.get(at)) {
                table.problem(&parameter.name, format!("{name} is already listed as {}", other.name), None);
            }
        }
        self.parameters.push(parameter);
    }
}

/// The values that `{n}` takes; one empty text for a parameter that doesn't repeat.
fn repeat(entry: &Reader<'_>, name: &str, lines: u16, keys: u16) -> Vec<String> {
    let counted = |count: u16| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>();
    let values = match entry.find("repeat").map(|found| found.value) {
        None => Vec::new(),
        Some(DeValue::String(word)) if word == "line" => counted(lines.max(1)),
        Some(DeValue::String(word)) if word == "key" => counted(keys.max(1)),
        Some(DeValue::Array(items)) => items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.as_str().to_owned(),
                _ => String::new(),
            })
            .collect(),
        Some(_) => {
            entry.problem("repeat", "must be \"line\", \"key\" or a list of values for {n}", None);
            Vec::new()
        }
    };
    if name.contains("{n}") == values.is_empty() && entry.has("repeat") != name.contains("{n}") {
        entry.problem("repeat", "goes with a name that holds {n}, and only with such a one", None);
    }
    if values.is_empty() { vec![String::new()] } else { values }
}

fn bool_words(reader: &Reader<'_>) -> Option<BoolWords> {
    let table = reader.table("bool")?;
    let yes = table.required_text("true");
    let no = table.required_text("false");
    table.finish();
    Some(BoolWords { yes: yes?.into(), no: no?.into() })
}

fn effects(entry: &Reader<'_>) -> Effects {
    let mut effects = Effects::default();
    for word in entry.texts("effect").unwrap_or_default() {
        match Effect::ALL.into_iter().find(|effect| effect.word() == word) {
            Some(effect) => effects = effects.with(effect),
            None => {
                entry.problem("effect", format!("\"{word}\" is no effect: it is reboot, register or resync"), None);
            }
        }
    }
    effects
}

fn parameter(entry: Reader<'_>, name: &str, access_words: &[Arc<str>], models: &[Model]) -> Option<Parameter> {
    if !entry.has("type") {
        entry.missing("type");
    }
    let kind = entry.parsed::<Type>("type");
    if kind == Some(Type::Choice) && !entry.has("choices") {
        entry.problem("choices", "is missing: a choice is one of them", None);
    }
    let access = entry.text("access");
    if let Some(word) = access.as_deref().filter(|word| !access_words.iter().any(|known| &**known == *word)) {
        entry.problem("access", format!("\"{word}\" is none of the pack's access words"), None);
    }
    let limited = entry.texts("models").unwrap_or_default();
    for name in &limited {
        if !models.iter().any(|model| model.is_called(name) || model.family == *name) {
            entry.problem("models", format!("the pack has no model or family \"{name}\""), None);
        }
    }
    let parameter = Parameter {
        name: name.into(),
        kind: kind.unwrap_or(Type::Text),
        choices: entry.texts("choices").unwrap_or_default(),
        min: entry.integer("min", i64::MIN..=i64::MAX),
        max: entry.integer("max", i64::MIN..=i64::MAX),
        default: entry.text("default"),
        access: access.map(Into::into),
        secret: entry.boolean("secret").unwrap_or(false),
        effects: effects(&entry),
        bool_words: bool_words(&entry),
        models: limited,
        line: entry.line(),
    };
    entry.finish();
    kind.map(|_| parameter)
}
