//! Sessions as they go: what the protocol's state machine asks for is done here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::drive::Ended;
use super::job::{Job, WantedValue, Wish};
use super::phone::Phone;
use super::request::Arrivals;
use super::sessions::{Live, Sessions, State, Work};
use super::summary::summary;
use super::task::{self, Tasks, Veil};
use super::wire;
use crate::cwmp::message::{EventCode, FaultCode, Inform, Method};
use crate::cwmp::session::{End, Input, PhoneAsk, Session, Token};
use crate::cwmp::soap::Envelope;
use crate::events::{Event, Outcome, Recorder, Refusal, cut};
use crate::fleet::Fleet;
use crate::model::Secret;
use crate::packs::data_model::Access;
use crate::render::{Limit, Shown};
use crate::resync::{Connection, OpenedSession};
use crate::settings::Effective;
use crate::store::Store;

/// How long a phone waits for the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked for sessions that nobody goes on with.
const SWEEP: Duration = Duration::from_secs(1);

/// How often tasks are looked for whose time is over.
const EXPIRY: Duration = Duration::from_secs(60);

/// Most of what a phone says beside its Inform that its event tells.
const MOST_TOLD: usize = 20;

/// Digits of a ParameterKey: it holds 32 characters.
const KEY_DIGITS: usize = 32;

/// The auto-configuration server of this node. Clones share everything.
#[derive(Debug, Clone)]
pub struct Acs {
    store: Store,
    tasks: Tasks,
    recorder: Recorder,
    sessions: Arc<Sessions>,
    /// Makes revisions that tell nothing of what they are made from.
    key: Secret,
    limit: Limit,
    /// Who is told that a phone has come because it was asked to.
    arrivals: Arrivals,
}

/// How a POST is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// 200 with an envelope; and the session's cookie where it is new.
    Reply {
        envelope: String,
        cookie: Option<Token>,
    },
    NoContent,
    Status(u16),
    /// 503: the phone is to come back.
    TryLater,
}

impl Acs {
    pub fn new(fleet: Fleet, recorder: Recorder, sessions: usize, key: Secret, limit: impl Into<Limit>) -> Self {
        let (store, tasks, sessions) = (fleet.store().clone(), Tasks::new(fleet), Arc::new(Sessions::new(sessions)));
        Self { store, tasks, recorder, sessions, key, limit: limit.into(), arrivals: Arrivals::default() }
    }

    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The same, that tells these who wait when a phone has come because it was asked to.
    pub fn telling(self, arrivals: Arrivals) -> Self {
        Self { arrivals, ..self }
    }

    /// The session that a request goes on with.
    pub fn find(&self, tokens: &[Token], connection: &Connection) -> Option<Arc<Live>> {
        self.sessions.find(tokens, connection)
    }

    /// Begins a session of a phone that may have one. If it has another, that one is over: a phone has one at a time, and begins
    /// anew when its connection broke.
    pub async fn open(
        &self,
        opened: OpenedSession,
        envelope: Envelope,
        inform: &Inform,
        connection: &Connection,
    ) -> Answered {
        let mac = opened.device.mac;
        if let Some(before) = self.sessions.of_phone(mac) {
            self.end(&before, Instant::now()).await;
        }
        let known = match self.store.in_time(PATIENCE, self.store.acs_phone(mac)).await {
            Ok(known) => known,
            Err(error) => {
                self.tell_away(opened.event, &error.to_string());
                return Answered::TryLater;
            }
        };
        // Of a phone that was never here nobody has counted them.
        let has_tasks = known.as_ref().is_none_or(|row| row.open_tasks > 0);
        // What another version wrote and this one can't read is found out again.
        let mut phone: Phone = known.and_then(|row| serde_json::from_str(&row.told).ok()).unwrap_or_default();
        let must_look = phone.informed(inform);
        let revision = self.revision(&opened);
        let (mut event, quirks) = (opened.event.clone(), wire::quirks(&quirks_of(&opened)));
        // As a User-Agent would tell it.
        let said = |text: &str| if text.is_empty() { None } else { Some(text.to_owned()) };
        event.vendor = event.vendor.or_else(|| said(&phone.said.manufacturer));
        event.model = event.model.or_else(|| said(&phone.said.product_class));
        event.firmware = event.firmware.or_else(|| phone.said.software.clone());
        let veil = Veil::new(opened.generation.packs.clone(), opened.device.model);
        let job = match Job::new(phone, revision, must_look, methods_of(&opened), veil, || self.wish(&opened)) {
            Ok(job) => job,
            Err(error) => {
                let event =
                    Event { outcome: Outcome::Failed, reason: Some(cut(&error.to_string())), status: 500, ..event };
                self.recorder.record(event);
                return Answered::Status(500);
            }
        };
        let Ok(token) = Token::generate() else { return Answered::TryLater };
        let now = Instant::now();
        let work = Some(Box::new(Work { job, event, messages: 0, told: Vec::new() }));
        let state = State { session: Session::new(), work, last: now, quirks };
        let live = Arc::new(Live::new(token, mac, connection, state));
        if !self.sessions.keep(&live) {
            self.tell_full(&live);
            return Answered::TryLater;
        }
        if has_tasks {
            self.take_tasks(&live, &opened).await;
        }
        self.arrivals.came(mac, inform.has(&EventCode::ConnectionRequest));
        match self.go_on(&live, Input::Envelope(Box::new(envelope))).await {
            Answered::Reply { envelope, .. } => Answered::Reply { envelope, cookie: Some(live.token.clone()) },
            other => other,
        }
    }

