//! Events in the database.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::conditions::{Conditions, Value};
use super::rows::{batches, insert_statement, instant, integer, milliseconds};
use super::{Store, StoreError};
use crate::events::{Entry, EventId, Outcome};
use crate::model::MacAddr;

/// The columns in the order that rows are written and read in.
const COLUMNS: [&str; 26] = [
    "id",
    "time",
    "kind",
    "listener",
    "peer",
    "method",
    "target",
    "status",
    "bytes",
    "duration_us",
    "tls_version",
    "tls_cipher",
    "certificate",
    "user_agent",
    "vendor",
    "model",
    "firmware",
    "device",
    "asked_mac",
    "file",
    "generation",
    "encoding",
    "outcome",
    "refusal",
    "reason",
    "flags",
];

/// Rows that one statement deletes, so that a writer never waits long for it.
const PRUNE_ROWS: i64 = 2_000;

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Not before.
    pub since: Option<OffsetDateTime>,
    /// Before.
    pub until: Option<OffsetDateTime>,
    /// Of the device, or asking for its MAC.
    pub device: Option<MacAddr>,
    /// One of [`Outcome::WORDS`].
    pub outcome: Option<&'static str>,
    /// Older than this one: where a page ended.
    pub before: Option<(OffsetDateTime, EventId)>,
}

/// What events are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    UserAgent,
    Model,
    Firmware,
    Device,
    Status,
    /// Only refused events have one, so only they are counted.
    Refusal,
}

impl GroupBy {
    /// The names of a group's keys.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::UserAgent => &["user_agent"],
            Self::Model => &["vendor", "model"],
            // A version number alone says nothing: every model counts its own.
            Self::Firmware => &["model", "firmware"],
            Self::Device => &["device"],
            Self::Status => &["status"],
            Self::Refusal => &["refusal"],
        }
    }

    fn expressions(self) -> &'static str {
        match self {
            Self::UserAgent => "user_agent",
            Self::Model => "vendor, model",
            Self::Firmware => "model, firmware",
            Self::Device => "COALESCE(device, asked_mac)",
            // As text, as all other keys are.
            Self::Status => "CAST(status AS TEXT)",
            Self::Refusal => "refusal",
        }
    }
}

/// Events that have the same keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// One for each of [`GroupBy::keys`]; none where the events have none.
    pub keys: Vec<Option<String>>,
    pub count: u64,
    /// Different MACs.
    pub devices: u64,
    /// Sent, not modified, or taken from the phone.
    pub served: u64,
    pub refused: u64,
    pub failed: u64,
    pub aborted: u64,
    pub first: OffsetDateTime,
    pub last: OffsetDateTime,
}

impl Conditions {
    fn of(filter: &EventFilter) -> Self {
        let mut conditions = Self::default();
        if let Some(since) = filter.since {
            conditions.and("time >= ", Value::Integer(milliseconds(since)));
        }
        if let Some(until) = filter.until {
            conditions.and("time < ", Value::Integer(milliseconds(until)));
        }
        if let Some(device) = filter.device {
            conditions.and("COALESCE(device, asked_mac) = ", Value::Text(device.to_string()));
        }
        if let Some(outcome) = filter.outcome {
            conditions.and("outcome = ", Value::Text(outcome.to_owned()));
        }
        if let Some((time, id)) = filter.before {
            // Bounds the index first; rows of the same millisecond are told apart by their ids.
            conditions.and("time <= ", Value::Integer(milliseconds(time)));
            let time = conditions.parameter(Value::Integer(milliseconds(time)));
            let id = conditions.parameter(Value::Text(id.to_string()));
            conditions.and_text(&format!("(time < {time} OR id < {id})"));
        }
        conditions
    }
}

