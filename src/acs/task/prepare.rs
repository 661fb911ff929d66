//! From tasks in the database to what a session asks for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use time::OffsetDateTime;

use super::Tasks;
use super::diagnostic::Diagnostic;
use super::run::{Run, Then};
use super::spec::{Given, Spec};
use super::tickets::{Serves, Ticket};
use crate::acs::wire;
use crate::cwmp::message::{
    Download, ObjectChange, ParameterValue, Request, ScheduleInform, SetParameterAttribute, SetParameterValues, Upload,
    Value, ValueKind,
};
use crate::model::{MacAddr, Secret};
use crate::packs::data_model::{Content, DataModel, FileType, Kind, Rpc};
use crate::packs::{Model, Pack};
use crate::resync::{Device, Generation};
use crate::settings::Effective;
use crate::store::{StoreError, TaskEnd, TaskRow, TaskState};
use crate::uploads::UploadId;
use crate::vault::VaultError;

/// Tasks that one session does.
const MOST: u32 = 32;

/// How long a session has them: longer than any session lasts.
const LEASE: time::Duration = time::Duration::minutes(10);

/// A session that tasks are done in.
#[derive(Debug)]
pub struct Session<'s> {
    pub device: &'s Device,
    pub generation: &'s Arc<Generation>,
    pub settings: &'s Effective,
    /// What the phone says that it runs.
    pub software: Option<&'s str>,
}

/// A task, ready.
enum Prepared {
    Run(Run),
    /// It takes a ticket first.
    Transfer {
        serves: Serves,
        name: String,
        server: String,
        request: Transfer,
    },
}

/// A transfer's request, but for its URL.
enum Transfer {
    Download(Download),
    Upload(Upload),
}

/// Where a task's value is sealed.
pub(super) fn sealed_place(id: &str, path: &str) -> String {
    format!("task/{id}/values.{path}")
}

impl Tasks {
    /// Takes the tasks of a phone that are due, for its session; and tells what of them nobody may see.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn take(&self, session: &Session<'_>, patience: Duration) -> Result<(Vec<Run>, Vec<Secret>), StoreError> {
        let (store, now) = (self.fleet.store(), OffsetDateTime::now_utc());
        let mac = session.device.mac;
        let rows = store.in_time(patience, store.take_tasks(mac, now, now + LEASE, MOST)).await?;
        let (mut runs, mut secrets) = (Vec::new(), Vec::new());
        for row in rows {
            let Ok(stored) = serde_json::from_str::<Spec>(&row.spec) else {
                runs.push(Run::impossible(row.id, "task", "it can't be read: it is another version's".to_owned()));
                continue;
            };
            let (word, id) = (stored.word(), row.id.clone());
            let prepared = match self.opened(stored, &row.id, &mut secrets) {
                Ok(spec) if row.state == TaskState::Started => match session.looked_at(&row, &spec) {
                    Some(run) => Prepared::Run(run),
                    None => continue,
                },
                Ok(spec) => {
                    session.prepare(&row, spec).unwrap_or_else(|why| Prepared::Run(Run::impossible(id, word, why)))
                }
                Err(error) => Prepared::Run(Run::impossible(id, word, format!("a value can't be opened: {error}"))),
            };
            runs.push(match prepared {
                Prepared::Run(run) => run,
                Prepared::Transfer { serves, name, server, request } => match Ticket::generate() {
                    Ok(ticket) => {
                        let (digest, serves) = (ticket.digest(), serves.to_string());
                        store.in_time(patience, store.give_ticket(&row.id, &digest, &serves)).await?;
                        self.tickets.right(&digest, Instant::now());
                        request.with(ticket.url(&server, &name), &row, word)
                    }
                    Err(error) => Run::impossible(row.id, word, format!("there is no randomness: {error}")),
                },
            });
        }
        Ok((runs, secrets))
    }

    /// Gives tasks back that were taken for a session that did not come about.
    pub async fn give_back(&self, mac: MacAddr, runs: Vec<Run>, patience: Duration) -> Result<(), StoreError> {
        self.ended(mac, runs.into_iter().filter_map(|run| run.into_end(OffsetDateTime::now_utc())).collect(), patience)
            .await
    }

    /// Writes what a session made of its tasks.
    ///
    /// # Errors
    /// When the database is away: they are then done again when the time is over for which they were taken.
    pub async fn ended(&self, mac: MacAddr, ends: Vec<TaskEnd>, patience: Duration) -> Result<(), StoreError> {
        if ends.is_empty() {
            return Ok(());
        }
        let store = self.fleet.store();
        store.in_time(patience, store.end_tasks(mac, &ends, OffsetDateTime::now_utc())).await
    }

    /// The task with its secrets as they are, which are added to `secrets`.
    fn opened(&self, spec: Spec, id: &str, secrets: &mut Vec<Secret>) -> Result<Opened, VaultError> {
        let Spec::Set { values, types } = spec else { return Ok(Opened { spec, values: BTreeMap::new() }) };
        let mut opened = BTreeMap::new();
        for (path, value) in &values {
            let value = match value {
                Given::Text(text) => Plain::Text(text.clone()),
                Given::Sealed { sealed } => {
                    let secret = self.fleet.vault().open(&sealed_place(id, path), sealed)?;
                    secrets.push(secret.clone());
                    Plain::Secret(secret)
                }
            };
            opened.insert(path.clone(), value);
        }
        Ok(Opened { spec: Spec::Set { values, types }, values: opened })
    }
}

