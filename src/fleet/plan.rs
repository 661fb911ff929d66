//! Planning changes: what each comes to, and everything that is wrong with any of them, before one is made.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::edit::{self, Edit, Expect, Name, What};
use super::shown::Secrecy;
use super::validate::{Judged, judge};
use super::{Fleet, FleetError};
use crate::document::{Problem, Problems};
use crate::model::{MacAddr, Serial};
use crate::records::{GroupRecord, MASK, Record, Records, Stored, Tree, group_of};
use crate::resync::{Generation, GroupLayer};
use crate::store::{DeviceWrite, GroupWrite};

/// Changes, looked through and not made yet.
#[derive(Debug)]
pub struct Plan {
    pub planned: Vec<Planned>,
    /// Where this is not empty, none of the changes is made.
    pub refused: Vec<Refused>,
    pub(super) time: OffsetDateTime,
}

/// One change that can't be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub row: Option<String>,
    pub name: Name,
    pub why: Why,
    pub problem: Problem,
}

/// In which way it can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// What is asked for is wrong.
    Wrong,
    /// There is no such record.
    Missing,
    /// There is one already, or it is another revision.
    Stale,
    /// A serial number or name that another has; a group that is in use.
    Taken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    Change,
    Remove,
    /// It is so already.
    Keep,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Keep => "keep",
        }
    }
}

/// One change, and what it comes to.
#[derive(Debug)]
pub struct Planned {
    pub row: Option<String>,
    pub name: Name,
    pub action: Action,
    pub differences: Vec<Difference>,
    /// What else happens, or isn't as good as it could be.
    pub notes: Vec<String>,
    pub(super) write: Write,
}

#[derive(Debug)]
pub(super) enum Write {
    Device(Box<DeviceWrite>),
    Group(Box<GroupWrite>),
}

/// What is different about one setting. Secrets are masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Dotted: `settings.lines.1.user`.
    pub key: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What may be done along the way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Liberties {
    /// Take a serial number away from the device whose record has it.
    pub move_serials: bool,
}

/// One edit on its way to a plan.
struct Device {
    row: Option<String>,
    mac: MacAddr,
    old: Option<Stored<Record>>,
    /// None: it goes.
    new: Option<Record>,
    notes: Vec<String>,
}

impl Fleet {
    /// Plans changes. Nothing is written.
    ///
    /// # Errors
    /// When the database can't be asked. What is wrong with a change stands in the plan.
    pub async fn plan(&self, edits: Vec<Edit>, liberties: Liberties) -> Result<Plan, FleetError> {
        let time = OffsetDateTime::now_utc();
        let mut refused = Vec::new();
        let mut seen: HashMap<Name, Option<String>> = HashMap::new();
        let (mut devices, mut groups) = (Vec::new(), Vec::new());
        for edit in edits {
            if let Some(first) = seen.get(&edit.name) {
                let first = first.as_ref().map_or_else(|| "before".to_owned(), |row| format!("at {row}"));
                let problem =
                    Problem::file(std::path::Path::new(&edit.name.source()), format!("is there already, {first}"));
                refused.push(Refused { row: edit.row, name: edit.name, why: Why::Wrong, problem });
                continue;
            }
            seen.insert(edit.name.clone(), edit.row.clone());
            match edit.name.clone() {
                Name::Device(mac) => devices.push((mac, edit)),
                Name::Group(name) => groups.push((name, edit)),
            }
        }
        let generation = self.generation();
        let mut planned = Vec::new();
        let leaving = devices.iter().filter(|(_, edit)| matches!(edit.what, What::Remove)).map(|(mac, _)| *mac);
        let leaving: HashSet<MacAddr> = leaving.collect();
        let (generation, group_plans) = self.plan_groups(generation, groups, &leaving, time, &mut refused).await?;
        planned.extend(group_plans);
        planned.extend(self.plan_devices(&generation, devices, liberties, time, &mut refused).await?);
        Ok(Plan { planned, refused, time })
    }

