//! One device on both sides: its own settings, and each of its files by parameter.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::group::{Group, What, fold_files};
use super::seal::Sealer;
use super::{Change, Kind, Side, lines};
use crate::model::MacAddr;
use crate::packs::{Audience, Effect, FileEntry, Pack, ParameterList, Source};
use crate::render::{MASK, Parameter, RenderError, Rendered, Shown};
use crate::resync::Device;
use crate::settings::{Effective, Key, Value};

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
}

/// A file as it is compared, and, if asked for, as it is shown. Made anew only where something differs.
struct Made {
    compared: Rendered,
    /// Whether the compared one holds no tokens, because the file could be made with masked secrets only.
    is_masked: bool,
}

impl Comparing<'_> {
    /// What changes for a device; nothing where neither its layers nor its pack did.
    pub fn device(&self, mac: MacAddr) -> Vec<What> {
        let (old, new) = (self.old.generation.profiles.device(mac), self.new.generation.profiles.device(mac));
        match (old, new) {
            (Some(old), Some(new)) => {
                if self.old.generation.fingerprint(old) == self.new.generation.fingerprint(new) {
                    return Vec::new();
                }
                self.both(old, new)
            }
            (Some(device), None) => vec![lone(&self.old, device, Kind::Removed)],
            (None, Some(device)) => vec![lone(&self.new, device, Kind::Added)],
            (None, None) => Vec::new(),
        }
    }

    fn both(&self, old: &Device, new: &Device) -> Vec<What> {
        let packs = (
            self.old.generation.packs.pack_and_model(old.model),
            self.new.generation.packs.pack_and_model(new.model),
        );
        let (Some((old_pack, _)), Some((new_pack, _))) = packs else { return Vec::new() };
        let mut own = Vec::new();
        for (name, old, new) in heads(&self.old, old).into_iter().zip(heads(&self.new, new)).map(
            |((name, old), (_, new))| (name, old, new),
        ) {
            if old != new {
                own.push(Change::setting(name, old, new));
            }
        }
        let plain = (self.old.generation.settings(old), self.new.generation.settings(new));
        let sealed = (self.sealer.seal(plain.0.clone(), &self.old), self.sealer.seal(plain.1.clone(), &self.new));
        own.extend(settings(&sealed.0, &sealed.1).map(|change| personal(change, new)));
        let mut whats = Vec::new();
        // Phones of different families have no parameter in common: that the model is another says it all.
        if old_pack.name == new_pack.name {
            for (old_file, new_file) in pairs(files(old_pack, old), files(new_pack, new)) {
                match (old_file, new_file) {
                    (Some(old_file), Some(new_file)) => {
                        let sides = (
                            Making { device: old, file: old_file, plain: &plain.0, sealed: &sealed.0 },
                            Making { device: new, file: new_file, plain: &plain.1, sealed: &sealed.1 },
                        );
                        whats.extend(self.file(&sides.0, &sides.1, (&old_pack.parameters, &new_pack.parameters)));
                    }
                    (old, new) => own.push(Change::setting("file", old.map(path_of), new.map(path_of))),
                }
            }
        }
        if !own.is_empty() {
            whats.insert(0, What::changed(None, own));
        }
        fold_files(whats)
    }

    fn file(&self, old: &Making<'_>, new: &Making<'_>, lists: (&ParameterList, &ParameterList)) -> Option<What> {
        let path = path_of(new.file);
        let (made_old, made_new) = match (old.make(&self.old, self.limit), new.make(&self.new, self.limit)) {
            (Ok(old), Ok(new)) => (old, new),
            (made_old, made_new) => {
                let told = |error: Option<RenderError>, side: &Side<'_>, device: &Device| {
                    error.map(|error| without_own(&side.rooted(&error.to_string()), device))
                };
                return Some(What {
                    kind: Kind::Unrendered,
                    files: vec![path],
                    changes: Vec::new(),
                    old_error: told(made_old.err(), &self.old, old.device),
                    new_error: told(made_new.err(), &self.new, new.device),
                });
            }
        };
        if made_old.compared == made_new.compared {
            return None;
        }
        // Tokens can be compared only with tokens.
        let masked = (old.masked(&self.old, self.limit), new.masked(&self.new, self.limit));
        let (Ok(shown_old), Ok(shown_new)) = masked else {
            // A template that looks at a secret, and can do nothing with a masked one.
            let change = Change {
                parameter: None,
                old: Some(MASK.to_owned()),
                new: Some(MASK.to_owned()),
                secret: true,
                effect: None,
            };
            return Some(What::changed(Some(path), vec![change]));
        };
        let is_masked = made_old.is_masked || made_new.is_masked;
        let (old_compared, new_compared) =
            if is_masked { (&shown_old, &shown_new) } else { (&made_old.compared, &made_new.compared) };
        let changes = differences(
            &Shape { compared: old_compared, shown: &shown_old, list: lists.0 },
            &Shape { compared: new_compared, shown: &shown_new, list: lists.1 },
        );
        if changes.is_empty() {
            return None;
        }
        Some(What::changed(Some(path), changes.into_iter().map(|change| personal(change, new.device)).collect()))
    }

    /// The files that anyone may fetch: once per model, or once for all models.
    pub fn for_anyone(&self) -> Vec<Group> {
        let mut found: BTreeMap<What, Vec<Arc<str>>> = BTreeMap::new();
        let new_packs: Vec<&Pack> = self.new.generation.packs.iter().collect();
        for (old_index, old_pack) in self.old.generation.packs.iter().enumerate() {
            let Some(new_index) = new_packs.iter().position(|pack| pack.name == old_pack.name) else { continue };
            let Some(new_pack) = new_packs.get(new_index) else { continue };
            for (old_file, new_file) in pairs(anyones(old_pack), anyones(new_pack)) {
                let (Some(old_file), Some(new_file)) = (old_file, new_file) else {
                    let change = Change::setting("file", old_file.map(path_of), new_file.map(path_of));
                    found.entry(What::changed(None, vec![change])).or_default();
                    continue;
                };
                let per_model = |file: &FileEntry| file.paths.iter().any(|path| path.to_string().contains("{model}"));
                let models: Vec<Option<(usize, usize, Arc<str>)>> = if per_model(old_file) && per_model(new_file) {
                    let both = new_pack.models.list.iter().enumerate().filter_map(|(new, model)| {
                        let old = old_pack.models.named(&model.name)?;
                        (old_file.is_for(old) && new_file.is_for(new)).then(|| Some((old, new, model.name.clone())))
                    });
                    both.collect()
                } else {
                    vec![None]
                };
                for model in models {
                    let old_model = model.as_ref().map(|(old, ..)| *old);
                    let new_model = model.as_ref().map(|(_, new, _)| *new);
                    let (old, new) = (self.old.generation, self.new.generation);
                    if old.fingerprint_for_anyone(old_index, old_model)
                        == new.fingerprint_for_anyone(new_index, new_model)
                    {
                        continue;
                    }
                    let rendered = (
                        old.render_for_anyone(old_index, old_file, old_model, self.limit),
                        new.render_for_anyone(new_index, new_file, new_model, self.limit),
                    );
                    let what = match rendered {
                        (Ok(old), Ok(new)) => {
                            let changes = differences(
                                &Shape { compared: &old, shown: &old, list: &old_pack.parameters },
                                &Shape { compared: &new, shown: &new, list: &new_pack.parameters },
                            );
                            What::changed(Some(path_of(new_file)), changes)
                        }
                        (old, new) => What {
                            kind: Kind::Unrendered,
                            files: vec![path_of(new_file)],
                            changes: Vec::new(),
                            old_error: old.err().map(|error| self.old.rooted(&error.to_string())),
                            new_error: new.err().map(|error| self.new.rooted(&error.to_string())),
                        },
                    };
                    if what.kind == Kind::Unrendered || !what.changes.is_empty() {
                        found.entry(what).or_default().extend(model.map(|(_, _, name)| name));
                    }
                }
            }
        }
        found.into_iter().map(|(what, models)| what.into_group(Vec::new(), models)).collect()
    }
}

