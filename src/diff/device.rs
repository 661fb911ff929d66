//! One device on both sides: its own settings, and each of its files by parameter.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::cause::{Differing, Settings, differing};
use super::change::{Change, Kind, Source, Subject};
use super::file::{self, Shape, Sides};
use super::group::Finding;
use super::seal::Sealer;
use super::{Side, acs};
use crate::model::MacAddr;
use crate::packs::{Audience, Effect, Effects, FileEntry, Format, Pack, Source as Body};
use crate::render::{RenderError, Rendered, Shown};
use crate::resync::Device;

/// Settings that no parameter shows, and that decide whether and how a phone gets its files.
const TOLD: [&str; 3] = ["delivery", "access", "credentials"];

/// Texts shorter than this are not taken for the device's serial number.
const SERIAL_LENGTH: usize = 6;

/// Both sides, and what comparing needs.
#[derive(Debug)]
pub struct Comparing<'c> {
    pub old: Side<'c>,
    pub new: Side<'c>,
    pub sealer: &'c Sealer,
    pub limit: usize,
    /// The packs, by name, whose files are made without looking at which file it is.
    alike: HashSet<&'c str>,
}

/// A comment, or the name by which a template asks which file it makes.
#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by every test that compares")]
static FILE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)\{#.*?#\}|\b(?<file>file)\b").unwrap());

fn names_file(template: &str) -> bool {
    FILE.captures_iter(template).any(|found| found.name("file").is_some())
}

impl<'c> Comparing<'c> {
    pub fn new(old: Side<'c>, new: Side<'c>, sealer: &'c Sealer, limit: usize) -> Self {
        let looks = |pack: &Pack| {
            let expressions = pack.mappings.values().flat_map(|mapping| mapping.families());
            let mut expressions = expressions.flat_map(|(_, expressions)| expressions.iter());
            pack.templates.iter().any(|template| names_file(&template.text))
                || expressions.any(|entry| names_file(&entry.expression))
        };
        let names = new.generation.packs.iter().filter(|pack| {
            let before = old.generation.packs.named(&pack.name);
            !looks(pack) && before.is_some_and(|before| !looks(before))
        });
        Self { old, new, sealer, limit, alike: names.map(|pack| pack.name.as_str()).collect() }
    }
}

impl Comparing<'_> {
    /// What changes for a device; nothing where neither its layers nor its pack did.
    pub fn device(&self, mac: MacAddr) -> Vec<Finding> {
        let (old, new) = (self.old.generation.profiles.device(mac), self.new.generation.profiles.device(mac));
        match (old, new) {
            (Some(old), Some(new)) => {
                // A fingerprint covers the texts of all layers and of the pack, and a device's own file names its model,
                // its group and its serial number.
                if self.old.generation.fingerprint(old) == self.new.generation.fingerprint(new) {
                    return Vec::new();
                }
                self.both(old, new)
            }
            (Some(device), None) => lone(&self.old, device, Kind::Removed),
            (None, Some(device)) => lone(&self.new, device, Kind::Added),
            (None, None) => Vec::new(),
        }
    }

    fn settings<'s>(&'s self, side: &'s Side<'s>, device: &'s Device) -> Settings<'s> {
        let plain = side.generation.settings(device);
        let layers = side.generation.layers(device);
        Settings {
            side,
            sealed: self.sealer.seal(plain.clone(), side),
            plain,
            layers,
            own: Some(&*device.layer.source),
        }
    }

    fn both(&self, old: &Device, new: &Device) -> Vec<Finding> {
        let packs =
            (self.old.generation.packs.pack_and_model(old.model), self.new.generation.packs.pack_and_model(new.model));
        let (Some((old_pack, old_model)), Some((new_pack, new_model))) = packs else { return Vec::new() };
        let mut found = Vec::new();
        let heads = heads(&self.old, old).into_iter().zip(heads(&self.new, new));
        for ((name, before), (_, after)) in heads.filter(|((_, before), (_, after))| before != after) {
            let kind = if name == "serial" { Kind::Changed } else { Kind::Moved };
            let change = Change::new(Subject::Head(name), before, after, Source::Own, None);
            found.push(Finding { kind, file: None, change });
        }
        let settings = (self.settings(&self.old, old), self.settings(&self.new, new));
        let differing = differing(&settings.0, &settings.1);
        if differing.is_empty() && found.is_empty() && old_pack.fingerprint == new_pack.fingerprint {
            // A comment, or the order of lines.
            return found;
        }
        found.extend(differing.iter().filter(|setting| is_told(setting)).map(|setting| Finding {
            kind: Kind::Changed,
            file: None,
            change: personal(of_setting(setting), new),
        }));
        // Phones of different families have no parameter in common: that the model is another says it all.
        if old_pack.name != new_pack.name {
            return found;
        }
        let is_moved = !found.is_empty();
        found.extend(
            acs::differences((old, new), (&settings.0, &settings.1), &differing, is_moved, self.limit)
                .into_iter()
                .map(|finding| Finding { change: personal(finding.change, new), ..finding }),
        );
        // A phone's first profile and its later one are often made of the same: comparing one does for both.
        let mut compared: Vec<(Recipe<'_>, Vec<(Kind, Change)>)> = Vec::new();
        for (old_file, new_file) in pairs(files(old_pack, old), files(new_pack, new)) {
            let (Some(old_file), Some(new_file)) = (old_file, new_file) else {
                found.push(self.lone_file(old_file, new_file, (old_pack, new_pack)));
                continue;
            };
            found.extend(self.manifest(old_file, new_file, new_pack));
            if !is_rendered(old_file) || !is_rendered(new_file) {
                continue;
            }
            let making = (
                Making { device: old, file: old_file, settings: &settings.0 },
                Making { device: new, file: new_file, settings: &settings.1 },
            );
            let sides = Sides {
                old: &self.old,
                new: &self.new,
                packs: (old_pack, new_pack),
                files: (old_file, new_file),
                families: (&old_model.family, &new_model.family),
                differing: &differing,
                is_moved,
            };
            let recipe = (recipe(old_file), recipe(new_file));
            let known = compared.iter().find(|(other, _)| *other == recipe && self.alike.contains(&*new_pack.name));
            let changes = match known {
                Some((_, changes)) => changes.clone(),
                None => self.file(&making.0, &making.1, &sides),
            };
            if known.is_none() {
                compared.push((recipe, changes.clone()));
            }
            found.extend(changes.into_iter().map(|(kind, change)| Finding {
                kind,
                file: Some(path_of(new_file)),
                change: personal(change, new),
            }));
        }
        found
    }

    fn file(&self, old: &Making<'_>, new: &Making<'_>, sides: &Sides<'_>) -> Vec<(Kind, Change)> {
        let mut extra = Vec::new();
        let (made_old, made_new) = match (old.sealed(self.limit), new.sealed(self.limit)) {
            (Ok(old), Ok(new)) => (Ok(old), Ok(new)),
            // A template that won't have tokens: secrets are masked, and told by their settings.
            _ => {
                let secrets = sides.differing.iter().filter(|setting| setting.secret && !is_told(setting));
                extra.extend(secrets.map(|setting| (Kind::Changed, of_setting(setting))));
                (old.masked(self.limit), new.masked(self.limit))
            }
        };
        let (made_old, made_new) = match (made_old, made_new) {
            (Ok(old), Ok(new)) => (old, new),
            (old, new) => {
                let told = |result: Result<Rendered, RenderError>, side: &Side<'_>| {
                    result.err().map(|error| side.rooted(&error.to_string()))
                };
                let (old, new) = (told(old, sides.old), told(new, sides.new));
                return vec![(Kind::Unrendered, Change::new(Subject::Failure, old, new, Source::Unknown, None))];
            }
        };
        let mut changes = Vec::new();
        if made_old != made_new {
            changes = file::differences(
                &Shape { rendered: &made_old, tokens: &old.settings.tokens() },
                &Shape { rendered: &made_new, tokens: &new.settings.tokens() },
                sides,
            );
        }
        if changes.is_empty() && made_old.body != made_new.body {
            // Lines are shown whole, and may hold a password that stands in [params] as text: only masking knows it.
            changes = match (old.masked(self.limit), new.masked(self.limit)) {
                (Ok(old), Ok(new)) => sides.by_line(&old, &new),
                _ => vec![Change { secret: true, ..Change::new(Subject::Layout, None, None, Source::Unknown, None) }],
            };
        }
        extra.extend(changes.into_iter().map(|change| (Kind::Changed, change)));
        extra
    }

    /// A file that phones may ask for on one side only.
    pub fn lone_file(&self, old: Option<&FileEntry>, new: Option<&FileEntry>, packs: (&Pack, &Pack)) -> Finding {
        let (side, pack) = if new.is_some() { (&self.new, packs.1) } else { (&self.old, packs.0) };
        let name: Arc<str> = new.or(old).map(|file| format!("file {}", file.name)).unwrap_or_default().into();
        let told = |file: Option<&FileEntry>| file.map(|file| path_of(file).to_string());
        let source = side.file(&pack.folder.join("pack.toml"));
        let change = Change::new(Subject::File(name), told(old), told(new), source, new.map(|file| file.line));
        Finding {
            kind: Kind::Changed,
            file: None,
            change: Change { effects: Effects::default().with(Effect::Resync), ..change },
        }
    }

    /// What the manifest says of a file: who may fetch it, by which paths, and how it is sent.
    pub fn manifest(&self, old: &FileEntry, new: &FileEntry, pack: &Pack) -> Vec<Finding> {
        let paths = |file: &FileEntry| file.paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let body = |file: &FileEntry| match &file.source {
            Body::Template { .. } => "a template".to_owned(),
            Body::Static(name) => format!("files/{name}"),
        };
        let audience = |file: &FileEntry| match file.audience {
            Audience::Device => "device".to_owned(),
            Audience::Anyone => "anyone".to_owned(),
        };
        let said = [
            ("paths", paths(old), paths(new)),
            ("audience", audience(old), audience(new)),
            ("source", body(old), body(new)),
            ("delivery", old.delivery.to_string(), new.delivery.to_string()),
            ("content type", old.content_type.clone(), new.content_type.clone()),
        ];
        let source = self.new.file(&pack.folder.join("pack.toml"));
        let found = said.into_iter().filter(|(_, old, new)| old != new).map(|(what, before, after)| {
            let subject = Subject::File(format!("{what} of {}", new.name).into());
            let change = Change::new(subject, Some(before), Some(after), source.clone(), Some(new.line));
            let effects = Effects::default().with(Effect::Resync);
            Finding { kind: Kind::Changed, file: None, change: Change { effects, ..change } }
        });
        found.collect()
    }
}

