//! Changes of the fleet: all of one go or none, each seen by every server.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use time::OffsetDateTime;

use super::audit::{self, AuditRow};
use super::devices::DeviceRow;
use super::groups::GroupRow;
use super::postgres::{CHANNEL, Notifications};
use super::rows::{batches, insert_statement, list, milliseconds, number, text};
use super::{Backend, Store, StoreError};
use crate::model::MacAddr;

/// What is written in one go.
#[derive(Debug, Clone)]
pub struct FleetWrite {
    pub time: OffsetDateTime,
    pub devices: Vec<DeviceWrite>,
    pub groups: Vec<GroupWrite>,
    pub audit: Vec<AuditRow>,
}

/// One record, as it is to be.
#[derive(Debug, Clone)]
pub struct DeviceWrite {
    pub mac: MacAddr,
    /// The revision that it is a change of; none: there was no record.
    pub was: Option<i64>,
    /// None: it goes. Its revision and the time of the change are the store's to set.
    pub row: Option<DeviceRow>,
    /// What it is found by.
    pub users: Vec<String>,
    pub search: String,
}

/// One group, as it is to be.
#[derive(Debug, Clone)]
pub struct GroupWrite {
    pub name: String,
    /// The revision that it is a change of; none: it was not there.
    pub was: Option<i64>,
    /// None: it goes.
    pub row: Option<GroupRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    Device,
    Group,
    /// The tokens in a device's URLs.
    Token,
}

impl ChangeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Group => "group",
            Self::Token => "token",
        }
    }
}

/// Something that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub revision: i64,
    pub kind: ChangeKind,
    pub name: String,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} {name} was changed by somebody else meanwhile; look at it again", kind.as_str())]
    Changed { kind: ChangeKind, name: String },
    #[error("one of the serial numbers was given to another device meanwhile; look again")]
    SerialTaken,
}

const DEVICE_COLUMNS: [&str; 9] =
    ["mac", "serial", "model", "group_name", "settings", "search", "revision", "created", "changed"];
const GROUP_COLUMNS: [&str; 6] = ["name", "parent", "settings", "revision", "created", "changed"];

/// Names that one statement is about.
const NAMES: usize = 128;

/// Changes that are kept for servers that have been away; one that missed more looks at everything again.
const KEPT_REVISIONS: i64 = 100_000;

