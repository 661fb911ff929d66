//! Refusals on their way out: counted, delayed or made a 503 as [`Brakes`] says, and scans told.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::Response;
use http::header::{AUTHORIZATION, CONNECTION};
use http::{HeaderMap, HeaderValue};
use time::OffsetDateTime;

use super::phones::{Phones, respond};
use crate::brakes::{Brake, Scan};
use crate::events::{Event, Flag, Kind, Outcome, Refusal};
use crate::resync::{Answer, ClientCertificate, Connection, Inquiry};

/// A status that asks for a proof. To be asked is how a phone with a password begins, and no failure.
const CHALLENGE: u16 = 401;

/// How long after its request a refusal leaves, at the earliest. Many times what it takes to find out that there is no such
/// phone, or that it isn't this one, be it with a question to the database: so when it leaves tells neither. A phone that is
/// refused comes back in minutes, and one that goes on to its next file name has a few of them.
const EVEN: Duration = Duration::from_millis(20);

/// Waits until a refusal may leave.
async fn even(started: Instant) {
    tokio::time::sleep_until((started + EVEN).into()).await;
}

impl Phones {
    /// Lets a password hold for nobody where too many wrong ones came before it, from this network for this phone.
    pub(super) fn doubt(&self, connection: &Connection, inquiry: &mut Inquiry) {
        let (peer, now) = (connection.peer.ip(), Instant::now());
        if inquiry.tries_password_of().is_some_and(|mac| !self.brakes.may_try(peer, mac, now)) {
            inquiry.distrust();
        }
    }

    /// Records the event of an answer, and answers: at once what is served; a refusal after [`EVEN`], and later if it is braked.
    pub(super) async fn finish(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
        mut answer: Answer,
        mut event: Event,
        started: Instant,
    ) -> Response<Body> {
        let (peer, now) = (connection.peer.ip(), Instant::now());
        if is_proof(&event, connection) {
            self.brakes.proved(peer, now);
        }
        // A phone that has proved itself, and tries one file name after the other, guesses nothing.
        let is_refused = event.outcome.refusal().is_some_and(Refusal::is_failure) && !answer.is_proven;
        // An answer to a nonce that is too old is how an evening ends, and no guess.
        let is_stale = answer.challenges.iter().any(|challenge| challenge.ends_with("stale=true"));
        let was_tried = headers.contains_key(AUTHORIZATION) && !is_stale;
        // Without the database every refusal is a 503 already.
        let is_failure = is_refused && answer.status != 503 && (answer.status != CHALLENGE || was_tried);
        if !is_failure {
            self.recorder.record(event);
            if is_refused {
                even(started).await;
            }
            return respond(answer);
        }
        let judged = self.brakes.failed(peer, event.asked_mac, now);
        if let Some(mac) = event.asked_mac.filter(|_| was_tried) {
            self.brakes.tried(peer, mac, now);
        }
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
        even(started).await;
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
