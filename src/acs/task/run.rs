//! One task in one session: which requests it comes to, and what came of them. Pure.

use std::collections::VecDeque;

use serde_json::{Map, Value as Json, json};
use time::{Duration, OffsetDateTime};

use super::diagnostic::{self, Diagnosed};
use super::veil::Veil;
use crate::acs::phone::cut;
use crate::cwmp::message::{
    Applied, Fault, FaultCode, Method, Notification, QueuedTransfer, Request, Response, TransferState,
};
use crate::cwmp::session::Failure;
use crate::store::{TaskEnd, TaskState};

/// Most bytes of a result; what is more is left out, and that is said.
const RESULT: usize = 512 * 1024;

/// What follows when a phone has answered everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// It is done.
    Done,
    /// The phone tells of a transfer's end by TransferComplete, unless its answer says that it was at once.
    Transferred,
    /// The phone tells of the diagnostic's end by `8 DIAGNOSTICS COMPLETE`.
    Diagnosing,
    /// These were the results of the diagnostic below this object.
    Diagnosed(String),
}

/// A task that a session does.
#[derive(Debug)]
pub struct Run {
    id: String,
    word: &'static str,
    requests: VecDeque<Request>,
    then: Then,
    /// How often it was begun, this time included, and how often it may be.
    tries: (u32, u32),
    found: Vec<Json>,
    has_begun: bool,
    end: Option<End>,
}

/// How it ended in this session.
#[derive(Debug, Clone, PartialEq)]
enum End {
    Done,
    /// The phone will tell.
    Started,
    /// It has not told yet: nothing is to be written.
    Unchanged,
    Failed {
        fault: Option<u16>,
        why: String,
        again: bool,
    },
}

impl Run {
    pub fn new(id: String, word: &'static str, requests: Vec<Request>, then: Then, tries: (u32, u32)) -> Self {
        Self { id, word, requests: requests.into(), then, tries, found: Vec::new(), has_begun: false, end: None }
    }

    /// One that is done without a request.
    pub fn done(id: String, word: &'static str, result: Json) -> Self {
        let run = Self::new(id, word, Vec::new(), Then::Done, (1, 1));
        Self { found: vec![result], has_begun: true, end: Some(End::Done), ..run }
    }

    /// One that can't be done.
    pub fn impossible(id: String, word: &'static str, why: String) -> Self {
        let run = Self::new(id, word, Vec::new(), Then::Done, (1, 1));
        Self { has_begun: true, end: Some(End::Failed { fault: None, why, again: false }), ..run }
    }

    /// Whether nothing may follow it in a session.
    pub fn is_last(&self) -> bool {
        self.requests.iter().any(Request::is_last)
    }

    /// The next request; none when there are no more. `knows`: whether the phone knows a method.
    pub fn next_request(&mut self, knows: impl Fn(Method) -> bool) -> Option<Request> {
        if self.end.is_some() {
            return None;
        }
        let next = self.requests.pop_front();
        self.has_begun = true;
        match next {
            Some(request) if !knows(request.method()) => {
                let why = format!("the phone does not know {}", request.method());
                self.end = Some(End::Failed { fault: None, why, again: false });
                None
            }
            None => {
                self.end = Some(self.finished());
                None
            }
            next => next,
        }
    }

    /// Takes what came of the request that was given last. `veil` hides what nobody may see.
    pub fn answered(&mut self, method: Method, outcome: Result<Response, Failure>, veil: &Veil) {
        let response = match outcome {
            Ok(response) => response,
            // Phones that carry it out at once don't answer any more.
            Err(Failure::Interrupted | Failure::NoAnswer)
                if matches!(method, Method::Reboot | Method::FactoryReset) =>
            {
                self.found.push(json!({"answered": false}));
                self.end = Some(End::Done);
                return;
            }
            Err(failure) => {
                self.end = Some(match failure {
                    Failure::Fault(fault) => failed(&fault, veil),
                    Failure::Unreadable(error) => again(format!("the answer can't be read: {error}")),
                    Failure::OutOfTurn => again("the phone answered something else".to_owned()),
                    Failure::Interrupted => again("the phone began another session".to_owned()),
                    Failure::NoAnswer => again("the phone did not answer".to_owned()),
                });
                return;
            }
        };
        match (&self.then, response) {
            (Then::Diagnosed(object), Response::GetParameterValues(values)) => {
                self.end = Some(match diagnostic::diagnosed(object, &values) {
                    Diagnosed::Done(result) => {
                        self.found.push(result);
                        End::Done
                    }
                    Diagnosed::Running => End::Unchanged,
                    Diagnosed::Lost => {
                        again("the phone knows nothing of the test any more: it was restarted".to_owned())
                    }
                    Diagnosed::Failed(why) => End::Failed { fault: None, why: veil.text(cut(&why)), again: false },
                });
            }
            (_, Response::Download(answer) | Response::Upload(answer)) => {
                self.end = Some(match answer.applied {
                    Applied::Now => End::Done,
                    Applied::Later => End::Started,
                });
            }
            (_, response) => self.found.extend(result(response, veil)),
        }
        // Nobody may ask for more: a session ends with the answer to a reboot.
        if self.end.is_none() && self.requests.is_empty() {
            self.end = Some(self.finished());
        }
    }

    fn finished(&self) -> End {
        if self.then == Then::Diagnosing { End::Started } else { End::Done }
    }

