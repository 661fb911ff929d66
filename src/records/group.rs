//! A group that is set at run time.

use std::collections::BTreeSet;

use serde_json::Value;
use time::OffsetDateTime;

use super::record::{RecordError, Stored, parse};
use super::seal;
use super::tree::Tree;
use crate::store::GroupRow;
use crate::vault::Vault;

/// A group, its secrets open.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRecord {
    pub name: String,
    /// The group that it lies within; none: as its file says.
    pub parent: Option<String>,
    pub settings: Tree,
}

impl GroupRecord {
    /// What messages and origins call it.
    pub fn source(name: &str) -> String {
        format!("database/groups/{name}")
    }

    fn place(name: &str) -> String {
        format!("group/{name}")
    }

    /// Reads a row, and opens its secrets.
    pub fn open(row: &GroupRow, vault: &Vault) -> Result<Stored<Self>, RecordError> {
        let settings = parse(&Self::source(&row.name), &row.settings)?;
        let settings = seal::open(settings, &Self::place(&row.name), vault)?;
        let record = Self { name: row.name.clone(), parent: row.parent.clone(), settings };
        Ok(Stored { record, revision: row.revision, created: row.created, changed: row.changed })
    }

    /// The row of it, those settings sealed that may not be shown.
    pub fn seal(
        &self,
        secret: &BTreeSet<Vec<String>>,
        vault: &Vault,
        created: OffsetDateTime,
    ) -> Result<GroupRow, RecordError> {
        let sealed = seal::seal(self.settings.clone(), secret, &Self::place(&self.name), vault)?;
        Ok(GroupRow {
            name: self.name.clone(),
            parent: self.parent.clone(),
            settings: Value::Object(sealed.into_map()).to_string(),
            revision: 0,
            created,
            changed: created,
        })
    }
}
