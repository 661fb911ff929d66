//! Finding devices and groups, whether a file has them or the database.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::plan::names;
use super::shown::{Secrecy, Shown};
use super::{Fleet, FleetError};
use crate::events::rfc3339;
use crate::model::{MacAddr, Serial};
use crate::records::{GroupRecord, Record, Stored, device_of};
use crate::resync::{Device, Generation};
use crate::store::{DeviceFilter, DeviceRow};

/// Which devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub serial: Option<Serial>,
    /// The SIP user of one of its lines.
    pub user: Option<String>,
    pub model: Option<String>,
    /// In this group, or one within it.
    pub group: Option<String>,
    /// Somewhere in MAC, serial number, model, group, users and names.
    pub text: Option<String>,
    /// The group that whoever asks is bound to: nothing outside it is found.
    pub within: Option<String>,
}

/// A device: what its file and its record make of it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub mac: MacAddr,
    /// What would be served; or why nothing would.
    pub device: Result<Arc<Device>, String>,
    /// Its file, if it has one.
    pub file: Option<Arc<Path>>,
    pub record: Option<Stored<Record>>,
    /// Whether the database has a record, be it one that can't be read.
    pub has_record: bool,
    pub model: Option<String>,
    pub serial: Option<Serial>,
    pub group: Option<String>,
}

/// A group: what its file says and what was set at run time.
#[derive(Debug, Clone)]
pub struct Group {
    pub name: String,
    pub parent: Option<String>,
    /// Its file, if it has one.
    pub file: Option<Arc<Path>>,
    pub record: Option<Stored<GroupRecord>>,
    /// Whether the database has it, be it so that it can't be read.
    pub has_record: bool,
    /// Why what is in it is not served.
    pub problem: Option<String>,
}

/// Groups that one question names; of more, every record is looked at.
const MOST_GROUPS: usize = 1000;

/// Records that one question asks for; more are asked for again.
const PAGE: usize = 500;

impl Fleet {
    /// A device by its MAC.
    pub async fn device(&self, mac: MacAddr) -> Result<Option<Entry>, FleetError> {
        let generation = self.generation();
        let row = self.store.device(mac).await?;
        Ok(self.entry(&generation, mac, row.as_ref()))
    }

    /// Devices by MAC, after the one given, `limit` at most.
    pub async fn find(&self, query: &Query, after: Option<MacAddr>, limit: usize) -> Result<Vec<Entry>, FleetError> {
        let generation = self.generation();
        let wanted = Wanted::new(&generation, query);
        let filter = DeviceFilter {
            serial: query.serial.clone(),
            user: query.user.clone(),
            groups: wanted
                .groups
                .as_ref()
                .filter(|groups| groups.len() <= MOST_GROUPS)
                .map(|groups| groups.iter().cloned().collect()),
            text: query.text.clone(),
        };
        // A record may leave to its file what the query is about; so devices with files are looked at one by one.
        let with_files = generation.profiles.devices();
        let mut found: BTreeMap<MacAddr, Entry> = BTreeMap::new();
        let mut last = after;
        loop {
            let rows = self.store.devices(&filter, last, PAGE as u64).await?;
            for row in &rows {
                if generation.profiles.device(row.mac).is_none()
                    && let Some(entry) = self.entry(&generation, row.mac, Some(row)).filter(|entry| wanted.has(entry))
                {
                    found.insert(row.mac, entry);
                }
            }
            last = rows.last().map(|row| row.mac).or(last);
            if found.len() >= limit || rows.len() < PAGE {
                break;
            }
        }
        let first = with_files.partition_point(|device| Some(device.mac) <= after);
        for some in with_files.get(first..).unwrap_or_default().chunks(PAGE) {
            if found.len() >= limit
                && found.keys().nth(limit.saturating_sub(1)) < some.first().map(|device| &device.mac)
            {
                break;
            }
            let macs: Vec<_> = some.iter().map(|device| device.mac).collect();
            let rows: std::collections::HashMap<_, _> =
                self.store.devices_of(&macs).await?.into_iter().map(|row| (row.mac, row)).collect();
            let entries = macs.iter().filter_map(|mac| self.entry(&generation, *mac, rows.get(mac)));
            found.extend(entries.filter(|entry| wanted.has(entry)).map(|entry| (entry.mac, entry)));
        }
        Ok(found.into_values().take(limit).collect())
    }

