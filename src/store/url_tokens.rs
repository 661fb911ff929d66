//! Tokens in the URLs of phones.

use std::net::IpAddr;

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Transaction};
use time::OffsetDateTime;

use super::fleet::{raise, tell_change};
use super::rows::{milliseconds, moment, moment_optional, number, optional, parsed, text};
use super::{Store, StoreError};
use crate::model::MacAddr;

/// A token as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTokenRow {
    /// SHA-256 of the token, in hexadecimal.
    pub digest: String,
    pub mac: MacAddr,
    /// For the first contact.
    pub is_bootstrap: bool,
    pub created: OffsetDateTime,
    pub created_by: String,
    pub expires: Option<OffsetDateTime>,
    /// The next profile brings another in its place.
    pub renews: bool,
    /// When, and from where, it was first used.
    pub used: Option<(OffsetDateTime, String)>,
}

impl UrlTokenRow {
    /// One that has never been used.
    pub fn new(digest: String, mac: MacAddr, created: OffsetDateTime, created_by: &str) -> Self {
        let created_by = created_by.to_owned();
        Self { digest, mac, is_bootstrap: false, created, created_by, expires: None, renews: false, used: None }
    }

    /// What it is for, in one word.
    pub fn purpose(&self) -> &'static str {
        if self.is_bootstrap { "first-contact" } else { "resync" }
    }

    /// What has become of it, in one word: `new`, `used`, `renewing` or `expired`.
    pub fn state(&self, now: OffsetDateTime) -> &'static str {
        match (&self.used, self.expires) {
            (Some(_), _) if self.renews => "renewing",
            (Some(_), _) => "used",
            (None, Some(expires)) if expires <= now => "expired",
            (None, _) => "new",
        }
    }

    /// Why it is good for nothing; none: it is good.
    pub fn problem(&self, now: OffsetDateTime) -> Option<String> {
        match (&self.used, self.expires) {
            (Some((time, from)), _) if self.is_bootstrap => Some(format!(
                "it is for the first contact, and was used at {} from {from}",
                crate::events::rfc3339(*time)
            )),
            (_, Some(expires)) if expires <= now => Some("it has expired".to_owned()),
            _ => None,
        }
    }
}

/// Tokens that one device may have; of more, those go that have never been used, the oldest first.
pub const MOST_OF_DEVICE: i64 = 8;

const COLUMNS: &str = "digest, mac, bootstrap, created, created_by, expires, renews, used, used_from";

fn token(row: &AnyRow) -> Result<UrlTokenRow, &'static str> {
    let used = moment_optional(row, "used")?.zip(optional(row, "used_from")?);
    Ok(UrlTokenRow {
        digest: text(row, "digest")?,
        mac: parsed(row, "mac")?,
        is_bootstrap: number(row, "bootstrap")? != 0,
        created: moment(row, "created")?,
        created_by: text(row, "created_by")?,
        expires: moment_optional(row, "expires")?,
        renews: number(row, "renews")? != 0,
        used,
    })
}

impl Store {
    /// Adds a token to a device's.
    pub async fn add_url_token(&self, row: &UrlTokenRow) -> Result<(), StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        self.insert_url_token(&mut transaction, row).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Whose token a digest is of.
    pub async fn url_token_mac(&self, digest: &str) -> Result<Option<MacAddr>, StoreError> {
        let query = sqlx::query("SELECT mac FROM url_tokens WHERE digest = $1").bind(digest);
        Ok(self.fetch(query, |row| parsed(row, "mac")).await?.into_iter().next())
    }

