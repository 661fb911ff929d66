//! Groups that are set at run time.

use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::rows::{moment, number, optional, text};
use super::{Store, StoreError};

/// A group as the database holds it: settings as JSON, with sealed secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    pub name: String,
    /// The group that it lies within; none: as the group's file says.
    pub parent: Option<String>,
    pub settings: String,
    /// The fleet's revision that changed it last.
    pub revision: i64,
    pub created: OffsetDateTime,
    pub changed: OffsetDateTime,
}

pub(super) fn group(row: &AnyRow) -> Result<GroupRow, &'static str> {
    Ok(GroupRow {
        name: text(row, "name")?,
        parent: optional(row, "parent")?,
        settings: text(row, "settings")?,
        revision: number(row, "revision")?,
        created: moment(row, "created")?,
        changed: moment(row, "changed")?,
    })
}

impl Store {
    /// All groups, by name.
    pub async fn groups(&self) -> Result<Vec<GroupRow>, StoreError> {
        let sql = "SELECT name, parent, settings, revision, created, changed FROM groups ORDER BY name";
        self.fetch(sqlx::query(sql), group).await
    }
}