    async fn plan_devices(
        &self,
        generation: &Arc<Generation>,
        edits: Vec<(MacAddr, Edit)>,
        liberties: Liberties,
        time: OffsetDateTime,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<Planned>, FleetError> {
        if edits.is_empty() {
            return Ok(Vec::new());
        }
        let macs: Vec<_> = edits.iter().map(|(mac, _)| *mac).collect();
        let rows: HashMap<_, _> = self.store.devices_of(&macs).await?.into_iter().map(|row| (row.mac, row)).collect();
        let mut devices = Vec::with_capacity(edits.len());
        for (mac, edit) in edits {
            // A record that can't be opened can be replaced and removed all the same.
            let opened = rows.get(&mac).map(|row| (row.revision, row.created, Record::open(row, &self.vault)));
            let revision = opened.as_ref().map(|(revision, ..)| *revision);
            if let Some((why, problem)) = unexpected(&edit, revision) {
                refused.push(Refused { row: edit.row, name: edit.name, why, problem });
                continue;
            }
            let old = match opened {
                None => None,
                Some((_, _, Ok(stored))) => Some(stored),
                Some((.., Err(error))) if matches!(edit.what, What::Merge(_)) => return Err(error.into()),
                Some((revision, created, Err(_))) => {
                    let record = Record { mac, model: None, serial: None, group: None, settings: Tree::default() };
                    Some(Stored { record, revision, created, changed: created })
                }
            };
            match wanted_device(mac, &edit, old.as_ref().map(|stored| &stored.record)) {
                Ok(new) => devices.push(Device { row: edit.row, mac, old, new, notes: Vec::new() }),
                Err(problems) => refused.extend(problems.into_iter().map(|problem| Refused {
                    row: edit.row.clone(),
                    name: edit.name.clone(),
                    why: Why::Wrong,
                    problem,
                })),
            }
        }
        self.settle_serials(generation, &mut devices, liberties, refused).await?;

        let (secrecy, records) = (Secrecy::new(&generation.packs), Arc::new(devices));
        let judging = (self.config.clone(), generation.clone(), self.levels.clone(), records.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let (config, generation, levels, devices) = judging;
            let changed = devices.iter().filter(|device| device.is_changed()).filter_map(|device| device.new.as_ref());
            judge(&config, &generation, &levels, &changed.collect::<Vec<_>>())
        });
        let judged = judged.await.map_err(|error| FleetError::Broken(error.to_string()))?;
        let devices = Arc::try_unwrap(records).map_err(|_| FleetError::Broken("a plan is still at work".to_owned()))?;
        let mut planned = Vec::with_capacity(devices.len());
        for device in devices {
            let Judged { problems, notes } = judged.get(&device.mac).cloned().unwrap_or_default();
            if problems.is_empty() {
                planned.push(self.planned_device(device, notes, &secrecy, time)?);
            } else {
                refused.extend(problems.into_iter().map(|problem| Refused {
                    row: device.row.clone(),
                    name: Name::Device(device.mac),
                    why: Why::Wrong,
                    problem,
                }));
            }
        }
        Ok(planned)
    }

    fn planned_device(
        &self,
        device: Device,
        warnings: Vec<String>,
        secrecy: &Secrecy,
        time: OffsetDateTime,
    ) -> Result<Planned, FleetError> {
        let objects = |record: &Record| {
            let serial = record.serial.as_ref().map(ToString::to_string);
            let texts = [("model", record.model.clone()), ("serial", serial), ("group", record.group.clone())];
            edit::object_of(texts, &record.settings)
        };
        let (old, new) = (device.old.as_ref().map(|stored| &stored.record), device.new.as_ref());
        let secret = |record: &Record| match record.settings.layer("") {
            Ok(layer) => secrecy.paths(&record.settings, &layer),
            Err(_) => [vec![]].into(),
        };
        let differences = differences(
            old.map(|record| (objects(record), secret(record))),
            new.map(|record| (objects(record), secret(record))),
        );
        let action = action(old.is_some(), new.is_some(), differences.is_empty());
        let row = new.map(|record| {
            let created = device.old.as_ref().map_or(time, |stored| stored.created);
            record.seal(&secret(record), &self.vault, created)
        });
        let write = DeviceWrite {
            mac: device.mac,
            was: device.old.as_ref().map(|stored| stored.revision),
            row: if action == Action::Keep { None } else { row.transpose()? },
            users: new.map(|record| names(record, &["user"])).unwrap_or_default(),
            search: new.map(search).unwrap_or_default(),
        };
        Ok(Planned {
            row: device.row,
            name: Name::Device(device.mac),
            action,
            differences,
            notes: device.notes.into_iter().chain(warnings).collect(),
            write: Write::Device(write.into()),
        })
    }

