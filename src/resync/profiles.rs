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
    pub layer: Layer,
}

/// Index of a group.
pub type GroupId = usize;

/// The name of a group's parent, and the line that names it.
type Parent = (Arc<str>, u32);

/// One group, and those that it lies within.
#[derive(Debug)]
pub struct Group {
    pub name: Arc<str>,
    pub layer: Layer,
    /// From the outermost to the group itself.
    pub chain: Vec<GroupId>,
}

/// All layers of the operator's.
#[derive(Debug, Default)]
pub struct Profiles {
    pub defaults: Option<Layer>,
    pub models: HashMap<ModelId, Layer>,
    pub groups: Vec<Group>,
    devices: HashMap<MacAddr, Device>,
    serials: HashMap<Serial, MacAddr>,
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
                take(loading.layer(&defaults, LayerKind::Defaults), &mut problems).map(|(_, layer)| layer);
        }
        profiles.models = loading.models(&mut problems);
        profiles.groups = loading.groups(&mut problems);
        let group_ids: HashMap<Arc<str>, GroupId> =
            profiles.groups.iter().enumerate().map(|(id, group)| (group.name.clone(), id)).collect();
        let files = toml_files(&folder.join("devices"), &mut problems);
        let devices: Vec<_> = files.par_iter().map(|file| loading.device(file, &group_ids)).collect();
        for device in devices {
            if let Some(device) = take(device, &mut problems) {
                profiles.add(device, &mut problems);
            }
        }
        problems.into_result(profiles)
    }

    fn add(&mut self, device: Device, problems: &mut Problems) {
        if let Some(other) = self.devices.get(&device.mac) {
            let message = format!("{} already has the file {}", device.mac, other.layer.source.display());
            problems.push(
                Problem::file(device.layer.source, message)
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
        self.devices.insert(device.mac, device);
    }

    pub fn device(&self, mac: MacAddr) -> Option<&Device> {
        self.devices.get(&mac)
    }

    pub fn device_by_serial(&self, serial: &Serial) -> Option<&Device> {
        self.device(*self.serials.get(serial)?)
    }

    /// All devices, by MAC.
    pub fn devices(&self) -> Vec<&Device> {
        let mut devices: Vec<_> = self.devices.values().collect();
        devices.sort_by_key(|device| device.mac);
        devices
    }

    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id)
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
    fn groups(&self, problems: &mut Problems) -> Vec<Group> {
        let mut read: Vec<(Group, Option<Parent>)> = Vec::new();
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
            read.push((Group { name, layer, chain: Vec::new() }, head.parent));
        }
        let ids: HashMap<Arc<str>, GroupId> =
            read.iter().enumerate().map(|(id, (group, _))| (group.name.clone(), id)).collect();
        let parents: Vec<Option<GroupId>> =
            read.iter().map(|(_, parent)| parent.as_ref().and_then(|(name, _)| ids.get(name).copied())).collect();
        for (group, parent) in &read {
            if let Some((name, line)) = parent.as_ref().filter(|(name, _)| !ids.contains_key(name)) {
                problems.push(no_group(&group.layer.source, "parent", name, *line, &ids));
            }
        }
        let chains: Vec<Result<Vec<GroupId>, Vec<GroupId>>> = (0..read.len()).map(|id| chain(id, &parents)).collect();
        for (id, ring) in
            chains.iter().enumerate().filter_map(|(id, chain)| chain.as_ref().err().map(|ring| (id, ring)))
        {
            // A ring is told once, at its first group.
            if ring.iter().min() == Some(&id) {
                let files: Vec<_> = ring
                    .iter()
                    .filter_map(|id| read.get(*id))
                    .map(|(group, _)| group.layer.source.display().to_string())
                    .collect();
                let Some((group, parent)) = read.get(id) else { continue };
                let problem = Problem::file(
                    group.layer.source.clone(),
                    format!("groups lie within each other in a ring: {}", files.join(" -> ")),
                );
                let line = parent.as_ref().map_or(1, |(_, line)| *line);
                let problem = problem.rule("group-cycle").key("parent").line(line);
                problems.push(problem.help("take the parent out of one of them"));
            }
        }
        read.into_iter()
            .zip(chains)
            .map(|((group, _), chain)| Group { chain: chain.unwrap_or_default(), ..group })
            .collect()
    }

    fn device(&self, file: &Path, groups: &HashMap<Arc<str>, GroupId>) -> Result<Device, Problems> {
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
            let id = groups.get(name).copied();
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
                    layer,
                })
            }
            (mac, _) => {
                problems.extend(mac.err());
                Err(problems)
            }
        }
    }
}

fn no_group(file: &Arc<Path>, key: &str, name: &str, line: u32, groups: &HashMap<Arc<str>, GroupId>) -> Problem {
    let problem = Problem::file(file.clone(), format!("there is no group \"{name}\"")).key(key).line(line);
    match nearest(name, groups.keys().map(|name| &**name)) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => problem.help(format!("make the file groups/{name}.toml")),
    }
}

/// The groups from the outermost to this one, or the ring that they form.
fn chain(id: GroupId, parents: &[Option<GroupId>]) -> Result<Vec<GroupId>, Vec<GroupId>> {
    let mut chain = vec![id];
    let mut at = id;
    while let Some(parent) = parents.get(at).copied().flatten() {
        if let Some(start) = chain.iter().position(|known| *known == parent) {
            return Err(chain.split_off(start));
        }
        chain.push(parent);
        at = parent;
    }
    chain.reverse();
    Ok(chain)
}
