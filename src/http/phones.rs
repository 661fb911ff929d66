//! What phones ask for.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;

use super::cwmp::Endpoint;
use super::folders::{Folders, counted};
use super::work::Work;
use crate::acs::task::Ticket;
use crate::brakes::Brakes;
use crate::events::{Event, Kind, Outcome, Recorder, Refusal, cut};
use crate::model::Secret;
use crate::onboarding::{Onboarding, Phone};
use crate::records::Records;
use crate::resync::{Answer, Connection, DeviceKey, Found, Inquiry, Invited, Known, Pipeline, Request, Target};
use crate::tls::{ConnectionError, ConnectionFailure, HandshakeError};
use crate::uploads::Uploads;

/// Answers phones, and records every answer. Clones share everything.
#[derive(Debug, Clone)]
pub struct Phones {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) records: Arc<Records>,
    pub(super) onboarding: Onboarding,
    pub(super) recorder: Recorder,
    pub(super) uploads: Uploads,
    folders: Arc<Folders>,
    pub(super) brakes: Brakes,
    pub(super) work: Work,
    /// None: no listener has sessions of CWMP.
    endpoint: Option<Endpoint>,
}

impl Phones {
    pub fn new(
        pipeline: Arc<Pipeline>,
        records: Arc<Records>,
        onboarding: Onboarding,
        recorder: Recorder,
        uploads: Uploads,
        folders: Folders,
        (brakes, work): (Brakes, Work),
    ) -> Self {
        let (folders, endpoint) = (Arc::new(folders), None);
        Self { pipeline, records, onboarding, recorder, uploads, folders, brakes, work, endpoint }
    }

