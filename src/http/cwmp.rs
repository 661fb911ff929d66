//! Sessions of CWMP, from the wire to [`Acs`].

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use http::header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant as Deadline;

use super::phones::{Phones, header, respond};
use super::uploads::{BodyError, next};
use crate::acs::task::Tasks;
use crate::acs::{Acs, Answered, Live};
use crate::cwmp::message::{FromPhone, PhoneRequest};
use crate::cwmp::session::{Input, presented};
use crate::cwmp::soap::{Envelope, Limits};
use crate::events::{Event, Outcome, Refusal, cut};
use crate::resync::{Answer, Connection, Inquiry, Request};

/// The phones' server for sessions, and on which path of which listener it is.
#[derive(Debug, Clone)]
pub struct Endpoint {
    acs: Acs,
    paths: Arc<HashMap<String, String>>,
    /// How many messages of more than [`SMALL`] bytes are held at a time: until one is read to its end, nobody knows who sends it.
    large: Arc<Semaphore>,
}

/// What nearly every message of a phone fits into, in bytes. The names of a whole data model, or its values, are more.
const SMALL: usize = 1 << 16;

/// Larger messages at a time: 64 MiB with those that are as large as may be.
const LARGE: usize = 64;

impl Endpoint {
    /// `paths` by the names of listeners.
    pub fn new(acs: Acs, paths: HashMap<String, String>) -> Self {
        Self { acs, paths: Arc::new(paths), large: Arc::new(Semaphore::new(LARGE)) }
    }

    /// The tasks of the phones that have sessions.
    pub(super) fn tasks(&self) -> &Tasks {
        self.acs.tasks()
    }

    /// Whether a path of a listener is the one of sessions.
    pub fn is_at(&self, listener: &str, path: &str) -> bool {
        self.paths.get(listener).is_some_and(|own| own == path)
    }
}

