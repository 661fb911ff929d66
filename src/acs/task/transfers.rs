//! What phones tell of transfers, in whichever session of whichever server.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use super::Tasks;
use super::run::{after, is_passing};
use super::spec::Spec;
use super::tickets::{Serves, Ticket};
use crate::acs::phone::cut;
use crate::cwmp::Moment;
use crate::cwmp::message::FinishedTransfer;
use crate::model::MacAddr;
use crate::store::{StoreError, TaskEnd, TaskState};
use crate::uploads::UploadId;

/// Whoever comes with a ticket, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The task.
    pub id: String,
    pub device: MacAddr,
    pub serves: Serves,
}

impl Tasks {
    /// What a ticket opens; none where it opens nothing, or nothing any more.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn redeem(&self, ticket: &Ticket, patience: Duration) -> Result<Option<Redeemed>, StoreError> {
        let (store, digest) = (self.fleet.store(), ticket.digest());
        let row = store.in_time(patience, store.ticket(&digest, OffsetDateTime::now_utc())).await?;
        Ok(row.and_then(|row| Some(Redeemed { id: row.id, device: row.mac, serves: row.serves.parse().ok()? })))
    }

    /// Takes a phone's word on how a transfer ended, and tells it in one line. A phone whose word is taken doesn't repeat it.
    ///
    /// # Errors
    /// When the database is away: the phone has to tell it again.
    pub async fn transferred(
        &self,
        mac: MacAddr,
        finished: &FinishedTransfer,
        patience: Duration,
    ) -> Result<String, StoreError> {
        let (store, now) = (self.fleet.store(), OffsetDateTime::now_utc());
        let row = store.in_time(patience, store.task(&finished.command_key)).await?;
        let Some(row) = row.filter(|row| row.mac == mac && row.state.is_open()) else {
            return Ok(match &finished.fault {
                None => "a transfer that nothing waits for is done".to_owned(),
                Some(fault) => format!("a transfer that nothing waits for failed: {}", fault.code),
            });
        };
        let word = serde_json::from_str::<Spec>(&row.spec).map_or("transfer", |spec| spec.word());
        let (end, told) = match &finished.fault {
            None => {
                let mut result = row.result.as_deref().and_then(|result| serde_json::from_str(result).ok());
                let result = result.get_or_insert_with(|| json!({}));
                if let Some(result) = result.as_object_mut() {
                    for (key, moment) in [("start", finished.start), ("complete", finished.complete)] {
                        if let Moment::At(moment) = moment {
                            result.insert(key.to_owned(), crate::events::rfc3339(moment).into());
                        }
                    }
                }
                let result = Some(result.to_string());
                (TaskEnd { state: Some(TaskState::Done), result, ..TaskEnd::default() }, format!("{word} done"))
            }
            Some(fault) => {
                let text = cut(fault.text.trim());
                let why = if text.is_empty() { fault.code.meaning().to_owned() } else { text.to_owned() };
                let told = format!("{word} failed: {} {why}", fault.code.0);
                let end = TaskEnd { fault: Some(fault.code.0), why: Some(why), ..TaskEnd::default() };
                (after(end, (row.tries, row.most_tries), is_passing(fault.code), now), told)
            }
        };
        store.in_time(patience, store.end_tasks(mac, &[TaskEnd { id: row.id, ..end }], now)).await?;
        Ok(told)
    }

    /// Notes which upload a phone has sent for a task.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn uploaded(&self, id: &str, upload: UploadId, patience: Duration) -> Result<(), StoreError> {
        let (store, result) = (self.fleet.store(), json!({"upload": upload.to_string()}).to_string());
        store.in_time(patience, store.note_task_result(id, &result)).await
    }
}
