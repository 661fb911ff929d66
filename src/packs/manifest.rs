//! `pack.toml`: the models of a family, and the files that its phones ask for.

use std::path::Path;
use std::sync::Arc;

use super::format::Format;
use super::path::{ModelNames, PathPattern};
use crate::document::{DeValue, Reader};

/// One model of a pack.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: Arc<str>,
    /// Golden profiles and parts of the mapping go by family.
    pub family: String,
    /// How many SIP accounts it registers.
    pub lines: u16,
    /// Programmable keys.
    pub keys: u16,
    pub aliases: Vec<String>,
    /// Its phones send the same `nc` again when they use a nonce again: Digest lets them.
    pub digest_repeats_nc: bool,
    /// Whatever templates want to know of it.
    pub facts: Vec<(String, String)>,
}

impl Model {
    /// Whether this is the model's name or an alias of it, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.name).chain(self.aliases.iter().map(String::as_str))
    }
}

/// Who may fetch a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The device that it is for, once it has proved itself.
    Device,
    /// Everyone: it holds no secret, and is the same for all.
    Anyone,
}

/// Where a file's body comes from.
#[derive(Debug, Clone)]
pub enum Source {
    Template {
        /// Its file name, in the pack or in the operator's `templates/<pack>/`.
        template: String,
        /// The mapping whose parameters it lays out.
        mapping: Option<String>,
    },
    /// A file under `profiles/files/`, with `{mac}`, `{MAC}`, `{serial}` and `{model}` in its name.
    Static(String),
}

/// A path that phones ask for, and how its answer is made.
#[derive(Debug, Clone)]
pub struct FileEntry {
    pub name: String,
    pub paths: Vec<PathPattern>,
    pub source: Source,
    /// Whether `[params]` of the settings are applied.
    pub params: bool,
    pub format: Format,
    pub content_type: String,
    pub audience: Audience,
    /// Whether `[delivery]` of the settings is applied.
    pub delivery: bool,
    /// Whether a token for the first contact opens it.
    pub bootstrap: bool,
    /// Indices of the models that have it; none: all.
    pub models: Option<Vec<usize>>,
    pub line: u32,
}

impl FileEntry {
    /// Whether this model has the file.
    pub fn is_for(&self, model: usize) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(&model))
    }
}

/// The models of a pack, as paths and patterns look them up.
#[derive(Debug, Clone, Default)]
pub struct Models {
    pub list: Vec<Model>,
    /// Lower-case name, and its model; the longest names first.
    by_length: Vec<(String, usize)>,
}

impl Models {
    fn new(list: Vec<Model>) -> Self {
        let mut by_length: Vec<(String, usize)> = list
            .iter()
            .enumerate()
            .flat_map(|(index, model)| model.names().map(move |name| (name.to_ascii_lowercase(), index)))
            .collect();
        by_length.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        by_length.dedup();
        Self { list, by_length }
    }

    pub fn get(&self, index: usize) -> Option<&Model> {
        self.list.get(index)
    }

    /// The model of that name or alias, in any case.
    pub fn named(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        self.by_length.iter().find(|(own, _)| *own == name).map(|(_, index)| *index)
    }
}

impl ModelNames for Models {
    fn each_prefix(&self, text: &str, accept: &mut dyn FnMut(usize, usize) -> bool) -> bool {
        self.by_length.iter().any(|(name, index)| {
            text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) && accept(*index, name.len())
        })
    }
}

/// Reads `[models.…]`.
pub fn models(reader: &Reader<'_>) -> Models {
    let Some(table) = reader.table("models") else {
        reader.missing("models");
        return Models::default();
    };
    let of_all = reader.boolean("digest_repeats_nc").unwrap_or(false);
    let mut list: Vec<Model> = Vec::new();
    for (name, _) in table.entries() {
        let Some(entry) = table.table(name) else { continue };
        let count = |key: &str| entry.integer(key, 0..=999).and_then(|count| u16::try_from(count).ok()).unwrap_or(0);
        let model = Model {
            name: name.into(),
            family: entry.required_text("family").unwrap_or_default(),
            lines: count("lines"),
            keys: count("keys"),
            aliases: entry.texts("aliases").unwrap_or_default(),
            digest_repeats_nc: entry.boolean("digest_repeats_nc").unwrap_or(of_all),
            facts: facts(&entry),
        };
        for other in &list {
            if let Some(taken) = model.names().find(|name| other.is_called(name)) {
                table.problem(name, format!("\"{taken}\" is already a name of {}", other.name), None);
            }
        }
        entry.finish();
        list.push(model);
    }
    table.finish();
    Models::new(list)
}

fn facts(entry: &Reader<'_>) -> Vec<(String, String)> {
    let Some(table) = entry.table("facts") else { return Vec::new() };
    let mut facts = Vec::new();
    for (name, found) in table.entries() {
        match found.value {
            DeValue::String(text) => facts.push((name.to_owned(), text.to_string())),
            DeValue::Boolean(true) => facts.push((name.to_owned(), "true".to_owned())),
            DeValue::Boolean(false) => facts.push((name.to_owned(), String::new())),
            DeValue::Integer(number) => facts.push((name.to_owned(), number.as_str().to_owned())),
            _ => table.problem(name, "must be a text, a number, true or false", None),
        }
    }
    facts
}

