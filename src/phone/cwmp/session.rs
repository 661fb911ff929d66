//! One session, as a machine that does no input or output: it says what is posted, and is told what came back.
//!
//! The phone begins with Inform. Then it tells what it has to tell, each time answered; an empty POST says that it has nothing more.
//! From there on it answers what the server asks, until the server answers 204, or 200 with nothing in it.

use super::answers::{After, Desk, written};
use super::memory::{Event, Transfer};
use super::message;
use super::quirks::{self, Quirk};
use super::soap::{self, Heard, element, envelope};
use super::step::Step;
use super::tree::PARAMETER_KEY;
use super::{Phone, transfer};
use crate::phone::State;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    InformResponse,
    /// The answer to the transfer at this place of the list.
    TransferCompleteResponse(usize),
    /// A request, or the end.
    Request,
    Over(End),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By 204.
    Done,
    /// Seconds until the server wants to be asked again.
    Busy(Option<u32>),
    /// The phone lost its power.
    PowerCut,
    /// The phone reboots, and does not wait for the end.
    Rebooting,
    Failed(String),
}

/// How often a phone sends again what the server wants to have again (fault 8005).
const SENDS: u32 = 3;

pub struct Session<'p> {
    phone: &'p Phone,
    state: State,
    now: i64,
    stage: Stage,
    /// What is to be posted.
    next: Option<String>,
    /// What was posted last, to be sent again.
    sent: String,
    sends: u32,
    id: u32,
    events: Vec<Event>,
    server: String,
    after: After,
    messages: u32,
    steps: Vec<Step>,
}

impl<'p> Session<'p> {
    /// `server`: its URL. `events`: why the session is opened, beside what is to be told anyway. `now` in seconds since 1970.
    pub fn new(phone: &'p Phone, state: &State, server: &str, events: &[Event], now: i64) -> Self {
        let mut session = Self {
            phone,
            state: state.clone(),
            now,
            stage: Stage::InformResponse,
            next: None,
            sent: String::new(),
            sends: 0,
            id: 0,
            events: Vec::new(),
            server: server.to_owned(),
            after: After::default(),
            messages: 0,
            steps: Vec::new(),
        };
        session.events = session.all_events(events);
        let codes = session.events.iter().map(|event| event.code.clone()).collect();
        session.steps.push(Step::Informed {
            url: server.to_owned(),
            events: codes,
            retries: session.state.cwmp.retries,
        });
        let body = session.inform();
        session.post_own(&body);
        session
    }

    /// What is posted next, empty or an envelope; none when the session is over.
    pub fn post(&mut self) -> Option<String> {
        if self.phone.habits.power_cut.is_some_and(|after| self.messages >= after)
            && !matches!(self.stage, Stage::Over(_))
        {
            self.stage = Stage::Over(End::PowerCut);
        }
        if matches!(self.stage, Stage::Over(_)) {
            return None;
        }
        let next = self.next.take()?;
        let next = if self.phone.has(Quirk::MiscountsArrays) { quirks::miscounted(&next) } else { next };
        self.sent.clone_from(&next);
        self.messages += 1;
        Some(next)
    }

    /// Takes the answer to what was posted last. Redirects and questions for a password are answered before.
    pub fn answer(&mut self, status: u16, retry_after: Option<u32>, body: &[u8]) {
        if matches!(self.stage, Stage::Over(_)) {
            return;
        }
        let is_empty = body.iter().all(u8::is_ascii_whitespace);
        self.stage = match (status, is_empty) {
            (200, false) => match soap::read(body) {
                Ok(heard) => self.hear(heard),
                Err(error) => failed(format!("what was answered is no SOAP: {error}")),
            },
            (200 | 204, _) if self.stage == Stage::Request => Stage::Over(End::Done),
            (200 | 204, _) => failed(format!("status {status} and nothing more, where an answer was due")),
            (503, _) => Stage::Over(End::Busy(retry_after)),
            (status, _) => failed(format!("HTTP status {status}")),
        };
    }

    /// There was no answer.
    pub fn unanswered(&mut self, error: &str) {
        self.stage = failed(error.to_owned());
    }