/// A file of a device on one side.
struct Making<'m> {
    device: &'m Device,
    file: &'m FileEntry,
    plain: &'m Effective,
    sealed: &'m Effective,
}

impl Making<'_> {
    /// The file with tokens in the place of secrets. Where a template won't have them, they are masked.
    fn make(&self, side: &Side<'_>, limit: usize) -> Result<Made, RenderError> {
        if let Ok(compared) = side.generation.render(self.device, self.file, self.sealed, Shown::Real, limit) {
            return Ok(Made { compared, is_masked: false });
        }
        self.masked(side, limit).map(|compared| Made { compared, is_masked: true })
    }

    fn masked(&self, side: &Side<'_>, limit: usize) -> Result<Rendered, RenderError> {
        side.generation.render(self.device, self.file, self.plain, Shown::Masked, limit)
    }
}

/// A device that only one side has.
fn lone(side: &Side<'_>, device: &Device, kind: Kind) -> What {
    let heads = heads(side, device).into_iter().filter(|(name, value)| value.is_some() && *name != "serial");
    let changes = heads.map(|(name, value)| match kind {
        Kind::Removed => Change::setting(name, value, None),
        _ => Change::setting(name, None, value),
    });
    What { kind, files: Vec::new(), changes: changes.collect(), old_error: None, new_error: None }
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

fn settings<'e>(old: &'e Effective, new: &'e Effective) -> impl Iterator<Item = Change> {
    let told = |settings: &'e Effective| {
        settings.iter().filter(|(key, _)| key.schema().is_some_and(|(section, _)| TOLD.contains(&section.name)))
    };
    let mut both: BTreeMap<&Key, (Option<&Value>, Option<&Value>)> = BTreeMap::new();
    for (key, setting) in told(old) {
        both.entry(key).or_default().0 = Some(&setting.value);
    }
    for (key, setting) in told(new) {
        both.entry(key).or_default().1 = Some(&setting.value);
    }
    both.into_iter().filter(|(_, (old, new))| old != new).map(|(key, (old, new))| Change {
        // A sealed secret shows as masked.
        secret: [old, new].iter().flatten().any(|value| matches!(value, Value::Secret(_))),
        ..Change::setting(key.to_string(), old.map(ToString::to_string), new.map(ToString::to_string))
    })
}