    /// A serial number belongs to one device.
    async fn settle_serials(
        &self,
        generation: &Generation,
        devices: &mut Vec<Device>,
        liberties: Liberties,
        refused: &mut Vec<Refused>,
    ) -> Result<(), FleetError> {
        let mut wanted: HashMap<Serial, MacAddr> = HashMap::new();
        let mut wrong: HashMap<MacAddr, (Serial, String)> = HashMap::new();
        for device in devices.iter() {
            let Some(serial) = device.new.as_ref().and_then(|record| record.serial.as_ref()) else { continue };
            if let Some(other) = wanted.insert(serial.clone(), device.mac) {
                wrong.insert(device.mac, (serial.clone(), format!("the device {other}, which is among the changes")));
            }
        }
        let serials: Vec<Serial> = wanted.keys().cloned().collect();
        let among: HashSet<MacAddr> = devices.iter().map(|device| device.mac).collect();
        let mut moved: HashMap<MacAddr, MacAddr> = HashMap::new();
        for (serial, owner) in self.store.serials(&serials).await? {
            let Some(mac) = wanted.get(&serial).copied().filter(|mac| *mac != owner) else { continue };
            // Whoever is among the changes has said itself what becomes of its serial number.
            if among.contains(&owner) {
                continue;
            }
            if liberties.move_serials {
                moved.insert(owner, mac);
            } else {
                wrong.insert(mac, (serial, format!("the device {owner}")));
            }
        }
        for (serial, mac) in &wanted {
            let file = generation.profiles.device_by_serial(serial).filter(|device| device.mac != *mac);
            if let Some(file) = file {
                wrong.insert(*mac, (serial.clone(), file.layer.source.display().to_string()));
            }
        }
        let owners: Vec<MacAddr> = moved.keys().copied().collect();
        for row in self.store.devices_of(&owners).await? {
            let old = Record::open(&row, &self.vault)?;
            let new = Record { serial: None, ..old.record.clone() };
            let to = moved.get(&row.mac).map(ToString::to_string).unwrap_or_default();
            let note = format!("its serial number goes to {to}");
            devices.push(Device { row: None, mac: row.mac, old: Some(old), new: Some(new), notes: vec![note] });
        }
        for device in devices.iter_mut() {
            if let Some((from, _)) = moved.iter().find(|(_, to)| **to == device.mac) {
                device.notes.push(format!("its serial number was that of {from}"));
            }
        }
        devices.retain(|device| {
            let Some((serial, whose)) = wrong.get(&device.mac) else { return true };
            let message = format!("{serial} is the serial number of {whose}");
            let problem = Problem::file(std::path::Path::new(&Record::name(device.mac)), message).key("serial");
            let problem = problem.help("take it away there first, or ask for it to be moved where a record has it");
            refused.push(Refused { row: device.row.clone(), name: Name::Device(device.mac), why: Why::Taken, problem });
            false
        });
        Ok(())
    }

    /// Plans groups, and makes the generation that devices are judged in.
    async fn plan_groups(
        &self,
        generation: Arc<Generation>,
        edits: Vec<(String, Edit)>,
        leaving: &HashSet<MacAddr>,
        time: OffsetDateTime,
        refused: &mut Vec<Refused>,
    ) -> Result<(Arc<Generation>, Vec<Planned>), FleetError> {
        if edits.is_empty() {
            return Ok((generation, Vec::new()));
        }
        let rows = self.store.groups().await?;
        let present = Records::new(self.store.clone(), self.vault.clone(), 0).groups().await?;
        let mut layers: BTreeMap<String, GroupLayer> =
            present.into_iter().map(|layer| (layer.name.to_string(), layer)).collect();
        let mut wanted = Vec::new();
        for (name, edit) in edits {
            let row = rows.iter().find(|row| row.name == name);
            if let Some((why, problem)) = unexpected(&edit, row.map(|row| row.revision)) {
                refused.push(Refused { row: edit.row, name: edit.name, why, problem });
                continue;
            }
            // One that can't be opened can be replaced and removed all the same.
            let old = match row.map(|row| (row, GroupRecord::open(row, &self.vault))) {
                None => None,
                Some((_, Ok(stored))) => Some(stored),
                Some((_, Err(error))) if matches!(edit.what, What::Merge(_)) => return Err(error.into()),
                Some((row, Err(_))) => {
                    let parent = row.parent.clone();
                    let record = GroupRecord { name: name.clone(), parent, settings: Tree::default() };
                    Some(Stored { record, revision: row.revision, created: row.created, changed: row.changed })
                }
            };
            match wanted_group(&name, &edit, old.as_ref().map(|stored| &stored.record)) {
                Ok((new, layer)) => {
                    match layer {
                        Some(layer) => drop(layers.insert(name.clone(), layer)),
                        None => drop(layers.remove(&name)),
                    }
                    wanted.push((edit, name, old, new));
                }
                Err(problems) => refused.extend(problems.into_iter().map(|problem| Refused {
                    row: edit.row.clone(),
                    name: edit.name.clone(),
                    why: Why::Wrong,
                    problem,
                })),
            }
        }
        let layers: Vec<GroupLayer> = layers.into_values().collect();
        let after = Arc::new(generation.with_profiles(generation.profiles.with_groups(&layers)));
        let secrecy = Secrecy::new(&after.packs);
        let mut planned = Vec::new();
        for (edit, name, old, new) in wanted {
            let problems = self.group_problems(&after, &name, new.is_some(), leaving).await?;
            if !problems.is_empty() {
                refused.extend(problems.into_iter().map(|(why, problem)| Refused {
                    row: edit.row.clone(),
                    name: edit.name.clone(),
                    why,
                    problem,
                }));
                continue;
            }
            let secret = |record: &GroupRecord| match record.settings.layer("") {
                Ok(layer) => secrecy.paths(&record.settings, &layer),
                Err(_) => [vec![]].into(),
            };
            let object = |record: &GroupRecord| {
                let texts = [("parent", record.parent.clone()), ("", None), ("", None)];
                (edit::object_of(texts, &record.settings), secret(record))
            };
            let differences = differences(old.as_ref().map(|stored| object(&stored.record)), new.as_ref().map(object));
            let action = action(old.is_some(), new.is_some(), differences.is_empty());
            let created = old.as_ref().map_or(time, |stored| stored.created);
            let row = new.as_ref().map(|record| record.seal(&secret(record), &self.vault, created));
            let write = GroupWrite { name, was: old.map(|stored| stored.revision), row: row.transpose()? };
            planned.push(Planned {
                row: edit.row,
                name: edit.name,
                action,
                differences,
                notes: Vec::new(),
                write: Write::Group(write.into()),
            });
        }
        Ok((after, planned))
    }

