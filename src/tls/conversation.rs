//! One connection: who is behind a proxy, the handshake, and requests until one side has had enough.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::accept::{ConnectionError, ConnectionFailure, stopped};
use super::acceptor::Acceptor;
use super::bounds::Bounds;
use super::forwarded::{self, phone_behind};
use super::proxy::read_proxy_header;
use super::stall::Stall;
use crate::config::{Proxy, ProxyProtocol};
use crate::resync::{Connection, TlsSession};

/// Least that hyper takes for its buffer, in bytes.
const LEAST_BUFFER: usize = 8192;

/// One connection, from its first byte to its last.
pub(super) struct Conversation<H, F> {
    pub(super) connection: Connection,
    pub(super) bounds: Bounds,
    pub(super) handler: H,
    /// Told of requests that a proxy passes on and that are not answered.
    pub(super) failed: F,
    pub(super) acceptor: Option<Arc<Acceptor>>,
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) title_case_headers: bool,
    pub(super) shutdown: watch::Receiver<bool>,
    /// Taken for it when it was accepted.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl<H, A, F> Conversation<H, F>
where
    H: Fn(Connection, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = http::Response<Body>> + Send + 'static,
    F: Fn(ConnectionFailure) + Clone + Send + Sync + 'static,
{
    /// Reads from a proxy that speaks the PROXY protocol who is behind it.
    pub(super) async fn learn_peer(&mut self, stream: &mut TcpStream) -> Result<(), ConnectionError> {
        let peer = self.connection.peer.ip();
        let speaks = |proxy: &&Arc<Proxy>| proxy.protocol == ProxyProtocol::Proxy && forwarded::speaks(proxy, peer);
        if self.proxy.as_ref().filter(speaks).is_none() {
            return Ok(());
        }
        let patience = self.bounds.limits.handshake_timeout;
        let told = tokio::time::timeout(patience, read_proxy_header(stream)).await;
        if let Some(phone) = told.map_err(|_| ConnectionError::Timeout(patience))?? {
            self.connection.peer = phone;
        }
        Ok(())
    }

    pub(super) async fn hold(mut self, stream: TcpStream) -> Result<(), (ConnectionError, Option<TlsSession>)> {
        let peer = self.connection.peer.ip();
        let Some(place) = self.place.take() else { return Ok(()) };
        // Given back when the connection is gone.
        let _place = tokio::select! {
            biased;
            place = self.bounds.enter(peer, place) => place.map_err(|error| (error, None))?,
            // It has no place yet, and nothing was begun.
            () = stopped(self.shutdown.clone()) => return Ok(()),
        };
        // Answers are written in one go; waiting for more to send only delays the last packet. It fails only on a socket that
        // is broken already, which the next read tells better.
        let _ = stream.set_nodelay(true);
        let turn = match &self.acceptor {
            Some(_) => Some(self.bounds.turn(&stream).await.map_err(|error| (error, None))?),
            None => None,
        };
        let stream = Stall::new(stream, self.bounds.limits.response_timeout);
        match self.acceptor.clone() {
            None => self.speak(stream).await.map_err(|error| (error, None)),
            Some(acceptor) => {
                let (stream, session) = acceptor.accept(stream).await.map_err(|error| (error.into(), None))?;
                drop(turn);
                self.connection.tls = Some(session.clone());
                self.speak(stream).await.map_err(|error| (error, Some(session)))
            }
        }
    }

    /// HTTP/1 over a stream that is ready for it.
    async fn speak<S>(self, stream: S) -> Result<(), ConnectionError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { connection, bounds, handler, failed, acceptor, proxy, title_case_headers, shutdown, place: _ } =
            self;
        let limits = bounds.limits;
        let in_headers = |proxy: &Arc<Proxy>| {
            proxy.protocol != ProxyProtocol::Proxy && forwarded::speaks(proxy, connection.peer.ip())
        };
        let proxy = proxy.filter(in_headers);
        let requests = AtomicUsize::new(0);
        let service = service_fn(|request| {
            let last = requests.fetch_add(1, Ordering::Relaxed) + 1 >= limits.requests_per_connection;
            let phone = match &proxy {
                Some(proxy) => phone_behind(proxy, &connection, request.headers(), acceptor.as_deref()),
                None => Ok(connection.clone()),
            };
            let answer = phone.map(|phone| handler(phone, request)).map_err(|error| {
                failed(ConnectionFailure {
                    listener: connection.listener.clone(),
                    peer: connection.peer,
                    started: OffsetDateTime::now_utc(),
                    duration: Duration::ZERO,
                    tls: connection.tls.clone(),
                    error: error.into(),
                });
            });
            async move {
                let mut answer = match answer {
                    Ok(answer) => answer.await,
                    Err(()) => bad_request(),
                };
                if last {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_headers(limits.headers)
            .max_header_size(limits.header_bytes)
            .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
            // A phone that closes its sending side has still asked; and a request that was begun leaves its event.
            .half_close(true)
            .title_case_headers(title_case_headers);
        let mut conversation = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = conversation.as_mut() => ended,
            () = stopped(shutdown) => {
                conversation.as_mut().graceful_shutdown();
                conversation.await
            }
        };
        let asked = requests.load(Ordering::Relaxed) > 0;
        match ended {
            Err(error) if error.is_parse() => Err(ConnectionError::Malformed(error.to_string())),
            // After a request the rest is how connections end: idle for too long, reset, cut off. The request has its event.
            _ if asked => Ok(()),
            Ok(()) => Err(ConnectionError::NoRequest),
            Err(error) if error.is_timeout() => Err(ConnectionError::Timeout(limits.header_timeout)),
            Err(error) if error.is_incomplete_message() => Err(ConnectionError::NoRequest),
            Err(error) => Err(ConnectionError::Broken(error.to_string())),
        }
    }
}

/// The answer to a request of which it isn't known whose it is.
fn bad_request() -> http::Response<Body> {
    let mut answer = http::Response::new(Body::empty());
    *answer.status_mut() = http::StatusCode::BAD_REQUEST;
    answer
}