/// Reads `[[file]]`.
pub fn files(reader: &Reader<'_>, folder: &Path, models: &Models) -> Vec<FileEntry> {
    let mut files: Vec<FileEntry> = Vec::new();
    for entry in reader.tables("file") {
        let Some(file) = file(&entry, folder, models) else {
            entry.finish();
            continue;
        };
        if files.iter().any(|other| other.name == file.name) {
            entry.problem("name", format!("there is another file named \"{}\"", file.name), None);
        }
        entry.finish();
        files.push(file);
    }
    files
}

fn file(entry: &Reader<'_>, folder: &Path, models: &Models) -> Option<FileEntry> {
    let name = entry.required_text("name")?;
    let any_case = entry.boolean("any_case").unwrap_or(false);
    let mut paths = Vec::new();
    if !entry.has("path") {
        entry.missing("path");
    }
    for text in entry.texts("path").unwrap_or_default() {
        match PathPattern::parse(&text, any_case) {
            Ok(path) if path.is_open() => {
                entry.problem("path", format!("{path} has {{any}}, which is for uploads"), None);
            }
            Ok(path) => paths.push(path),
            Err(error) => entry.problem("path", error.to_string(), None),
        }
    }
    let audience = match entry.required_text("audience").as_deref() {
        Some("anyone") => Audience::Anyone,
        Some("device") | None => Audience::Device,
        Some(other) => {
            entry.problem("audience", format!("must be \"device\" or \"anyone\", not \"{other}\""), None);
            Audience::Device
        }
    };
    let for_device = audience == Audience::Device;
    if !entry.has("format") {
        entry.missing("format");
    }
    let format = entry.parsed::<Format>("format").unwrap_or(Format::Text);
    let source = source(entry, folder)?;
    if format == Format::Binary && matches!(source, Source::Template { .. }) {
        entry.problem("format", "a template can't make bytes; binary is for static files", None);
    }
    if let (Audience::Anyone, Some(path)) = (audience, paths.iter().find(|path| path.names_device())) {
        let message = format!("{path} names a phone, and a file for anyone is the same for all");
        if matches!(source, Source::Template { .. }) {
            entry.problem("path", message, None);
        }
    }
    let by_code = paths.iter().find(|path| path.has_code());
    let delivery = match entry.text("delivery").as_deref() {
        None => for_device && matches!(source, Source::Template { .. }),
        Some("device") if for_device => true,
        Some("plain") => false,
        Some(_) => {
            entry.problem("delivery", "must be \"plain\", or for a device's file \"device\"", None);
            false
        }
    };
    if let Some(path) = by_code.filter(|_| delivery) {
        let message = format!("{path} is asked for by a phone that holds no key yet");
        entry.problem("delivery", message, "write delivery = \"plain\"".to_owned());
    }
    let bootstrap = entry.boolean("bootstrap").unwrap_or(false);
    if bootstrap && !(for_device && matches!(source, Source::Template { .. })) {
        let message = "only a device's file with a template can bring the token that the phone comes with from then on";
        entry.problem("bootstrap", message, None);
    }
    Some(FileEntry {
        name,
        paths,
        source,
        params: entry.boolean("params").unwrap_or(for_device),
        format,
        content_type: entry.text("content_type").unwrap_or_else(|| format.content_type().to_owned()),
        audience,
        delivery,
        bootstrap,
        models: limited_models(entry, models),
        line: entry.line(),
    })
}

fn source(entry: &Reader<'_>, folder: &Path) -> Option<Source> {
    let mapping = entry.text("mapping");
    match (entry.text("template"), entry.text("static")) {
        (Some(template), None) => {
            for (key, name) in [("template", Some(&template)), ("mapping", mapping.as_ref())] {
                if let Some(name) = name.filter(|name| !folder.join(name).is_file()) {
                    entry.problem(key, format!("the pack has no file \"{name}\""), None);
                }
            }
            Some(Source::Template { template, mapping })
        }
        (None, Some(name)) => {
            if mapping.is_some() {
                entry.problem("mapping", "a static file has none", None);
            }
            if name.starts_with('/') || name.split('/').any(|part| part == "..") {
                entry.problem("static", "must stay within profiles/files/", None);
                return None;
            }
            Some(Source::Static(name))
        }
        _ => {
            entry.problem("template", "a file has either a template or a static file", None);
            None
        }
    }
}

/// Indices of the models that the entry's `models` names by model or family.
pub(super) fn limited_models(entry: &Reader<'_>, models: &Models) -> Option<Vec<usize>> {
    let names = entry.texts("models")?;
    let mut indices = Vec::new();
    for name in names {
        let found: Vec<usize> = models
            .list
            .iter()
            .enumerate()
            .filter(|(_, model)| model.is_called(&name) || model.family == name)
            .map(|(index, _)| index)
            .collect();
        if found.is_empty() {
            entry.problem("models", format!("the pack has no model or family \"{name}\""), None);
        }
        indices.extend(found);
    }
    Some(indices)
}