/// A task with its secrets.
struct Opened {
    spec: Spec,
    values: BTreeMap<String, Plain>,
}

enum Plain {
    Text(String),
    Secret(Secret),
}

impl Session<'_> {
    fn pack(&self) -> Option<(&Pack, &Model)> {
        self.generation.packs.pack_and_model(self.device.model)
    }

    fn model(&self) -> Option<&DataModel> {
        self.pack().and_then(|(pack, _)| pack.data_model.as_ref())
    }

    /// A diagnostic that the phone has begun: its results are looked at. None for a transfer, which the phone tells of.
    fn looked_at(&self, row: &TaskRow, opened: &Opened) -> Option<Run> {
        let diagnostic = Diagnostic::of(&opened.spec, self.model())?.ok()?;
        let request = Request::GetParameterValues(vec![diagnostic.object.clone()]);
        let (word, tries) = (opened.spec.word(), (row.tries, row.most_tries));
        Some(Run::new(row.id.clone(), word, vec![request], Then::Diagnosed(diagnostic.object), tries))
    }

    /// The requests that a task comes to.
    ///
    /// # Errors
    /// Why it can't be done by this phone.
    fn prepare(&self, row: &TaskRow, opened: Opened) -> Result<Prepared, String> {
        let Opened { spec, values } = opened;
        let quirks = self.model().map(|model| model.quirks(Some(self.device.model.model)).clone()).unwrap_or_default();
        let batch = quirks.get_batch.map_or(usize::MAX, usize::from).max(1);
        let word = spec.word();
        let run = |requests: Vec<Request>, then: Then| {
            Prepared::Run(Run::new(row.id.clone(), word, requests, then, (row.tries, row.most_tries)))
        };
        let object = |path: &str| ObjectChange { name: path.to_owned(), parameter_key: String::new() };
        Ok(match &spec {
            Spec::Get { paths } => {
                run(paths.chunks(batch).map(|some| Request::GetParameterValues(some.to_vec())).collect(), Then::Done)
            }
            Spec::Set { types, .. } => {
                let values = values.iter().map(|(path, value)| self.value(path, value, types)).collect();
                // The key is the session's to fill in: it is what the phone has.
                let set = SetParameterValues { values, parameter_key: String::new() };
                run(vec![Request::SetParameterValues(set)], Then::Done)
            }
            Spec::Names { path, next_level } => {
                run(vec![Request::GetParameterNames { path: path.clone(), next_level: *next_level }], Then::Done)
            }
            Spec::Attributes { paths, notification: None } => run(
                paths.chunks(batch).map(|some| Request::GetParameterAttributes(some.to_vec())).collect(),
                Then::Done,
            ),
            Spec::Attributes { paths, notification: Some(word) } => {
                let notification = wire::attribute(word.parse()?);
                let one = |path: &String| SetParameterAttribute {
                    name: path.clone(),
                    notification: Some(notification),
                    access_list: None,
                };
                run(vec![Request::SetParameterAttributes(paths.iter().map(one).collect())], Then::Done)
            }
            Spec::AddObject { path } => run(vec![Request::AddObject(object(path))], Then::Done),
            Spec::DeleteObject { path } => run(vec![Request::DeleteObject(object(path))], Then::Done),
            Spec::ScheduleInform { seconds } => {
                let schedule = ScheduleInform { delay_seconds: *seconds, command_key: row.id.clone() };
                run(vec![Request::ScheduleInform(schedule)], Then::Done)
            }
            Spec::Transfers {} => {
                let all = self.model().is_none_or(|model| model.rpc.has(Rpc::GetAllQueuedTransfers));
                run(vec![if all { Request::GetAllQueuedTransfers } else { Request::GetQueuedTransfers }], Then::Done)
            }
            Spec::Reboot {} => run(vec![Request::Reboot { command_key: row.id.clone() }], Then::Done),
            Spec::FactoryReset {} => run(vec![Request::FactoryReset], Then::Done),
            Spec::Download { .. } => return self.download(row, &spec),
            Spec::Upload { .. } => return self.upload(row, &spec),
            Spec::Ping { .. } | Spec::Traceroute { .. } | Spec::DownloadTest { .. } | Spec::UploadTest { .. } => {
                let diagnostic = Diagnostic::of(&spec, self.model()).ok_or("it is no diagnostic")??;
                let set = SetParameterValues { values: diagnostic.values, parameter_key: String::new() };
                run(vec![Request::SetParameterValues(set)], Then::Diagnosing)
            }
        })
    }

    fn value(&self, path: &str, value: &Plain, types: &BTreeMap<String, String>) -> ParameterValue {
        let known = self.model().and_then(|model| model.get(path)).map(|known| known.kind);
        let kind = known.or_else(|| types.get(path).and_then(|kind| kind.parse::<Kind>().ok())).unwrap_or(Kind::String);
        let kind = wire::kind(kind);
        let value = match value {
            Plain::Secret(secret) if kind == ValueKind::String => Value::Secret(secret.clone()),
            Plain::Secret(secret) => Value::parse(kind, secret.expose_text().unwrap_or_default())
                .unwrap_or_else(|| Value::Secret(secret.clone())),
            // What is no value of its type is a string: the phone refuses it, and that is told.
            Plain::Text(text) => Value::parse(kind, text).unwrap_or_else(|| Value::String(text.clone())),
        };
        ParameterValue { name: path.to_owned(), value }
    }

    fn download(&self, row: &TaskRow, spec: &Spec) -> Result<Prepared, String> {
        let Spec::Download { content, file, restore, file_type, always, delay_seconds } = spec else {
            return Err("it is no download".to_owned());
        };
        let (content, model) = (content.parse::<Content>()?, self.model());
        let known = model.and_then(|model| match file_type {
            Some(name) => model.files.download.iter().find(|one| one.name == *name),
            None => model.files.download_of(content),
        });
        let name = file_type.clone().or_else(|| known.map(|known| known.name.clone()));
        let download = Download {
            command_key: row.id.clone(),
            file_type: name.ok_or("the pack names no file type for it")?,
            url: Secret::new(""),
            username: String::new(),
            password: Secret::new(""),
            file_size: 0,
            target_file_name: String::new(),
            delay_seconds: *delay_seconds,
        };
        if let Some(id) = restore {
            let id = id.parse::<UploadId>().map_err(|error| error.to_string())?;
            let (serves, name) = (Serves::Restore(id), "restore.cfg".to_owned());
            return Ok(Prepared::Transfer {
                serves,
                name,
                server: self.server()?,
                request: Transfer::Download(download),
            });
        }
        if content == Content::Firmware && file.is_none() && !always && self.runs_wanted_firmware() {
            let said = json!({"skipped": "the phone runs this firmware already", "software": self.software});
            return Ok(Prepared::Run(Run::done(row.id.clone(), spec.word(), said)));
        }
        let file = match (file, content) {
            (Some(file), _) => file.clone(),
            (None, Content::Firmware) => {
                let url = self.settings.text("firmware.url").filter(|url| !url.is_empty());
                url.ok_or("firmware.url is not set for the device, and the task names no file")?.to_owned()
            }
            (None, _) => self.file_of(known).ok_or("the pack has no file for it, and the task names none")?,
        };
        if !file.starts_with('/') {
            let download = Download { url: Secret::new(file), ..download };
            return Ok(Prepared::Run(Transfer::Download(download).run(row, spec.word())));
        }
        let name = last(&file);
        Ok(Prepared::Transfer {
            serves: Serves::File(file),
            name,
            server: self.server()?,
            request: Transfer::Download(download),
        })
    }

    fn upload(&self, row: &TaskRow, spec: &Spec) -> Result<Prepared, String> {
        let Spec::Upload { content, file_type, delay_seconds } = spec else { return Err("it is no upload".to_owned()) };
        let content = content.parse::<Content>()?;
        let known = self.model().and_then(|model| match file_type {
            Some(name) => model.files.upload.iter().find(|one| one.name == *name),
            None => model.files.upload_of(content),
        });
        let known = known.ok_or("the pack has no such file that phones send")?;
        let taken = known.upload.clone().ok_or("the pack has no [[upload]] for it")?;
        let upload = Upload {
            command_key: row.id.clone(),
            file_type: known.name.clone(),
            url: Secret::new(""),
            username: String::new(),
            password: Secret::new(""),
            delay_seconds: *delay_seconds,
        };
        let name = format!("{}_{taken}", self.device.mac);
        Ok(Prepared::Transfer {
            serves: Serves::Upload(taken),
            name,
            server: self.server()?,
            request: Transfer::Upload(upload),
        })
    }

    /// The path of the pack's file of a type, for this device.
    fn file_of(&self, known: Option<&FileType>) -> Option<String> {
        let (pack, model) = self.pack()?;
        let name = known?.file.as_deref();
        // Without a name it is the one that is the device's own.
        let file = pack.files.iter().find(|file| name.is_some_and(|name| file.name == name))?;
        file.paths.iter().find_map(|path| path.fill(Some(self.device.mac), self.device.serial.as_ref(), &model.name))
    }

    /// The server as the phone reaches it: where its sessions are.
    fn server(&self) -> Result<String, String> {
        let url = self.settings.text("acs.url").or_else(|| self.settings.text("provisioning.url"));
        let url: http::Uri = url.and_then(|url| url.parse().ok()).ok_or("acs.url is not set for the device")?;
        match (url.scheme_str(), url.authority()) {
            (Some(scheme), Some(authority)) => Ok(format!("{scheme}://{authority}")),
            _ => Err("acs.url names no server".to_owned()),
        }
    }

    /// Whether the phone says to run the version that its settings want.
    pub fn runs_wanted_firmware(&self) -> bool {
        let wanted = self.settings.text("firmware.version").map(str::trim).filter(|version| !version.is_empty());
        wanted.zip(self.software).is_some_and(|(wanted, software)| is_version(software.trim(), wanted))
    }
}