    /// The same, holding sessions of CWMP, too.
    #[must_use]
    pub fn with_sessions(self, endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..self }
    }

    /// Answers one request. Its body is read only where it is an upload, or a form, of a phone that may send it.
    pub async fn answer(&self, connection: Connection, request: http::Request<Incoming>) -> Response<Body> {
        let Some(turn) = self.work.begin() else { return respond(Answer::try_later()) };
        let (parts, body) = request.into_parts();
        let (time, started) = (OffsetDateTime::now_utc(), Instant::now());
        let user_agent = header(&parts.headers, &USER_AGENT);
        let if_none_match = header(&parts.headers, &IF_NONE_MATCH);
        let authorization = authorization(&parts.headers);
        // CONNECT names a host and no path; it is refused, and told as it was sent.
        let whole;
        let target = match parts.uri.path_and_query() {
            Some(target) => target.as_str(),
            None => {
                whole = parts.uri.to_string();
                &whole
            }
        };
        let asked = Request {
            connection: &connection,
            time,
            started,
            method: parts.method.as_str(),
            target,
            user_agent: user_agent.as_deref(),
            if_none_match: if_none_match.as_deref(),
            authorization: authorization.as_ref(),
            vouched: None,
        };
        let path = target.split('?').next().unwrap_or_default();
        if let Some(endpoint) = self.endpoint.as_ref().filter(|endpoint| endpoint.is_at(&connection.listener, path)) {
            return self.converse(endpoint, &connection, &asked, &parts, body, turn).await;
        }
        match self.endpoint.as_ref().zip(Ticket::of_path(path)) {
            Some((endpoint, (ticket, _))) => self.transfer(endpoint, &ticket, &asked, &parts, body, turn).await,
            None => self.serve(&asked, &parts, body, turn).await,
        }
    }

    /// Answers a request for what is at its path.
    pub(super) async fn serve(
        &self,
        asked: &Request<'_>,
        parts: &Parts,
        body: Incoming,
        turn: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let connection = asked.connection;
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let folder = Target::of(asked.target).filter(|_| is_read).and_then(|target| self.folders.find(&target.path));
        let Some(found) = folder else {
            let mut inquiry = self.pipeline.ask(asked);
            self.doubt(connection, &mut inquiry);
            let mut looked_up = self.records.find(&inquiry).await;
            if !is_read {
                // A body takes its time, and has bounds of its own.
                drop(turn);
                return self.take(connection, asked, &inquiry, &looked_up, parts, body).await;
            }
            if let Some(code) = &inquiry.code {
                self.redeem(code, asked, &inquiry, &mut looked_up).await;
            }
            let (answer, mut event) = self.pipeline.answer_with(asked, &inquiry, &looked_up, None);
            let answer = self.settle(&looked_up, answer, &mut event).await;
            if let Some(newcomer) = self.onboarding.newcomer(&event, || self.pipeline.identify(asked).1) {
                self.onboarding.wait(&newcomer).await;
            }
            // A refusal may wait, and keeps nobody from being answered meanwhile.
            drop(turn);
            return self.finish(connection, &parts.headers, answer, event, asked.started).await;
        };
        let mut event = self.pipeline.blank_event(asked);
        event.kind = Kind::Static;
        event.file = Some(found.name());
        event.device = asked.vouched.map(|vouched| vouched.device);
        self.stream(found.serve(parts).await, event, asked.started)
    }

    /// Lets a phone that came with a code become a device, and looks that up.
    async fn redeem(&self, code: &Secret, asked: &Request<'_>, inquiry: &Inquiry, looked_up: &mut Found) {
        let (certificate, user_agent) = self.pipeline.identify(asked);
        let invited = self.onboarding.redeem(code, asked, &Phone { certificate, user_agent }).await;
        if let Invited::Bound(mac) = invited {
            // What the device is may be in no generation but the one that is in force now.
            let lookup = self.records.lookup(&inquiry.generation, mac).await;
            looked_up.known.push((DeviceKey::Mac(mac), lookup));
        }
        looked_up.invited = Some(invited);
    }

    /// Sees to the token that the request came with.
    pub(super) async fn settle(&self, found: &Found, answer: Answer, event: &mut Event) -> Answer {
        match &found.token {
            Some(Known::Of(bearer)) => self.onboarding.settle(bearer, answer, event).await,
            _ => answer,
        }
    }

    /// Sends a folder's file, and records it when it has been sent: firmware takes its time, and a phone may go away.
    pub(super) fn stream(&self, found: Option<Response<Body>>, mut event: Event, started: Instant) -> Response<Body> {
        let status = found.as_ref().map_or(StatusCode::NOT_FOUND, Response::status);
        event.status = status.as_u16();
        event.outcome = match status {
            StatusCode::NOT_MODIFIED => Outcome::NotModified,
            StatusCode::NOT_FOUND => Outcome::Refused(Refusal::NoFile),
            status if status.is_success() => Outcome::Served,
            status if status.is_server_error() => Outcome::Failed,
            _ => Outcome::Refused(Refusal::BadRequest),
        };
        event.reason = match event.outcome {
            Outcome::Refused(Refusal::NoFile) => Some("the folder has no such file".to_owned()),
            Outcome::Refused(_) => {
                Some(format!("the file can't be sent as the request's headers ask for it: {status}"))
            }
            Outcome::Failed => Some(format!("the file can't be read: {status}")),
            _ => None,
        };
        let Some(response) = found else {
            event.duration = started.elapsed();
            self.recorder.record(event);
            return respond(Answer::refused());
        };
        let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let expected = if event.method == "HEAD" { 0 } else { length.unwrap_or(0) };
        let recorder = self.recorder.clone();
        let done = move |taken: u64| {
            event.bytes = taken;
            event.duration = started.elapsed();
            if event.outcome == Outcome::Served && taken < expected {
                event.outcome = Outcome::Aborted;
                event.reason = Some(format!("the phone went away after {taken} of {expected} bytes"));
            }
            recorder.record(event);
        };
        response.map(|body| counted(body, done))
    }

    /// Records a connection that never came to a request.
    pub fn record_failure(&self, failure: ConnectionFailure) {
        let connection = Connection { listener: failure.listener, peer: failure.peer, tls: failure.tls };
        let asked = Request {
            connection: &connection,
            time: failure.started,
            started: Instant::now(),
            method: "",
            target: "",
            user_agent: None,
            if_none_match: None,
            authorization: None,
            vouched: None,
        };
        let mut event = self.pipeline.blank_event(&asked);
        event.kind = Kind::Connection;
        event.duration = failure.duration;
        event.outcome = match &failure.error {
            ConnectionError::Crowded(_) => Outcome::Refused(Refusal::Overload),
            ConnectionError::Handshake(_) => Outcome::Refused(Refusal::Handshake),
            ConnectionError::Malformed(_) | ConnectionError::Proxy(_) | ConnectionError::Forwarded(_) => {
                Outcome::Refused(Refusal::BadRequest)
            }
            _ => Outcome::Aborted,
        };
        if let ConnectionError::Handshake(HandshakeError::Certificate { subject, .. }) = &failure.error {
            event.certificate = Some(cut(&subject.to_string()));
        }
        event.reason = Some(failure.error.to_string());
        self.recorder.record(event);
    }
}

/// A header's value as text; what is not UTF-8 in it is replaced.
pub(super) fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The header that proves; empty where there are several, so that it can't be one thing here and another elsewhere.
fn authorization(headers: &HeaderMap) -> Option<Secret> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let first = all.next()?;
    Some(Secret::new(if all.next().is_none() { first.as_bytes() } else { b"" }))
}

/// The answer on the wire. Every answer passes here.
pub fn respond(answer: Answer) -> Response<Body> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(answer.length));
    }
    let mut set = |name: HeaderName, value: &str| {
        // The values are the packs' and our own; one that is no header's is left out rather than sent broken.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if let Some(content_type) = &answer.content_type {
        set(CONTENT_TYPE, content_type);
        // A profile holds secrets: nothing on the way may keep it.
        set(CACHE_CONTROL, "private, no-cache");
    }
    if let Some(encoding) = answer.content_encoding {
        set(CONTENT_ENCODING, encoding);
    }
    if let Some(etag) = &answer.etag {
        set(ETAG, etag);
    }
    if let Some(seconds) = answer.retry_after {
        set(RETRY_AFTER, &seconds.to_string());
    }
    if answer.allow {
        set(ALLOW, "GET, HEAD");
    }
    for challenge in &answer.challenges {
        if let Ok(challenge) = HeaderValue::from_str(challenge) {
            headers.append(WWW_AUTHENTICATE, challenge);
        }
    }
    response
}
