//! One file's fetch as the phones that ask by plain names do it: the question, a challenge answered once, and what
//! became of it. Aastra and Grandstream share it; it does no fetching of its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

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
    with_credentials: bool,
}

impl Exchange {
    /// `with_credentials`: they are sent without being asked for.
    pub fn new(url: String, with_credentials: bool) -> Self {
        Self { url, with_credentials }
    }

    pub fn request(&self, user_agent: &str, credentials: Option<&Credentials>) -> Request {
        let mut headers = Vec::new();
        if let Some(credentials) = credentials.filter(|_| self.with_credentials) {
            headers.push(("Authorization".to_owned(), basic(credentials)));
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
                let answered = has_credentials && !self.with_credentials && wants_basic(&response);
                transcript.push(Step::Challenged { url: url.clone(), answered });
                if answered {
                    self.with_credentials = true;
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

fn wants_basic(response: &Response) -> bool {
    let challenges = response.headers.iter().filter(|(name, _)| name == "www-authenticate");
    challenges.into_iter().any(|(_, value)| value.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic")))
}

/// RFC 7617.
fn basic(credentials: &Credentials) -> String {
    let mut pair = credentials.user.clone().into_bytes();
    pair.push(b':');
    pair.extend_from_slice(credentials.password.expose());
    format!("Basic {}", STANDARD.encode(pair))
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