    /// What is wrong with a group once the change is made.
    async fn group_problems(
        &self,
        after: &Arc<Generation>,
        name: &str,
        stays: bool,
        leaving: &HashSet<MacAddr>,
    ) -> Result<Vec<(Why, Problem)>, FleetError> {
        let problem = |message: String| Problem::file(std::path::Path::new(&GroupRecord::source(name)), message);
        let groups = &after.profiles.groups;
        if let Some(broken) = groups.named(name).and_then(|group| group.broken.as_ref()) {
            return Ok(vec![(Why::Wrong, problem(broken.to_string()).key("parent"))]);
        }
        if !stays && groups.id(name).is_none() {
            let within = groups.iter().find(|group| group.parent.as_deref() == Some(name));
            if let Some(within) = within {
                return Ok(vec![(Why::Taken, problem(format!("the group {} lies within it", within.name)))]);
            }
            let query = super::Query { group: Some(name.to_owned()), ..super::Query::default() };
            let found = self.find(&query, None, leaving.len() + 1).await?;
            if let Some(entry) = found.iter().find(|entry| !leaving.contains(&entry.mac)) {
                return Ok(vec![(Why::Taken, problem(format!("the device {} is in it", entry.mac)))]);
            }
        }
        self.judge_group(after, name).await
    }
}

impl Device {
    fn is_changed(&self) -> bool {
        self.old.as_ref().map(|stored| &stored.record) != self.new.as_ref()
    }
}

fn action(was: bool, is: bool, same: bool) -> Action {
    match (was, is) {
        (_, false) => Action::Remove,
        (false, true) => Action::Create,
        (true, true) if same => Action::Keep,
        (true, true) => Action::Change,
    }
}

/// What is not as the edit expects it.
fn unexpected(edit: &Edit, revision: Option<i64>) -> Option<(Why, Problem)> {
    let problem = |message: &str| Problem::file(std::path::Path::new(&edit.name.source()), message);
    match (edit.expect, revision) {
        (Expect::Absent, Some(_)) => Some((Why::Stale, problem("is there already").help("change it instead"))),
        (Expect::Present | Expect::Revision(_), None) => Some((Why::Missing, problem("there is no such record"))),
        (Expect::Revision(wanted), Some(is)) if wanted != is => {
            let message = format!("is at revision {is}, and the change is one of revision {wanted}");
            Some((Why::Stale, problem(&message).help("look at it again, and make the change anew")))
        }
        (_, None) if matches!(edit.what, What::Remove) => Some((Why::Missing, problem("there is no such record"))),
        _ => None,
    }
}