    /// Tells something of the way that messages take.
    pub fn note(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// What the phone is left with: what it remembers, what is to be done now, and what happened.
    pub fn finish(mut self) -> (State, After, Vec<Step>, End, u32) {
        let end = match self.stage {
            Stage::Over(end) => end,
            _ => End::Failed("it was broken off".to_owned()),
        };
        let memory = &mut self.state.cwmp;
        if matches!(end, End::Done | End::Rebooting) {
            memory.retries = 0;
            memory.last_session = Some(self.now);
            memory.bootstrapped = Some(self.server);
            memory.events.retain(|event| !self.events.contains(event));
            memory.changed.clear();
            memory.scheduled.retain(|(at, _)| *at > self.now);
        } else {
            memory.retries = memory.retries.saturating_add(1);
            // They are told again: nobody knows what the server made of them.
            for event in self.events.into_iter().filter(|event| event.code != "2 PERIODIC") {
                memory.tell(event);
            }
        }
        (self.state, self.after, self.steps, end, self.messages)
    }

    fn all_events(&self, asked: &[Event]) -> Vec<Event> {
        let memory = &self.state.cwmp;
        let mut all = memory.events.clone();
        if memory.bootstrapped.as_deref() != Some(self.server.as_str()) {
            all.push(Event::new("0 BOOTSTRAP"));
        }
        if memory.last_session.is_none() {
            all.push(Event::new("1 BOOT"));
        }
        if !memory.changed.is_empty() {
            all.push(Event::new("4 VALUE CHANGE"));
        }
        let due = memory.scheduled.iter().filter(|(at, _)| *at <= self.now);
        all.extend(due.map(|(_, key)| Event::with_key("3 SCHEDULED", key)));
        if memory.transfers.iter().any(|transfer| transfer.ended.is_some()) {
            all.push(Event::new("7 TRANSFER COMPLETE"));
        }
        all.extend_from_slice(asked);
        if all.is_empty() {
            all.push(Event::new("2 PERIODIC"));
        }
        all.sort();
        all.dedup();
        all
    }

    fn inform(&self) -> String {
        let mut out = String::from("<cwmp:Inform><DeviceId>");
        element(&mut out, "Manufacturer", self.phone.knowledge().manufacturer);
        element(&mut out, "OUI", &self.phone.oui());
        element(&mut out, "ProductClass", &self.phone.identity.model);
        element(&mut out, "SerialNumber", &self.phone.serial_number());
        out.push_str("</DeviceId>");
        let mut items = String::new();
        for event in &self.events {
            items.push_str("<EventStruct>");
            element(&mut items, "EventCode", &event.code);
            let key = if self.phone.has(Quirk::KeylessEvents) { "" } else { &event.command_key };
            element(&mut items, "CommandKey", key);
            items.push_str("</EventStruct>");
        }
        soap::array(&mut out, "Event", "cwmp:EventStruct", self.events.len(), &items);
        element(&mut out, "MaxEnvelopes", "1");
        element(&mut out, "CurrentTime", &transfer::time(self.now));
        element(&mut out, "RetryCount", &self.state.cwmp.retries.to_string());
        let always = [
            "Device.DeviceSummary",
            "Device.DeviceInfo.HardwareVersion",
            "Device.DeviceInfo.SoftwareVersion",
            "Device.DeviceInfo.ProvisioningCode",
            "Device.ManagementServer.ConnectionRequestURL",
            PARAMETER_KEY,
        ];
        let mut paths: Vec<&str> = always.to_vec();
        paths.extend(self.state.cwmp.changed.iter().map(String::as_str).filter(|path| !always.contains(path)));
        let (mut items, mut count) = (String::new(), 0);
        let knowledge = self.phone.knowledge();
        let lines = knowledge.lines(&self.phone.identity.model);
        for path in paths {
            if let Some(entry) = knowledge.model().find(path, &self.state.cwmp, lines) {
                written(&mut items, self.phone, &self.state, path, entry);
                count += 1;
            }
        }
        soap::array(&mut out, "ParameterList", "cwmp:ParameterValueStruct", count, &items);
        out.push_str("</cwmp:Inform>");
        out
    }

    /// Posts a request of the phone's own.
    fn post_own(&mut self, body: &str) {
        self.id += 1;
        self.sends = 1;
        self.next = Some(envelope(self.phone.knowledge().namespace, &self.id.to_string(), body));
    }

    fn hear(&mut self, heard: Heard) -> Stage {
        match (heard, self.stage.clone()) {
            (Heard::Fault { code: 8005, .. }, stage) if stage != Stage::Request && self.sends < SENDS => {
                self.sends += 1;
                self.next = Some(self.sent.clone());
                stage
            }
            (Heard::Fault { code, text }, _) => {
                self.steps.push(Step::Fault { code, text });
                failed(format!("the server answered fault {code}"))
            }
            (Heard::Answer(name), Stage::InformResponse) if name == "InformResponse" => self.tell(0),
            (Heard::Answer(name), Stage::TransferCompleteResponse(at)) if name == "TransferCompleteResponse" => {
                if let Some(Transfer { command_key, ended: Some(ended), .. }) = self.state.cwmp.transfers.get(at) {
                    self.steps.push(Step::Told { command_key: command_key.clone(), code: ended.code });
                    self.state.cwmp.transfers.remove(at);
                }
                self.tell(at)
            }
            (Heard::Request { id, request, method }, Stage::Request) => {
                if self.phone.knowledge().reboots_at_once && self.after != After::default() {
                    return Stage::Over(End::Rebooting);
                }
                let (phone, now) = (self.phone, self.now);
                let mut desk =
                    Desk { phone, state: &mut self.state, now, after: &mut self.after, steps: &mut self.steps };
                let body = desk.answer(&method, request).unwrap_or_else(|refusal| soap::fault(&refusal));
                self.next = Some(envelope(phone.knowledge().namespace, &id, &body));
                Stage::Request
            }
            (Heard::Request { method, .. }, _) => {
                failed(format!("{method} came before the phone had said that it has no more"))
            }
            (Heard::Answer(name), _) => failed(format!("{name} came, which nobody waited for")),
        }
    }

    /// Tells the next transfer that is over, from this place on; else says that there is nothing more.
    fn tell(&mut self, from: usize) -> Stage {
        let transfers = self.state.cwmp.transfers.iter().enumerate().skip(from);
        let next = transfers.filter_map(|(at, transfer)| Some((at, transfer, transfer.ended.as_ref()?))).next();
        let Some((at, transfer, ended)) = next else {
            self.next = Some(String::new());
            return Stage::Request;
        };
        let mut body = String::from("<cwmp:TransferComplete>");
        element(&mut body, "CommandKey", &transfer.command_key);
        body.push_str("<FaultStruct>");
        element(&mut body, "FaultCode", &ended.code.to_string());
        element(&mut body, "FaultString", if ended.code == 0 { "" } else { message::meaning(ended.code) });
        body.push_str("</FaultStruct>");
        element(&mut body, "StartTime", &transfer::time(ended.start));
        element(&mut body, "CompleteTime", &transfer::time(ended.complete));
        body.push_str("</cwmp:TransferComplete>");
        self.post_own(&body);
        Stage::TransferCompleteResponse(at)
    }
}

fn failed(why: String) -> Stage {
    Stage::Over(End::Failed(why))
}
