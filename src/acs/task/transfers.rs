//! What phones tell of transfers, in whichever session of whichever server.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use time::OffsetDateTime;

use super::order::Order;
use super::run::{after, is_passing};
use super::spec::Spec;
use super::tickets::{Serves, Ticket};
use super::veil::Veil;
use super::{TaskError, Tasks};
use crate::acs::phone::cut;
use crate::cwmp::Moment;
use crate::cwmp::message::FinishedTransfer;
use crate::fleet::Actor;
use crate::model::MacAddr;
use crate::store::{StoreError, TaskEnd, TaskFilter, TaskRow, TaskState};
use crate::uploads::UploadId;

/// How long a phone that asks for files gets no other by that, and how long the order holds.
const PAUSE: time::Duration = time::Duration::hours(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Tasks that are looked through for one that it has asked for.
const LOOKED_AT: u64 = 50;

/// Whoever comes with a ticket, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The task.
    pub id: String,
    pub device: MacAddr,
    pub serves: Serves,
}

impl Tasks {
    /// What a ticket opens; none where it opens nothing, or nothing any more. Nobody guesses one: whoever tries from a network costs the
    /// database nothing after some tries, and those who were given theirs just now are not held up by that.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn redeem(
        &self,
        ticket: &Ticket,
        source: IpAddr,
        patience: Duration,
    ) -> Result<Option<Redeemed>, StoreError> {
        let (store, digest, now) = (self.fleet.store(), ticket.digest(), Instant::now());
        if self.tickets.wait(source, now).is_some() && !self.tickets.is_trusted(&digest, now) {
            return Ok(None);
        }
        let row = store.in_time(patience, store.ticket(&digest, OffsetDateTime::now_utc())).await?;
        let redeemed =
            row.and_then(|row| Some(Redeemed { id: row.id, device: row.mac, serves: row.serves.parse().ok()? }));
        match &redeemed {
            Some(_) => self.tickets.right(&digest, now),
            None => {
                self.tickets.wrong(source, now);
            }
        }
        Ok(redeemed)
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
                let why = if text.is_empty() { fault.code.meaning().to_owned() } else { Veil::default().text(text) };
                let told = format!("{word} failed: {} {why}", fault.code.0);
                let end = TaskEnd { fault: Some(fault.code.0), why: Some(why), ..TaskEnd::default() };
                (after(end, (row.tries, row.most_tries), is_passing(fault.code), now), told)
            }
        };
        store.in_time(patience, store.end_tasks(mac, &[TaskEnd { id: row.id, ..end }], now)).await?;
        Ok(told)
    }

    /// Orders what a phone asks for itself, once at a time and an hour; told in one line. That it asks is heard whatever comes of it.
    ///
    /// # Errors
    /// Why nothing is ordered.
    pub async fn wanted(&self, mac: MacAddr, file_type: &str) -> Result<String, TaskError> {
        let generation = self.fleet.generation();
        let entry = self.fleet.device(mac).await?.and_then(|entry| entry.device.ok());
        let pack = entry.and_then(|device| generation.packs.get(device.model.pack));
        let known =
            pack.and_then(|pack| pack.data_model.as_ref()?.files.download.iter().find(|one| one.name == file_type));
        let Some(known) = known else { return Ok("which its pack does not know".to_owned()) };
        let now = OffsetDateTime::now_utc();
        let latest = self.list(&TaskFilter { mac: Some(mac), ..TaskFilter::default() }, LOOKED_AT).await?;
        let actor = Actor { name: format!("phone:{mac}"), peer: None };
        let is_it = |row: &&TaskRow| row.created_by == actor.name && (row.state.is_open() || row.created > now - PAUSE);
        if latest.iter().any(|row| is_it(&row)) {
            return Ok("as it did not long ago".to_owned());
        }
        let spec = Spec::Download {
            content: known.content.word().to_owned(),
            file: None,
            restore: None,
            file_type: Some(known.name.clone()),
            always: false,
            delay_seconds: 0,
        };
        let order = Order { spec, due: None, expires: DAY, tries: 3, call: true };
        Ok(format!("which task {} is for", self.order(mac, &order, &actor).await?.id))
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
