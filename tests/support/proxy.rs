//! The network between a server and its database, as a cable that a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing arrives, as when a cable was pulled, and nobody is told. It does once the way is open again.
    Silent,
    /// Connections end, and new ones do at once.
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct State {
    way: Way,
    /// Connections up to this number are silent for ever, and nobody is told.
    stranded: u64,
    /// Connections on which somebody wants to listen for notifications end.
    deaf: bool,
}

/// A way to a port of 127.0.0.1. It has a runtime of its own, so that a test needs none.
pub struct Proxy {
    pub port: u16,
    state: watch::Sender<State>,
    accepted: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Proxy {
    pub fn to(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let own = listener.local_addr().unwrap().port();
        let (state, watched) = watch::channel(State { way: Way::Open, stranded: 0, deaf: false });
        let accepted = Arc::new(AtomicU64::new(0));
        let counted = accepted.clone();
        runtime.spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(carry(near, SocketAddr::from(([127, 0, 0, 1], port)), number, watched.clone()));
            }
        });
        Self { port: own, state, accepted, _runtime: runtime }
    }

    /// Connections so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn open(&self) {
        self.state.send_modify(|state| state.way = Way::Open);
    }

    pub fn silence(&self) {
        self.state.send_modify(|state| state.way = Way::Silent);
    }

    pub fn close(&self) {
        self.state.send_modify(|state| state.way = Way::Closed);
    }

    /// Opens the way to new connections. Those that there are stay silent for ever.
    pub fn strand(&self) {
        self.state.send_modify(|state| (state.way, state.stranded) = (Way::Open, self.accepted()));
    }

    /// Nobody listens for notifications any more.
    pub fn deafen(&self) {
        self.state.send_modify(|state| state.deaf = true);
    }
}

async fn carry(near: TcpStream, to: SocketAddr, number: u64, state: watch::Receiver<State>) {
    if !is_open(number, &mut state.clone()).await {
        return;
    }
    // Where nobody listens, the connection ends, which is as much as a proxy can say.
    let Ok(far) = TcpStream::connect(to).await else { return };
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pass(near_read, far_write, number, state.clone()) => {}
        () = pass(far_read, near_write, number, state) => {}
    }
}

/// Waits until the way is open; false when it is closed.
async fn is_open(number: u64, state: &mut watch::Receiver<State>) -> bool {
    let decided = |state: &State| match state.way {
        Way::Closed => true,
        Way::Silent => false,
        Way::Open => number > state.stranded,
    };
    match state.wait_for(decided).await {
        Ok(state) => state.way == Way::Open,
        Err(_) => false,
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: u64,
    mut state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut closing = state.clone();
    loop {
        let read = tokio::select! {
            _ = closing.wait_for(|state| state.way == Way::Closed) => return,
            read = from.read(&mut buffer) => read.unwrap_or(0),
        };
        // An end is news like any other, and does not arrive either.
        if !is_open(number, &mut state).await || read == 0 {
            return;
        }
        let listens = buffer[..read].windows(6).any(|word| word == b"LISTEN");
        if listens && state.borrow().deaf || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
