//! One pack's templates and expressions, compiled, and the making of one file with them.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use tera::{ErrorKind, Tera, Value};

use super::acs::Wanting;
use super::context::{self, Built, Shown};
use super::error::RenderError;
use super::form::Form;
use super::guard::{self, Guard, Guarded, Limit, Stopped};
use super::parameters::{self, Compiled, Making, Parameter};
use super::params::SharedParams;
use super::{check, escape, filters, grandstream};
use crate::model::{MacAddr, Secret, Serial};
use crate::packs::data_model::FILE;
use crate::packs::{FileEntry, Format, Mapping, Model, Pack, ParameterList, Source};
use crate::settings::Effective;

/// One pack, ready to render.
#[derive(Debug)]
pub struct Engine {
    /// Templates by the format they are escaped for.
    layouts: HashMap<Format, Tera>,
    expressions: Tera,
    /// The templates with their steps, by name.
    guarded: HashMap<String, Guarded>,
    /// By mapping file and family.
    mappings: BTreeMap<String, HashMap<String, Compiled>>,
    /// Of the data model, by family.
    acs: HashMap<String, Compiled>,
}

/// The device that a file is for.
#[derive(Debug, Clone)]
pub struct DeviceFacts {
    pub mac: MacAddr,
    pub serial: Option<Serial>,
    pub group: Option<String>,
}

/// One file to be made.
#[derive(Debug)]
pub struct Job<'j> {
    pub pack: &'j Pack,
    pub file: &'j FileEntry,
    pub model: Option<&'j Model>,
    /// None for files that anyone may fetch.
    pub device: Option<&'j DeviceFacts>,
    pub settings: &'j Effective,
    /// What is known of those that many devices have in common; where it is missing it is made for this job alone.
    pub shared: Option<&'j SharedParams>,
    pub shown: Shown,
    pub limit: Limit,
    /// What the phone posted; none where there is no such request.
    pub form: Option<&'j Form>,
}

/// A file as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub body: Vec<u8>,
    /// The parameters that the template laid out; empty for a file without a mapping.
    pub parameters: Vec<Parameter>,
}

impl Engine {
    /// Compiles a pack. Every template and expression that is wrong is reported.
    pub fn new(pack: &Pack) -> Result<Self, Vec<RenderError>> {
        let mut errors = Vec::new();
        let mut layouts = HashMap::new();
        let guard = |template: &crate::packs::TemplateText| (template.name.clone(), guard::guarded(&template.text));
        let guarded: HashMap<_, _> = pack.templates.iter().map(guard).collect();
        for file in &pack.files {
            if matches!(file.source, Source::Template { .. }) && !layouts.contains_key(&file.format) {
                let mut tera = instance(file.format);
                let texts = guarded.iter().map(|(name, guarded)| (name.as_str(), guarded.text.as_str()));
                if let Err(error) = tera.add_raw_templates(texts) {
                    // In the operator's own text, so that lines and columns are those of the file.
                    let texts = pack.templates.iter().map(|template| (template.name.as_str(), template.text.as_str()));
                    let error = instance(file.format).add_raw_templates(texts).err().unwrap_or(error);
                    errors.extend(template_errors(pack, &error, &HashMap::new()));
                }
                layouts.insert(file.format, tera);
            }
        }
        errors.extend(pack.templates.iter().filter_map(|template| {
            let (line, message) = filters::forbidden(&template.text).or_else(|| guard::unstoppable(&template.text))?;
            Some(RenderError::Template { place: format!("{}:{line}", template.file.display()), message })
        }));
        // The values of expressions are escaped later, when a template lays them out.
        let mut expressions = instance(Format::Text);
        expressions.set_escape_fn(escape::as_it_is);
        let mut mappings = BTreeMap::new();
        for (name, mapping) in &pack.mappings {
            let mut families = HashMap::new();
            for (family, _) in mapping.families() {
                match Compiled::new(&mut expressions, mapping, name, family) {
                    Ok(compiled) => {
                        families.insert(family.to_owned(), compiled);
                    }
                    Err(error) => errors.push(error),
                }
            }
            mappings.insert(name.clone(), families);
        }
        let mut acs = HashMap::new();
        if let Some(data_model) = &pack.data_model {
            for (family, _) in data_model.mapping.families() {
                match Compiled::new(&mut expressions, &data_model.mapping, FILE, family) {
                    Ok(compiled) => drop(acs.insert(family.to_owned(), compiled)),
                    Err(error) => errors.push(error),
                }
            }
        }
        // A template has two names, is compiled for every format, and an expression for every family.
        let mut told = Vec::new();
        errors.retain(|error| {
            let is_new = !told.contains(error);
            told.push(error.clone());
            is_new
        });
        if errors.is_empty() { Ok(Self { layouts, expressions, guarded, mappings, acs }) } else { Err(errors) }
    }

