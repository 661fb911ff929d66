//! Records as the database had them at one time, to be laid over files: for commands that look, and serve nobody.

use std::collections::HashSet;
use std::sync::Arc;

use super::known::Records;
use super::record::Record;
use super::resolve::device_of;
use crate::document::{Problem, Problems};
use crate::model::MacAddr;
use crate::resync::{Generation, GroupLayer};
use crate::store::{DeviceFilter, DeviceRow, Store, StoreError};
use crate::vault::Vault;

/// Records that one question asks for.
const PAGE: u64 = 1000;

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    groups: Vec<GroupLayer>,
    /// Each record, or why it can't be read.
    devices: Vec<(MacAddr, Result<Record, String>)>,
}

impl Snapshot {
    /// Reads all groups, and the record of one device.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_device(store: &Store, vault: &Vault, mac: MacAddr) -> Result<Self, StoreError> {
        let rows: Vec<_> = store.device(mac).await?.into_iter().collect();
        Ok(Self { groups: groups(store, vault).await?, devices: read(&rows, vault) })
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_all(store: &Store, vault: &Vault) -> Result<Self, StoreError> {
        let (mut devices, mut after) = (Vec::new(), None);
        loop {
            let rows = store.devices(&DeviceFilter::default(), after, PAGE).await?;
            devices.extend(read(&rows, vault));
            match rows.last() {
                Some(last) => after = Some(last.mac),
                None => break,
            }
        }
        Ok(Self { groups: groups(store, vault).await?, devices })
    }

    /// Whether nothing was set at run time.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.devices.is_empty()
    }

    /// The generation with all of it laid over, and the devices that nothing is served to, each with what is wrong.
    pub fn over(&self, generation: &Generation) -> (Generation, Vec<(MacAddr, Problems)>) {
        let generation = generation.with_profiles(generation.profiles.with_groups(&self.groups));
        let (mut made, mut broken) = (Vec::new(), Vec::new());
        for (mac, record) in &self.devices {
            match record {
                Ok(record) => match device_of(&generation, record) {
                    Ok(device) => made.push(Arc::new(device)),
                    Err(problems) => broken.push((*mac, problems)),
                },
                Err(why) => broken.push((*mac, problem(*mac, why).into())),
            }
        }
        let with_record: HashSet<MacAddr> = self.devices.iter().map(|(mac, _)| *mac).collect();
        for device in generation.profiles.devices().into_iter().filter(|device| !with_record.contains(&device.mac)) {
            if let Some(why) = generation.profiles.broken(device) {
                broken.push((device.mac, Problem::file(device.layer.source.clone(), why).key("group").into()));
            }
        }
        (generation.with_profiles(generation.profiles.with_devices(made)), broken)
    }
}

fn problem(mac: MacAddr, why: &str) -> Problem {
    let name = Record::name(mac);
    Problem::file(std::path::Path::new(&name), why)
}

fn read(rows: &[DeviceRow], vault: &Vault) -> Vec<(MacAddr, Result<Record, String>)> {
    let open =
        |row: &DeviceRow| Record::open(row, vault).map(|stored| stored.record).map_err(|error| error.to_string());
    rows.iter().map(|row| (row.mac, open(row))).collect()
}

async fn groups(store: &Store, vault: &Vault) -> Result<Vec<GroupLayer>, StoreError> {
    Records::new(store.clone(), vault.clone(), 0).groups().await
}