    fn entry(&self, generation: &Generation, mac: MacAddr, row: Option<&DeviceRow>) -> Option<Entry> {
        let file = generation.profiles.device(mac);
        let model =
            |device: &Device| generation.packs.pack_and_model(device.model).map(|(_, model)| model.name.to_string());
        let group = |device: &Device| Some(generation.profiles.group(device.group?)?.name.to_string());
        let source = file.map(|device| device.layer.source.clone());
        let Some(row) = row else {
            let device = file?.clone();
            let broken = generation.profiles.broken(&device);
            return Some(Entry {
                mac,
                file: source,
                record: None,
                has_record: false,
                model: model(&device),
                serial: device.serial.clone(),
                group: group(&device),
                device: broken.map_or(Ok(device), Err),
            });
        };
        let (record, device) = match Record::open(row, &self.vault) {
            Ok(stored) => {
                let device =
                    device_of(generation, &stored.record).map(Arc::new).map_err(|problems| problems.to_string());
                (Some(stored), device)
            }
            Err(error) => (None, Err(error.to_string())),
        };
        let of_file = |read: &dyn Fn(&Device) -> Option<String>| file.and_then(|device| read(device));
        Some(Entry {
            mac,
            file: source,
            record,
            has_record: true,
            model: row.model.clone().or_else(|| of_file(&model)),
            serial: row.serial.clone().or_else(|| file.and_then(|device| device.serial.clone())),
            group: row.group.clone().or_else(|| of_file(&group)),
            device,
        })
    }

    /// All groups, by name.
    pub async fn groups(&self) -> Result<Vec<Group>, FleetError> {
        let generation = self.generation();
        let mut groups: BTreeMap<String, Group> = generation
            .profiles
            .file_groups()
            .iter()
            .map(|group| {
                let file = Some(group.layer.source.clone());
                let parent = group.parent.as_ref().map(ToString::to_string);
                let name = group.name.to_string();
                (name.clone(), Group { name, parent, file, record: None, has_record: false, problem: None })
            })
            .collect();
        for row in self.store.groups().await? {
            let entry = groups.entry(row.name.clone()).or_insert_with(|| Group {
                name: row.name.clone(),
                parent: None,
                file: None,
                record: None,
                has_record: true,
                problem: None,
            });
            entry.has_record = true;
            entry.parent = row.parent.clone().or_else(|| entry.parent.take());
            match GroupRecord::open(&row, &self.vault) {
                Ok(stored) => entry.record = Some(stored),
                Err(error) => entry.problem = Some(error.to_string()),
            }
        }
        for group in groups.values_mut() {
            let broken = generation.profiles.groups.named(&group.name).and_then(|group| group.broken.as_ref());
            group.problem = group.problem.take().or_else(|| broken.map(ToString::to_string));
        }
        Ok(groups.into_values().collect())
    }

    /// A group by its name.
    pub async fn group(&self, name: &str) -> Result<Option<Group>, FleetError> {
        Ok(self.groups().await?.into_iter().find(|group| group.name == name))
    }

    /// Whether a group is another, or lies within it.
    pub fn is_within(&self, group: Option<&str>, outer: &str) -> bool {
        let generation = self.generation();
        group.is_some_and(|group| {
            group == outer || generation.profiles.groups.within(outer).iter().any(|name| **name == *group)
        })
    }
}

/// A query, ready to be held against entries.
struct Wanted<'q> {
    query: &'q Query,
    groups: Option<HashSet<String>>,
}

impl<'q> Wanted<'q> {
    fn new(generation: &Generation, query: &'q Query) -> Self {
        let within = |name: &Option<String>| -> Option<HashSet<String>> {
            let name = name.as_ref()?;
            let mut names: HashSet<String> =
                generation.profiles.groups.within(name).iter().map(ToString::to_string).collect();
            names.insert(name.clone());
            Some(names)
        };
        let groups = match (within(&query.group), within(&query.within)) {
            (Some(asked), Some(bound)) => Some(asked.intersection(&bound).cloned().collect()),
            (asked, bound) => asked.or(bound),
        };
        Self { query, groups }
    }

