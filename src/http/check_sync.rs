//! Action URIs of phones that were asked to come by a SIP NOTIFY: by the job in them it is known which NOTIFY a phone has heard.
//!
//! Anybody may ask for one. The answer is always the same and says nothing; what it was is in the event.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use http::Response;

use super::phones::{Phones, respond};
use crate::acs::request::Jobs;
use crate::events::{Event, Kind, Outcome, Refusal};
use crate::resync::{Answer, Request};

/// What follows the path of sessions.
const SUFFIX: &str = "/check-sync";

/// The parameter that names the job.
const JOB: &str = "JobID";

/// The jobs, and on which path of which listener phones name them.
#[derive(Debug, Clone)]
pub struct Calls {
    jobs: Jobs,
    paths: Arc<HashMap<String, String>>,
}

impl Calls {
    /// `sessions`: the paths of sessions, by the names of listeners.
    pub fn new(jobs: Jobs, sessions: &HashMap<String, String>) -> Self {
        let of_sessions = |path: &str| format!("{}{SUFFIX}", path.trim_end_matches('/'));
        let paths = sessions.iter().map(|(listener, path)| (listener.clone(), of_sessions(path)));
        Self { jobs, paths: Arc::new(paths.collect()) }
    }

    /// Whether a path of a listener is the one of action URIs.
    pub fn are_at(&self, listener: &str, path: &str) -> bool {
        self.paths.get(listener).is_some_and(|own| own == path)
    }
}

impl Phones {
    /// Answers whoever asks for an action URI.
    pub(super) fn called(&self, calls: &Calls, asked: &Request<'_>) -> Response<Body> {
        let event = Event { kind: Kind::Session, ..self.pipeline.blank_event(asked) };
        let (answer, event) = if matches!(asked.method, "GET" | "HEAD") {
            let query = asked.target.split_once('?').map_or("", |(_, query)| query);
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            let job = pairs.find(|(name, _)| name.eq_ignore_ascii_case(JOB)).map(|(_, value)| value);
            let device = job.and_then(|job| calls.jobs.called(&job, asked.started));
            let reason = match device {
                Some(_) => "the phone has heard a connection request by NOTIFY: it tells its job",
                None => "check-sync: a job that nobody here waits for",
            };
            let event =
                Event { outcome: Outcome::Served, status: 200, device, reason: Some(reason.to_owned()), ..event };
            (Answer::empty(200), event)
        } else {
            let outcome = Outcome::Refused(Refusal::Method);
            (Answer { allow: true, ..Answer::empty(405) }, Event { outcome, status: 405, ..event })
        };
        self.recorder.record(Event { duration: asked.started.elapsed(), ..event });
        respond(answer)
    }
}
