//! What webhooks are to be told: kept until it is taken, or given up.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::fleet::change;
use super::rows::{instant, milliseconds, number, text};
use super::{Change, Store, StoreError};

/// Messages that one statement inserts.
const ROWS: usize = 8;

/// What is due later than any delay ends was put off by a clock that ran ahead.
const FARTHEST: time::Duration = time::Duration::DAY;

/// A place among the fleet's changes: everything before it, and itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    revision: i64,
    /// The last change of the revision, `kind/name`; empty: all of them.
    name: String,
}

impl Position {
    /// After everything that a revision changed.
    pub fn at(revision: i64) -> Self {
        Self { revision, name: String::new() }
    }

    /// At a change.
    pub fn of(change: &Change) -> Self {
        Self { revision: change.revision, name: format!("{}/{}", change.kind.as_str(), change.name) }
    }

    pub fn revision(&self) -> i64 {
        self.revision
    }
}

/// What a webhook is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Unique; the same one twice is one.
    pub id: String,
    /// JSON.
    pub body: String,
    pub created: OffsetDateTime,
}

/// A message that is this node's to deliver until its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub message: Message,
    /// Those before this one.
    pub tries: u32,
}

impl Store {
    /// Lays messages out for a webhook. Those that are there already stay as they are.
    pub async fn lay_out(&self, webhook: &str, messages: &[Message]) -> Result<u64, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let mut laid_out = 0;
        for messages in messages.chunks(ROWS) {
            laid_out += insert(&mut transaction, webhook, messages).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(laid_out)
    }

    /// The same of changes of the fleet, from one position to another. False, and nothing done, where another server has
    /// moved the position meanwhile.
    pub async fn lay_out_changes(
        &self,
        webhook: &str,
        messages: &[Message],
        from: &Position,
        to: &Position,
    ) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let sql =
            "UPDATE webhook_positions SET revision = $1, name = $2 WHERE webhook = $3 AND revision = $4 AND name = $5";
        let moved = sqlx::query(sql)
            .bind(to.revision)
            .bind(to.name.clone())
            .bind(webhook.to_owned())
            .bind(from.revision)
            .bind(from.name.clone());
        if moved.execute(&mut *transaction).await.map_err(failed)?.rows_affected() != 1 {
            return Ok(false);
        }
        for messages in messages.chunks(ROWS) {
            insert(&mut transaction, webhook, messages).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Up to where the fleet's changes are laid out for a webhook. One that is new begins at the revision `now`.
    pub async fn webhook_position(&self, webhook: &str, now: i64) -> Result<Position, StoreError> {
        let failed = |error| self.failed(error);
        let find = "SELECT revision, name FROM webhook_positions WHERE webhook = $1";
        let read = |row: &AnyRow| Ok(Position { revision: number(row, "revision")?, name: text(row, "name")? });
        let found = self.fetch(sqlx::query(find).bind(webhook.to_owned()), read).await?;
        if let Some(position) = found.into_iter().next() {
            return Ok(position);
        }
        let sql = "INSERT INTO webhook_positions (webhook, revision, name) VALUES ($1, $2, '') ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(webhook.to_owned()).bind(now).execute(&self.pool).await.map_err(failed)?;
        let found = self.fetch(sqlx::query(find).bind(webhook.to_owned()), read).await?;
        Ok(found.into_iter().next().unwrap_or_else(|| Position::at(now)))
    }

    /// The changes after a position, in order, `limit` at most.
    pub async fn changes_after(&self, position: &Position, limit: u32) -> Result<Vec<Change>, StoreError> {
        let sql = "SELECT revision, kind, name FROM changes WHERE revision > $1 \
                   OR (revision = $1 AND $2 <> '' AND kind || '/' || name > $2) \
                   ORDER BY revision, kind || '/' || name LIMIT $3";
        let query = sqlx::query(sql).bind(position.revision).bind(position.name.clone()).bind(i64::from(limit));
        self.fetch(query, change).await
    }

    /// How many messages wait for a webhook.
    pub async fn count_messages(&self, webhook: &str) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM webhook_outbox WHERE webhook = $1";
        let count = sqlx::query_scalar::<_, i64>(sql).bind(webhook.to_owned()).fetch_one(&self.pool).await;
        count.map(i64::unsigned_abs).map_err(|error| self.failed(error))
    }