    fn has(&self, entry: &Entry) -> bool {
        let query = self.query;
        let text = |wanted: &Option<String>, is: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| is.as_ref().is_some_and(|is| is.eq_ignore_ascii_case(wanted)))
        };
        query.serial.as_ref().is_none_or(|serial| entry.serial.as_ref() == Some(serial))
            && text(&query.model, &entry.model)
            && self
                .groups
                .as_ref()
                .is_none_or(|groups| entry.group.as_ref().is_some_and(|group| groups.contains(group)))
            && query.user.as_ref().is_none_or(|user| entry.users().contains(user))
            && query.text.as_ref().is_none_or(|text| entry.search().contains(&text.to_lowercase()))
    }
}

impl Entry {
    /// The SIP users of its own layers.
    fn users(&self) -> Vec<String> {
        self.own("user")
    }

    fn own(&self, setting: &str) -> Vec<String> {
        let Ok(device) = &self.device else {
            // Nothing is served to it, and it has to be found all the more.
            return self.record.as_ref().map(|stored| names(&stored.record, &[setting])).unwrap_or_default();
        };
        let leaves = device.layers().flat_map(|layer| &layer.leaves);
        let named = leaves.filter(|leaf| {
            leaf.key.schema().is_some_and(|(section, found)| section.name == "lines" && found.name == setting)
        });
        named
            .filter_map(|leaf| match &leaf.value {
                crate::settings::Value::Text(text) => Some(text.to_string()),
                _ => None,
            })
            .collect()
    }

    /// What a text is looked for in.
    fn search(&self) -> String {
        let head = [
            Some(self.mac.to_string()),
            self.serial.as_ref().map(ToString::to_string),
            self.model.clone(),
            self.group.clone(),
        ];
        let names = ["user", "display_name", "label"].into_iter().flat_map(|setting| self.own(setting));
        head.into_iter().flatten().chain(names).collect::<Vec<_>>().join(" ").to_lowercase()
    }

    /// The revision of its record; 0 where it has none.
    pub fn revision(&self) -> i64 {
        self.record.as_ref().map_or(0, |stored| stored.revision)
    }

    /// The entry as the API shows it. Its settings are its record's; those of its file are the operator's own, in the file.
    pub fn json(&self, secrecy: &Secrecy, shown: Shown) -> Map<String, Value> {
        let settings = self.record.as_ref().map(|stored| stored.record.settings.clone()).unwrap_or_default();
        let settings = if shown == Shown::Real { settings } else { secrecy.masked(&settings) };
        object(json!({
            "mac": self.mac.to_string(),
            "model": self.model,
            "serial": self.serial,
            "group": self.group,
            "settings": settings.as_map(),
            "file": self.file.as_ref().map(|file| file.display().to_string()),
            "revision": self.revision(),
            "created": self.record.as_ref().map(|stored| rfc3339(stored.created)),
            "changed": self.record.as_ref().map(|stored| rfc3339(stored.changed)),
            "problem": self.device.as_ref().err(),
        }))
    }
}

impl Group {
    /// The revision of its record; 0 where it has none.
    pub fn revision(&self) -> i64 {
        self.record.as_ref().map_or(0, |stored| stored.revision)
    }

    /// The group as the API shows it.
    pub fn json(&self, secrecy: &Secrecy, shown: Shown) -> Map<String, Value> {
        let settings = self.record.as_ref().map(|stored| stored.record.settings.clone()).unwrap_or_default();
        let settings = if shown == Shown::Real { settings } else { secrecy.masked(&settings) };
        object(json!({
            "name": self.name,
            "parent": self.parent,
            "settings": settings.as_map(),
            "file": self.file.as_ref().map(|file| file.display().to_string()),
            "revision": self.revision(),
            "created": self.record.as_ref().map(|stored| rfc3339(stored.created)),
            "changed": self.record.as_ref().map(|stored| rfc3339(stored.changed)),
            "problem": self.problem,
        }))
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}
