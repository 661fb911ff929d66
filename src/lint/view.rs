//! What rules look at, made once for all of them: the deployment, and each device with its settings and rendered files.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use time::OffsetDateTime;

use super::cisco::CiscoPhone;
use super::finding::{Finding, Mark};
use super::written::{self, Written};
use crate::config::{Config, Listener};
use crate::document::{DeTable, DeValue, Document};
use crate::packs::{self, Audience, FileEntry, Format, Model, Pack, Source};
use crate::phone::{Maker, Parameters};
use crate::render::{Desired, Parameter, Refused, RenderError, Shown, is_managed};
use crate::resync::{Device, Generation};
use crate::settings::Effective;

/// What all devices share.
pub struct Deployment<'d> {
    pub config: &'d Config,
    pub generation: &'d Generation,
    /// When the check runs.
    pub now: OffsetDateTime,
    /// Every rendered file for anyone, of every model that has it.
    pub public: Vec<PublicFile<'d>>,
    /// Per pack and file: the earlier file of the pack whose text is the same.
    same: Vec<Vec<Option<usize>>>,
    /// The configuration's own file, for the lines of its keys.
    document: Option<Document>,
}

/// One rendered file for anyone.
pub struct PublicFile<'d> {
    pub pack: &'d Pack,
    pub entry: &'d FileEntry,
    /// None where the path names none.
    pub model: Option<&'d Model>,
    /// As a phone asks for it.
    pub path: String,
    pub outcome: Result<Profile, RenderError>,
}

/// A rendered text, read.
pub struct Profile {
    pub body: Vec<u8>,
    /// What the mapping and `[params]` made.
    pub made: Vec<Parameter>,
    /// What then stands in the text.
    pub written: Vec<Written>,
}

/// One parameter of a rendered text.
#[derive(Clone, Copy)]
pub struct ParameterView<'v> {
    pub name: &'v str,
    /// `***` where it is a secret.
    pub value: &'v str,
    /// The line of the rendered text.
    pub line: u32,
    pub is_empty: bool,
    /// None for what the template wrote of its own accord.
    pub made: Option<&'v Parameter>,
    /// What the pack's list says of it.
    pub known: Option<&'v packs::Parameter>,
}

/// One of a device's own files.
pub struct FileView<'d> {
    pub entry: &'d FileEntry,
    /// As the phone asks for it.
    pub path: String,
    /// The file before this one whose text is the same; that one is looked at in its place.
    pub same_as: Option<usize>,
    /// None for a static file, and for one with the text of another.
    pub outcome: Option<Result<Profile, RenderError>>,
}

/// One device.
pub struct DeviceView<'d> {
    pub deployment: &'d Deployment<'d>,
    pub device: &'d Device,
    pub pack: &'d Pack,
    pub model: &'d Model,
    pub settings: &'d Effective,
    pub files: Vec<FileView<'d>>,
    /// Whose phone it is, of those that the program knows more of than its pack tells.
    pub maker: Option<Maker>,
    cisco: OnceCell<Option<CiscoPhone>>,
    parameters: OnceCell<Parameters>,
    desired: OnceCell<Option<Result<Desired, RenderError>>>,
}

impl Profile {
    fn read(format: Format, body: Vec<u8>, made: Vec<Parameter>) -> Self {
        let written = written::read(format, &body);
        Self { body, made, written }
    }

    /// Every parameter of the text, in its order.
    pub fn parameters<'v>(&'v self, pack: &'v Pack) -> impl Iterator<Item = ParameterView<'v>> {
        // A template writes them in the order in which they were made, or nearly so.
        let mut expected = 0;
        self.written.iter().map(move |written| {
            let is_it = |made: &&Parameter| *made.name == *written.name;
            let made = match self.made.get(expected).filter(is_it) {
                Some(made) => {
                    expected += 1;
                    Some(made)
                }
                None => {
                    let at = self.made.iter().position(|made| is_it(&made));
                    expected = at.map_or(expected, |at| at + 1);
                    at.and_then(|at| self.made.get(at))
                }
            };
            ParameterView {
                name: &written.name,
                value: made.map_or(&written.value, |made| &made.value),
                line: written.line,
                is_empty: written.is_empty,
                made,
                known: pack.parameters.get(&written.name),
            }
        })
    }