    /// Makes a file: rendered, escaped, checked.
    pub fn render(&self, job: &Job<'_>) -> Result<Rendered, RenderError> {
        let Source::Template { template, mapping } = &job.file.source else {
            return Err(RenderError::Missing("a template"));
        };
        let _guard = Guard::begin(job.limit);
        let (lines, keys) = job.model.map_or((0, 0), |model| (model.lines, model.keys));
        let mut built = context::build(job.settings, lines, keys, job.shown)?;
        facts(job.model, job.device, job.form, &mut built);
        built.context.insert_value("file", file_facts(job));
        let mut list = Vec::new();
        if let Some(mapping_name) = mapping
            && let Some(mapping) = job.pack.mappings.get(mapping_name)
        {
            let family = job.model.map_or("", |model| model.family.as_str());
            let making = Making {
                tera: &self.expressions,
                compiled: self.mappings.get(mapping_name).and_then(|families| families.get(family)),
                mapping,
                list: &job.pack.parameters,
                format: job.file.format,
                settings: job.settings,
                shared: job.shared,
                params: job.file.params,
                shown: job.shown,
                limit: job.limit,
            };
            let (parameters, seen) = making.make(&mut built).map_err(|error| scrubbed(error, &built.secrets))?;
            built.context.insert_value("parameters", seen);
            list = parameters;
        }
        let tera = self.layouts.get(&job.file.format).ok_or(RenderError::Missing("a template"))?;
        let mut out = Bounded::new(job.limit.bytes);
        if let Err(error) = tera.render_to(template, &built.context, &mut out) {
            if let Some(stopped) = out.stopped() {
                return Err(stopped_at(place(job.pack, template), stopped, job.limit));
            }
            if matches!(error.kind(), ErrorKind::Io(_)) {
                return Err(unfit(job, template, &error));
            }
            let mut error = template_errors(job.pack, &error, &self.guarded).into_iter().next();
            if let Some(RenderError::Template { message, .. }) = error.as_mut().filter(|_| job.shown == Shown::Absent) {
                message.push_str(" (a file for anyone sees no device and no secret)");
            }
            return Err(scrubbed(error.unwrap_or(RenderError::Missing("a template")), &built.secrets));
        }
        let text = String::from_utf8(out.bytes).map_err(|_| RenderError::Malformed {
            template: place(job.pack, template),
            line: 1,
            message: "not UTF-8".to_owned(),
        })?;
        check::check(job.file.format, &text).map_err(|malformed| RenderError::Malformed {
            template: place(job.pack, template),
            line: malformed.line,
            message: malformed.message,
        })?;
        let body = match (job.file.format, job.device) {
            (Format::GrandstreamBinary, Some(device)) => grandstream::frame(&text, device.mac),
            (Format::GrandstreamBinary, None) => return Err(RenderError::Missing("the phone's MAC")),
            _ => text.into_bytes(),
        };
        Ok(Rendered { body, parameters: list })
    }
}

