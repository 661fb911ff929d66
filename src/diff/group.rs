//! Devices that change alike are one entry.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Change, Kind};
use crate::model::MacAddr;

/// What changes for one device, without saying for which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct What {
    pub kind: Kind,
    /// The paths, as the pack's manifest has them, of the files that change so; none for the device's own settings.
    pub files: Vec<String>,
    pub changes: Vec<Change>,
    /// Why the old file can't be made.
    pub old_error: Option<String>,
    /// Why the new file can't be made.
    pub new_error: Option<String>,
}

/// The same change of many devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub kind: Kind,
    /// The paths, as the pack's manifest has them, of the files that change so; none for the device's own settings.
    pub files: Vec<String>,
    pub changes: Vec<Change>,
    /// Why the old file can't be made.
    pub old_error: Option<String>,
    /// Why the new file can't be made.
    pub new_error: Option<String>,
    /// By MAC; none for a file that anyone may fetch.
    pub devices: Vec<MacAddr>,
    /// The models whose file for anyone it is; empty for devices, and for a file that is the same for all models.
    pub models: Vec<Arc<str>>,
}

impl What {
    pub fn changed(file: Option<String>, changes: Vec<Change>) -> Self {
        Self {
            kind: Kind::Changed,
            files: file.into_iter().collect(),
            changes,
            old_error: None,
            new_error: None,
        }
    }

    pub fn into_group(self, devices: Vec<MacAddr>, models: Vec<Arc<str>>) -> Group {
        let Self { kind, files, changes, old_error, new_error } = self;
        Group { kind, files, changes, old_error, new_error, devices, models }
    }
}

/// Files of one device that change alike are told together: a phone's first profile and its later one hold the same.
pub fn fold_files(whats: Vec<What>) -> Vec<What> {
    let mut folded: Vec<What> = Vec::new();
    for what in whats {
        let same = folded.iter_mut().find(|other| {
            (other.kind, &other.changes) == (what.kind, &what.changes)
                && (&other.old_error, &other.new_error) == (&what.old_error, &what.new_error)
                && !other.files.is_empty()
        });
        match same {
            Some(same) => same.files.extend(what.files),
            None => folded.push(what),
        }
    }
    folded
}

pub type Found = HashMap<What, Vec<MacAddr>>;

pub fn put(found: &mut Found, what: What, mac: MacAddr) {
    found.entry(what).or_default().push(mac);
}

pub fn merge(mut one: Found, mut other: Found) -> Found {
    if one.len() < other.len() {
        std::mem::swap(&mut one, &mut other);
    }
    for (what, macs) in other {
        one.entry(what).or_default().extend(macs);
    }
    one
}

pub fn of_devices(found: Found) -> Vec<Group> {
    let groups = found.into_iter().map(|(what, mut devices)| {
        devices.sort_unstable();
        what.into_group(devices, Vec::new())
    });
    groups.collect()
}

/// The largest first; then by device and file, so that the same comparison is always told the same.
pub fn sort(groups: &mut [Group]) {
    groups.sort_by(|a, b| {
        let key = |group: &Group| (group.devices.first().copied(), group.models.first().cloned(), group.kind);
        b.devices
            .len()
            .cmp(&a.devices.len())
            .then_with(|| key(a).cmp(&key(b)))
            .then_with(|| a.files.cmp(&b.files))
            .then_with(|| a.changes.cmp(&b.changes))
    });
}