    /// The value that a phone takes: the last of the name.
    pub fn value(&self, name: &str) -> Option<&str> {
        let made = self.made.iter().find(|made| *made.name == *name).map(|made| made.value.as_str());
        made.or_else(|| self.written.iter().rev().find(|one| one.name == name).map(|one| one.value.as_str()))
    }
}

impl ParameterView<'_> {
    /// Whether the value may not be looked at.
    pub fn is_secret(&self) -> bool {
        self.made.is_some_and(|made| made.secret) || self.known.is_some_and(|known| known.secret)
    }
}

fn is_rendered(file: &FileEntry) -> bool {
    matches!(file.source, Source::Template { .. })
}

impl<'d> Deployment<'d> {
    /// Renders what is for anyone.
    pub fn new(config: &'d Config, generation: &'d Generation) -> Self {
        Self {
            config,
            generation,
            now: OffsetDateTime::now_utc(),
            public: public_files(config, generation),
            same: generation.packs.iter().map(same_texts).collect(),
            document: Document::read(&config.file).ok(),
        }
    }

    /// One device, and all of its files rendered with their secrets masked. None where its model has gone.
    pub fn device(&'d self, device: &'d Device, settings: &'d Effective) -> Option<DeviceView<'d>> {
        let (pack, model) = self.generation.packs.pack_and_model(device.model)?;
        let mut files: Vec<FileView<'d>> = Vec::new();
        // The files that are there so far, by their place in the manifest.
        let mut places: Vec<usize> = Vec::new();
        let same = self.same.get(device.model.pack);
        let limit = &self.config.limits;
        for (index, entry) in pack.files.iter().enumerate() {
            if entry.audience != Audience::Device || !entry.is_for(device.model.model) {
                continue;
            }
            let path =
                entry.paths.iter().find_map(|path| path.fill(Some(device.mac), device.serial.as_ref(), &model.name));
            // A path by serial number is no path of a device whose serial number nobody knows.
            let Some(path) = path else { continue };
            let earlier = same.and_then(|same| same.get(index).copied().flatten());
            let same_as = earlier.and_then(|earlier| places.iter().position(|place| *place == earlier));
            let outcome = (is_rendered(entry) && same_as.is_none()).then(|| {
                let rendered = self.generation.render(device, entry, settings, Shown::Masked, limit)?;
                Ok(Profile::read(entry.format, rendered.body, rendered.parameters))
            });
            places.push(index);
            files.push(FileView { entry, path, same_as, outcome });
        }
        let (maker, cisco, parameters) = (Maker::of(&model.name), OnceCell::new(), OnceCell::new());
        let desired = OnceCell::new();
        Some(DeviceView { deployment: self, device, pack, model, settings, files, maker, cisco, parameters, desired })
    }

    /// A finding at a key of the configuration: `["tls", "certificate"]` of a listener, or of the file's top. What a
    /// variable of the environment says instead is told at the same place.
    pub fn in_configuration(&self, finding: Finding, listener: Option<&Listener>, keys: &[&str]) -> Finding {
        let line = self.document.as_ref().and_then(|document| {
            let top = document.parse().ok()?;
            let Some(listener) = listener else { return line_in(document, &top, keys) };
            let DeValue::Array(all) = top.get("listener")?.get_ref() else { return None };
            let is_it = |table: &DeTable<'_>| {
                let name = table.get("name").map(|name| name.get_ref());
                matches!(name, Some(DeValue::String(name)) if *name == listener.name)
            };
            all.iter().find_map(|one| match one.get_ref() {
                DeValue::Table(table) if is_it(table) => {
                    line_in(document, table, keys).or(Some(document.line_at(one.span().start)))
                }
                _ => None,
            })
        });
        let mut key = listener.map(|_| "listener".to_owned()).into_iter().collect::<Vec<_>>();
        key.extend(keys.iter().map(|key| (*key).to_owned()));
        let file: Arc<Path> = self.config.file.as_path().into();
        Finding { file: Some(file), line, key: Some(key.join(".")), ..finding }
    }
}

