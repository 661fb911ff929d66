//! Who changed what, when and from where.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Transaction};
use time::OffsetDateTime;

use super::conditions::{Conditions, Value};
use super::rows::{batches, insert_statement, integer, milliseconds, moment, optional, text};
use super::{Backend, Store, StoreError};

/// One change. Secrets in it are masked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditRow {
    /// Orders by time.
    pub id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// `cli:USER`, `token:NAME` or `phone:MAC`.
    pub actor: String,
    /// The address that it came from; none: this machine.
    pub peer: Option<String>,
    /// `create`, `change`, `remove` …
    pub action: String,
    /// `device`, `group`, `token` …
    pub kind: String,
    /// The MAC or name of what was changed.
    pub name: String,
    /// JSON of what was changed, as it was.
    pub before: Option<String>,
    /// The same as it is now.
    pub after: Option<String>,
}

/// Which changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not before.
    pub since: Option<OffsetDateTime>,
    /// Before.
    pub until: Option<OffsetDateTime>,
    pub actor: Option<String>,
    pub kind: Option<String>,
    pub name: Option<String>,
    /// Older than the change of this id.
    pub before_id: Option<String>,
}

const COLUMNS: [&str; 9] = ["id", "time", "actor", "peer", "action", "kind", "name", "before", "after"];

fn audit(row: &AnyRow) -> Result<AuditRow, &'static str> {
    Ok(AuditRow {
        id: text(row, "id")?,
        time: moment(row, "time")?,
        actor: text(row, "actor")?,
        peer: optional(row, "peer")?,
        action: text(row, "action")?,
        kind: text(row, "kind")?,
        name: text(row, "name")?,
        before: optional(row, "before")?,
        after: optional(row, "after")?,
    })
}

pub(super) async fn insert(
    transaction: &mut Transaction<'_, Any>,
    backend: Backend,
    rows: &[AuditRow],
) -> Result<(), sqlx::Error> {
    for batch in batches(rows) {
        let mut query = sqlx::query(AssertSqlSafe(insert_statement(backend, "audit", &COLUMNS, batch.len())));
        for row in batch {
            query = query
                .bind(row.id.clone())
                .bind(milliseconds(row.time))
                .bind(row.actor.clone())
                .bind(row.peer.clone())
                .bind(row.action.clone())
                .bind(row.kind.clone())
                .bind(row.name.clone())
                .bind(row.before.clone())
                .bind(row.after.clone());
        }
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

impl Store {
    /// Records changes that are none of the fleet's, which records its own.
    pub async fn record_audit(&self, rows: &[AuditRow]) -> Result<(), StoreError> {
        let mut transaction = self.begin_writing().await?;
        insert(&mut transaction, self.backend, rows).await.map_err(|error| self.failed(error))?;
        transaction.commit().await.map_err(|error| self.failed(error))
    }

    /// The newest changes that the filter lets through, newest first, `limit` at most.
    pub async fn audit(&self, filter: &AuditFilter, limit: u64) -> Result<Vec<AuditRow>, StoreError> {
        let mut conditions = Conditions::default();
        if let Some(since) = filter.since {
            conditions.and("time >= ", Value::Integer(milliseconds(since)));
        }
        if let Some(until) = filter.until {
            conditions.and("time < ", Value::Integer(milliseconds(until)));
        }
        for (column, value) in [
            ("actor = ", &filter.actor),
            ("kind = ", &filter.kind),
            ("name = ", &filter.name),
            ("id < ", &filter.before_id),
        ] {
            if let Some(value) = value {
                conditions.and(column, Value::Text(value.clone()));
            }
        }
        let limit = conditions.parameter(Value::Integer(integer(limit)));
        let sql =
            format!("SELECT {} FROM audit {} ORDER BY id DESC LIMIT {limit}", COLUMNS.join(", "), conditions.text());
        self.fetch(conditions.query(sql), audit).await
    }
}
