//! A device's record: what is set for it at run time.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::seal;
use super::tree::{Tree, TreeError};
use crate::document::Problems;
use crate::model::{MacAddr, Serial};
use crate::store::DeviceRow;
use crate::vault::{Vault, VaultError};

/// A device's record, its secrets open.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub mac: MacAddr,
    /// None: as its file says. So with serial number and group.
    pub model: Option<String>,
    pub serial: Option<Serial>,
    pub group: Option<String>,
    pub settings: Tree,
}

/// A record, and what the database knows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<R> {
    pub record: R,
    /// The fleet's revision that changed it last.
    pub revision: i64,
    pub created: OffsetDateTime,
    pub changed: OffsetDateTime,
}

/// Why a record can't be read or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecordError {
    #[error("{0}")]
    Problems(#[from] Problems),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the settings of {name} in the database are no JSON object: {why}")]
    Json { name: String, why: String },
    #[error("{0}")]
    Tree(#[from] TreeError),
}

impl Record {
    /// What messages and origins call it.
    pub fn name(mac: MacAddr) -> String {
        format!("database/devices/{mac}")
    }

    /// What its secrets are sealed for.
    fn place(mac: MacAddr) -> String {
        format!("device/{mac}")
    }

    /// Reads a row, and opens its secrets.
    pub fn open(row: &DeviceRow, vault: &Vault) -> Result<Stored<Self>, RecordError> {
        let settings = parse(&Self::name(row.mac), &row.settings)?;
        let record = Self {
            mac: row.mac,
            model: row.model.clone(),
            serial: row.serial.clone(),
            group: row.group.clone(),
            settings: seal::open(settings, &Self::place(row.mac), vault)?,
        };
        Ok(Stored { record, revision: row.revision, created: row.created, changed: row.changed })
    }

    /// The row of it, those settings sealed that may not be shown. `created` is kept from the row that it changes.
    pub fn seal(
        &self,
        secret: &BTreeSet<Vec<String>>,
        vault: &Vault,
        created: OffsetDateTime,
    ) -> Result<DeviceRow, RecordError> {
        let sealed = seal::seal(self.settings.clone(), secret, &Self::place(self.mac), vault)?;
        Ok(DeviceRow {
            mac: self.mac,
            serial: self.serial.clone(),
            model: self.model.clone(),
            group: self.group.clone(),
            settings: Value::Object(sealed.into_map()).to_string(),
            revision: 0,
            created,
            changed: created,
        })
    }
}

/// The settings of a row.
pub(super) fn parse(name: &str, settings: &str) -> Result<Tree, RecordError> {
    serde_json::from_str::<Map<String, Value>>(settings)
        .map(Tree::new)
        .map_err(|error| RecordError::Json { name: name.to_owned(), why: error.to_string() })
}