/// The line of a dotted key, or of the table that would hold it.
fn line_in(document: &Document, table: &DeTable<'_>, keys: &[&str]) -> Option<u32> {
    let (first, rest) = keys.split_first()?;
    let (key, value) = table.get_key_value(*first)?;
    let own = document.line_at(key.span().start);
    match value.get_ref() {
        DeValue::Table(inner) if !rest.is_empty() => line_in(document, inner, rest).or(Some(own)),
        _ => Some(own),
    }
}

fn public_files<'d>(config: &Config, generation: &'d Generation) -> Vec<PublicFile<'d>> {
    let mut found = Vec::new();
    for (index, pack) in generation.packs.iter().enumerate() {
        for entry in pack.files.iter().filter(|file| file.audience == Audience::Anyone && is_rendered(file)) {
            let is_named = entry.paths.iter().any(|path| path.to_string().contains("{model}"));
            let models: Vec<Option<usize>> = if is_named {
                (0..pack.models.list.len()).filter(|model| entry.is_for(*model)).map(Some).collect()
            } else {
                vec![None]
            };
            for number in models {
                let model = number.and_then(|number| pack.models.get(number));
                let name = model.map_or("", |model| &*model.name);
                let Some(path) = entry.paths.iter().find_map(|path| path.fill(None, None, name)) else { continue };
                let outcome = generation
                    .render_for_anyone(index, entry, number, &config.limits)
                    .map(|rendered| Profile::read(entry.format, rendered.body, rendered.parameters));
                found.push(PublicFile { pack, entry, model, path, outcome });
            }
        }
    }
    found
}

/// For each file the earlier one that is made by the same template and mapping, where neither asks which file it is.
fn same_texts(pack: &Pack) -> Vec<Option<usize>> {
    let asks_which = |text: &str| ["file.name", "file.path", "file["].iter().any(|name| text.contains(name));
    let mut expressions =
        pack.mappings.values().flat_map(|mapping| mapping.families()).flat_map(|(_, expressions)| expressions.iter());
    let asks = pack.templates.iter().any(|template| asks_which(&template.text))
        || expressions.any(|entry| asks_which(&entry.expression));
    let alike = |file: &FileEntry, other: &FileEntry| match (&file.source, &other.source) {
        (Source::Template { template, mapping }, Source::Template { template: of_other, mapping: other_mapping }) => {
            template == of_other
                && mapping == other_mapping
                && file.format == other.format
                && file.params == other.params
                && file.audience == other.audience
        }
        _ => false,
    };
    let earlier = |index: usize, file: &FileEntry| pack.files.iter().take(index).position(|other| alike(file, other));
    pack.files.iter().enumerate().map(|(index, file)| if asks { None } else { earlier(index, file) }).collect()
}

impl<'d> DeviceView<'d> {
    /// Every file that was made, with what it holds; each text once.
    pub fn profiles(&self) -> impl Iterator<Item = (&FileView<'d>, &Profile)> {
        self.files.iter().filter_map(|file| match &file.outcome {
            Some(Ok(profile)) => Some((file, profile)),
            _ => None,
        })
    }

    /// The file that the phone lives by: the first that a mapping makes.
    pub fn own(&self) -> Option<(&FileView<'d>, &Profile)> {
        let is_mapped = |file: &FileView<'_>| matches!(file.entry.source, Source::Template { mapping: Some(_), .. });
        self.profiles().find(|(file, _)| is_mapped(file))
    }

