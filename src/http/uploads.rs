//! What phones send, from the wire to where it is kept.

use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant as Deadline, timeout_at};

use super::phones::{Phones, header, respond};
use crate::events::{Event, Flag, Kind, Outcome, Refusal, cut};
use crate::render::{FORM_LIMIT, Form};
use crate::resync::{Admission, Admitted, Answer, Connection, Found, Inquiry, Request, Target};
use crate::uploads::opened::Opening;
use crate::uploads::{About, Kept, UploadError, UploadId};

/// Why a body did not come to its end.
pub(super) enum BodyError {
    Slow,
    /// The phone went away, or broke the rules of HTTP.
    Broken(String),
}

/// What was taken of an upload.
pub(super) struct Taken {
    pub event: Event,
    pub status: u16,
    /// To its end.
    pub is_read: bool,
    pub kept: Option<UploadId>,
}

/// How an upload ended.
enum End {
    Kept(Box<Kept>),
    Body(BodyError),
    Refused(UploadError),
}

impl Phones {
    /// Answers a request that may have a body. None of it is read before it is known that this phone may send it.
    pub(super) async fn take(
        &self,
        connection: &Connection,
        asked: &Request<'_>,
        inquiry: &Inquiry,
        found: &Found,
        parts: &Parts,
        body: Incoming,
    ) -> Response<Body> {
        match self.pipeline.admit(asked, inquiry, found) {
            Admission::Refused(answer, event) => {
                self.finish(connection, &parts.headers, answer, *event, asked.started).await
            }
            Admission::Upload(admitted) => {
                let Taken { mut event, status, is_read, .. } =
                    self.keep(*admitted, connection, asked, parts, body).await;
                if status != 404 {
                    return self.end(event, Answer::empty(status), is_read, asked.started);
                }
                let answer = self.pipeline.refusal(inquiry);
                (event.status, event.duration) = (answer.status, asked.started.elapsed());
                let mut response = self.finish(connection, &parts.headers, answer, event, asked.started).await;
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
            Admission::Form => self.answer_form((connection, asked), inquiry, found, parts, body).await,
        }
    }

    pub(super) async fn keep(
        &self,
        admitted: Admitted,
        connection: &Connection,
        asked: &Request<'_>,
        parts: &Parts,
        body: Incoming,
    ) -> Taken {
        let Admitted { device, pack, entry, key, iterations, proven, mut event } = admitted;
        let about = About {
            device,
            kind: entry.kind,
            pack,
            upload: entry.name,
            partial: entry.partial,
            part: entry.part,
            size: entry.size,
            opening: Opening { key, iterations, decrypt: entry.decrypt, gunzip: entry.gunzip, ..Opening::default() },
            must_open: !proven,
            time: asked.time,
            peer: connection.peer,
            listener: connection.listener.clone(),
            name: Target::of(asked.target).and_then(|target| target.path.rsplit('/').next().map(str::to_owned)),
            content_type: header(&parts.headers, &CONTENT_TYPE),
            content_encoding: header(&parts.headers, &CONTENT_ENCODING),
        };
        let mut received = 0;
        let end = self.receive(about, parts, body, &mut received).await;
        let status = tell(&end, proven, &mut event);
        event.bytes = received;
        let kept = if let End::Kept(kept) = &end { Some(kept.upload.id) } else { None };
        if kept.is_some() && proven {
            self.brakes.proved(connection.peer.ip(), Instant::now());
        }
        Taken { event, status, is_read: kept.is_some(), kept }
    }

    async fn receive(&self, about: About, parts: &Parts, mut body: Incoming, received: &mut u64) -> End {
        let deadline = Deadline::now() + self.uploads.timeout();
        // What says that it is too large is believed; what says that it is not is counted.
        let limit = self.uploads.limit(about.size);
        let said = header(&parts.headers, &CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
        if said.is_some_and(|length| length > limit) {
            return End::Refused(UploadError::TooLarge(limit));
        }
        let mut receiving = match self.uploads.receive(about).await {
            Ok(receiving) => receiving,
            Err(error) => return End::Refused(error),
        };
        loop {
            match next(&mut body, deadline).await {
                Ok(Some(bytes)) => {
                    let written = receiving.write(&bytes).await;
                    *received = receiving.received();
                    if let Err(error) = written {
                        return End::Refused(error);
                    }
                }
                Ok(None) => break,
                Err(error) => return End::Body(error),
            }
        }
        match receiving.finish().await {
            Ok(kept) => End::Kept(Box::new(kept)),
            Err(error) => End::Refused(error),
        }
    }

    async fn answer_form(
        &self,
        (connection, asked): (&Connection, &Request<'_>),
        inquiry: &Inquiry,
        found: &Found,
        parts: &Parts,
        mut body: Incoming,
    ) -> Response<Body> {
        let deadline = Deadline::now() + self.uploads.timeout();
        let refused = |refusal, reason: String, status| {
            let mut event = self.pipeline.blank_event(asked);
            event.outcome = Outcome::Refused(refusal);
            event.reason = Some(reason);
            self.end(event, Answer::empty(status), false, asked.started)
        };
        let said = header(&parts.headers, &CONTENT_LENGTH).and_then(|length| length.trim().parse::<usize>().ok());
        let mut form = Vec::new();
        let mut is_large = said.is_some_and(|length| length > FORM_LIMIT);
        while !is_large {
            match next(&mut body, deadline).await {
                Ok(Some(bytes)) => {
                    is_large = form.len() + bytes.len() > FORM_LIMIT;
                    form.extend_from_slice(&bytes);
                }
                Ok(None) => break,
                Err(BodyError::Slow) => {
                    return refused(Refusal::TooSlow, "the form did not come to an end in time".to_owned(), 408);
                }
                Err(BodyError::Broken(why)) => {
                    let mut event = self.pipeline.blank_event(asked);
                    event.outcome = Outcome::Aborted;
                    event.reason = Some(format!("the form broke off: {why}"));
                    return self.end(event, Answer::empty(400), false, asked.started);
                }
            }
        }
        if is_large {
            return refused(Refusal::TooLarge, format!("a form of more than {FORM_LIMIT} bytes"), 413);
        }
        let Some(turn) = self.work.begin() else { return respond(Answer::try_later()) };
        let (answer, mut event) = self.pipeline.answer_with(asked, inquiry, found, Some(&Form::parse(&form)));
        let answer = self.settle(found, answer, &mut event).await;
        drop(turn);
        self.finish(connection, &parts.headers, answer, event, asked.started).await
    }

    /// Records the event, and answers without a body. A connection whose request was not read to its end can't go on.
    pub(super) fn end(&self, mut event: Event, answer: Answer, is_read: bool, started: Instant) -> Response<Body> {
        event.status = answer.status;
        event.duration = started.elapsed();
        self.recorder.record(event);
        let mut response = respond(answer);
        if !is_read {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The next bytes of a body; none at its end.
pub(super) async fn next(body: &mut Incoming, deadline: Deadline) -> Result<Option<Bytes>, BodyError> {
    loop {
        match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(BodyError::Slow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(BodyError::Broken(error.to_string())),
            // Trailers say nothing that anybody wants to know.
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// Fills in the event, and tells the status. Who has not proved who it is learns nothing but that: every refusal is then the
/// one that all get.
fn tell(end: &End, proven: bool, event: &mut Event) -> u16 {
    event.kind = Kind::Upload;
    let (outcome, status) = match end {
        End::Kept(kept) => {
            event.encoding = label(kept.upload.encoding.as_deref());
            event.flags.extend(kept.upload.sealed.then_some(Flag::Sealed));
            (Outcome::Stored, 200)
        }
        End::Body(BodyError::Slow) => (Outcome::Refused(Refusal::TooSlow), 408),
        End::Body(BodyError::Broken(_)) => (Outcome::Aborted, 400),
        End::Refused(error) => match error {
            UploadError::TooLarge(_) | UploadError::UnpacksTooLarge(_) => (Outcome::Refused(Refusal::TooLarge), 413),
            UploadError::Malformed(_) | UploadError::NoFile(_) | UploadError::TwoFiles => {
                (Outcome::Refused(Refusal::BadRequest), 400)
            }
            UploadError::NotOpened(_) => (Outcome::Refused(Refusal::WrongKey), 404),
            UploadError::Busy => (Outcome::Refused(Refusal::Overload), 503),
            error if error.is_full() => (Outcome::Failed, 507),
            _ => (Outcome::Failed, 503),
        },
    };
    event.outcome = outcome;
    event.reason = match end {
        End::Kept(kept) => kept.problem.as_ref().map(|problem| format!("kept as it came: {problem}")),
        End::Body(BodyError::Slow) => None,
        End::Body(BodyError::Broken(why)) => Some(format!("the phone did not send it to its end: {why}")),
        End::Refused(error) => Some(cut(&error.to_string())),
    };
    let is_told = proven || matches!(outcome, Outcome::Stored | Outcome::Aborted);
    if is_told { status } else { 404 }
}

fn label(encoding: Option<&str>) -> Option<&'static str> {
    ["gzip", "aes-256-cbc", "gzip+aes-256-cbc", "aes128gcm", "gzip+aes128gcm"]
        .into_iter()
        .find(|label| Some(*label) == encoding)
}
