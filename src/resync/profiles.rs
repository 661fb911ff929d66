//! The operator's settings layers: `profiles/`, loaded whole and checked against the packs.
//!
//! ```text
//! profiles/
//!   defaults.toml           for every device
//!   models/<model>.toml     for every device of a model
//!   groups/<name>.toml      for every device of a group; `parent` nests it
//!   devices/<mac>.toml      one device; may lie in folders of any depth
//!   templates/<pack>/       templates in the place of the pack's own
//!   files/                  files that are sent as they are
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use walkdir::WalkDir;

use super::groups::{Broken, Group, GroupId, GroupLayer, Groups};
use crate::document::{Document, Problem, Problems, nearest};
use crate::model::{MacAddr, Serial};
use crate::packs::{ModelId, Packs};
use crate::settings::{Head, Layer, LayerKind, read_layer};

/// Our record of a phone.
#[derive(Debug)]
pub struct Device {
    pub mac: MacAddr,
    pub model: ModelId,
    /// The line of its file that says which model it is.
    pub model_line: u32,
    pub group: Option<GroupId>,
    pub serial: Option<Serial>,
    /// Where the file says it.
    serial_line: Option<u32>,
    /// Its own layer: its file's, or its record's where it has no file.
    pub layer: Arc<Layer>,
    /// Its record's layer, where it has both; the stronger one.
    pub record: Option<Arc<Layer>>,
}

impl Device {
    /// The device that a record makes, over the device's file if there is one.
    pub fn of_record(
        file: Option<&Self>,
        mac: MacAddr,
        model: ModelId,
        group: Option<GroupId>,
        serial: Option<Serial>,
        record: Arc<Layer>,
    ) -> Self {
        let (model_line, serial_line) = file.map_or((0, None), |file| (file.model_line, file.serial_line));
        let (layer, record) = match file {
            Some(file) => (file.layer.clone(), Some(record)),
            None => (record, None),
        };
        Self { mac, model, model_line, group, serial, serial_line, layer, record }
    }

    /// Its own layers, weakest first.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&*self.layer).chain(self.record.as_deref())
    }
}

/// All layers of the operator's. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Profiles {
    pub defaults: Option<Arc<Layer>>,
    pub models: Arc<HashMap<ModelId, Layer>>,
    /// Those of files, with what was set at run time.
    pub groups: Groups,
    file_groups: Groups,
    devices: Arc<HashMap<MacAddr, Arc<Device>>>,
    serials: Arc<HashMap<Serial, MacAddr>>,
}

impl Profiles {
    /// Loads the folder. Every mistake in it is reported in one go, each with file and line.
    pub fn load(folder: &Path, packs: &Packs) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        if !folder.is_dir() {
            return Err(Problem::file(folder, "is no folder").help("set `profiles` in the configuration").into());
        }
        let mut profiles = Self::default();
        let loading = Loading { folder, packs };
        let defaults = folder.join("defaults.toml");
        if defaults.is_file() {
            profiles.defaults =
                take(loading.layer(&defaults, LayerKind::Defaults), &mut problems).map(|(_, layer)| layer.into());
        }
        profiles.models = loading.models(&mut problems).into();
        profiles.groups = loading.groups(&mut problems);
        profiles.file_groups = profiles.groups.clone();
        let files = toml_files(&folder.join("devices"), &mut problems);
        let devices: Vec<_> = files.par_iter().map(|file| loading.device(file, &profiles.groups)).collect();
        let mut added = Added::default();
        for device in devices {
            if let Some(device) = take(device, &mut problems) {
                added.add(device, &mut problems);
            }
        }
        profiles.devices = added.devices.into();
        profiles.serials = added.serials.into();
        problems.into_result(profiles)
    }

    /// The same with these groups set at run time, and no others.
    #[must_use]
    pub fn with_groups(&self, records: &[GroupLayer]) -> Self {
        Self { groups: self.file_groups.with(records), ..self.clone() }
    }

    /// The same with devices as their records make them, in the place of those that their files alone make.
    #[must_use]
    pub fn with_devices(&self, records: impl IntoIterator<Item = Arc<Device>>) -> Self {
        let mut devices = (*self.devices).clone();
        let mut serials = (*self.serials).clone();
        for device in records {
            if let Some(serial) = devices.get(&device.mac).and_then(|old| old.serial.as_ref()) {
                serials.remove(serial);
            }
            serials.extend(device.serial.clone().map(|serial| (serial, device.mac)));
            devices.insert(device.mac, device);
        }
        Self { devices: devices.into(), serials: serials.into(), ..self.clone() }
    }

    pub fn device(&self, mac: MacAddr) -> Option<&Arc<Device>> {
        self.devices.get(&mac)
    }

    pub fn device_by_serial(&self, serial: &Serial) -> Option<&Arc<Device>> {
        self.device(*self.serials.get(serial)?)
    }

    /// All devices, by MAC.
    pub fn devices(&self) -> Vec<&Device> {
        let mut devices: Vec<_> = self.devices.values().map(|device| &**device).collect();
        devices.sort_by_key(|device| device.mac);
        devices
    }

    /// One of those that have files; always the same one of them.
    pub fn any_device(&self) -> Option<&Arc<Device>> {
        self.devices.values().next()
    }

    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// The groups of files alone.
    pub fn file_groups(&self) -> &Groups {
        &self.file_groups
    }

    /// Why nothing may be served to a device: its group has no place. Never so of what its file alone says.
    pub fn broken(&self, device: &Device) -> Option<String> {
        let group = self.group(device.group?)?;
        group.broken.as_ref().map(|broken| format!("the group {} can't be used: {broken}", group.name))
    }

    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id)
    }
}

