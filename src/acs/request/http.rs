//! A connection request over HTTP: a GET of the phone's ConnectionRequestURL, at the address that policy has looked at. Nothing
//! of the answer counts but its status and its challenges: no redirect is followed, and no body is kept.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::challenge::{Challenge, Credentials};
use super::policy::Claim;
use crate::model::Secret;

/// Bytes of an answer's head.
const HEAD: usize = 16 << 10;

/// Bytes of the body of a challenge that are read, so that its connection can be used again. Some phones know their nonces on
/// the connection only that they gave them out on.
const BODY: usize = 16 << 10;

/// How long it may take to come.
const REST: Duration = Duration::from_secs(1);

/// What came of a connection request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// 200 or 204: the phone will come.
    Accepted,
    /// 503: it has a session, or other things to do.
    Busy,
    /// 401: it knows this server by another user or password.
    Refused,
    /// It asks who this is, and that is not known here.
    NoCredentials,
    /// It asks in no way that is answered.
    Unanswerable,
    Status(u16),
    /// There is no connection, or what came is no HTTP.
    Unreachable(String),
    /// Nothing came in time: perhaps it heard all the same.
    Silent,
}

/// Asks a phone to come.
pub async fn ask(
    address: SocketAddr,
    claim: &Claim,
    credentials: Option<&Credentials>,
    takes_basic: bool,
    timeout: Duration,
) -> Heard {
    let asked = exchange(address, claim, credentials, takes_basic);
    match tokio::time::timeout(timeout, asked).await {
        Ok(Ok(heard)) => heard,
        Ok(Err(why)) => Heard::Unreachable(why),
        Err(_) => Heard::Silent,
    }
}

async fn exchange(
    address: SocketAddr,
    claim: &Claim,
    credentials: Option<&Credentials>,
    takes_basic: bool,
) -> Result<Heard, String> {
    let mut line = Line::open(address).await?;
    let first = line.get(claim, None).await?;
    if first.status() != StatusCode::UNAUTHORIZED {
        return Ok(heard(first.status()));
    }
    let challenges = first.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let Some(challenge) = Challenge::strongest(challenges, takes_basic) else { return Ok(Heard::Unanswerable) };
    let Some(credentials) = credentials else { return Ok(Heard::NoCredentials) };
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| format!("the operating system gives no random numbers: {error}"))?;
    let cnonce: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = challenge.answer(credentials, "GET", &claim.target, &cnonce);
    let is_ready = tokio::time::timeout(REST, line.ready_again(first)).await.unwrap_or(false);
    // It may yet close the connection while the answer is on its way.
    let second = if is_ready { line.get(claim, Some(&answer)).await.ok() } else { None };
    let second = match second {
        Some(second) => second,
        None => Line::open(address).await?.get(claim, Some(&answer)).await?,
    };
    Ok(heard(second.status()))
}

fn heard(status: StatusCode) -> Heard {
    match status {
        StatusCode::OK | StatusCode::NO_CONTENT => Heard::Accepted,
        StatusCode::UNAUTHORIZED => Heard::Refused,
        StatusCode::SERVICE_UNAVAILABLE => Heard::Busy,
        other => Heard::Status(other.as_u16()),
    }
}

/// A connection to a phone. It ends when it is dropped.
struct Line {
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Line {
    async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let mut builder = http1::Builder::new();
        // Small servers know names of headers as the RFCs write them.
        builder.max_buf_size(HEAD).max_header_size(HEAD).title_case_headers(true);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = tokio::spawn(async move {
            // Whatever ends it, the request that waits is told.
            let _ = connection.await;
        });
        Ok(Self { sender, driver: driver.abort_handle() })
    }

    async fn get(&mut self, claim: &Claim, answer: Option<&Secret>) -> Result<Response<Incoming>, String> {
        let mut request = Request::get(claim.target.as_str())
            .header(HOST, claim.place.to_string())
            .header(USER_AGENT, concat!("resyncd/", env!("CARGO_PKG_VERSION")));
        if let Some(answer) = answer {
            let mut value = HeaderValue::from_bytes(answer.expose())
                .map_err(|_| "acs.connection_user holds what no header can".to_owned())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value).header(CONNECTION, "close");
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        self.sender.send_request(request).await.map_err(broken)
    }

    /// Whether another request can go over the connection, once the rest of this answer is out of the way.
    async fn ready_again(&mut self, answer: Response<Incoming>) -> bool {
        let mut body = answer.into_body();
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > BODY {
                return false;
            }
        }
        self.sender.ready().await.is_ok()
    }
}

fn broken(error: hyper::Error) -> String {
    // A parser's words may repeat nothing of what came, and don't.
    format!("the connection broke: {error}")
}
