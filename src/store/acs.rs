//! Phones as their ACS knows them, in the database.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::rows::{milliseconds, moment, number, parsed, text};
use super::{Store, StoreError};
use crate::model::MacAddr;

/// A phone that has had a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcsRow {
    pub mac: MacAddr,
    /// JSON of [`crate::acs::Phone`].
    pub told: String,
    pub first_seen: OffsetDateTime,
    pub last_seen: OffsetDateTime,
    /// Tasks of which something may still come.
    pub open_tasks: u64,
}

const SELECT: &str = "SELECT mac, told, first_seen, last_seen, (SELECT COUNT(*) FROM acs_tasks WHERE \
                      acs_tasks.mac = acs_phones.mac AND state IN ('waiting', 'running', 'started')) AS tasks FROM acs_phones";

fn phone(row: &AnyRow) -> Result<AcsRow, &'static str> {
    Ok(AcsRow {
        mac: parsed(row, "mac")?,
        told: text(row, "told")?,
        first_seen: moment(row, "first_seen")?,
        last_seen: moment(row, "last_seen")?,
        open_tasks: u64::try_from(number(row, "tasks")?).map_err(|_| "tasks")?,
    })
}

impl Store {
    /// What is known of a phone; none before its first session.
    pub async fn acs_phone(&self, mac: MacAddr) -> Result<Option<AcsRow>, StoreError> {
        let sql = format!("{SELECT} WHERE mac = $1");
        Ok(self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(mac.to_string()), phone).await?.pop())
    }

    /// So many phones after one, in the order of their MACs.
    pub async fn acs_phones(&self, after: Option<MacAddr>, limit: u32) -> Result<Vec<AcsRow>, StoreError> {
        let sql = format!("{SELECT} WHERE mac > $1 ORDER BY mac LIMIT $2");
        let after = after.map(|mac| mac.to_string()).unwrap_or_default();
        self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(after).bind(i64::from(limit)), phone).await
    }

    /// Keeps what is known of a phone now.
    pub async fn keep_acs_phone(&self, mac: MacAddr, told: &str, seen: OffsetDateTime) -> Result<(), StoreError> {
        let sql = "INSERT INTO acs_phones (mac, told, first_seen, last_seen) VALUES ($1, $2, $3, $3) \
                   ON CONFLICT (mac) DO UPDATE SET told = excluded.told, last_seen = excluded.last_seen";
        let query = sqlx::query(sql).bind(mac.to_string()).bind(told.to_owned()).bind(milliseconds(seen));
        query.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(())
    }
}
