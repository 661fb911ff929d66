//! Phones that wait for approval, in the database.

use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::rows::{integer, milliseconds, moment, optional, parsed, parsed_optional, text};
use super::{Store, StoreError};
use crate::model::{MacAddr, Serial};

/// A phone that was first seen in a staging network.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WaitingRow {
    pub mac: MacAddr,
    /// As its User-Agent says. So with serial number and firmware.
    pub model: String,
    pub serial: Option<Serial>,
    pub firmware: Option<String>,
    pub user_agent: String,
    pub peer: String,
    #[serde(with = "time::serde::rfc3339")]
    pub first_seen: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub last_seen: OffsetDateTime,
}

fn waiting(row: &AnyRow) -> Result<WaitingRow, &'static str> {
    Ok(WaitingRow {
        mac: parsed(row, "mac")?,
        model: text(row, "model")?,
        serial: parsed_optional(row, "serial")?,
        firmware: optional(row, "firmware")?,
        user_agent: text(row, "user_agent")?,
        peer: text(row, "peer")?,
        first_seen: moment(row, "first_seen")?,
        last_seen: moment(row, "last_seen")?,
    })
}

impl Store {
    /// Lets a phone wait, if no more than `most` do already; one that waits is seen again. False where there is no room.
    pub async fn add_waiting(&self, phone: &WaitingRow, most: u64) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let again = sqlx::query("UPDATE waiting SET last_seen = $1, peer = $2 WHERE mac = $3");
        let again = again.bind(milliseconds(phone.last_seen)).bind(phone.peer.clone()).bind(phone.mac.to_string());
        let mut kept = again.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
        if kept == 0 {
            let new = sqlx::query(
                "INSERT INTO waiting (mac, model, serial, firmware, user_agent, peer, first_seen, last_seen) \
                 SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE (SELECT COUNT(*) FROM waiting) < $9 \
                 ON CONFLICT (mac) DO NOTHING",
            );
            let new = new
                .bind(phone.mac.to_string())
                .bind(phone.model.clone())
                .bind(phone.serial.as_ref().map(ToString::to_string))
                .bind(phone.firmware.clone())
                .bind(phone.user_agent.clone())
                .bind(phone.peer.clone())
                .bind(milliseconds(phone.first_seen))
                .bind(milliseconds(phone.last_seen))
                .bind(integer(most));
            kept = new.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
        }
        transaction.commit().await.map_err(failed)?;
        Ok(kept > 0)
    }

    /// All that wait, those first that have waited longest.
    pub async fn waiting(&self) -> Result<Vec<WaitingRow>, StoreError> {
        let sql = "SELECT mac, model, serial, firmware, user_agent, peer, first_seen, last_seen FROM waiting \
                   ORDER BY first_seen, mac";
        self.fetch(sqlx::query(sql), waiting).await
    }

    /// Takes a phone off the list. False where it isn't on it.
    pub async fn remove_waiting(&self, mac: MacAddr) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM waiting WHERE mac = $1").bind(mac.to_string());
        let gone = query.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(gone.rows_affected() > 0)
    }

    /// Forgets phones that have not been seen since a time. Tells how many.
    pub async fn prune_waiting(&self, before: OffsetDateTime) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM waiting WHERE last_seen < $1").bind(milliseconds(before));
        let gone = query.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(gone.rows_affected())
    }
}