    /// A Cisco phone that holds the device's profile; none for a phone of another maker.
    pub fn cisco(&self) -> Option<&CiscoPhone> {
        let phone = self.cisco.get_or_init(|| {
            let (_, profile) = self.own().filter(|_| self.maker == Some(Maker::Cisco))?;
            CiscoPhone::new(self.device, &self.model.name, profile)
        });
        phone.as_ref()
    }

    /// What an ACS would set; none where nothing says that one manages the phone, or the phone has no data model.
    pub fn desired(&self) -> Option<&Result<Desired, RenderError>> {
        let made = self.desired.get_or_init(|| {
            if !is_managed(self.settings) {
                return None;
            }
            let (generation, limit) = (self.deployment.generation, &self.deployment.config.limits);
            generation.desired(self.device, self.settings, Shown::Masked, limit).transpose()
        });
        made.as_ref()
    }

    /// What of that the phone would refuse.
    pub fn refused(&self) -> &[Refused] {
        match self.desired() {
            Some(Ok(desired)) => &desired.refused,
            _ => &[],
        }
    }

    /// A finding at what makes a refused parameter, told by its path and why.
    pub fn at_refused(&self, refused: &Refused, mark: Mark) -> Finding {
        let finding = Finding::new(format!("{} {}", refused.path, refused.why));
        let finding = finding.in_line(refused.from.file.clone(), refused.from.line);
        match &refused.from.key {
            Some(key) => finding.key(key).mark(mark),
            None => finding.key(&refused.path).mark(Mark::Line),
        }
    }

    /// The parameters of the device's own profile, as an emulated phone holds them.
    pub fn parameters(&self) -> &Parameters {
        self.parameters.get_or_init(|| {
            let made = self.own().into_iter().flat_map(|(_, profile)| &profile.made);
            made.map(|parameter| (parameter.name.to_string(), parameter.value.clone())).collect()
        })
    }

    /// A finding in the device's own file, as a whole: for what is missing.
    pub fn missing(&self, message: impl Into<String>) -> Finding {
        Finding::new(message).in_line(self.device.layer.source.clone(), self.device.model_line)
    }

    /// A finding at a setting that holds for the device, or in its own file where none is set.
    pub fn at_setting(&self, message: impl Into<String>, dotted: &str) -> Finding {
        match self.settings.named(dotted) {
            Some(setting) => Finding::new(message).at(&setting.origin).key(dotted).mark(Mark::Value),
            None => self.missing(message).key(dotted),
        }
    }

    /// A finding at what set a parameter of a file: the operator's setting where one did, else the mapping or template.
    pub fn at_parameter(
        &self,
        message: impl Into<String>,
        file: &FileView<'_>,
        parameter: &ParameterView<'_>,
    ) -> Finding {
        self.at_marked_parameter(message, file, parameter, Mark::Line)
    }

    /// The same with a part of the value marked; the mark is kept where the operator wrote the value as it is.
    pub fn at_marked_parameter(
        &self,
        message: impl Into<String>,
        file: &FileView<'_>,
        parameter: &ParameterView<'_>,
        mark: Mark,
    ) -> Finding {
        let finding = Finding::new(message).rendered(&file.path, Some(parameter.line)).mark(mark);
        let (settings, family) = (Some(self.settings), self.model.family.as_str());
        super::provenance::place(finding, self.pack, family, file.entry, parameter, settings)
    }
}

impl PublicFile<'_> {
    /// A finding at what made a parameter of the file.
    pub fn at_parameter(&self, message: impl Into<String>, parameter: &ParameterView<'_>) -> Finding {
        let finding = Finding::new(message).rendered(&self.path, Some(parameter.line));
        let family = self.model.map_or("", |model| model.family.as_str());
        super::provenance::place(finding, self.pack, family, self.entry, parameter, None)
    }
}