    /// What is written of it; none where nothing is.
    pub fn into_end(self, now: OffsetDateTime) -> Option<TaskEnd> {
        let result = (!self.found.is_empty()).then(|| merged(self.found));
        let end = TaskEnd { id: self.id, result, ..TaskEnd::default() };
        match self.end {
            // It was not come to, or the session broke off between two requests of it.
            None if self.then == Then::Done || !self.has_begun => Some(TaskEnd { result: None, ..end }),
            None | Some(End::Unchanged) => None,
            Some(End::Done) => Some(TaskEnd { state: Some(TaskState::Done), ..end }),
            Some(End::Started) => Some(TaskEnd { state: Some(TaskState::Started), ..end }),
            Some(End::Failed { fault, why, again }) => {
                Some(TaskEnd { fault, why: Some(why), ..after(end, self.tries, again, now) })
            }
        }
    }

    /// For the session's event.
    pub fn told(&self) -> Option<String> {
        match &self.end {
            Some(End::Done) => Some(format!("{} done", self.word)),
            Some(End::Started) => Some(format!("{} begun", self.word)),
            Some(End::Failed { fault: Some(fault), why, .. }) => Some(format!("{} failed: {fault} {why}", self.word)),
            Some(End::Failed { fault: None, why, .. }) => Some(format!("{} failed: {why}", self.word)),
            Some(End::Unchanged) | None => None,
        }
    }
}

/// What a failure comes to: another try, or the end.
pub fn after(end: TaskEnd, (tries, most): (u32, u32), again: bool, now: OffsetDateTime) -> TaskEnd {
    if again && tries < most {
        TaskEnd { state: Some(TaskState::Waiting), due: Some(now + pause(tries)), ..end }
    } else {
        TaskEnd { state: Some(TaskState::Failed), ..end }
    }
}

/// How long after so many tries it is tried again: a minute, four, sixteen, … six hours at most.
fn pause(tries: u32) -> Duration {
    let minutes = 4_i64.saturating_pow(tries.saturating_sub(1).min(8));
    Duration::minutes(minutes).min(Duration::hours(6))
}

fn again(why: String) -> End {
    End::Failed { fault: None, why, again: true }
}

fn failed(fault: &Fault, veil: &Veil) -> End {
    let words = |code: FaultCode, text: &str| {
        let text = cut(text.trim());
        if text.is_empty() { code.meaning().to_owned() } else { veil.text(text) }
    };
    let mut why = words(fault.code, &fault.text);
    for parameter in fault.parameters.iter().take(20) {
        why.push_str(&format!(
            "; {}: {} {}",
            cut(&parameter.name),
            parameter.code.0,
            words(parameter.code, &parameter.text)
        ));
    }
    End::Failed { fault: Some(fault.code.0), why, again: is_passing(fault.code) }
}

/// Whether what a fault tells of may be otherwise another time.
pub fn is_passing(code: FaultCode) -> bool {
    matches!(code.0, 9001 | 9002 | 9004 | 9010 | 9011 | 9014..=9018 | 9020)
}

/// What a phone answered, as it is kept.
fn result(response: Response, veil: &Veil) -> Option<Json> {
    let applied = |applied: Applied| json!({"applied": applied == Applied::Now});
    Some(match response {
        Response::GetParameterValues(values) => {
            let value = |value: &crate::cwmp::message::ParameterValue| {
                let text = value.value.text(&crate::cwmp::Quirks::default()).into_owned();
                (value.name.clone(), Json::from(veil.value(&value.name, text)))
            };
            json!({"values": values.iter().map(value).collect::<Map<_, _>>()})
        }
        Response::SetParameterValues(answer) | Response::DeleteObject(answer) => applied(answer),
        Response::GetParameterNames(names) => {
            let name = |name: &crate::cwmp::message::ParameterInfo| (name.name.clone(), Json::from(name.writable));
            json!({"names": names.iter().map(name).collect::<Map<_, _>>()})
        }
        Response::GetParameterAttributes(attributes) => {
            let one = |one: &crate::cwmp::message::ParameterAttribute| {
                let notification = match one.notification {
                    Notification::Off => "off".to_owned(),
                    Notification::Passive => "passive".to_owned(),
                    Notification::Active => "active".to_owned(),
                    Notification::Other(number) => number.to_string(),
                };
                (one.name.clone(), json!({"notification": notification, "access_list": one.access_list}))
            };
            json!({"attributes": attributes.iter().map(one).collect::<Map<_, _>>()})
        }
        Response::AddObject(added) => json!({"instance": added.instance, "applied": added.applied == Applied::Now}),
        Response::GetQueuedTransfers(queue) | Response::GetAllQueuedTransfers(queue) => {
            json!({"transfers": queue.iter().map(queued).collect::<Vec<_>>()})
        }
        Response::GetRpcMethods(methods) => json!({"methods": methods}),
        Response::SetParameterAttributes
        | Response::Reboot
        | Response::FactoryReset
        | Response::ScheduleInform
        | Response::Download(_)
        | Response::Upload(_) => return None,
    })
}

fn queued(transfer: &QueuedTransfer) -> Json {
    let state = match transfer.state {
        TransferState::NotStarted => "not started",
        TransferState::InProgress => "in progress",
        TransferState::Completed => "completed",
    };
    json!({
        "command_key": transfer.command_key, "state": state, "is_download": transfer.is_download,
        "file_type": transfer.file_type, "file_size": transfer.file_size,
    })
}

/// The results of several requests in one.
fn merged(found: Vec<Json>) -> String {
    let mut all = Map::new();
    for one in found {
        let Json::Object(one) = one else { continue };
        for (key, value) in one {
            match (all.get_mut(&key), value) {
                (Some(Json::Object(before)), Json::Object(more)) => before.extend(more),
                (_, value) => {
                    all.insert(key, value);
                }
            }
        }
    }
    let text = Json::Object(all).to_string();
    if text.len() <= RESULT { text } else { json!({"too_large": text.len()}).to_string() }
}