impl Store {
    /// Inserts events in one transaction: all of them or none. Those that are there already stay as they are. Tells how
    /// many were new.
    pub async fn insert_events(&self, entries: &[Entry]) -> Result<u64, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let mut inserted = 0;
        for batch in batches(entries) {
            let insert = insert_statement(self.backend, "events", &COLUMNS, batch.len());
            let mut query = sqlx::query(AssertSqlSafe(insert + " ON CONFLICT (id) DO NOTHING"));
            for entry in batch {
                query = bind(query, entry);
            }
            inserted += query.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
        }
        transaction.commit().await.map_err(failed)?;
        Ok(inserted)
    }

    /// The newest events that the filter lets through, `limit` at most, newest last.
    pub async fn events(&self, filter: &EventFilter, limit: u64) -> Result<Vec<Entry>, StoreError> {
        let mut conditions = Conditions::of(filter);
        let limit = conditions.parameter(Value::Integer(integer(limit)));
        let sql = format!(
            "SELECT {} FROM events {} ORDER BY time DESC, id DESC LIMIT {limit}",
            COLUMNS.join(", "),
            conditions.text()
        );
        let rows = conditions.query(sql).fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        rows.iter().rev().map(|row| self.read(entry, row)).collect()
    }

    /// The events that the filter lets through, put together; the most frequent first, `limit` groups at most.
    pub async fn event_groups(
        &self,
        by: GroupBy,
        filter: &EventFilter,
        limit: u64,
    ) -> Result<Vec<EventGroup>, StoreError> {
        let mut conditions = Conditions::of(filter);
        if by == GroupBy::Refusal {
            conditions.and("outcome = ", Value::Text("refused".to_owned()));
        }
        let limit = conditions.parameter(Value::Integer(integer(limit)));
        let keys = by.expressions();
        // COUNT and not SUM, which PostgreSQL answers with NUMERIC.
        let sql = format!(
            "SELECT COUNT(*), COUNT(DISTINCT COALESCE(device, asked_mac)), \
             COUNT(CASE WHEN outcome IN ('served', 'not-modified', 'stored') THEN 1 END), \
             COUNT(CASE WHEN outcome = 'refused' THEN 1 END), \
             COUNT(CASE WHEN outcome = 'failed' THEN 1 END), \
             COUNT(CASE WHEN outcome = 'aborted' THEN 1 END), \
             MIN(time), MAX(time), {keys} FROM events {} GROUP BY {keys} ORDER BY 1 DESC, 8 DESC, {keys} LIMIT {limit}",
            conditions.text()
        );
        let rows = conditions.query(sql).fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.read(|row| group(by, row), row)).collect()
    }

    /// How many events there are.
    pub async fn count_events(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM events")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(count.unsigned_abs())
    }

    /// Deletes the events before `before`, and of the others the oldest until `keep_rows` are left. Tells how many went.
    pub async fn prune_events(
        &self,
        before: Option<OffsetDateTime>,
        keep_rows: Option<u64>,
    ) -> Result<u64, StoreError> {
        let mut pruned = 0;
        if let Some(before) = before {
            let sql = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE time < $1 ORDER BY time LIMIT $2)";
            loop {
                let query = sqlx::query(sql).bind(milliseconds(before)).bind(PRUNE_ROWS);
                let gone = query.execute(&self.pool).await.map_err(|error| self.failed(error))?.rows_affected();
                pruned += gone;
                if gone == 0 {
                    break;
                }
            }
        }
        if let Some(keep) = keep_rows {
            let mut excess = integer(self.count_events().await?.saturating_sub(keep));
            let sql = "DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY time, id LIMIT $1)";
            while excess > 0 {
                let query = sqlx::query(sql).bind(excess.min(PRUNE_ROWS));
                let gone = query.execute(&self.pool).await.map_err(|error| self.failed(error))?.rows_affected();
                pruned += gone;
                excess = if gone == 0 { 0 } else { excess - integer(gone) };
            }
        }
        Ok(pruned)
    }
}

type Insert<'q> = Query<'q, Any, sqlx::any::AnyArguments>;

