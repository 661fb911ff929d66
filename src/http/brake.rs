//! Refusals on their way out: counted, delayed or made a 503 as [`Brakes`] says, and scans told.

use std::time::Instant;

use axum::body::Body;
use http::Response;
use http::header::{AUTHORIZATION, CONNECTION};
use http::{HeaderMap, HeaderValue};
use time::OffsetDateTime;

use super::phones::{Phones, respond};
use crate::brakes::{Brake, Scan};
use crate::events::{Event, Flag, Kind, Outcome, Refusal};
use crate::resync::{Answer, ClientCertificate, Connection};

/// A status that asks for a proof. To be asked is how a phone with a password begins, and no failure.
const CHALLENGE: u16 = 401;

impl Phones {
    /// Records the event of an answer, and answers: at once, unless it is a refusal that is braked.
    pub(super) async fn finish(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
        mut answer: Answer,
        mut event: Event,
    ) -> Response<Body> {
        let (peer, now) = (connection.peer.ip(), Instant::now());
        if is_proof(&event, connection) {
            self.brakes.proved(peer, now);
        }
        let was_tried = headers.contains_key(AUTHORIZATION);
        // Without the database every refusal is a 503 already.
        let is_failure = event.outcome.refusal().is_some_and(Refusal::is_failure)
            && answer.status != 503
            && (answer.status != CHALLENGE || was_tried);
        if !is_failure {
            self.recorder.record(event);
            return respond(answer);
        }
        let judged = self.brakes.failed(peer, event.asked_mac, now);
        for scan in &judged.scans {
            self.recorder.record(told(scan, &event));
        }
        if let Brake::Refuse(seconds) = &judged.brake {
            answer = Answer { retry_after: Some(*seconds), ..Answer::try_later() };
            event.status = answer.status;
        }
        event.flags.extend((!matches!(judged.brake, Brake::Off)).then_some(Flag::Braked));
        // Of a scan only the phones that there are have events of their own. Nobody outside sees that.
        let is_one_of_many = judged.is_flood || (judged.is_scan && event.device.is_none());
        if is_one_of_many {
            self.recorder.count(event);
        } else {
            self.recorder.record(event);
        }
        let mut response = respond(answer);
        match judged.brake {
            Brake::Off => {}
            Brake::Delay(delay) => delay.pass().await,
            Brake::Refuse(_) => {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        response
    }
}

/// Whether an answer shows that a phone of ours is there. What anyone may fetch because it is encrypted shows nothing.
fn is_proof(event: &Event, connection: &Connection) -> bool {
    let is_done = matches!(event.outcome, Outcome::Served | Outcome::NotModified | Outcome::Stored);
    let certificate = connection.tls.as_ref().map(|tls| &tls.certificate);
    let is_certified = matches!(certificate, Some(ClientCertificate::Verified { .. }));
    let is_encrypted = event.encoding.is_some_and(|encoding| encoding.contains("aes"));
    is_done && event.device.is_some() && (is_certified || !is_encrypted)
}

/// The event of a scan: of the request that made it one, without what is that request's own.
fn told(scan: &Scan, event: &Event) -> Event {
    Event {
        time: OffsetDateTime::now_utc(),
        kind: Kind::Scan,
        outcome: Outcome::Refused(Refusal::Scan),
        reason: Some(scan.to_string()),
        method: String::new(),
        target: String::new(),
        status: 0,
        bytes: 0,
        device: None,
        asked_mac: None,
        file: None,
        encoding: None,
        flags: Vec::new(),
        ..event.clone()
    }
}