/// Devices and their serial numbers, as they are read.
#[derive(Debug, Default)]
struct Added {
    devices: HashMap<MacAddr, Arc<Device>>,
    serials: HashMap<Serial, MacAddr>,
}

impl Added {
    fn add(&mut self, device: Device, problems: &mut Problems) {
        if let Some(other) = self.devices.get(&device.mac) {
            let message = format!("{} already has the file {}", device.mac, other.layer.source.display());
            problems.push(
                Problem::file(device.layer.source.clone(), message)
                    .rule("duplicate-mac")
                    .help("a MAC belongs to one device: remove one of the files"),
            );
            return;
        }
        let taken = device.serial.as_ref().and_then(|serial| self.serials.insert(serial.clone(), device.mac));
        if let (Some(other), Some(serial)) = (taken, &device.serial) {
            let other = self.devices.get(&other);
            let other = other.map_or_else(String::new, |other| other.layer.source.display().to_string());
            let message = format!("{serial} is already the serial number of {other}");
            let mut problem = Problem::file(device.layer.source.clone(), message).key("serial");
            problem.line = device.serial_line;
            problems.push(
                problem
                    .rule("duplicate-serial")
                    .help("a serial number belongs to one device: take it out of one of the files"),
            );
        }
        self.devices.insert(device.mac, device.into());
    }
}

fn take<T>(result: Result<T, Problems>, problems: &mut Problems) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

/// Every `.toml` under a folder, in order; none where the folder isn't there.
fn toml_files(folder: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    if !folder.exists() {
        return Vec::new();
    }
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) => {
                let path = entry.path();
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                if !hidden
                    && path.extension().is_some_and(|extension| extension == "toml")
                    && entry.file_type().is_file()
                {
                    files.push(path.to_owned());
                }
            }
            Err(error) => problems.push(Problem::file(folder, format!("can't be read: {error}"))),
        }
    }
    files
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

struct Loading<'l> {
    folder: &'l Path,
    packs: &'l Packs,
}