/// What a file's text is made of on both sides, beside the device.
type Recipe<'f> = (Ingredients<'f>, Ingredients<'f>);

type Ingredients<'f> = (&'f str, Option<&'f str>, bool, Format);

fn recipe(file: &FileEntry) -> Ingredients<'_> {
    match &file.source {
        Body::Template { template, mapping } => (template, mapping.as_deref(), file.params, file.format),
        Body::Static(name) => (name, None, file.params, file.format),
    }
}

/// A file of a device on one side.
struct Making<'m> {
    device: &'m Device,
    file: &'m FileEntry,
    settings: &'m Settings<'m>,
}

impl Making<'_> {
    fn sealed(&self, limit: usize) -> Result<Rendered, RenderError> {
        let Settings { side, sealed, .. } = self.settings;
        side.generation.render(self.device, self.file, sealed, Shown::Real, limit)
    }

    fn masked(&self, limit: usize) -> Result<Rendered, RenderError> {
        let Settings { side, plain, .. } = self.settings;
        side.generation.render(self.device, self.file, plain, Shown::Masked, limit)
    }
}

fn is_told(setting: &Differing) -> bool {
    setting.key.schema().is_some_and(|(section, _)| TOLD.contains(&section.name))
}

/// How a file is sent, and to whom, is how a phone resyncs; only compression is nothing that a phone can fail at.
fn of_setting(setting: &Differing) -> Change {
    let subject = Subject::Setting(setting.name.clone());
    let change = Change::new(subject, setting.old.clone(), setting.new.clone(), setting.source.clone(), setting.line);
    let is_resync = is_told(setting) && &*setting.name != "delivery.gzip";
    let effects = if is_resync { Effects::default().with(Effect::Resync) } else { Effects::default() };
    Change { secret: setting.secret, effects, ..change }
}

