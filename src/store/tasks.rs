//! What phones are to be asked for by their ACS, and what came of it.
//!
//! A task waits until its phone opens a session, and is then taken by that session for a while ([`Store::take_tasks`]): if the
//! server that holds it dies, another session takes it again when that while is over. What came of it is written when the session
//! ends; of transfers and diagnostics, when the phone tells, in whichever session of whichever server that is.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Transaction};
use time::OffsetDateTime;

use super::conditions::{Conditions, Value};
use super::rows::{
    batches, insert_statement, integer, milliseconds, moment, moment_optional, number, optional, parsed, text,
};
use super::task::{Calling, TaskCounts, TaskEnd, TaskFilter, TaskRow, TaskState, TicketRow};
use super::{Store, StoreError};
use crate::model::MacAddr;

const COLUMNS: [&str; 19] = [
    "id",
    "mac",
    "settings",
    "state",
    "tries",
    "most_tries",
    "due",
    "expires",
    "created",
    "created_by",
    "bulk",
    "bulk_stop",
    "call",
    "called",
    "result",
    "fault",
    "why",
    "finished",
    "serves",
];

fn small(row: &AnyRow, column: &'static str) -> Result<u32, &'static str> {
    u32::try_from(number(row, column)?).map_err(|_| column)
}

fn small_optional(row: &AnyRow, column: &'static str) -> Result<Option<u32>, &'static str> {
    let found: Option<i64> = sqlx::Row::try_get(row, column).map_err(|_| column)?;
    found.map(|number| u32::try_from(number).map_err(|_| column)).transpose()
}

fn task(row: &AnyRow) -> Result<TaskRow, &'static str> {
    Ok(TaskRow {
        id: text(row, "id")?,
        mac: parsed(row, "mac")?,
        spec: text(row, "settings")?,
        state: parsed(row, "state")?,
        tries: small(row, "tries")?,
        most_tries: small(row, "most_tries")?,
        due: moment(row, "due")?,
        expires: moment(row, "expires")?,
        created: moment(row, "created")?,
        created_by: text(row, "created_by")?,
        bulk: optional(row, "bulk")?,
        bulk_stop: small_optional(row, "bulk_stop")?,
        calling: match number(row, "call")? {
            0 => Calling::Unwanted,
            1 => Calling::Wanted,
            _ => Calling::Done,
        },
        called: optional(row, "called")?,
        result: optional(row, "result")?,
        fault: small_optional(row, "fault")?.and_then(|fault| u16::try_from(fault).ok()),
        why: optional(row, "why")?,
        finished: moment_optional(row, "finished")?,
    })
}

/// What of a task a session can still end.
const OPEN: &str = "('waiting', 'running', 'started')";

impl Store {
    /// Adds tasks. A phone has no more than `most` that are open: false where it would, and then none is added.
    pub async fn add_tasks(&self, rows: &[TaskRow], most: u64) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        if let [row] = rows {
            let sql = format!("SELECT COUNT(*) FROM acs_tasks WHERE mac = $1 AND state IN {OPEN}");
            let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).bind(row.mac.to_string());
            if count.fetch_one(&mut *transaction).await.map_err(failed)? >= integer(most) {
                return Ok(false);
            }
        }
        for batch in batches(rows) {
            let statement = insert_statement(self.backend, "acs_tasks", &COLUMNS, batch.len());
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for row in batch {
                query = query
                    .bind(row.id.clone())
                    .bind(row.mac.to_string())
                    .bind(row.spec.clone())
                    .bind(row.state.as_str())
                    .bind(i64::from(row.tries))
                    .bind(i64::from(row.most_tries))
                    .bind(milliseconds(row.due))
                    .bind(milliseconds(row.expires))
                    .bind(milliseconds(row.created))
                    .bind(row.created_by.clone())
                    .bind(row.bulk.clone())
                    .bind(row.bulk_stop.map(i64::from))
                    .bind(i64::from(row.calling == Calling::Wanted))
                    .bind(row.called.clone())
                    .bind(row.result.clone())
                    .bind(row.fault.map(i64::from))
                    .bind(row.why.clone())
                    .bind(row.finished.map(milliseconds))
                    .bind(None::<String>);
            }
            query.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// A task; none where there is no such.
    pub async fn task(&self, id: &str) -> Result<Option<TaskRow>, StoreError> {
        let sql = format!("SELECT {} FROM acs_tasks WHERE id = $1", COLUMNS.join(", "));
        Ok(self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(id), task).await?.pop())
    }

    /// Tasks, the newest first, so many at most.
    pub async fn tasks(&self, filter: &TaskFilter, limit: u64) -> Result<Vec<TaskRow>, StoreError> {
        let mut conditions = Conditions::default();
        if let Some(mac) = filter.mac {
            conditions.and("mac = ", Value::Text(mac.to_string()));
        }
        if let Some(state) = filter.state {
            conditions.and("state = ", Value::Text(state.as_str().to_owned()));
        }
        if let Some(bulk) = &filter.bulk {
            conditions.and("bulk = ", Value::Text(bulk.clone()));
        }
        if let Some(before) = &filter.before {
            conditions.and("id < ", Value::Text(before.clone()));
        }
        let limit = conditions.parameter(Value::Integer(integer(limit)));
        let sql = format!(
            "SELECT {} FROM acs_tasks {} ORDER BY id DESC LIMIT {limit}",
            COLUMNS.join(", "),
            conditions.text()
        );
        self.fetch(conditions.query(sql), task).await
    }

    /// How many tasks of a bulk are in which state.
    pub async fn count_bulk(&self, bulk: &str) -> Result<TaskCounts, StoreError> {
        let sql = "SELECT state, COUNT(*) AS tasks FROM acs_tasks WHERE bulk = $1 GROUP BY state ORDER BY state";
        self.fetch(sqlx::query(sql).bind(bulk), |row| {
            Ok((parsed(row, "state")?, u64::try_from(number(row, "tasks")?).map_err(|_| "tasks")?))
        })
        .await
    }

    /// Takes the tasks of a phone that are due for a session, until `until`; and gives those that the phone has taken in an earlier
    /// one. In the order in which they were made.
    pub async fn take_tasks(
        &self,
        mac: MacAddr,
        now: OffsetDateTime,
        until: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let sql = format!(
            "SELECT {} FROM acs_tasks WHERE mac = $1 AND expires > $2 \
             AND (state = 'started' OR (state IN ('waiting', 'running') AND due <= $2)) ORDER BY id LIMIT $3",
            COLUMNS.join(", ")
        );
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(mac.to_string()).bind(milliseconds(now)).bind(i64::from(limit));
        let rows = query.fetch_all(&mut *transaction).await.map_err(failed)?;
        let mut taken = Vec::new();
        for row in &rows {
            let mut row = self.read(task, row)?;
            if row.state != TaskState::Started {
                let take = sqlx::query(
                    "UPDATE acs_tasks SET state = 'running', tries = tries + 1, due = $1 \
                     WHERE id = $2 AND state = $3 AND tries = $4",
                );
                let take = take.bind(milliseconds(until)).bind(row.id.clone());
                let take = take.bind(row.state.as_str()).bind(i64::from(row.tries));
                if take.execute(&mut *transaction).await.map_err(failed)?.rows_affected() == 0 {
                    continue;
                }
                row.tries += 1;
                row.state = TaskState::Running;
            }
            taken.push(row);
        }
        transaction.commit().await.map_err(failed)?;
        Ok(taken)
    }

    /// Gives a task the ticket that opens its file, in the place of the one before.
    pub async fn give_ticket(&self, id: &str, digest: &str, serves: &str) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE acs_tasks SET ticket = $1, serves = $2 WHERE id = $3");
        let query = query.bind(digest.to_owned()).bind(serves.to_owned()).bind(id.to_owned());
        query.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// What a ticket opens; none where it is none, or its task is over.
    pub async fn ticket(&self, digest: &str, now: OffsetDateTime) -> Result<Option<TicketRow>, StoreError> {
        let sql = "SELECT id, mac, serves FROM acs_tasks WHERE ticket = $1 AND state IN ('running', 'started') AND expires > $2";
        let query = sqlx::query(sql).bind(digest.to_owned()).bind(milliseconds(now));
        let read = |row: &AnyRow| {
            Ok(TicketRow { id: text(row, "id")?, mac: parsed(row, "mac")?, serves: text(row, "serves")? })
        };
        Ok(self.fetch(query, read).await?.pop())
    }

    /// Notes what came of a task so far, while it is open.
    pub async fn note_task_result(&self, id: &str, result: &str) -> Result<(), StoreError> {
        let sql = format!("UPDATE acs_tasks SET result = $1 WHERE id = $2 AND state IN {OPEN}");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(result.to_owned()).bind(id.to_owned());
        query.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// Writes what a session, or a phone's word, made of tasks that are still open. Where failures have become too many, the
    /// others of their bulk are cancelled.
    pub async fn end_tasks(&self, mac: MacAddr, ends: &[TaskEnd], now: OffsetDateTime) -> Result<(), StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        for end in ends {
            self.end_task(&mut transaction, mac, end, now).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn end_task(
        &self,
        transaction: &mut Transaction<'_, Any>,
        mac: MacAddr,
        end: &TaskEnd,
        now: OffsetDateTime,
    ) -> Result<(), sqlx::Error> {
        let Some(state) = end.state else {
            let back = sqlx::query(
                "UPDATE acs_tasks SET state = 'waiting', tries = tries - 1, due = $1 \
                 WHERE id = $2 AND mac = $3 AND state = 'running'",
            );
            let back = back.bind(milliseconds(now)).bind(end.id.clone()).bind(mac.to_string());
            back.execute(&mut **transaction).await?;
            return Ok(());
        };
        let is_over = !state.is_open();
        // A ticket lives as long as the phone may come with it.
        let ticket = if state == TaskState::Started { "" } else { ", ticket = NULL" };
        // Of a phone that is to come once more.
        let again = if state == TaskState::Waiting { ", call = CASE call WHEN 0 THEN 0 ELSE 1 END" } else { "" };
        let sql = format!(
            "UPDATE acs_tasks SET state = $1, due = COALESCE($2, due), result = COALESCE($3, result), fault = $4, why = $5, \
             finished = $6{again}{ticket} WHERE id = $7 AND mac = $8 AND state IN {OPEN}"
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(state.as_str())
            .bind(end.due.map(milliseconds))
            .bind(end.result.clone())
            .bind(end.fault.map(i64::from))
            .bind(end.why.clone())
            .bind(is_over.then(|| milliseconds(now)))
            .bind(end.id.clone())
            .bind(mac.to_string());
        query.execute(&mut **transaction).await?;
        if state == TaskState::Failed {
            let stop = sqlx::query(
                "UPDATE acs_tasks SET state = 'cancelled', finished = $1, why = 'too many others of its bulk failed' \
                 WHERE state = 'waiting' AND bulk = (SELECT bulk FROM acs_tasks WHERE id = $2) AND bulk_stop <= \
                 (SELECT COUNT(*) FROM acs_tasks AS others WHERE others.bulk = acs_tasks.bulk AND others.state = 'failed')",
            );
            stop.bind(milliseconds(now)).bind(end.id.clone()).execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// Cancels a task that is open. False where it is not.
    pub async fn cancel_task(&self, id: &str, why: &str) -> Result<bool, StoreError> {
        Ok(self.cancel("id = ", id, why).await? > 0)
    }

    /// Cancels all of a bulk that are open. How many there were.
    pub async fn cancel_bulk(&self, bulk: &str, why: &str) -> Result<u64, StoreError> {
        self.cancel("bulk = ", bulk, why).await
    }

    async fn cancel(&self, which: &str, name: &str, why: &str) -> Result<u64, StoreError> {
        let mut conditions = Conditions::default();
        let now = conditions.parameter(Value::Integer(milliseconds(OffsetDateTime::now_utc())));
        let why = conditions.parameter(Value::Text(why.to_owned()));
        conditions.and(which, Value::Text(name.to_owned()));
        conditions.and_text(&format!("state IN {OPEN}"));
        let sql = format!(
            "UPDATE acs_tasks SET state = 'cancelled', ticket = NULL, finished = {now}, why = {why} {}",
            conditions.text()
        );
        let done = conditions.query(sql).execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(done.rows_affected())
    }

    /// Ends tasks whose time is over. How many there were.
    pub async fn expire_tasks(&self, now: OffsetDateTime) -> Result<u64, StoreError> {
        let sql = format!(
            "UPDATE acs_tasks SET state = 'expired', ticket = NULL, finished = $1 WHERE state IN {OPEN} AND expires <= $1"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(milliseconds(now));
        Ok(query.execute(&self.pool).await.map_err(|error| self.failed(error))?.rows_affected())
    }

    /// Forgets tasks that were over before that time. How many there were.
    pub async fn prune_tasks(&self, before: OffsetDateTime) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM acs_tasks WHERE finished < $1").bind(milliseconds(before));
        Ok(query.execute(&self.pool).await.map_err(|error| self.failed(error))?.rows_affected())
    }

    /// Tasks that are due and whose phones are to be asked to come: each is given once, to one server.
    pub async fn take_calls(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<(String, MacAddr)>, StoreError> {
        let sql = "SELECT id, mac FROM acs_tasks WHERE state = 'waiting' AND call = 1 AND due <= $1 AND expires > $1 \
                   ORDER BY due LIMIT $2";
        let query = sqlx::query(sql).bind(milliseconds(now)).bind(i64::from(limit));
        let wanted = self.fetch(query, |row| Ok((text(row, "id")?, parsed(row, "mac")?))).await?;
        let mut taken = Vec::new();
        for (id, mac) in wanted {
            let query = sqlx::query("UPDATE acs_tasks SET call = 2 WHERE id = $1 AND call = 1").bind(id.clone());
            if query.execute(&self.pool).await.map_err(|error| self.failed(error))?.rows_affected() == 1 {
                taken.push((id, mac));
            }
        }
        Ok(taken)
    }

    /// Notes what came of asking a task's phone to come; `again`: it is to be asked once more.
    pub async fn note_call(&self, id: &str, told: &str, again: bool) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE acs_tasks SET called = $1, call = $2 WHERE id = $3");
        let query = query.bind(told.to_owned()).bind(if again { 1_i64 } else { 2 }).bind(id.to_owned());
        query.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(())
    }
}
