//! One message over one connection: posted, and the status read. Nothing else that the receiver says is: no redirect is
//! followed, and no body is taken.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use super::Target;
use super::sign::{HEADERS, signature};
use crate::store::Message;

/// Bytes of an answer's head.
const HEAD: usize = 16 << 10;

/// Why a message was not taken.
#[derive(Debug)]
pub struct Refused {
    /// For the log.
    pub why: String,
    /// What the receiver asks for.
    pub retry_after: Option<Duration>,
}

impl Refused {
    fn because(why: impl ToString) -> Self {
        Self { why: why.to_string(), retry_after: None }
    }

    pub fn slow(timeout: Duration) -> Self {
        Self::because(format!("no answer within {timeout:?}"))
    }
}

/// Sends a message. Any status from 200 to 299 means that it was taken.
pub async fn send(target: &Target, message: &Message) -> Result<(), Refused> {
    let url = &target.config.url;
    let Some(authority) = url.authority() else { return Err(Refused::because("the URL names no host")) };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(if target.tls.is_some() { 443 } else { 80 });
    let stream = connect(host, port, target.tls.is_none()).await?;
    let timestamp = OffsetDateTime::now_utc().unix_timestamp();
    let [id_header, time_header, signature_header] = HEADERS;
    let request = Request::builder()
        .method(Method::POST)
        .uri(url.path_and_query().map_or("/", |path| path.as_str()))
        .header(HOST, authority.as_str())
        .header(USER_AGENT, concat!("resyncd/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header(id_header, &message.id)
        .header(time_header, timestamp)
        .header(signature_header, signature(&target.secret, &message.id, timestamp, &message.body))
        .body(Full::new(Bytes::from(message.body.clone())))
        .map_err(Refused::because)?;
    match &target.tls {
        Some(tls) => post(tls.connect(host, stream).await.map_err(Refused::because)?, request).await,
        None => post(stream, request).await,
    }
}

async fn connect(host: &str, port: u16, only_here: bool) -> Result<TcpStream, Refused> {
    let addresses = lookup_host((host, port)).await;
    let addresses = addresses.map_err(|error| Refused::because(format!("{host} is not found: {error}")))?;
    // What is not encrypted doesn't leave this machine, whatever its resolver says that "localhost" is.
    let addresses: Vec<SocketAddr> = addresses.filter(|address| !only_here || address.ip().is_loopback()).collect();
    TcpStream::connect(&*addresses)
        .await
        .map_err(|error| Refused::because(format!("{host}:{port} can't be reached: {error}")))
}

async fn post<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), Refused>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Refused::because(format!("the connection broke: {error}"));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD).max_header_size(HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => return Err(broken(error)),
        },
    };
    let answer = answer.map_err(broken)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let why = match status {
        status if status.is_redirection() => {
            format!("it answers {status}, and redirects are not followed: write the URL that it leads to")
        }
        StatusCode::GONE => "it answers 410 Gone: take the webhook out of the configuration".to_owned(),
        status => format!("it answers {status}"),
    };
    Err(Refused { why, retry_after: retry_after(answer.headers()) })
}

/// Seconds; a date is not taken.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