/// A device that only one side has.
fn lone(side: &Side<'_>, device: &Device, kind: Kind) -> Vec<Finding> {
    let heads = heads(side, device).into_iter().filter(|(name, value)| value.is_some() && *name != "serial");
    let found = heads.map(|(name, value)| {
        let (old, new) = if kind == Kind::Removed { (value, None) } else { (None, value) };
        Finding { kind, file: None, change: Change::new(Subject::Head(name), old, new, Source::Own, None) }
    });
    found.collect()
}

/// What stands at the top of a device's file.
fn heads(side: &Side<'_>, device: &Device) -> [(&'static str, Option<String>); 3] {
    let model = side.generation.packs.pack_and_model(device.model).map(|(_, model)| model.name.to_string());
    [
        ("model", model),
        ("group", side.generation.facts(device).group),
        ("serial", device.serial.as_ref().map(ToString::to_string)),
    ]
}

pub fn is_rendered(file: &FileEntry) -> bool {
    matches!(file.source, Body::Template { .. })
}

/// The files that are a device's own.
fn files<'p>(pack: &'p Pack, device: &Device) -> Vec<&'p FileEntry> {
    let name = pack.models.get(device.model.model).map_or("", |model| &model.name);
    let own = |file: &&FileEntry| {
        file.audience == Audience::Device
            && file.is_for(device.model.model)
            // A path by serial number is no path of a device whose serial number nobody knows.
            && file.paths.iter().any(|path| path.fill(Some(device.mac), device.serial.as_ref(), name).is_some())
    };
    pack.files.iter().filter(own).collect()
}