/// Whether a phone's software is of a version: `sip88xx.11-3-1MPP-224` is of `11-3-1MPP-224`.
fn is_version(software: &str, version: &str) -> bool {
    let is_edge = |character: Option<char>| !character.is_some_and(char::is_alphanumeric);
    software.match_indices(version).any(|(at, _)| {
        let before = software.get(..at).and_then(|before| before.chars().next_back());
        let after = software.get(at + version.len()..).and_then(|after| after.chars().next());
        is_edge(before) && is_edge(after)
    })
}

/// The last of a path, without its query.
fn last(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file").to_owned()
}

impl Transfer {
    fn run(self, row: &TaskRow, word: &'static str) -> Run {
        let request = match self {
            Self::Download(download) => Request::Download(download),
            Self::Upload(upload) => Request::Upload(upload),
        };
        Run::new(row.id.clone(), word, vec![request], Then::Transferred, (row.tries, row.most_tries))
    }

    fn with(self, url: Secret, row: &TaskRow, word: &'static str) -> Run {
        match self {
            Self::Download(download) => Self::Download(Download { url, ..download }),
            Self::Upload(upload) => Self::Upload(Upload { url, ..upload }),
        }
        .run(row, word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_a_phone_says() {
        assert!(is_version("sip88xx.11-3-1MPP-224", "11-3-1MPP-224"));
        assert!(is_version("3.3.1.4305", "3.3.1.4305"));
        assert!(!is_version("3.3.1.4305", "3.3.1.430"));
        assert!(!is_version("13.3.1", "3.3.1"));
        assert!(!is_version("", "3.3.1"));
    }

    #[test]
    fn a_file_is_called_as_its_path_ends() {
        assert_eq!(last("/firmware/6757i.st?x=/y"), "6757i.st");
        assert_eq!(last("/firmware/"), "file");
    }
}