    /// Gives a session what its phone is to be asked for beside its settings. If the database is away, it is asked another time.
    async fn take_tasks(&self, live: &Live, opened: &OpenedSession) {
        let software = live.state().work.as_ref().and_then(|work| work.job.phone().said.software.clone());
        let session = task::Session {
            device: &opened.device,
            generation: &opened.generation,
            settings: &opened.settings,
            software: software.as_deref(),
        };
        let (runs, secrets) = match self.tasks.take(&session, PATIENCE).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(mac = %live.mac, "the tasks of the phone can't be taken: {error}");
                return;
            }
        };
        let left = match &mut live.state().work {
            Some(work) => {
                work.job.add(runs, secrets);
                None
            }
            None => Some(runs),
        };
        // The phone has begun anew meanwhile.
        if let Some(runs) = left
            && let Err(error) = self.tasks.give_back(live.mac, runs, PATIENCE).await
        {
            tracing::warn!(mac = %live.mac, "the tasks of the phone can't be given back yet: {error}");
        }
    }

    /// Takes what came in a session, and tells the answer.
    pub async fn go_on(&self, live: &Live, input: Input) -> Answered {
        let (mut answer, mut next) = (Answered::Status(500), Some(input));
        while let Some(input) = next.take() {
            let driven = live.state().drive(input, live.mac, live.opened);
            for ended in driven.ended {
                self.sessions.ended();
                self.settle(ended).await;
            }
            answer = driven.answer.unwrap_or(answer);
            if let Some(asked) = driven.asked {
                next = Some(self.hear(live, &asked).await);
            }
        }
        answer
    }

    /// Takes what a phone says beside its Inform.
    async fn hear(&self, live: &Live, asked: &PhoneAsk) -> Input {
        let told = match asked {
            PhoneAsk::TransferComplete(finished) => match self.tasks.transferred(live.mac, finished, PATIENCE).await {
                Ok(told) => told,
                Err(error) => {
                    tracing::warn!(mac = %live.mac, "what the phone says of a transfer can't be kept: {error}");
                    return Input::Refused(FaultCode::RETRY_REQUEST);
                }
            },
            PhoneAsk::AutonomousTransferComplete(transfer) => match &transfer.fault {
                None => format!("it has transferred a file by itself ({})", transfer.file_type),
                Some(fault) => format!("it has failed to transfer a file by itself: {}", fault.code),
            },
            PhoneAsk::RequestDownload(wish) => {
                let wanted = self.store.within(PATIENCE, self.tasks.wanted(live.mac, &wish.file_type)).await;
                let came = match wanted {
                    Ok(Ok(came)) => came,
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                format!("it asks for a file ({}), {came}", wish.file_type)
            }
            PhoneAsk::Kicked(_) => "it was sent by a web page".to_owned(),
        };
        if let Some(work) = &mut live.state().work
            && work.told.len() < MOST_TOLD
        {
            work.told.push(told);
        }
        Input::Accepted
    }

    /// Ends a session that nobody goes on with.
    async fn end(&self, live: &Live, now: Instant) {
        if live.state().work.is_some() {
            self.go_on(live, Input::Expired).await;
            live.state().last = now;
        }
    }

    /// Ends sessions when their time is over, until the server stops.
    pub async fn keep_swept(self, mut stopping: watch::Receiver<bool>) {
        let mut swept = Instant::now();
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // An error means that the server is gone: a reason to stop as well.
                _ = stopping.wait_for(|stop| *stop) => break,
            }
            let now = Instant::now();
            for live in self.sessions.expired(now) {
                self.end(&live, now).await;
            }
            if now.saturating_duration_since(swept) >= EXPIRY {
                swept = now;
                if let Err(error) = self.tasks.sweep(PATIENCE).await {
                    tracing::warn!("tasks whose time is over can't be ended: {error}");
                }
            }
        }
        for live in self.sessions.all() {
            self.end(&live, Instant::now()).await;
        }
    }

    /// Keeps what is known of the phone now, and records the session.
    async fn settle(&self, ended: Ended) {
        let Ended { mac, work, end, opened } = ended;
        let Work { job, mut event, messages, mut told } = *work;
        let (phone, done, runs) = job.into_parts();
        told.extend(runs.iter().filter_map(task::Run::told));
        event.duration = opened.elapsed();
        (event.outcome, event.status) = match &end {
            End::Done | End::Restarted => (Outcome::Served, 200),
            End::TimedOut => (Outcome::Aborted, 0),
            End::OutOfTurn | End::Unreadable(_) | End::Refused(_) => (Outcome::Refused(Refusal::BadRequest), 400),
        };
        event.reason = Some(cut(&summary(&phone, &done, told, &end, messages)));
        let now = OffsetDateTime::now_utc();
        let ends = runs.into_iter().filter_map(|run| run.into_end(now)).collect();
        if let Err(error) = self.tasks.ended(mac, ends, PATIENCE).await {
            // They are done again when the time is over for which they were taken.
            tracing::warn!(%mac, "what came of the phone's tasks can't be kept: {error}");
        }
        let kept = match serde_json::to_string(&phone) {
            Ok(told) => self.store.in_time(PATIENCE, self.store.keep_acs_phone(mac, &told, now)).await,
            Err(_) => Ok(()),
        };
        if let Err(error) = kept {
            // It is found out again in the next session.
            tracing::warn!(%mac, "what the phone's session showed can't be kept: {error}");
        }
        self.recorder.record(event);
    }

    fn tell_away(&self, event: Event, why: &str) {
        let outcome = Outcome::Refused(Refusal::DatabaseAway);
        self.recorder.record(Event { outcome, status: 503, reason: Some(cut(why)), ..event });
    }

    fn tell_full(&self, live: &Live) {
        let Some(work) = live.state().work.take() else { return };
        let outcome = Outcome::Refused(Refusal::Overload);
        let reason = Some("too many sessions at a time (limits.sessions)".to_owned());
        self.recorder.record(Event { outcome, status: 503, reason, ..work.event });
    }

    /// Names the settings of a device: another one for any other settings.
    fn revision(&self, opened: &OpenedSession) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.expose()) else { return String::new() };
        mac.update(b"revision of settings");
        mac.update(&opened.generation.fingerprint(&opened.device).to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.get(..KEY_DIGITS).unwrap_or_default().to_owned()
    }

    /// What the phone is to hold.
    fn wish(&self, opened: &OpenedSession) -> Result<Option<Wish>, crate::render::RenderError> {
        let OpenedSession { device, generation, settings, .. } = opened;
        let Some(desired) = generation.desired(device, settings, Shown::Real, self.limit)? else { return Ok(None) };
        let pack = generation.packs.get(device.model.pack);
        let Some(model) = pack.and_then(|pack| pack.data_model.as_ref()) else { return Ok(None) };
        let quirks = model.quirks(Some(device.model.model));
        let parameters = desired.parameters.iter().map(|parameter| {
            let is_blind = parameter.value.is_secret()
                || model.get(&parameter.path).is_some_and(|known| known.access == Access::WriteOnly);
            let readable = (!is_blind).then(|| (parameter.value.expose().to_owned(), parameter.kind));
            WantedValue { path: parameter.path.clone(), value: wire::value(parameter), readable }
        });
        Ok(Some(Wish {
            parameters: parameters.collect(),
            notifications: desired
                .notifications
                .iter()
                .map(|(path, notification, _)| (path.clone(), wire::attribute(*notification)))
                .collect(),
            get_batch: quirks.get_batch.map(usize::from),
            set_batch: quirks.set_batch.map(usize::from),
            keeps_changes: keeps_changes(settings),
        }))
    }
}

fn keeps_changes(settings: &Effective) -> bool {
    settings.text("acs.changed_on_phone") == Some("keep")
}

/// The methods that the phone's family knows; none: nothing is known of them.
fn methods_of(opened: &OpenedSession) -> Option<Vec<Method>> {
    let pack = opened.generation.packs.get(opened.device.model.pack);
    let known = &pack?.data_model.as_ref()?.rpc.to_phone;
    let methods = known.iter().filter_map(|rpc| rpc.word().parse::<Method>().ok()).collect();
    (!known.is_empty()).then_some(methods)
}

fn quirks_of(opened: &OpenedSession) -> crate::packs::data_model::Quirks {
    let model = opened.device.model;
    let pack = opened.generation.packs.get(model.pack).and_then(|pack| pack.data_model.as_ref());
    pack.map(|data_model| data_model.quirks(Some(model.model)).clone()).unwrap_or_default()
}
