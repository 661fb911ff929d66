//! Files that phones fetch and send for a task, by the URL that they were given in a session.

use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use super::cwmp::Endpoint;
use super::phones::Phones;
use super::uploads::Taken;
use crate::acs::task::{Redeemed, Serves, Ticket};
use crate::events::{Kind, Outcome, Refusal};
use crate::resync::{Answer, Inquiry, Request, Target, Vouched};
use crate::uploads::UploadId;

/// How long the database is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Phones {
    /// Answers a phone that comes with a ticket. With one that opens nothing it gets what anybody gets there: nothing.
    pub(super) async fn transfer(
        &self,
        endpoint: &Endpoint,
        ticket: &Ticket,
        asked: &Request<'_>,
        parts: &Parts,
        body: Incoming,
        turn: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let source = asked.connection.peer.ip();
        let Redeemed { id, device, serves } = match endpoint.tasks().redeem(ticket, source, PATIENCE).await {
            Ok(Some(redeemed)) => redeemed,
            Ok(None) => return self.serve(asked, parts, body, turn).await,
            Err(error) => {
                let mut event = self.pipeline.blank_event(asked);
                event.outcome = Outcome::Refused(Refusal::DatabaseAway);
                event.reason = Some(error.to_string());
                return self.end(event, Answer::try_later(), false, asked.started);
            }
        };
        let vouched = Vouched { device, told: Target::told(asked.target) };
        let is_read = matches!(asked.method, "GET" | "HEAD");
        match serves {
            Serves::File(path) if is_read => {
                let asked = Request { target: &path, vouched: Some(&vouched), ..asked.clone() };
                self.serve(&asked, parts, body, turn).await
            }
            Serves::Restore(upload) if is_read => {
                let asked = Request { vouched: Some(&vouched), ..asked.clone() };
                self.give_back(upload, &asked).await
            }
            Serves::Upload(name) if matches!(asked.method, "PUT" | "POST") => {
                // A body takes its time, and has bounds of its own.
                drop(turn);
                let asked = Request { vouched: Some(&vouched), ..asked.clone() };
                let inquiry = self.pipeline.ask_for(&vouched);
                self.take_for((endpoint, &id, &name), &asked, &inquiry, parts, body).await
            }
            Serves::File(_) | Serves::Restore(_) | Serves::Upload(_) => self.serve(asked, parts, body, turn).await,
        }
    }

    /// Gives a phone what it, or the one before it, has sent.
    async fn give_back(&self, upload: UploadId, asked: &Request<'_>) -> Response<Body> {
        let mut event = self.pipeline.blank_event(asked);
        event.kind = Kind::Static;
        event.file = Some(format!("upload {upload}"));
        event.device = asked.vouched.map(|vouched| vouched.device);
        let (upload, content) = match self.uploads.open(upload).await {
            Ok(Some(found)) => found,
            Ok(None) => return self.stream(None, event, asked.started),
            Err(error) => {
                event.outcome = Outcome::Failed;
                event.reason = Some(error.to_string());
                return self.end(event, Answer::try_later(), false, asked.started);
            }
        };
        let body = if asked.method == "HEAD" { Body::empty() } else { Body::new(content.into_body()) };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(upload.bytes));
        self.stream(Some(response), event, asked.started)
    }

    /// Keeps what a phone sends for a task.
    async fn take_for(
        &self,
        (endpoint, task, name): (&Endpoint, &str, &str),
        asked: &Request<'_>,
        inquiry: &Inquiry,
        parts: &Parts,
        body: Incoming,
    ) -> Response<Body> {
        let found = self.records.find(inquiry).await;
        match self.pipeline.admit_for(asked, inquiry, &found, name) {
            Ok(admitted) => {
                let Taken { mut event, mut status, is_read, kept } =
                    self.keep(*admitted, asked.connection, asked, parts, body).await;
                if let Some(upload) = kept
                    && let Err(error) = endpoint.tasks().uploaded(task, upload, PATIENCE).await
                {
                    // The phone sends it again, and the task finds it.
                    event.outcome = Outcome::Refused(Refusal::DatabaseAway);
                    event.reason = Some(format!("the upload is kept, but not noted with its task: {error}"));
                    status = 503;
                }
                self.end(event, Answer::empty(status), is_read, asked.started)
            }
            Err(refused) => {
                let (answer, event) = *refused;
                self.finish(asked.connection, &parts.headers, answer, event, asked.started).await
            }
        }
    }
}