impl Engine {
    /// What the expressions of the data model make of a device's settings, each name once.
    pub(super) fn acs_parameters(&self, job: &Wanting<'_>, mapping: &Mapping) -> Result<Made, RenderError> {
        let _guard = Guard::begin(job.limit);
        let mut built = context::build(job.settings, job.model.lines, job.model.keys, job.shown)?;
        facts(Some(job.model), Some(job.device), None, &mut built);
        let mut file = tera::Map::default();
        file.insert("name".into(), Value::from("acs"));
        file.insert("path".into(), Value::none());
        built.context.insert_value("file", Value::from(file));
        let making = Making {
            tera: &self.expressions,
            compiled: self.acs.get(&job.model.family),
            mapping,
            list: &ParameterList::unknown(),
            // SOAP is XML.
            format: Format::Xml,
            settings: job.settings,
            shared: None,
            params: false,
            shown: job.shown,
            limit: job.limit,
        };
        let (list, _) = making.make(&mut built).map_err(|error| scrubbed(error, &built.secrets))?;
        Ok(Made { list, secrets: built.secrets })
    }
}

/// What expressions made, and the secrets that they saw.
pub(super) struct Made {
    pub list: Vec<Parameter>,
    pub secrets: Vec<Secret>,
}

fn instance(format: Format) -> Tera {
    let mut tera = Tera::default();
    // Every name ends with nothing: escaping is on for all templates.
    tera.autoescape_on([""]);
    tera.set_escape_fn(escape::escape_fn(format));
    filters::register(&mut tera);
    guard::register(&mut tera);
    tera
}

/// What a context holds beside the settings.
fn facts(model: Option<&Model>, device: Option<&DeviceFacts>, form: Option<&Form>, built: &mut Built) {
    let request = form.map_or_else(|| Form::default().as_request(), Form::as_request);
    built.context.insert_value("request", request);
    if let Some(own) = model {
        let mut model = tera::Map::default();
        let mut facts = tera::Map::default();
        for (name, value) in &own.facts {
            facts.insert(name.clone().into(), Value::from(value.as_str()));
        }
        model.insert("name".into(), Value::from(&*own.name));
        model.insert("family".into(), Value::from(own.family.as_str()));
        model.insert("lines".into(), Value::from(u64::from(own.lines)));
        model.insert("keys".into(), Value::from(u64::from(own.keys)));
        model.insert("facts".into(), Value::from(facts));
        built.context.insert_value("model", Value::from(model));
    }
    if let Some(own) = device {
        let mut device = tera::Map::default();
        device.insert("mac".into(), Value::from(own.mac.to_string()));
        device.insert("mac_upper".into(), Value::from(own.mac.upper()));
        device.insert("mac_colons".into(), Value::from(own.mac.separated(':')));
        device.insert("serial".into(), own.serial.as_ref().map_or_else(Value::none, |serial| serial.as_str().into()));
        device.insert("group".into(), own.group.as_deref().map_or_else(Value::none, Value::from));
        built.context.insert_value("device", Value::from(device));
    }
}

/// What a context tells of the file that is made.
fn file_facts(job: &Job<'_>) -> Value {
    let mut file = tera::Map::default();
    file.insert("name".into(), Value::from(job.file.name.as_str()));
    // The path that the manifest names first, and not the one asked for: the same file is the same under each of its paths.
    let (mac, serial) = (job.device.map(|device| device.mac), job.device.and_then(|device| device.serial.as_ref()));
    let model_name = job.model.map_or("", |model| &*model.name);
    let path = job.file.paths.iter().find_map(|path| path.fill(mac, serial, model_name));
    file.insert("path".into(), path.map_or_else(Value::none, Value::from));
    Value::from(file)
}

/// Tera's own message and the line of the template, without the template's text.
pub fn message_of(error: &tera::Error) -> (String, Option<usize>) {
    match error.kind() {
        ErrorKind::RenderingError(report) | ErrorKind::SyntaxError(report) => {
            (report.message().to_owned(), Some(report.span().start_line))
        }
        // The escaping's own words.
        ErrorKind::Io(_) => {
            let source = std::error::Error::source(error).map(ToString::to_string);
            (format!("a value {}", source.unwrap_or_else(|| "can't be written".to_owned())), None)
        }
        other => {
            let text = other.to_string();
            (text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(), None)
        }
    }
}

/// A template laid out a value that its format can't carry: which setting it is, as far as that can be told.
fn unfit(job: &Job<'_>, template: &str, error: &tera::Error) -> RenderError {
    let (message, _) = message_of(error);
    let place = place(job.pack, template);
    match parameters::unfit(job.settings, job.file.format, |_| true) {
        Some((key, origin)) => {
            RenderError::Template { place, message: format!("{message}; it may be {key} of {origin}") }
        }
        None => RenderError::Template { place, message },
    }
}