    /// Takes messages that are due, `limit` at most, the longest due first. Until `until` they are nobody else's: a node
    /// that dies with them leaves them to the others.
    pub async fn claim_messages(
        &self,
        webhook: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        // The second condition is looked at again where another node has just taken the row.
        let sql = "UPDATE webhook_outbox SET due = $1 WHERE id IN (SELECT id FROM webhook_outbox WHERE webhook = $2 \
                   AND (due <= $3 OR due > $4) ORDER BY due, id LIMIT $5) AND (due <= $3 OR due > $4) \
                   RETURNING id, body, created, tries";
        let query = sqlx::query(sql)
            .bind(milliseconds(until))
            .bind(webhook.to_owned())
            .bind(milliseconds(now))
            .bind(milliseconds(now.saturating_add(FARTHEST)))
            .bind(i64::from(limit));
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in &rows {
            let failed = |error| self.failed(error);
            let created = instant(row.try_get(2).map_err(failed)?)
                .ok_or_else(|| StoreError::Row { name: self.name.clone(), column: "created" })?;
            let message =
                Message { id: row.try_get(0).map_err(failed)?, body: row.try_get(1).map_err(failed)?, created };
            let tries = u32::try_from(row.try_get::<i64, _>(3).map_err(failed)?).unwrap_or(u32::MAX);
            deliveries.push(Delivery { message, tries });
        }
        deliveries.sort_by(|a, b| a.message.id.cmp(&b.message.id));
        Ok(deliveries)
    }

    /// Takes a message out: it was taken, or is given up.
    pub async fn take_out(&self, id: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM webhook_outbox WHERE id = $1";
        sqlx::query(sql).bind(id.to_owned()).execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Puts a message off that was tried in vain.
    pub async fn put_off(&self, id: &str, tries: u32, due: OffsetDateTime) -> Result<(), StoreError> {
        let sql = "UPDATE webhook_outbox SET tries = $1, due = $2 WHERE id = $3";
        let query = sqlx::query(sql).bind(i64::from(tries)).bind(milliseconds(due)).bind(id.to_owned());
        query.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// When the next message for a webhook is due; none where none waits.
    pub async fn next_due(&self, webhook: &str) -> Result<Option<OffsetDateTime>, StoreError> {
        let sql = "SELECT MIN(due) FROM webhook_outbox WHERE webhook = $1";
        let due = sqlx::query_scalar::<_, Option<i64>>(sql).bind(webhook.to_owned()).fetch_one(&self.pool).await;
        Ok(due.map_err(|error| self.failed(error))?.and_then(instant))
    }

    /// Takes out messages made before `before`, whatever webhook they are for: those of a webhook that no node has in its
    /// configuration any more stay no longer than that. A node that doesn't know a webhook never judges by that, for in a
    /// rolling upgrade the others may.
    pub async fn prune_messages(&self, before: OffsetDateTime) -> Result<u64, StoreError> {
        let pruned = sqlx::query("DELETE FROM webhook_outbox WHERE created < $1").bind(milliseconds(before));
        let pruned = pruned.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(pruned.rows_affected())
    }
}

async fn insert(connection: &mut sqlx::AnyConnection, webhook: &str, messages: &[Message]) -> Result<u64, sqlx::Error> {
    let rows: Vec<_> = (0..messages.len())
        .map(|row| {
            let at = row * 4;
            // Due at once: when it was made.
            format!("(${}, ${}, ${}, ${}, 0, ${})", at + 1, at + 2, at + 3, at + 4, at + 4)
        })
        .collect();
    let sql = format!(
        "INSERT INTO webhook_outbox (id, webhook, body, created, tries, due) VALUES {} ON CONFLICT (id) DO NOTHING",
        rows.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for message in messages {
        query = query.bind(message.id.clone()).bind(webhook.to_owned()).bind(message.body.clone());
        query = query.bind(milliseconds(message.created));
    }
    Ok(query.execute(connection).await?.rows_affected())
}