    /// A device's tokens, the oldest first.
    pub async fn url_tokens(&self, mac: MacAddr) -> Result<Vec<UrlTokenRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM url_tokens WHERE mac = $1 ORDER BY created, digest");
        self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(mac.to_string()), token).await
    }

    /// Puts the token that a profile brings beside the one that it was asked for with. A token for the first contact is
    /// used by that: false where it was used before, or is not there any more; then nothing is written.
    pub async fn follow_url_token(&self, old: &str, new: &UrlTokenRow, from: IpAddr) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let take = sqlx::query(
            "UPDATE url_tokens SET used = $1, used_from = $2 \
             WHERE digest = $3 AND used IS NULL AND bootstrap = 1 AND (expires IS NULL OR expires > $1)",
        );
        let take = take.bind(milliseconds(new.created)).bind(from.to_string()).bind(old);
        let mut taken = take.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
        if taken == 0 {
            let renewing =
                sqlx::query("SELECT digest FROM url_tokens WHERE digest = $1 AND bootstrap = 0 AND renews = 1");
            let found = renewing.bind(old).fetch_all(&mut *transaction).await.map_err(failed)?;
            taken = u64::try_from(found.len()).unwrap_or(0);
        }
        if taken == 0 {
            return Ok(false);
        }
        self.insert_url_token(&mut transaction, new).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Notes that a token is used for the first time: the phone has it now, and those that came before it go. False where
    /// that was known.
    pub async fn use_url_token(
        &self,
        digest: &str,
        mac: MacAddr,
        now: OffsetDateTime,
        from: IpAddr,
    ) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let first = sqlx::query("UPDATE url_tokens SET used = $1, used_from = $2 WHERE digest = $3 AND used IS NULL");
        let first = first.bind(milliseconds(now)).bind(from.to_string()).bind(digest);
        if first.execute(&mut *transaction).await.map_err(failed)?.rows_affected() == 0 {
            return Ok(false);
        }
        let others = sqlx::query("DELETE FROM url_tokens WHERE mac = $1 AND bootstrap = 0 AND digest <> $2");
        others.bind(mac.to_string()).bind(digest).execute(&mut *transaction).await.map_err(failed)?;
        self.change(&mut transaction, mac).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Lets the next profile of a device bring a new token. How many of its tokens that concerns.
    pub async fn renew_url_tokens(&self, mac: MacAddr) -> Result<u64, StoreError> {
        self.of_device("UPDATE url_tokens SET renews = 1 WHERE bootstrap = 0 AND mac = $1", mac).await
    }

    /// Takes all of a device's tokens away. How many there were.
    pub async fn revoke_url_tokens(&self, mac: MacAddr) -> Result<u64, StoreError> {
        self.of_device("DELETE FROM url_tokens WHERE mac = $1", mac).await
    }

    /// Forgets tokens for the first contact that are good for nothing since before that time.
    pub async fn prune_url_tokens(&self, before: OffsetDateTime) -> Result<u64, StoreError> {
        let old = sqlx::query("DELETE FROM url_tokens WHERE bootstrap = 1 AND (expires < $1 OR used < $1)");
        let gone = old.bind(milliseconds(before)).execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(gone.rows_affected())
    }

    async fn of_device(&self, sql: &'static str, mac: MacAddr) -> Result<u64, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let done = sqlx::query(sql).bind(mac.to_string()).execute(&mut *transaction).await.map_err(failed)?;
        self.change(&mut transaction, mac).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected())
    }

    async fn insert_url_token(
        &self,
        transaction: &mut Transaction<'_, Any>,
        row: &UrlTokenRow,
    ) -> Result<(), sqlx::Error> {
        let sql = format!("INSERT INTO url_tokens ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL)");
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(row.digest.clone())
            .bind(row.mac.to_string())
            .bind(i64::from(row.is_bootstrap))
            .bind(milliseconds(row.created))
            .bind(row.created_by.clone())
            .bind(row.expires.map(milliseconds))
            .bind(i64::from(row.renews));
        query.execute(&mut **transaction).await?;
        let newest = sqlx::query(
            "DELETE FROM url_tokens WHERE mac = $1 AND bootstrap = $2 AND used IS NULL AND digest NOT IN (\
             SELECT digest FROM url_tokens WHERE mac = $1 AND bootstrap = $2 \
             ORDER BY CASE WHEN digest = $3 THEN 0 ELSE 1 END, created DESC, digest LIMIT $4)",
        );
        // The new one stays, also where a clock that ran ahead has dated the others.
        let newest = newest.bind(row.mac.to_string()).bind(i64::from(row.is_bootstrap));
        let newest = newest.bind(row.digest.clone()).bind(MOST_OF_DEVICE);
        newest.execute(&mut **transaction).await?;
        self.change(transaction, row.mac).await
    }

    /// Tells every server that something about a device has changed.
    async fn change(&self, transaction: &mut Transaction<'_, Any>, mac: MacAddr) -> Result<(), sqlx::Error> {
        let revision = raise(transaction).await?;
        let change = sqlx::query("INSERT INTO changes (revision, kind, name) VALUES ($1, 'token', $2)");
        change.bind(revision).bind(mac.to_string()).execute(&mut **transaction).await?;
        tell_change(transaction, self.backend, revision).await
    }
}
