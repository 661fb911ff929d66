//! Ordering tasks: for one phone, or for all that a query finds.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::diagnostic::Diagnostic;
use super::prepare::sealed_place;
use super::spec::{Given, Mistake, Spec};
use super::veil::Veil;
use super::{TaskError, Tasks};
use crate::fleet::{Actor, Query};
use crate::model::MacAddr;
use crate::packs::data_model::{Content, DataModel, Rpc};
use crate::resync::{Device, Generation};
use crate::store::{Calling, TaskCounts, TaskFilter, TaskRow, TaskState};
use crate::uploads::UploadId;

/// What the audit calls them.
const KIND: &str = "task";
const BULK_KIND: &str = "bulk";

/// Open tasks that one phone may have.
const MOST_OPEN: u64 = 100;

/// Devices that are looked at at a time.
const PAGE: usize = 500;

/// Devices of a bulk that can't do it which are named; the others are counted.
const MOST_NAMED: usize = 100;

/// A task to be done.
#[derive(Debug, Clone)]
pub struct Order {
    pub spec: Spec,
    /// Not before.
    pub due: Option<OffsetDateTime>,
    /// How long it may wait and take.
    pub expires: Duration,
    /// How often it is tried, the first time included.
    pub tries: u32,
    /// The phone is asked to come as soon as it is due.
    pub call: bool,
}

/// The same for many phones.
#[derive(Debug, Clone)]
pub struct BulkOrder {
    pub order: Order,
    /// Phones a minute for whom it becomes due; none: all at once.
    pub rate: Option<u32>,
    /// After so many failures the others are cancelled.
    pub stop_after: Option<u32>,
}

/// A bulk that was ordered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ordered {
    /// None where it is for no phone.
    pub id: Option<String>,
    pub tasks: u64,
    /// Phones that can't do it, and why; the first of them.
    pub refused: Vec<(MacAddr, String)>,
    pub refused_more: u64,
}

/// How far a bulk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    pub id: String,
    pub counts: TaskCounts,
}

impl Tasks {
    /// Orders a task for one phone.
    ///
    /// # Errors
    /// When the phone can't do it, has too much to do already, or the database is away.
    pub async fn order(&self, mac: MacAddr, order: &Order, actor: &Actor) -> Result<TaskRow, TaskError> {
        order.spec.check().map_err(TaskError::Invalid)?;
        let generation = self.fleet.generation();
        let entry = self.fleet.device(mac).await?.ok_or(TaskError::NoDevice(mac))?;
        let device = entry.device.map_err(|_| TaskError::NoDevice(mac))?;
        if let Spec::Download { restore: Some(upload), .. } = &order.spec {
            self.check_restore(mac, upload).await?;
        }
        let row = self.row(&generation, &device, order, actor, OffsetDateTime::now_utc())?;
        if !self.fleet.store().add_tasks(std::slice::from_ref(&row), MOST_OPEN).await? {
            return Err(TaskError::TooMany { mac, most: MOST_OPEN });
        }
        let told = serde_json::json!({"mac": mac, "do": order.spec.word()}).to_string();
        self.fleet.audit(actor, "create", KIND, &row.id, Some(told)).await?;
        Ok(row)
    }

    /// Orders a task for all devices that a query finds. Those that can't do it are told.
    ///
    /// # Errors
    /// When it can't be done by any phone, or the database is away.
    pub async fn order_bulk(&self, query: &Query, bulk: &BulkOrder, actor: &Actor) -> Result<Ordered, TaskError> {
        bulk.order.spec.check().map_err(TaskError::Invalid)?;
        if matches!(bulk.order.spec, Spec::Download { restore: Some(_), .. }) {
            return Err(invalid("restore", "what one phone has sent is for that phone alone".to_owned()));
        }
        let begin = OffsetDateTime::now_utc();
        let id = self.fleet.next_id(begin);
        let mut ordered = match self.add_bulk(query, bulk, actor, &id, begin).await {
            Ok(ordered) => ordered,
            Err(error) => {
                // Half of a bulk is none. Where this fails as well, the error says what is wrong with the database.
                if let Err(more) = self.fleet.store().cancel_bulk(&id, "its order broke off").await {
                    tracing::error!("the bulk {id} broke off, and what there is of it can't be cancelled: {more}");
                }
                return Err(error);
            }
        };
        if ordered.tasks > 0 {
            let told = serde_json::json!({"do": bulk.order.spec.word(), "tasks": ordered.tasks}).to_string();
            self.fleet.audit(actor, "create", BULK_KIND, &id, Some(told)).await?;
            ordered.id = Some(id);
        }
        Ok(ordered)
    }

