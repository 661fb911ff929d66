//! Invitations in the database.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::rows::{milliseconds, moment, number, optional, parsed_optional, text};
use super::{Store, StoreError};
use crate::model::MacAddr;

/// An invitation as the database holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow {
    pub id: String,
    /// SHA-256 of the code, in hexadecimal.
    pub hash: String,
    /// For this phone only.
    pub mac: Option<MacAddr>,
    pub group: Option<String>,
    /// JSON of the device: `model`, `group`, `settings`; secrets sealed.
    pub settings: String,
    pub takes_over: bool,
    pub uses: i64,
    pub max_uses: i64,
    /// How often the right code came from the wrong phone.
    pub failures: i64,
    pub created: OffsetDateTime,
    pub created_by: String,
    pub expires: OffsetDateTime,
}

impl CodeRow {
    /// Whether phones can still come with it, in one word.
    pub fn state(&self, now: OffsetDateTime) -> &'static str {
        if self.expires <= now {
            "expired"
        } else if self.uses >= self.max_uses {
            "used"
        } else if self.failures >= MOST_FAILURES {
            "blocked"
        } else {
            "open"
        }
    }
}

/// Tries with the right code from the wrong phone; then it is good for nothing.
pub const MOST_FAILURES: i64 = 10;

const COLUMNS: &str =
    "id, hash, mac, group_name, settings, takes_over, uses, max_uses, failures, created, created_by, expires";

fn code(row: &AnyRow) -> Result<CodeRow, &'static str> {
    Ok(CodeRow {
        id: text(row, "id")?,
        hash: text(row, "hash")?,
        mac: parsed_optional(row, "mac")?,
        group: optional(row, "group_name")?,
        settings: text(row, "settings")?,
        takes_over: number(row, "takes_over")? != 0,
        uses: number(row, "uses")?,
        max_uses: number(row, "max_uses")?,
        failures: number(row, "failures")?,
        created: moment(row, "created")?,
        created_by: text(row, "created_by")?,
        expires: moment(row, "expires")?,
    })
}

impl Store {
    pub async fn add_code(&self, code: &CodeRow) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO codes ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(code.id.clone())
            .bind(code.hash.clone())
            .bind(code.mac.map(|mac| mac.to_string()))
            .bind(code.group.clone())
            .bind(code.settings.clone())
            .bind(i64::from(code.takes_over))
            .bind(code.uses)
            .bind(code.max_uses)
            .bind(code.failures)
            .bind(milliseconds(code.created))
            .bind(code.created_by.clone())
            .bind(milliseconds(code.expires));
        query.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// The invitation of a code, whether it can still be used or not.
    pub async fn code(&self, hash: &str) -> Result<Option<CodeRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM codes WHERE hash = $1");
        let found = self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(hash), code).await?;
        Ok(found.into_iter().next())
    }

    /// An invitation by its id.
    pub async fn code_of_id(&self, id: &str) -> Result<Option<CodeRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM codes WHERE id = $1");
        let found = self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(id), code).await?;
        Ok(found.into_iter().next())
    }

    /// All invitations, the newest first, `limit` at most, older than the one given.
    pub async fn codes(&self, before: Option<&str>, limit: u32) -> Result<Vec<CodeRow>, StoreError> {
        // Ids order by time.
        let sql = format!("SELECT {COLUMNS} FROM codes WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(before.unwrap_or("~")).bind(i64::from(limit));
        self.fetch(query, code).await
    }

    /// Withdraws an invitation. False where there is none.
    pub async fn remove_code(&self, id: &str) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let uses = sqlx::query("DELETE FROM code_uses WHERE code = $1").bind(id);
        uses.execute(&mut *transaction).await.map_err(failed)?;
        let codes = sqlx::query("DELETE FROM codes WHERE id = $1").bind(id);
        let gone = codes.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
        transaction.commit().await.map_err(failed)?;
        Ok(gone > 0)
    }

    /// Whether a phone has come with a code before.
    pub async fn has_used_code(&self, id: &str, mac: MacAddr) -> Result<bool, StoreError> {
        let query =
            sqlx::query("SELECT code FROM code_uses WHERE code = $1 AND mac = $2").bind(id).bind(mac.to_string());
        Ok(!self.fetch(query, |row| text(row, "code")).await?.is_empty())
    }

    /// Uses a code for a phone, once, whoever else does at the same time. False where it is used up or has expired.
    pub async fn use_code(&self, id: &str, mac: MacAddr, now: OffsetDateTime) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let take = sqlx::query("UPDATE codes SET uses = uses + 1 WHERE id = $1 AND uses < max_uses AND expires > $2");
        let taken = take.bind(id).bind(milliseconds(now)).execute(&mut *transaction).await.map_err(failed)?;
        if taken.rows_affected() == 0 {
            return Ok(false);
        }
        let used = sqlx::query(
            "INSERT INTO code_uses (code, mac, time) VALUES ($1, $2, $3) ON CONFLICT (code, mac) DO NOTHING",
        );
        let used = used.bind(id).bind(mac.to_string()).bind(milliseconds(now));
        let new = used.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
        // Another request of the same phone was faster: this one takes no use of its own.
        if new == 0 {
            transaction.rollback().await.map_err(failed)?;
        } else {
            transaction.commit().await.map_err(failed)?;
        }
        Ok(true)
    }

    /// Counts a try by the wrong phone.
    pub async fn fail_code(&self, id: &str) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE codes SET failures = failures + 1 WHERE id = $1").bind(id);
        query.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Forgets invitations that expired before a time. Tells how many.
    pub async fn prune_codes(&self, before: OffsetDateTime) -> Result<u64, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let uses = sqlx::query("DELETE FROM code_uses WHERE code IN (SELECT id FROM codes WHERE expires < $1)");
        uses.bind(milliseconds(before)).execute(&mut *transaction).await.map_err(failed)?;
        let codes = sqlx::query("DELETE FROM codes WHERE expires < $1").bind(milliseconds(before));
        let gone = codes.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
        transaction.commit().await.map_err(failed)?;
        Ok(gone)
    }

    /// How many invitations there are.
    pub async fn count_codes(&self) -> Result<u64, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) FROM codes");
        let counts = self.fetch(query, |row| row.try_get::<i64, _>(0).map_err(|_| "count")).await?;
        Ok(counts.first().copied().unwrap_or_default().unsigned_abs())
    }
}