impl Phones {
    /// Answers a POST of a session, or one that would begin one.
    pub(super) async fn converse(
        &self,
        endpoint: &Endpoint,
        connection: &Connection,
        asked: &Request<'_>,
        parts: &Parts,
        body: Incoming,
        turn: OwnedSemaphorePermit,
    ) -> Response<Body> {
        if asked.method != "POST" {
            let reason = "sessions of CWMP are held by POST".to_owned();
            let event = self.ended(asked, Outcome::Refused(Refusal::Method), 405, reason);
            self.recorder.record(event);
            let mut response = respond(Answer::empty(405));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        // A body takes its time, and has bounds of its own.
        drop(turn);
        let limits = Limits::default();
        let (bytes, _place) = match self.receive_message(endpoint, parts, body, limits.bytes).await {
            Ok(received) => received,
            Err((outcome, status, reason)) => {
                self.recorder.record(self.ended(asked, outcome, status, reason));
                let answer = if status == 503 { Answer::try_later() } else { Answer::empty(status) };
                return closing(respond(answer));
            }
        };
        let Some(turn) = self.work.begin() else { return respond(Answer::try_later()) };
        let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let tokens = presented(cookies);
        let live = endpoint.acs.find(&tokens, connection);
        let acs = &endpoint.acs;
        let response = if bytes.iter().all(u8::is_ascii_whitespace) {
            match live {
                Some(live) => sent(acs.go_on(&live, Input::Empty).await, asked),
                // Some phones ask with nothing first, to be asked who they are.
                None => self.without_session(connection, asked, parts, "an empty POST, and no session").await,
            }
        } else {
            match Envelope::read(&bytes, &limits) {
                Ok(envelope) => self.message(endpoint, live, envelope, connection, asked, parts).await,
                Err(error) => match live {
                    Some(live) => sent(acs.go_on(&live, Input::Unreadable(error)).await, asked),
                    None => self.without_session(connection, asked, parts, &error.to_string()).await,
                },
            }
        };
        drop(turn);
        response
    }

    async fn message(
        &self,
        endpoint: &Endpoint,
        live: Option<Arc<Live>>,
        envelope: Envelope,
        connection: &Connection,
        asked: &Request<'_>,
        parts: &Parts,
    ) -> Response<Body> {
        let FromPhone::Request(PhoneRequest::Inform(inform)) = &envelope.body else {
            return match live {
                Some(live) => sent(endpoint.acs.go_on(&live, Input::Envelope(Box::new(envelope))).await, asked),
                None => {
                    let reason = "a message of a session that there isn't: it has to begin with Inform";
                    self.without_session(connection, asked, parts, reason).await
                }
            };
        };
        let inform = inform.clone();
        let mut inquiry = self.pipeline.ask_for_session(asked, &inform.device);
        self.doubt(connection, &mut inquiry);
        let found = self.records.find(&inquiry).await;
        match self.pipeline.admit_session(asked, &inquiry, &found, &inform.device) {
            Ok(opened) => {
                self.brakes.proved(connection.peer.ip(), std::time::Instant::now());
                sent(endpoint.acs.open(*opened, envelope, &inform, connection).await, asked)
            }
            Err(refused) => {
                let (answer, event) = *refused;
                let software = inform.parameters.iter().find(|one| one.name.ends_with(".DeviceInfo.SoftwareVersion"));
                let software = software.map(|one| one.value.text(&crate::cwmp::Quirks::default()).into_owned());
                let said = || self.pipeline.identify_said(&inform.device, software.as_deref());
                if let Some(newcomer) = self.onboarding.newcomer(&event, said) {
                    self.onboarding.wait(&newcomer).await;
                }
                self.finish(connection, &parts.headers, answer, event, asked.started).await
            }
        }
    }

    /// Refuses what belongs to no session: as any request of somebody unknown, on a listener that asks for passwords; with 400, as
    /// TR-069 has it, on others.
    async fn without_session(
        &self,
        connection: &Connection,
        asked: &Request<'_>,
        parts: &Parts,
        reason: &str,
    ) -> Response<Body> {
        let inquiry: Inquiry = self.pipeline.ask_before_session(asked);
        let mut answer = self.pipeline.refusal(&inquiry);
        if answer.challenges.is_empty() {
            answer = Answer::empty(400);
        }
        let refusal = if answer.challenges.is_empty() { Refusal::BadRequest } else { Refusal::Challenged };
        let event = self.ended(asked, Outcome::Refused(refusal), answer.status, reason.to_owned());
        self.finish(connection, &parts.headers, answer, event, asked.started).await
    }

    fn ended(&self, asked: &Request<'_>, outcome: Outcome, status: u16, reason: String) -> Event {
        let duration = asked.started.elapsed();
        Event { outcome, status, duration, reason: Some(cut(&reason)), ..self.pipeline.session_event(asked) }
    }

    /// The whole body; what is larger than it may be is not read.
    async fn receive_message(
        &self,
        endpoint: &Endpoint,
        parts: &Parts,
        mut body: Incoming,
        most: usize,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), (Outcome, u16, String)> {
        let too_large = || (Outcome::Refused(Refusal::TooLarge), 413, format!("a message of more than {most} bytes"));
        if let Some(encoding) = header(&parts.headers, &CONTENT_ENCODING).filter(|word| word != "identity") {
            let reason = format!("the message is encoded as {encoding}, and only plain ones are read");
            return Err((Outcome::Refused(Refusal::BadRequest), 415, reason));
        }
        let said = header(&parts.headers, &CONTENT_LENGTH).and_then(|length| length.trim().parse::<usize>().ok());
        if said.is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let deadline = Deadline::now() + self.uploads.timeout();
        let (mut bytes, mut place) = (Vec::new(), None);
        loop {
            if bytes.len() > SMALL && place.is_none() {
                place = endpoint.large.clone().try_acquire_owned().ok();
                if place.is_none() {
                    let reason =
                        format!("{LARGE} messages of more than {SMALL} bytes at a time are as many as are read");
                    return Err((Outcome::Refused(Refusal::Overload), 503, reason));
                }
            }
            match next(&mut body, deadline).await {
                Ok(Some(more)) if bytes.len() + more.len() > most => return Err(too_large()),
                Ok(Some(more)) => bytes.extend_from_slice(&more),
                Ok(None) => return Ok((bytes, place)),
                Err(BodyError::Slow) => {
                    let reason = "the message did not come to an end in time".to_owned();
                    return Err((Outcome::Refused(Refusal::TooSlow), 408, reason));
                }
                Err(BodyError::Broken(why)) => {
                    return Err((Outcome::Aborted, 400, format!("the message broke off: {why}")));
                }
            }
        }
    }
}

/// A session's answer on the wire.
fn sent(answered: Answered, asked: &Request<'_>) -> Response<Body> {
    let (envelope, cookie) = match answered {
        Answered::Reply { envelope, cookie } => (envelope, cookie),
        Answered::NoContent => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        }
        Answered::Status(status) => return closing(respond(Answer::empty(status))),
        Answered::TryLater => return respond(Answer::try_later()),
    };
    let length = envelope.len();
    let mut response = Response::new(Body::from(envelope));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=\"utf-8\""));
    let path = asked.target.split('?').next().unwrap_or("/");
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie.set_cookie(path)).ok()) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