/// The record that a device is to have.
fn wanted_device(mac: MacAddr, edit: &Edit, old: Option<&Record>) -> Result<Option<Record>, Problems> {
    let object = match &edit.what {
        What::Remove => return Ok(None),
        What::Put(object) => object.clone(),
        What::Merge(patch) => {
            let mut object = old.map_or_else(Map::new, |record| {
                let serial = record.serial.as_ref().map(ToString::to_string);
                let texts = [("model", record.model.clone()), ("serial", serial), ("group", record.group.clone())];
                edit::object_of(texts, &record.settings)
            });
            edit::merge(&mut object, patch.clone());
            object
        }
    };
    let mut parts = edit::parts(&edit.name, object)?;
    edit::unmask(&mut parts.settings, old.map(|record| &record.settings), &edit.name)?;
    edit::record(mac, parts).map(Some)
}

/// The record that a group is to have, and the layer that it makes.
fn wanted_group(
    name: &str,
    edit: &Edit,
    old: Option<&GroupRecord>,
) -> Result<(Option<GroupRecord>, Option<GroupLayer>), Problems> {
    let object = match &edit.what {
        What::Remove => return Ok((None, None)),
        What::Put(object) => object.clone(),
        What::Merge(patch) => {
            let mut object = old.map_or_else(Map::new, |record| {
                edit::object_of([("parent", record.parent.clone()), ("", None), ("", None)], &record.settings)
            });
            edit::merge(&mut object, patch.clone());
            object
        }
    };
    let mut parts = edit::parts(&edit.name, object)?;
    edit::unmask(&mut parts.settings, old.map(|record| &record.settings), &edit.name)?;
    let group = edit::group(name, parts)?;
    let layer = group_of(&group)?;
    Ok((Some(group), Some(layer)))
}

type Object = (Map<String, Value>, std::collections::BTreeSet<Vec<String>>);

/// What two objects differ in, by dotted key. Which secret it was is not told, nor which it is.
fn differences(old: Option<Object>, new: Option<Object>) -> Vec<Difference> {
    let leaves = |object: &Object| {
        let mut leaves = BTreeMap::new();
        flatten(&object.0, &mut Vec::new(), &mut leaves);
        leaves
    };
    let is_secret = |object: &Option<Object>, path: &[String]| {
        let settings = path.split_first().map(|(_, rest)| rest).unwrap_or_default();
        object.as_ref().is_some_and(|(_, secret)| secret.iter().any(|one| settings.starts_with(one)))
    };
    let (before, after) = (old.as_ref().map(leaves).unwrap_or_default(), new.as_ref().map(leaves).unwrap_or_default());
    let paths: std::collections::BTreeSet<&Vec<String>> = before.keys().chain(after.keys()).collect();
    let differing = paths.into_iter().filter(|path| before.get(*path) != after.get(*path));
    differing
        .map(|path| {
            let shown = |value: Option<&Value>, object: &Option<Object>| {
                value.map(|value| if is_secret(object, path) { MASK.into() } else { value.clone() })
            };
            let (before, after) = (shown(before.get(path), &old), shown(after.get(path), &new));
            Difference { key: path.join("."), before, after }
        })
        .collect()
}

/// The values of an object of settings, by their dotted names.
pub fn dotted(object: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut leaves = BTreeMap::new();
    flatten(object, &mut Vec::new(), &mut leaves);
    leaves.into_iter().map(|(path, value)| (path.join("."), value)).collect()
}

fn flatten(object: &Map<String, Value>, path: &mut Vec<String>, leaves: &mut BTreeMap<Vec<String>, Value>) {
    for (name, value) in object {
        path.push(name.clone());
        match value {
            Value::Object(inner) => flatten(inner, path, leaves),
            value => drop(leaves.insert(path.clone(), value.clone())),
        }
        path.pop();
    }
}

/// The texts of these settings of all lines.
pub(super) fn names(record: &Record, settings: &[&str]) -> Vec<String> {
    let lines = record.settings.as_map().get("lines").and_then(Value::as_object);
    let lines = lines.into_iter().flat_map(|lines| lines.values());
    lines.flat_map(|line| settings.iter().filter_map(|name| line.get(*name)?.as_str()).map(str::to_owned)).collect()
}

/// What a text is looked for in.
fn search(record: &Record) -> String {
    let serial = record.serial.as_ref().map(ToString::to_string);
    let head = [Some(record.mac.to_string()), serial, record.model.clone(), record.group.clone()];
    let names = names(record, &["user", "display_name", "label"]);
    head.into_iter().flatten().chain(names).collect::<Vec<_>>().join(" ").to_lowercase()
}
