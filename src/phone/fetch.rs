//! One fetch of a phone's: what it asks for and what comes of it.

use std::time::Duration;

use bytes::Bytes;

use crate::model::Secret;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
}

/// User and password for HTTP authentication, sent only when the server asks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: Secret,
}

/// One request. Redirects and challenges are the family's to follow or not: guides differ on them.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// Absolute: `https://host:port/path?query`.
    pub url: String,
    pub user_agent: String,
    /// Further headers: `Authorization` when a challenge is answered, `If-None-Match`, …
    pub headers: Vec<(String, String)>,
    /// Empty for GET.
    pub body: Bytes,
    pub content_type: Option<String>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// Bounded by the fetch's own limit.
    pub body: Bytes,
    /// `TLSv1.3`, none over plain HTTP or in process.
    pub tls_version: Option<String>,
    pub duration: Duration,
}

impl Response {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// Why nothing was answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("{0} is no URL that the phone can fetch")]
    Url(String),
    #[error("{0} can't be resolved")]
    Resolve(String),
    /// No address of the name answered; every A record is tried.
    #[error("no connection to {0}: {1}")]
    Connect(String, String),
    #[error("TLS with {0}: {1}")]
    Tls(String, String),
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// The limit in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("what was answered is no HTTP: {0}")]
    Malformed(String),
    #[error("the connection broke off: {0}")]
    Broken(String),
}

/// How a phone fetches. Over the network, or straight from a pipeline in the same process.
pub trait Fetch: Send + Sync {
    fn fetch(&self, request: Request) -> impl Future<Output = Result<Response, FetchError>> + Send;
}
