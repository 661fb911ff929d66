//! What phones ask for.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, RETRY_AFTER,
    USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use time::OffsetDateTime;

use super::folders::{Folders, counted};
use crate::events::{Event, Kind, Outcome, Recorder, Refusal, cut};
use crate::model::Secret;
use crate::onboarding::{Onboarding, Phone};
use crate::records::Records;
use crate::resync::{Answer, Connection, DeviceKey, Found, Inquiry, Invited, Pipeline, Request, path_of};
use crate::tls::{ConnectionError, ConnectionFailure, HandshakeError};
use crate::uploads::Uploads;

/// Answers phones, and records every answer. Clones share everything.
#[derive(Debug, Clone)]
pub struct Phones {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) records: Arc<Records>,
    onboarding: Onboarding,
    pub(super) recorder: Recorder,
    pub(super) uploads: Uploads,
    folders: Arc<Folders>,
}

impl Phones {
    pub fn new(
        pipeline: Arc<Pipeline>,
        records: Arc<Records>,
        onboarding: Onboarding,
        recorder: Recorder,
        uploads: Uploads,
        folders: Folders,
    ) -> Self {
        Self { pipeline, records, onboarding, recorder, uploads, folders: Arc::new(folders) }
    }

    /// Answers one request. Its body is read only where it is an upload, or a form, of a phone that may send it.
    pub async fn answer(&self, connection: Connection, request: http::Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (time, started) = (OffsetDateTime::now_utc(), Instant::now());
        let user_agent = header(&parts.headers, &USER_AGENT);
        let if_none_match = header(&parts.headers, &IF_NONE_MATCH);
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
        };
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let folder = path_of(target).filter(|_| is_read).and_then(|path| self.folders.find(&path));
        let Some(found) = folder else {
            let inquiry = self.pipeline.ask(&asked);
            let mut looked_up = self.records.find(&inquiry).await;
            if !is_read {
                return self.take(&connection, &asked, &inquiry, &looked_up, &parts, body).await;
            }
            if let Some(code) = &inquiry.code {
                self.redeem(code, &asked, &inquiry, &mut looked_up).await;
            }
            let (answer, event) = self.pipeline.answer_with(&asked, &inquiry, &looked_up, None);
            if let Some(newcomer) = self.onboarding.newcomer(&event, || self.pipeline.identify(&asked).1) {
                self.onboarding.wait(&newcomer).await;
            }
            self.recorder.record(event);
            return respond(answer);
        };
        let mut event = self.pipeline.blank_event(&asked);
        event.kind = Kind::Static;
        event.file = Some(found.name());
        self.stream(found.serve(&parts).await, event, started)
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

    /// Sends a folder's file, and records it when it has been sent: firmware takes its time, and a phone may go away.
    fn stream(&self, found: Option<Response<Body>>, mut event: Event, started: Instant) -> Response<Body> {
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
        };
        let mut event = self.pipeline.blank_event(&asked);
        event.kind = Kind::Connection;
        event.duration = failure.duration;
        event.outcome = match &failure.error {
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
    response
}
