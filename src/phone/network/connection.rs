//! HTTP on one connection: a request is sent and its answer read, within bounds.
//!
//! No task stands behind a connection: it is driven by the request that is on it, and rests in between. So ten
//! thousand idle connections are ten thousand values and nothing else.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::stream::Stream;
use super::tls::reason;
use crate::phone::FetchError;

/// What an answer may be at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of the status line and all headers.
    pub head: usize,
    /// Bytes of the body.
    pub body: usize,
}

/// What is done with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Body,
    /// Only its length counts.
    Length,
}

/// An answer as it came.
pub struct Answer {
    pub parts: http::response::Parts,
    /// Empty where only the length was to be kept.
    pub body: Bytes,
    pub length: usize,
}

/// Why there is no answer, and whether none of it was seen: then a connection that was used before may just have been
/// closed in between.
pub struct Failed {
    pub error: FetchError,
    pub unanswered: bool,
}

type Driver = http1::Connection<TokioIo<Stream>, Full<Bytes>>;

pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    is_open: bool,
    host: String,
    bounds: Bounds,
    /// `TLSv1.3`, none without TLS.
    pub tls_version: Option<&'static str>,
}

/// The least that hyper takes: an answer's head fits, and a body passes through in pieces.
const BUFFER: usize = 8192;

impl Connection {
    pub async fn new(
        stream: Stream,
        tls_version: Option<&'static str>,
        host: String,
        bounds: Bounds,
    ) -> Result<Self, FetchError> {
        let mut builder = http1::Builder::new();
        // As phones write them; and one buffer for a head and an empty body.
        builder.title_case_headers(true).writev(false);
        builder.max_buf_size(bounds.head.max(BUFFER)).max_header_size(bounds.head);
        match builder.handshake(TokioIo::new(stream)).await {
            Ok((sender, driver)) => Ok(Self { sender, driver, is_open: true, host, bounds, tls_version }),
            Err(error) => Err(FetchError::Broken(chain(&error))),
        }
    }

    /// Whether another request can go over it, as far as can be told. What the server has sent in between, its leave
    /// most likely, is read now.
    pub async fn is_usable(&mut self) -> bool {
        self.turn().await;
        self.is_open && self.sender.is_ready()
    }

    /// Lets the connection do what it can without waiting: say goodbye, or see that the other side did.
    async fn turn(&mut self) {
        if !self.is_open {
            return;
        }
        let driver = &mut self.driver;
        self.is_open = poll_fn(|cx| Poll::Ready(Pin::new(&mut *driver).poll(cx).is_pending())).await;
    }

    pub async fn exchange(&mut self, request: http::Request<Full<Bytes>>, keep: Keep) -> Result<Answer, Failed> {
        let Self { sender, driver, is_open, host, bounds, .. } = self;
        let mut ended = None;
        let result = {
            let mut answer = pin!(answer(sender, request, keep, *bounds));
            poll_fn(|cx| {
                if *is_open && let Poll::Ready(result) = Pin::new(&mut *driver).poll(cx) {
                    *is_open = false;
                    ended = result.err();
                }
                answer.as_mut().poll(cx)
            })
            .await
        };
        let result = result.map_err(|(why, unanswered)| {
            let error = match (why, ended) {
                // The request only learns that the connection was gone; the connection may know why.
                (Wrong::Http(error), Some(why)) if error.is_canceled() => {
                    Wrong::Http(why).into_fetch_error(host, *bounds)
                }
                (Wrong::Http(error), None) if error.is_canceled() => {
                    FetchError::Broken("the server closed it before it was asked".to_owned())
                }
                (why, _) => why.into_fetch_error(host, *bounds),
            };
            Failed { error, unanswered }
        });
        self.turn().await;
        result
    }
}

/// What went wrong with an answer.
enum Wrong {
    Http(hyper::Error),
    TooLarge,
}

async fn answer(
    sender: &mut SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
    keep: Keep,
    bounds: Bounds,
) -> Result<Answer, (Wrong, bool)> {
    let response = sender.send_request(request).await.map_err(|error| {
        let unanswered = !error.is_parse();
        (Wrong::Http(error), unanswered)
    })?;
    let (parts, mut body) = response.into_parts();
    let announced = parts.headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced: Option<u64> = announced.and_then(|length| length.parse().ok());
    if announced.is_some_and(|length| length > bounds.body as u64) {
        return Err((Wrong::TooLarge, false));
    }
    let (mut kept, mut length) = (BytesMut::new(), 0usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| (Wrong::Http(error), false))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length > bounds.body {
            return Err((Wrong::TooLarge, false));
        }
        if keep == Keep::Body {
            kept.extend_from_slice(&data);
        }
    }
    Ok(Answer { parts, body: kept.freeze(), length })
}

impl Wrong {
    fn into_fetch_error(self, host: &str, bounds: Bounds) -> FetchError {
        let error = match self {
            Self::TooLarge => return FetchError::TooLarge(bounds.body),
            Self::Http(error) => error,
        };
        let text = chain(&error);
        // A server that refuses the phone's certificate by TLS 1.3 says so only here, when the handshake is long over.
        let by_tls = cause::<openssl::ssl::Error>(&error).and_then(openssl::ssl::Error::ssl_error);
        let kind = cause::<io::Error>(&error).map(io::Error::kind);
        if let Some(why) = by_tls {
            FetchError::Tls(host.to_owned(), reason(why))
        } else if error.is_parse_too_large() {
            FetchError::TooLarge(bounds.head)
        } else if error.is_parse() || matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)) {
            FetchError::Malformed(text)
        } else {
            FetchError::Broken(text)
        }
    }
}

/// The first cause of that type, also where it hides in an I/O error.
fn cause<T: std::error::Error + 'static>(error: &hyper::Error) -> Option<&T> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = hidden.and_then(|error| error.downcast_ref::<T>()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The error with all its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = error.source();
    }
    text
}