/// The files of a device that are rendered for it.
fn files<'p>(pack: &'p Pack, device: &Device) -> Vec<&'p FileEntry> {
    let name = pack.models.get(device.model.model).map_or("", |model| &model.name);
    let own = |file: &&FileEntry| {
        file.audience == Audience::Device
            && matches!(file.source, Source::Template { .. })
            && file.is_for(device.model.model)
            // A path by serial number is no path of a device whose serial number nobody knows.
            && file.paths.iter().any(|path| path.fill(Some(device.mac), device.serial.as_ref(), name).is_some())
    };
    pack.files.iter().filter(own).collect()
}

fn anyones(pack: &Pack) -> Vec<&FileEntry> {
    let is_anyones =
        |file: &&FileEntry| file.audience == Audience::Anyone && matches!(file.source, Source::Template { .. });
    pack.files.iter().filter(is_anyones).collect()
}

type Pair<'f> = (Option<&'f FileEntry>, Option<&'f FileEntry>);

/// The files of both sides by name: those of the new side in its order, then those that are gone.
fn pairs<'f>(old: Vec<&'f FileEntry>, new: Vec<&'f FileEntry>) -> Vec<Pair<'f>> {
    let gone = old.iter().filter(|file| !new.iter().any(|other| other.name == file.name));
    let gone: Vec<Pair<'f>> = gone.map(|file| (Some(*file), None)).collect();
    let there = new.into_iter().map(|file| (old.iter().find(|other| other.name == file.name).copied(), Some(file)));
    there.chain(gone).collect()
}

/// The path that the manifest names first, with its places: the same for all devices.
fn path_of(file: &FileEntry) -> String {
    file.paths.first().map_or_else(|| file.name.clone(), ToString::to_string)
}

/// A file on one side: as it is compared, as it is shown, and what is known of its parameters.
struct Shape<'s> {
    compared: &'s Rendered,
    shown: &'s Rendered,
    list: &'s ParameterList,
}