impl Store {
    /// Writes all of it in one transaction, and gives it the fleet's next revision. Nothing is written where a record or
    /// group is not, or no longer, as the change expects it.
    pub async fn write_fleet(&self, write: &FleetWrite) -> Result<i64, WriteError> {
        let failed = |error| WriteError::from(self.failed(error));
        let mut transaction = self.begin_writing().await?;
        let revision = raise(&mut transaction).await.map_err(failed)?;

        let macs: Vec<_> = write.devices.iter().map(|write| (write.mac.to_string(), write.was)).collect();
        self.expect(&mut transaction, ChangeKind::Device, &macs).await?;
        let names: Vec<_> = write.groups.iter().map(|write| (write.name.clone(), write.was)).collect();
        self.expect(&mut transaction, ChangeKind::Group, &names).await?;

        // All go before any comes, so that serial numbers can change hands.
        let old = |names: &[(String, Option<i64>)]| -> Vec<String> {
            names.iter().filter(|(_, was)| was.is_some()).map(|(name, _)| name.clone()).collect()
        };
        remove(&mut transaction, "devices", "mac", &old(&macs)).await.map_err(failed)?;
        remove(&mut transaction, "device_users", "mac", &old(&macs)).await.map_err(failed)?;
        let gone: Vec<_> =
            write.devices.iter().filter(|write| write.row.is_none()).map(|write| write.mac.to_string()).collect();
        remove(&mut transaction, "url_tokens", "mac", &gone).await.map_err(failed)?;
        remove(&mut transaction, "groups", "name", &old(&names)).await.map_err(failed)?;

        match self.insert_devices(&mut transaction, write, revision).await {
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
                return Err(WriteError::SerialTaken);
            }
            result => result.map_err(failed)?,
        }
        self.insert_groups(&mut transaction, write, revision).await.map_err(failed)?;
        let changed =
            macs.iter().map(|(name, _)| ("device", name)).chain(names.iter().map(|(name, _)| ("group", name)));
        let changed: Vec<_> = changed.collect();
        for batch in batches(&changed) {
            let sql = insert_statement(self.backend, "changes", &["revision", "kind", "name"], batch.len());
            let query = batch.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, (kind, name)| {
                query.bind(revision).bind(*kind).bind((*name).clone())
            });
            query.execute(&mut *transaction).await.map_err(failed)?;
        }
        // One falls out with each write. The range is for PostgreSQL, which looks through all of a table that it has not
        // counted yet if it is told one end only.
        let forget = sqlx::query("DELETE FROM changes WHERE revision >= $1 AND revision < $2");
        let forget = forget.bind(revision - 2 * KEPT_REVISIONS).bind(revision - KEPT_REVISIONS);
        forget.execute(&mut *transaction).await.map_err(failed)?;
        audit::insert(&mut transaction, self.backend, &write.audit).await.map_err(failed)?;
        tell_change(&mut transaction, self.backend, revision).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(revision)
    }

    /// Makes sure that everything is at the revision that it is thought to be at.
    async fn expect(
        &self,
        transaction: &mut Transaction<'_, Any>,
        kind: ChangeKind,
        expected: &[(String, Option<i64>)],
    ) -> Result<(), WriteError> {
        let (table, column) = match kind {
            ChangeKind::Device | ChangeKind::Token => ("devices", "mac"),
            ChangeKind::Group => ("groups", "name"),
        };
        for names in expected.chunks(NAMES) {
            let sql = format!("SELECT {column} AS name, revision FROM {table} WHERE {column} IN {}", list(names.len()));
            let query = names.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, (name, _)| query.bind(name.clone()));
            let rows = query.fetch_all(&mut **transaction).await.map_err(|error| self.failed(error))?;
            let read = |row: &AnyRow| Ok((text(row, "name")?, number(row, "revision")?));
            let found = rows.iter().map(|row| self.read(read, row)).collect::<Result<HashMap<_, _>, _>>()?;
            if let Some((name, _)) = names.iter().find(|(name, was)| found.get(name).copied() != *was) {
                return Err(WriteError::Changed { kind, name: name.clone() });
            }
        }
        Ok(())
    }

    async fn insert_devices(
        &self,
        transaction: &mut Transaction<'_, Any>,
        write: &FleetWrite,
        revision: i64,
    ) -> Result<(), sqlx::Error> {
        let rows: Vec<_> = write.devices.iter().filter_map(|write| Some((write, write.row.as_ref()?))).collect();
        for batch in batches(&rows) {
            let sql = insert_statement(self.backend, "devices", &DEVICE_COLUMNS, batch.len());
            let query = batch.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, (write_one, row)| {
                query
                    .bind(row.mac.to_string())
                    .bind(row.serial.as_ref().map(ToString::to_string))
                    .bind(row.model.clone())
                    .bind(row.group.clone())
                    .bind(row.settings.clone())
                    .bind(write_one.search.clone())
                    .bind(revision)
                    .bind(milliseconds(row.created))
                    .bind(milliseconds(write.time))
            });
            query.execute(&mut **transaction).await?;
        }
        let users: Vec<_> =
            rows.iter().flat_map(|(write, row)| write.users.iter().map(|user| (user, row.mac))).collect();
        for batch in batches(&users) {
            let sql = insert_statement(self.backend, "device_users", &["user_name", "mac"], batch.len());
            let query = sqlx::query(AssertSqlSafe(sql + " ON CONFLICT (user_name, mac) DO NOTHING"));
            let query =
                batch.iter().fold(query, |query, (user, mac)| query.bind((*user).clone()).bind(mac.to_string()));
            query.execute(&mut **transaction).await?;
        }
        Ok(())
    }

    async fn insert_groups(
        &self,
        transaction: &mut Transaction<'_, Any>,
        write: &FleetWrite,
        revision: i64,
    ) -> Result<(), sqlx::Error> {
        let rows: Vec<_> = write.groups.iter().filter_map(|write| write.row.as_ref()).collect();
        for batch in batches(&rows) {
            let sql = insert_statement(self.backend, "groups", &GROUP_COLUMNS, batch.len());
            let query = batch.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, row| {
                query
                    .bind(row.name.clone())
                    .bind(row.parent.clone())
                    .bind(row.settings.clone())
                    .bind(revision)
                    .bind(milliseconds(row.created))
                    .bind(milliseconds(write.time))
            });
            query.execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// The fleet's revision.
    pub async fn fleet_revision(&self) -> Result<i64, StoreError> {
        let read = |row: &AnyRow| number(row, "revision");
        let found = self.fetch(sqlx::query("SELECT revision FROM fleet WHERE one = 1"), read).await?;
        Ok(found.first().copied().unwrap_or_default())
    }

    /// Everything that was changed after a revision, in order; none where that is so long ago that not all of it is kept.
    pub async fn changes_since(&self, revision: i64) -> Result<Option<Vec<Change>>, StoreError> {
        let now = self.fleet_revision().await?;
        // A database that was restored from a backup may be behind what a server has seen.
        if revision < now - KEPT_REVISIONS || revision > now {
            return Ok(None);
        }
        let sql = "SELECT revision, kind, name FROM changes WHERE revision > $1 ORDER BY revision";
        self.fetch(sqlx::query(sql).bind(revision), change).await.map(Some)
    }

    /// What the database tells of changes by itself; none where it doesn't.
    pub async fn notifications(&self) -> Result<Option<Notifications>, StoreError> {
        match &self.listen {
            Some(url) => Notifications::listen(url, &self.name).await.map(Some),
            None => Ok(None),
        }
    }
}

pub(super) fn change(row: &AnyRow) -> Result<Change, &'static str> {
    let kind = match text(row, "kind")?.as_str() {
        "device" => ChangeKind::Device,
        "group" => ChangeKind::Group,
        "token" => ChangeKind::Token,
        _ => return Err("kind"),
    };
    Ok(Change { revision: number(row, "revision")?, kind, name: text(row, "name")? })
}

async fn remove(
    transaction: &mut Transaction<'_, Any>,
    table: &str,
    column: &str,
    names: &[String],
) -> Result<(), sqlx::Error> {
    for names in names.chunks(NAMES) {
        let sql = format!("DELETE FROM {table} WHERE {column} IN {}", list(names.len()));
        let query = names.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, name| query.bind(name.clone()));
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The fleet's next revision. Whoever else writes waits here until this is committed.
pub(super) async fn raise(transaction: &mut Transaction<'_, Any>) -> Result<i64, sqlx::Error> {
    let raise = sqlx::query("UPDATE fleet SET revision = revision + 1 WHERE one = 1 RETURNING revision");
    raise.fetch_one(&mut **transaction).await?.try_get("revision")
}

/// Told to the other servers when, and only when, it is committed.
pub(super) async fn tell_change(
    transaction: &mut Transaction<'_, Any>,
    backend: Backend,
    revision: i64,
) -> Result<(), sqlx::Error> {
    if backend == Backend::Postgres {
        let tell = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(revision.to_string());
        tell.execute(&mut **transaction).await?;
    }
    Ok(())
}
