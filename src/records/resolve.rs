//! From a record to the device that is served: the record over the file, if there is one, checked against the packs and
//! groups of a generation.

use std::path::Path;
use std::sync::Arc;

use super::group::GroupRecord;
use super::record::Record;
use crate::document::{Problem, Problems, nearest};
use crate::resync::{Device, Generation, GroupLayer};

/// The device that a record makes, in a generation.
///
/// # Errors
/// Everything that is wrong, each with the dotted key.
pub fn device_of(generation: &Generation, record: &Record) -> Result<Device, Problems> {
    let source: Arc<Path> = Path::new(&Record::name(record.mac)).into();
    let file = generation.profiles.device(record.mac).filter(|device| device.record.is_none());
    let mut problems = Problems::default();
    let layer = match record.settings.layer(&Record::name(record.mac)) {
        Ok(layer) => Some(layer),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let model = match &record.model {
        Some(name) => {
            let found = generation.packs.model(name);
            if found.is_none() {
                let problem = Problem::file(source.clone(), format!("no pack has a model \"{name}\"")).key("model");
                problems.push(match generation.packs.nearest_model(name) {
                    Some(near) => problem.help(format!("did you mean \"{near}\"? `resyncd packs` lists them all")),
                    None => problem.help("`resyncd packs` lists them all"),
                });
            }
            found
        }
        None => {
            let found = file.map(|device| device.model);
            if found.is_none() {
                let problem = Problem::file(source.clone(), "is missing, and the device has no file that says it");
                problems.push(problem.key("model").help("say which phone it is, such as CP-6841-3PCC"));
            }
            found
        }
    };
    let groups = &generation.profiles.groups;
    let group = match &record.group {
        Some(name) => {
            let found = groups.id(name);
            if found.is_none() {
                let problem = Problem::file(source.clone(), format!("there is no group \"{name}\"")).key("group");
                problems.push(match nearest(name, groups.iter().map(|group| &*group.name)) {
                    Some(near) => problem.help(format!("did you mean \"{near}\"?")),
                    None => problem.help("make the group first"),
                });
            }
            found
        }
        None => file.and_then(|device| device.group),
    };
    if let Some((group, broken)) = group.and_then(|id| groups.get(id)).and_then(|g| Some((g, g.broken.as_ref()?))) {
        problems.push(Problem::file(source, format!("can't be used: {broken}")).key(format!("group {}", group.name)));
    }
    match (layer, model) {
        (Some(layer), Some(model)) if problems.is_empty() => {
            let serial = record.serial.clone().or_else(|| file.and_then(|device| device.serial.clone()));
            Ok(Device::of_record(file.map(|file| &**file), record.mac, model, group, serial, layer.into()))
        }
        _ => Err(problems),
    }
}

/// The layer that a group's record makes.
pub fn group_of(record: &GroupRecord) -> Result<GroupLayer, Problems> {
    let layer = record.settings.layer(&GroupRecord::source(&record.name))?;
    Ok(GroupLayer::new(&record.name, record.parent.as_deref(), layer))
}