    async fn add_bulk(
        &self,
        query: &Query,
        bulk: &BulkOrder,
        actor: &Actor,
        id: &str,
        begin: OffsetDateTime,
    ) -> Result<Ordered, TaskError> {
        let generation = self.fleet.generation();
        let (mut ordered, mut after) = (Ordered::default(), None);
        let pause = bulk.rate.filter(|rate| *rate > 0).map(|rate| time::Duration::minutes(1) / f64::from(rate));
        loop {
            let entries = self.fleet.find(query, after, PAGE).await?;
            let Some(last) = entries.last() else { break };
            after = Some(last.mac);
            let mut rows = Vec::new();
            for entry in &entries {
                let device = entry.device.as_ref().map_err(|_| TaskError::NoDevice(entry.mac));
                let row = device.and_then(|device| self.row(&generation, device, &bulk.order, actor, begin));
                match row {
                    Ok(row) => {
                        let place = ordered.tasks + rows.len() as u64;
                        #[expect(clippy::cast_precision_loss, reason = "no bulk has 2^52 phones")]
                        let due = pause.map_or(row.due, |pause| row.due + pause * (place as f64));
                        let (bulk_stop, name) = (bulk.stop_after, Some(id.to_owned()));
                        rows.push(TaskRow {
                            due,
                            expires: row.expires + (due - row.due),
                            bulk: name,
                            bulk_stop,
                            ..row
                        });
                    }
                    Err(error @ (TaskError::Invalid(_) | TaskError::NotManaged(_) | TaskError::NoDevice(_)))
                        if ordered.refused.len() < MOST_NAMED =>
                    {
                        ordered.refused.push((entry.mac, error.to_string()))
                    }
                    Err(TaskError::Invalid(_) | TaskError::NotManaged(_) | TaskError::NoDevice(_)) => {
                        ordered.refused_more += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
            ordered.tasks += rows.len() as u64;
            self.fleet.store().add_tasks(&rows, u64::MAX).await?;
        }
        Ok(ordered)
    }

    /// A task.
    pub async fn get(&self, id: &str) -> Result<Option<TaskRow>, TaskError> {
        Ok(self.fleet.store().task(id).await?)
    }

    /// Tasks, the newest first.
    pub async fn list(&self, filter: &TaskFilter, limit: u64) -> Result<Vec<TaskRow>, TaskError> {
        Ok(self.fleet.store().tasks(filter, limit).await?)
    }

    /// How far a bulk is; none where there is no such.
    pub async fn bulk(&self, id: &str) -> Result<Option<Bulk>, TaskError> {
        let counts = self.fleet.store().count_bulk(id).await?;
        Ok((!counts.is_empty()).then(|| Bulk { id: id.to_owned(), counts }))
    }

    /// Cancels a task. False where it is over already. What a phone was told, it does all the same.
    pub async fn cancel(&self, id: &str, actor: &Actor) -> Result<bool, TaskError> {
        let done = self.fleet.store().cancel_task(id, &format!("cancelled by {actor}")).await?;
        if done {
            self.fleet.audit(actor, "cancel", KIND, id, None).await?;
        }
        Ok(done)
    }

    /// Cancels all of a bulk that are not over. How many there were.
    pub async fn cancel_bulk(&self, id: &str, actor: &Actor) -> Result<u64, TaskError> {
        let done = self.fleet.store().cancel_bulk(id, &format!("cancelled by {actor}")).await?;
        if done > 0 {
            self.fleet.audit(actor, "cancel", BULK_KIND, id, None).await?;
        }
        Ok(done)
    }

    /// What a phone has sent may hold all its secrets: it is given back to nobody else.
    async fn check_restore(&self, mac: MacAddr, id: &str) -> Result<(), TaskError> {
        let parsed = id.parse::<UploadId>().map_err(|error| invalid("restore", error.to_string()))?;
        let upload = self.fleet.store().upload(parsed).await?.filter(|upload| upload.device == mac);
        upload.map(|_| ()).ok_or_else(|| invalid("restore", format!("{mac} has sent no upload {parsed}")))
    }

    fn row(
        &self,
        generation: &Arc<Generation>,
        device: &Device,
        order: &Order,
        actor: &Actor,
        now: OffsetDateTime,
    ) -> Result<TaskRow, TaskError> {
        let mac = device.mac;
        let pack = generation.packs.get(device.model.pack);
        let model = pack.and_then(|pack| pack.data_model.as_ref()).filter(|model| model.is_for(device.model.model));
        let model = model.ok_or(TaskError::NotManaged(mac))?;
        check_for(&order.spec, generation, device, model)?;
        let id = self.fleet.next_id(now);
        let spec = self.sealed(&order.spec, &id, &Veil::new(generation.packs.clone(), device.model))?;
        let due = order.due.unwrap_or(now).max(now);
        Ok(TaskRow {
            spec: serde_json::to_string(&spec)?,
            id,
            mac,
            state: TaskState::Waiting,
            tries: 0,
            most_tries: order.tries.max(1),
            due,
            expires: due + order.expires,
            created: now,
            created_by: actor.name.clone(),
            bulk: None,
            bulk_stop: None,
            calling: if order.call { Calling::Wanted } else { Calling::Unwanted },
            called: None,
            result: None,
            fault: None,
            why: None,
            finished: None,
        })
    }

    /// The task with its secrets sealed.
    fn sealed(&self, spec: &Spec, id: &str, veil: &Veil) -> Result<Spec, TaskError> {
        let Spec::Set { values, types } = spec else { return Ok(spec.clone()) };
        let mut sealed = values.clone();
        for (path, value) in &mut sealed {
            if let Given::Text(text) = value
                && veil.is_secret(path)
            {
                let text = self.fleet.vault().seal(&sealed_place(id, path), text.as_bytes())?;
                *value = Given::Sealed { sealed: text };
            }
        }
        Ok(Spec::Set { values: sealed, types: types.clone() })
    }
}

fn invalid(key: &str, message: String) -> TaskError {
    TaskError::Invalid(vec![Mistake { key: key.to_owned(), message }])
}

/// What the phone's model says to a task.
fn check_for(spec: &Spec, generation: &Generation, device: &Device, model: &DataModel) -> Result<(), TaskError> {
    let mut mistakes = Vec::new();
    let mut wrong = |key: &str, message: String| mistakes.push(Mistake { key: key.to_owned(), message });
    let method = method_of(spec);
    let known = &model.rpc.to_phone;
    if !known.is_empty() && !method.iter().any(|rpc| model.rpc.has(*rpc)) {
        let name = generation.packs.get(device.model.pack).map(|pack| pack.name.as_str()).unwrap_or_default();
        let words: Vec<_> = method.iter().map(|rpc| rpc.word()).collect();
        wrong("do", format!("phones of the pack {name} do not know {}", words.join(" or ")));
    }
    match spec {
        Spec::Set { values, types } => {
            let Some((_, own)) = generation.packs.pack_and_model(device.model) else {
                return Err(TaskError::NoDevice(device.mac));
            };
            for (path, value) in values {
                let Given::Text(text) = value else { continue };
                if let Err(refusal) = model.check(path, text, own)
                    && !(types.contains_key(path) && model.get(path).is_none())
                {
                    wrong(&format!("values.{path}"), refusal.to_string());
                }
            }
        }
        Spec::Download { content, file, restore, file_type, .. } => {
            let content = content.parse::<Content>().unwrap_or_default();
            let known = match file_type {
                Some(name) => model.files.download.iter().find(|one| one.name == *name),
                None => model.files.download_of(content),
            };
            if file_type.is_none() && known.is_none() {
                wrong("file_type", "say it as SOAP has it: the pack names none for this content".to_owned());
            }
            let is_named = file.is_some() || restore.is_some();
            if content == Content::Firmware {
                let settings = generation.settings(device);
                if !is_named && settings.text("firmware.url").is_none_or(str::is_empty) {
                    wrong("file", "say which: firmware.url is not set for the device".to_owned());
                }
            } else if !is_named && known.is_none_or(|known| known.file.is_none()) {
                wrong("file", "say which, or what is to be restored: the pack names no file for it".to_owned());
            }
        }
        Spec::Upload { content, file_type: None, .. } => {
            let content = content.parse::<Content>().ok();
            if content.is_none_or(|content| model.files.upload_of(content).is_none()) {
                wrong("content", "the pack has no such file that phones send".to_owned());
            }
        }
        Spec::Upload { file_type: Some(name), .. } => {
            if !model.files.upload.iter().any(|one| one.name == *name && one.upload.is_some()) {
                wrong("file_type", "the pack's [files.upload] has no such type with an upload".to_owned());
            }
        }
        spec => {
            if let Some(Err(why)) = Diagnostic::of(spec, Some(model)) {
                wrong("do", why);
            }
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(TaskError::Invalid(mistakes)) }
}

/// The procedures of which a task needs one.
fn method_of(spec: &Spec) -> &'static [Rpc] {
    match spec {
        Spec::Get { .. } => &[Rpc::GetParameterValues],
        Spec::Set { .. }
        | Spec::Ping { .. }
        | Spec::Traceroute { .. }
        | Spec::DownloadTest { .. }
        | Spec::UploadTest { .. } => &[Rpc::SetParameterValues],
        Spec::Names { .. } => &[Rpc::GetParameterNames],
        Spec::Attributes { notification: None, .. } => &[Rpc::GetParameterAttributes],
        Spec::Attributes { .. } => &[Rpc::SetParameterAttributes],
        Spec::AddObject { .. } => &[Rpc::AddObject],
        Spec::DeleteObject { .. } => &[Rpc::DeleteObject],
        Spec::ScheduleInform { .. } => &[Rpc::ScheduleInform],
        Spec::Transfers {} => &[Rpc::GetAllQueuedTransfers, Rpc::GetQueuedTransfers],
        Spec::Download { .. } => &[Rpc::Download],
        Spec::Upload { .. } => &[Rpc::Upload],
        Spec::Reboot {} => &[Rpc::Reboot],
        Spec::FactoryReset {} => &[Rpc::FactoryReset],
    }
}