impl Loading<'_> {
    fn layer(&self, file: &Path, kind: LayerKind) -> Result<(Head, Layer), Problems> {
        read_layer(&Document::read(file)?, kind, self.folder)
    }

    fn models(&self, problems: &mut Problems) -> HashMap<ModelId, Layer> {
        let mut models: HashMap<ModelId, Layer> = HashMap::new();
        for file in toml_files(&self.folder.join("models"), problems) {
            let name = stem(&file);
            let Some(id) = self.packs.model(&name) else {
                problems.push(self.no_model(file, &name));
                continue;
            };
            let Some((_, layer)) = take(self.layer(&file, LayerKind::Model), problems) else { continue };
            if let Some(other) = models.insert(id, layer) {
                problems.push(Problem::file(file, format!("is for the same model as {}", other.source.display())));
            }
        }
        models
    }

    fn no_model(&self, file: impl Into<Arc<Path>>, name: &str) -> Problem {
        let problem = Problem::file(file, format!("no pack has a model \"{name}\""));
        match self.packs.nearest_model(name) {
            Some(near) => problem.help(format!("did you mean \"{near}\"? `resyncd packs` lists them all")),
            None => problem.help("`resyncd packs` lists them all"),
        }
    }

    /// Reads all groups, and finds the chain of each.
    fn groups(&self, problems: &mut Problems) -> Groups {
        let mut read: Vec<(GroupLayer, u32)> = Vec::new();
        for file in toml_files(&self.folder.join("groups"), problems) {
            let name: Arc<str> = stem(&file).into();
            if let Some((other, _)) = read.iter().find(|(other, _)| other.name == name) {
                problems.push(Problem::file(
                    file,
                    format!("is a second file of the group {}, beside {}", name, other.layer.source.display()),
                ));
                continue;
            }
            // A group that can't be read is there all the same: what is in it is not to blame.
            let read_layer = take(self.layer(&file, LayerKind::Group), problems);
            let (head, layer) = read_layer.unwrap_or_else(|| (Head::default(), Layer::empty(&file)));
            let line = head.parent.as_ref().map_or(1, |(_, line)| *line);
            let parent = head.parent.map(|(parent, _)| parent);
            read.push((GroupLayer::new(&name, parent.as_deref(), layer), line));
        }
        let (layers, lines): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        let groups = Groups::new(&layers);
        for (group, line) in groups.iter().zip(lines) {
            match &group.broken {
                Some(Broken::NoParent(name)) if group.parent.as_ref() == Some(name) => {
                    problems.push(no_group(&group.layer.source, "parent", name, line, &groups));
                }
                // A ring is told once, at its first group.
                Some(Broken::Ring(ring)) if ring.iter().min() == groups.id(&group.name).as_ref() => {
                    let files: Vec<_> = ring
                        .iter()
                        .filter_map(|id| groups.get(*id))
                        .map(|group| group.layer.source.display().to_string())
                        .collect();
                    let problem = Problem::file(
                        group.layer.source.clone(),
                        format!("groups lie within each other in a ring: {}", files.join(" -> ")),
                    );
                    let problem = problem.rule("group-cycle").key("parent").line(line);
                    problems.push(problem.help("take the parent out of one of them"));
                }
                _ => {}
            }
        }
        groups
    }

    fn device(&self, file: &Path, groups: &Groups) -> Result<Device, Problems> {
        let mut problems = Problems::default();
        let mac = stem(file).parse::<MacAddr>().map_err(|error| {
            Problem::file(file, format!("is not named by a MAC address: {error}"))
                .help("name it like 000e08abcdef.toml")
        });
        let (head, layer) = match self.layer(file, LayerKind::Device) {
            Ok(read) => read,
            Err(mut found) => {
                found.extend(mac.err());
                return Err(found);
            }
        };
        let source = layer.source.clone();
        let model = match &head.model {
            Some((name, line)) => {
                let id = self.packs.model(name);
                if id.is_none() {
                    problems.push(self.no_model(source.clone(), name).key("model").line(*line));
                }
                id
            }
            None => {
                problems.push(
                    Problem::file(source.clone(), "is missing")
                        .key("model")
                        .help("say which phone it is: model = \"CP-6841-3PCC\""),
                );
                None
            }
        };
        let group = head.group.as_ref().and_then(|(name, line)| {
            let id = groups.id(name);
            if id.is_none() {
                problems.push(no_group(&source, "group", name, *line, groups));
            }
            id
        });
        let serial = head.serial.as_ref().and_then(|(text, line)| match text.parse::<Serial>() {
            Ok(serial) => Some(serial),
            Err(error) => {
                problems.push(Problem::file(source.clone(), error.to_string()).key("serial").line(*line));
                None
            }
        });
        match (mac, model) {
            (Ok(mac), Some(model)) if problems.is_empty() => {
                let model_line = head.model.map_or(1, |(_, line)| line);
                Ok(Device {
                    mac,
                    model,
                    model_line,
                    group,
                    serial,
                    serial_line: head.serial.map(|(_, line)| line),
                    layer: layer.into(),
                    record: None,
                })
            }
            (mac, _) => {
                problems.extend(mac.err());
                Err(problems)
            }
        }
    }
}

fn no_group(file: &Arc<Path>, key: &str, name: &str, line: u32, groups: &Groups) -> Problem {
    let problem = Problem::file(file.clone(), format!("there is no group \"{name}\"")).key(key).line(line);
    match nearest(name, groups.iter().map(|group| &*group.name)) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => problem.help(format!("make the file groups/{name}.toml")),
    }
}
