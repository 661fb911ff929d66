//! The accept loop: one task per connection, and a bound on everything that a peer can make it do.
//!
//! It is our own because the ready-made ones hide handshake errors, accept without a limit, or set no timeouts.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use socket2::{Domain, Socket, Type};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::acceptor::Acceptor;
use super::bounds::Bounds;
use super::conversation::Conversation;
use super::forwarded::ForwardedError;
use super::handshake::HandshakeError;
use super::proxy::ProxyError;
use crate::config::Proxy;
use crate::resync::{Connection, TlsSession};

/// Connections that the operating system keeps ready while all places are taken, and in the moment of a mass reboot.
const BACKLOG: i32 = 1024;

/// Pause after an accept that failed for want of something (file descriptors, memory): doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// How often at most the log says that all places are taken.
const FULL_NOTICE: Duration = Duration::from_secs(60);

/// A socket that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {source}{}", hint(.source))]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program, or another listener, has that port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need the right to: CAP_NET_BIND_SERVICE)",
        io::ErrorKind::AddrNotAvailable => " (this machine has no such address)",
        _ => "",
    }
}

/// Listens on an address; `[::]` takes IPv4 too. Has to be called within a Tokio runtime.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // A restart must not have to wait for the connections of the last run to be forgotten.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // Systems differ in their default, and `[::]` should mean the same on all.
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|source| BindError { address, source })
}

/// A bound socket and how it is spoken to.
pub struct Listening {
    /// Names the listener in events and metrics.
    pub name: Arc<str>,
    pub socket: TcpListener,
    /// None: plain HTTP.
    pub acceptor: Option<Arc<Acceptor>>,
    /// Who speaks for phones; none: nobody.
    pub proxy: Option<Arc<Proxy>>,
    /// Whether the names of headers are written as `Content-Length`.
    pub title_case_headers: bool,
}

impl Listening {
    /// A listener that phones come to themselves.
    pub fn new(name: impl Into<Arc<str>>, socket: TcpListener, acceptor: Option<Arc<Acceptor>>) -> Self {
        Self { name: name.into(), socket, acceptor, proxy: None, title_case_headers: false }
    }
}

/// Why a connection ended before any request could be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// What a port scanner does, or the health check of a load balancer.
    #[error("the peer closed the connection without asking for anything")]
    NoRequest,
    /// Over `limits.connections_per_network`.
    #[error("its network has {0} connections open (limits.connections_per_network)")]
    Crowded(usize),
    #[error("no whole request came within {0:?}")]
    Timeout(Duration),
    /// It was answered with 400 or 431, if at all.
    #[error("what came is no HTTP request: {0}")]
    Malformed(String),
    #[error("the connection broke before a request came: {0}")]
    Broken(String),
    /// The peer is configured as a proxy.
    #[error("from a proxy: {0}")]
    Proxy(#[from] ProxyError),
    /// A request of one that is configured as a proxy, answered with 400.
    #[error("from a proxy: {0}")]
    Forwarded(#[from] ForwardedError),
}

/// A connection that ended before any request could be answered; of a proxy, also a request that could not be.
#[derive(Debug, Clone)]
pub struct ConnectionFailure {
    /// The listener's name.
    pub listener: Arc<str>,
    pub peer: SocketAddr,
    pub started: OffsetDateTime,
    pub duration: Duration,
    /// The session, where the handshake was finished.
    pub tls: Option<TlsSession>,
    pub error: ConnectionError,
}

/// Serves a listener until `shutdown` turns true (or its sender is dropped): then accepts no more, lets every connection
/// finish the request that it is at, and returns when all are gone or `drain_timeout` is over.
///
/// `handler` answers requests; once it has begun, it is carried through even if the phone goes away. `failed` is told of
/// connections that never came to a request. Neither may block.
pub async fn serve<H, A, F>(
    listening: Listening,
    bounds: Bounds,
    handler: H,
    failed: F,
    shutdown: watch::Receiver<bool>,
) where
    H: Fn(Connection, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = http::Response<Body>> + Send + 'static,
    F: Fn(ConnectionFailure) + Clone + Send + Sync + 'static,
{
    let Listening { name, socket, acceptor, proxy, title_case_headers } = listening;
    let mut tasks = JoinSet::new();
    let mut pause = FIRST_PAUSE;
    let mut noticed: Option<Instant> = None;
    let mut stop = pin!(stopped(shutdown.clone()));
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(ended) = tasks.join_next() => {
                note_panic(&name, ended);
                continue;
            }
            accepted = socket.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(listener = %name, %error, "can't accept connections at the moment");
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = LAST_PAUSE.min(pause * 2);
                continue;
            }
        };
        pause = FIRST_PAUSE;

        // The place is taken after accepting: an idle listener that held one would keep it from the others. So when all are
        // taken, each listener holds one more connection in hand, and the rest wait with the operating system.
        let place = match bounds.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                if noticed.is_none_or(|at| at.elapsed() >= FULL_NOTICE) {
                    noticed = Some(Instant::now());
                    tracing::warn!(
                        listener = %name,
                        connections = bounds.limits.connections,
                        "all connections are in use, phones have to wait (limits.connections)"
                    );
                }
                tokio::select! {
                    () = &mut stop => break,
                    place = bounds.places.clone().acquire_owned() => match place {
                        Ok(place) => place,
                        // The semaphore is never closed.
                        Err(_) => break,
                    },
                }
            }
        };

        let conversation = Conversation {
            connection: Connection {
                listener: name.clone(),
                // On a dual-stack socket IPv4 peers come as ::ffff:192.0.2.1, which no rule about networks would match.
                peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
                tls: None,
            },
            bounds: bounds.clone(),
            handler: handler.clone(),
            failed: failed.clone(),
            acceptor: acceptor.clone(),
            proxy: proxy.clone(),
            title_case_headers,
            shutdown: shutdown.clone(),
            place: Some(place),
        };
        let failed = failed.clone();
        tasks.spawn(async move {
            let (mut conversation, mut stream) = (conversation, stream);
            let (started, begin) = (OffsetDateTime::now_utc(), Instant::now());
            let learned = conversation.learn_peer(&mut stream).await.map_err(|error| (error, None));
            let (listener, peer) = (conversation.connection.listener.clone(), conversation.connection.peer);
            let ended = match learned {
                Ok(()) => conversation.hold(stream).await,
                Err(error) => Err(error),
            };
            if let Err((error, tls)) = ended {
                failed(ConnectionFailure { listener, peer, started, duration: begin.elapsed(), tls, error });
            }
        });
    }

    drop(socket);
    let drained = tokio::time::timeout(bounds.limits.drain_timeout, async {
        while let Some(ended) = tasks.join_next().await {
            note_panic(&name, ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(listener = %name, connections = tasks.len(), "connections were cut off at the end of the drain time");
        tasks.shutdown().await;
    }
}

/// Resolves when it is time to stop.
pub(super) async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // An error means that the sender is gone, and nobody is left to say so.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Whether an accept failed because of the one connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn note_panic(listener: &str, ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%listener, %error, "a connection was dropped because its task panicked");
    }
}