impl<'s> Shape<'s> {
    /// The text of a parameter as it may be shown, and whether it holds a secret.
    fn told(&self, parameter: &Parameter, shown: &HashMap<&'s str, &'s Parameter>) -> (String, bool) {
        match shown.get(&*parameter.name) {
            _ if parameter.secret => (MASK.to_owned(), true),
            Some(shown) => (shown.value.clone(), shown.value != parameter.value),
            // It is there only where a secret has a certain value.
            None => (MASK.to_owned(), true),
        }
    }

    fn effect(&self, name: &str) -> Option<Effect> {
        self.list.get(name).and_then(|known| known.effect)
    }

    fn lines(&self) -> Option<Vec<(&'s str, &'s str)>> {
        let compared = std::str::from_utf8(&self.compared.body).ok()?;
        Some(lines::paired(compared, std::str::from_utf8(&self.shown.body).ok()?))
    }
}

fn by_name(rendered: &Rendered) -> HashMap<&str, &Parameter> {
    rendered.parameters.iter().map(|parameter| (&*parameter.name, parameter)).collect()
}

/// By parameter; by line where the parameters are the same, or there are none.
fn differences(old: &Shape<'_>, new: &Shape<'_>) -> Vec<Change> {
    let (in_old, in_new) = (by_name(old.compared), by_name(new.compared));
    let (shown_old, shown_new) = (by_name(old.shown), by_name(new.shown));
    let mut changes = Vec::new();
    for parameter in &new.compared.parameters {
        let name = &parameter.name;
        let before = in_old.get(&**name);
        if before.is_some_and(|before| before.value == parameter.value && before.access == parameter.access) {
            continue;
        }
        let told_old = before.map(|before| old.told(before, &shown_old));
        let (told_new, is_secret) = new.told(parameter, &shown_new);
        if before.is_none_or(|before| before.value != parameter.value) {
            changes.push(Change {
                parameter: Some(name.clone()),
                secret: is_secret || told_old.as_ref().is_some_and(|(_, secret)| *secret),
                old: told_old.map(|(text, _)| text),
                new: Some(told_new),
                effect: new.effect(name).or_else(|| old.effect(name)),
            });
        }
        if let Some(before) = before.filter(|before| before.access != parameter.access) {
            let text = |access: &Option<Arc<str>>| access.as_ref().map(ToString::to_string);
            changes.push(Change::setting(format!("{name}.access"), text(&before.access), text(&parameter.access)));
        }
    }
    for parameter in old.compared.parameters.iter().filter(|parameter| !in_new.contains_key(&*parameter.name)) {
        let (text, secret) = old.told(parameter, &shown_old);
        changes.push(Change {
            parameter: Some(parameter.name.clone()),
            old: Some(text),
            new: None,
            secret,
            effect: old.effect(&parameter.name),
        });
    }
    if changes.is_empty() && old.compared.body != new.compared.body {
        changes = by_line(old, new);
    }
    changes
}

fn by_line(old: &Shape<'_>, new: &Shape<'_>) -> Vec<Change> {
    let differing = match (old.lines(), new.lines()) {
        (Some(old), Some(new)) => lines::differing(&old, &new),
        _ => Default::default(),
    };
    let line = |old: Option<&str>, new: Option<&str>, secret| Change {
        parameter: None,
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
        secret,
        effect: None,
    };
    let [gone, come] = differing;
    if gone.is_empty() && come.is_empty() {
        let order = |text: &str| Some(text.to_owned());
        return vec![Change::setting("layout", order("another"), order("the same values, laid out otherwise"))];
    }
    let gone = gone.into_iter().map(|(compared, shown)| line(Some(shown), None, compared != shown));
    gone.chain(come.into_iter().map(|(compared, shown)| line(None, Some(shown), compared != shown))).collect()
}

/// A change with `{mac}` and `{serial}` in the place of what is the device's own: a new server name is the same change for
/// every phone, though each asks it for a file of its own.
fn personal(change: Change, device: &Device) -> Change {
    let placed = |text: Option<String>| text.map(|text| without_own(&text, device));
    // Which serial number it is, is what such a change tells.
    Change { old: placed(change.old), new: placed(change.new), ..change }
}

fn without_own(text: &str, device: &Device) -> String {
    let mut text = text.to_owned();
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