/// What is wrong with templates, each with its file; at least one.
fn template_errors(pack: &Pack, error: &tera::Error, guarded: &HashMap<String, Guarded>) -> Vec<RenderError> {
    let (message, _) = message_of(error);
    let at = |place: String, message: &str| RenderError::Template { place, message: message.to_owned() };
    match error.kind() {
        ErrorKind::RenderingError(report) | ErrorKind::SyntaxError(report) => {
            let span = report.span();
            let (line, column) = (span.start_line, span.start_col + 1);
            let column = guarded.get(report.filename()).map_or(column, |guarded| guarded.column(line, column));
            let place = format!("{}:{line}:{column}", place(pack, report.filename()));
            vec![at(place, &message)]
        }
        ErrorKind::CircularInclude { tpl, .. } => vec![at(place(pack, tpl), "the template includes itself")],
        ErrorKind::CircularExtend { tpl, .. } => vec![at(place(pack, tpl), "the template extends itself")],
        ErrorKind::MissingParent { current, parent } => {
            vec![at(place(pack, current), &format!("the template extends \"{parent}\", and there is no such template"))]
        }
        // What is found once all templates are parsed comes as one text: a report each, "error: WHAT", "--> NAME:LINE:COLUMN".
        ErrorKind::Msg(text) => {
            let mut errors = Vec::new();
            let mut what = None;
            for line in text.lines() {
                if let Some(message) = line.strip_prefix("error: ") {
                    what = Some(message);
                } else if let (Some(message), Some(found)) = (what, line.trim_start().strip_prefix("--> ")) {
                    let mut parts = found.rsplitn(3, ':');
                    let (column, line) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                    let name = parts.next().unwrap_or_default();
                    errors.push(at(format!("{}:{line}:{column}", place(pack, name)), message));
                    what = None;
                }
            }
            if errors.is_empty() {
                errors.push(at(pack.folder.display().to_string(), &message));
            }
            errors
        }
        _ => vec![at(pack.folder.display().to_string(), &message)],
    }
}

/// The file of a template, as messages name it.
fn place(pack: &Pack, template: &str) -> String {
    let found = pack.templates.iter().find(|known| known.name == template);
    found.map_or_else(|| template.to_owned(), |known| known.file.display().to_string())
}

/// A template that would not end.
pub(super) fn stopped_at(template: String, stopped: Stopped, limit: Limit) -> RenderError {
    match stopped {
        Stopped::Size => RenderError::TooLarge { template, limit: limit.bytes },
        Stopped::Time => RenderError::TooSlow { template, limit: limit.time },
    }
}

/// Takes secrets out of a message of the template engine's, which may quote a value.
pub(super) fn scrubbed(error: RenderError, secrets: &[Secret]) -> RenderError {
    let scrub = |message: String| {
        secrets.iter().filter_map(Secret::expose_text).filter(|secret| !secret.trim().is_empty()).fold(
            message,
            |message, secret| {
                if message.contains(secret) { message.replace(secret, context::MASK) } else { message }
            },
        )
    };
    match error {
        RenderError::Expression { place, parameter, message } => {
            RenderError::Expression { place, parameter, message: scrub(message) }
        }
        RenderError::Template { place, message } => RenderError::Template { place, message: scrub(message) },
        other => other,
    }
}

/// Takes no more bytes than the limit, and none after the time.
pub(super) struct Bounded {
    pub bytes: Vec<u8>,
    limit: usize,
    /// Whether more came than it takes.
    over: bool,
    /// Writes until the time is looked at.
    writes: u8,
}

impl Bounded {
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::with_capacity(16 * 1024), limit, over: false, writes: 0 }
    }

    /// Why the render was stopped, if it was.
    pub fn stopped(&self) -> Option<Stopped> {
        if self.over { Some(Stopped::Size) } else { guard::stopped() }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.over = true;
            return Err(io::Error::other("too large"));
        }
        self.writes = self.writes.wrapping_add(1);
        if self.writes == 0 && !guard::is_in_time() {
            return Err(io::Error::other("too slow"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