type Pair<'f> = (Option<&'f FileEntry>, Option<&'f FileEntry>);

/// The files of both sides by name: those of the new side in its order, then those that are gone.
pub fn pairs<'f>(old: Vec<&'f FileEntry>, new: Vec<&'f FileEntry>) -> Vec<Pair<'f>> {
    let gone = old.iter().filter(|file| !new.iter().any(|other| other.name == file.name));
    let gone: Vec<Pair<'f>> = gone.map(|file| (Some(*file), None)).collect();
    let there = new.into_iter().map(|file| (old.iter().find(|other| other.name == file.name).copied(), Some(file)));
    there.chain(gone).collect()
}

/// The path that the manifest names first, with its places: the same for all devices.
pub fn path_of(file: &FileEntry) -> Arc<str> {
    file.paths.first().map_or_else(|| file.name.as_str().into(), |path| path.to_string().into())
}

/// A change with `{mac}` and `{serial}` in the place of what is the device's own: a new server name is the same change for
/// every phone, though each asks it for a file of its own.
fn personal(change: Change, device: &Device) -> Change {
    let placed = |text: Option<String>| text.map(|text| without_own(text, device));
    Change { old: placed(change.old), new: placed(change.new), ..change }
}

fn without_own(mut text: String, device: &Device) -> String {
    let mut put = |own: &str, place: &str| {
        if text.contains(own) {
            text = text.replace(own, place);
        }
    };
    put(&device.mac.to_string(), "{mac}");
    put(&device.mac.upper(), "{MAC}");
    if let Some(serial) = device.serial.as_ref().map(|serial| serial.as_str()).filter(|s| s.len() >= SERIAL_LENGTH) {
        put(serial, "{serial}");
    }
    text
}
