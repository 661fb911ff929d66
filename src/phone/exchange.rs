//! One file's fetch as the phones that ask by plain names do it: the question, a challenge answered once, and what
//! became of it. Aastra and Grandstream share it; it does no fetching of its own.

use bytes::Bytes;

use super::challenge::Challenge;
use super::fetch::{Credentials, Fetch, FetchError, Method, Request, Response};
use super::transcript::{Refusal, Step, Transcript};

/// What a resync starts from, beside the phone itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The folder that DHCP, a redirection service or the person who set the phone up names; asked where the phone's own
    /// parameters name none. Absolute: `https://prov.example.com:8443/phones`.
    pub server: Option<String>,
    /// Seconds since 1970.
    pub now: i64,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    Body(Bytes),
    Missing,
    /// Neither there nor missing: the step says why.
    Failed,
    /// The same question again, with credentials.
    AskAgain,
}

/// The question for a file that is being answered.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub url: String,
    /// What the credentials are sent by; none: not at all.
    answering: Option<Challenge>,
    /// Whether a challenge was answered: no phone tries the same again.
    answered: bool,
}

impl Exchange {
    /// `with_credentials`: they are sent without being asked for.
    pub fn new(url: String, with_credentials: bool) -> Self {
        Self { url, answering: with_credentials.then_some(Challenge::Basic), answered: false }
    }

    pub fn request(&self, user_agent: &str, credentials: Option<&Credentials>) -> Request {
        let mut headers = Vec::new();
        if let (Some(credentials), Some(challenge)) = (credentials, &self.answering) {
            let value = challenge.answer(credentials, Method::Get, path_of(&self.url), &client_nonce(), 1);
            headers.push(("Authorization".to_owned(), value));
        }
        Request {
            method: Method::Get,
            url: self.url.clone(),
            user_agent: user_agent.to_owned(),
            headers,
            body: Bytes::new(),
            content_type: None,
        }
    }

    /// Only 404 is a missing file: anything else that isn't 200 may be a server in trouble, and what a phone would lose
    /// by taking that for a missing file is its lines. Redirects are not followed: no public guide of the two families
    /// says that they are.
    pub fn answered(
        &mut self,
        answer: Result<Response, FetchError>,
        has_credentials: bool,
        transcript: &mut Transcript,
    ) -> Fetched {
        let url = self.url.clone();
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                transcript.push(Step::Unanswered { url, error });
                return Fetched::Failed;
            }
        };
        transcript.push(Step::Asked {
            url: url.clone(),
            status: response.status,
            bytes: response.body.len(),
            tls: response.tls_version.clone(),
            milliseconds: u64::try_from(response.duration.as_millis()).unwrap_or(u64::MAX),
        });
        match response.status {
            200 => Fetched::Body(response.body),
            404 => {
                transcript.push(Step::Missing { url });
                Fetched::Missing
            }
            401 => {
                let headers = response.headers.iter().filter(|(name, _)| name == "www-authenticate");
                let challenge = Challenge::strongest(headers.map(|(_, value)| value.as_str())).filter(|challenge| {
                    has_credentials && !self.answered && self.answering.as_ref() != Some(challenge)
                });
                transcript.push(Step::Challenged { url: url.clone(), answered: challenge.is_some() });
                if challenge.is_some() {
                    (self.answering, self.answered) = (challenge, true);
                    return Fetched::AskAgain;
                }
                transcript.push(Step::Refused { url, why: Refusal::Status(401) });
                Fetched::Failed
            }
            status => {
                transcript.push(Step::Refused { url, why: Refusal::Status(status) });
                Fetched::Failed
            }
        }
    }
}

/// The path and query of a URL, as they are asked for.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}

/// Of Digest: what keeps a server from choosing all that is hashed.
fn client_nonce() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// How many servers a phone follows before it stays with the one it has.
pub const ROUNDS: u32 = 3;

/// A resync as a machine that does no input or output of its own: it says what it asks, and is told the answer.
pub trait Machine {
    /// None when the resync is over.
    fn next(&mut self) -> Option<Request>;
    fn answer(&mut self, answer: Result<Response, FetchError>);
}

/// Runs a resync to its end.
pub async fn run<M: Machine, F: Fetch>(mut machine: M, fetch: &F) -> M {
    while let Some(request) = machine.next() {
        let answer = fetch.fetch(request).await;
        machine.answer(answer);
    }
    machine
}