fn bind<'q>(query: Insert<'q>, entry: &Entry) -> Insert<'q> {
    let owned = |text: &Option<Cow<'static, str>>| text.as_deref().map(str::to_owned);
    query
        .bind(entry.id.to_string())
        .bind(milliseconds(entry.time))
        .bind(entry.kind.as_str())
        .bind(entry.listener.clone())
        .bind(entry.peer.to_string())
        .bind(entry.method.clone())
        .bind(entry.target.clone())
        .bind(i64::from(entry.status))
        .bind(integer(entry.bytes))
        .bind(i64::try_from(entry.duration.as_micros()).unwrap_or(i64::MAX))
        .bind(owned(&entry.tls_version))
        .bind(entry.tls_cipher.clone())
        .bind(entry.certificate.clone())
        .bind(entry.user_agent.clone())
        .bind(entry.vendor.clone())
        .bind(entry.model.clone())
        .bind(entry.firmware.clone())
        .bind(entry.device.map(|mac| mac.to_string()))
        .bind(entry.asked_mac.map(|mac| mac.to_string()))
        .bind(entry.file.clone())
        .bind(integer(entry.generation))
        .bind(owned(&entry.encoding))
        .bind(entry.outcome.as_str())
        .bind(entry.outcome.refusal().map(|refusal| refusal.as_str()))
        .bind(entry.reason.clone())
        .bind(entry.flag_words().unwrap_or_default())
}

/// A row back as an event; the error is the name of the column that holds something else.
fn entry(row: &AnyRow) -> Result<Entry, &'static str> {
    let outcome = Outcome::from_words(&text(row, 22)?, optional(row, 23)?.as_deref()).map_err(|_| "outcome")?;
    let flags = text(row, 25)?;
    let flags = flags.split(',').filter(|word| !word.is_empty()).map(|word| parse(word, "flags"));
    Ok(Entry {
        id: parse(&text(row, 0)?, "id")?,
        time: instant(number(row, 1)?).ok_or("time")?,
        kind: parse(&text(row, 2)?, "kind")?,
        listener: text(row, 3)?,
        peer: parse(&text(row, 4)?, "peer")?,
        method: text(row, 5)?,
        target: text(row, 6)?,
        status: u16::try_from(number(row, 7)?).map_err(|_| "status")?,
        bytes: number(row, 8)?.unsigned_abs(),
        duration: Duration::from_micros(number(row, 9)?.unsigned_abs()),
        tls_version: optional(row, 10)?.map(Cow::Owned),
        tls_cipher: optional(row, 11)?,
        certificate: optional(row, 12)?,
        user_agent: optional(row, 13)?,
        vendor: optional(row, 14)?,
        model: optional(row, 15)?,
        firmware: optional(row, 16)?,
        device: optional(row, 17)?.map(|mac| parse(&mac, "device")).transpose()?,
        asked_mac: optional(row, 18)?.map(|mac| parse(&mac, "asked_mac")).transpose()?,
        file: optional(row, 19)?,
        generation: number(row, 20)?.unsigned_abs(),
        encoding: optional(row, 21)?.map(Cow::Owned),
        outcome,
        reason: optional(row, 24)?,
        flags: flags.collect::<Result<_, _>>()?,
    })
}

fn group(by: GroupBy, row: &AnyRow) -> Result<EventGroup, &'static str> {
    let count = |index: usize| row.try_get::<i64, _>(index).map(i64::unsigned_abs).map_err(|_| "count");
    let time = |index: usize| row.try_get::<i64, _>(index).ok().and_then(instant).ok_or("time");
    let keys = by.keys().iter().zip(8..);
    Ok(EventGroup {
        count: count(0)?,
        devices: count(1)?,
        served: count(2)?,
        refused: count(3)?,
        failed: count(4)?,
        aborted: count(5)?,
        first: time(6)?,
        last: time(7)?,
        keys: keys.map(|(key, index)| row.try_get(index).map_err(|_| *key)).collect::<Result<_, _>>()?,
    })
}

fn column(index: usize) -> &'static str {
    COLUMNS.get(index).copied().unwrap_or_default()
}

fn text(row: &AnyRow, index: usize) -> Result<String, &'static str> {
    row.try_get(index).map_err(|_| column(index))
}

fn optional(row: &AnyRow, index: usize) -> Result<Option<String>, &'static str> {
    row.try_get(index).map_err(|_| column(index))
}

fn number(row: &AnyRow, index: usize) -> Result<i64, &'static str> {
    row.try_get(index).map_err(|_| column(index))
}

fn parse<T: std::str::FromStr>(text: &str, column: &'static str) -> Result<T, &'static str> {
    text.parse().map_err(|_| column)
}
