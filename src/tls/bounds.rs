//! What one network may do to the listeners, and all of them together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::accept::ConnectionError;
use super::handshake::HandshakeError;
use crate::brakes::{Counters, network};
use crate::config::Limits;

/// Connections that may wait for a place of their network, to each that may be open.
const WAITING: usize = 4;

/// What one peer may do, and all of them together. Clones share the counts: one is made, and every listener gets a clone.
#[derive(Debug, Clone)]
pub struct Bounds {
    pub(super) limits: Arc<Limits>,
    pub(super) places: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    /// No more than there are connections, open or waiting.
    shares: Arc<Mutex<Shares>>,
    /// Connections that may wait for a place of their network.
    waiting: Arc<Semaphore>,
    counters: Counters,
}

impl Bounds {
    pub fn new(limits: &Limits) -> Self {
        let semaphore = |most: usize| Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            places: semaphore(limits.connections),
            handshakes: semaphore(limits.handshakes),
            shares: Arc::default(),
            waiting: semaphore(most_waiting(limits.connections)),
            counters: Counters::default(),
            limits: Arc::new(limits.clone()),
        }
    }

    /// The same, counting what it turns away.
    #[must_use]
    pub fn counting(self, counters: Counters) -> Self {
        Self { counters, ..self }
    }

    /// Connections that are open now, over all listeners.
    pub fn open_connections(&self) -> usize {
        self.limits.connections.saturating_sub(self.places.available_permits())
    }

    /// A network's share of the connections, for one more: `place` and a part of the share. Where the share is used up the
    /// connection gives its place to others and waits for its network's. To be asked once it is known who the peer really is.
    pub(super) async fn enter(&self, peer: IpAddr, place: OwnedSemaphorePermit) -> Result<Place, ConnectionError> {
        let share = self.share(network(peer));
        if let Ok(part) = share.open.clone().try_acquire_owned() {
            return Ok(Place { _place: place, _part: part, _share: share });
        }
        drop(place);
        let crowded = || {
            self.counters.connections_shed.inc();
            ConnectionError::Crowded(self.limits.connections_per_network)
        };
        let _waiting = self.waiting.clone().try_acquire_owned().map_err(|_| crowded())?;
        let both = async {
            let part = share.open.clone().acquire_owned().await;
            (part, self.places.clone().acquire_owned().await)
        };
        match timeout(self.limits.response_timeout, both).await {
            Ok((Ok(part), Ok(place))) => Ok(Place { _place: place, _part: part, _share: share }),
            // The semaphores are never closed: it was the time.
            _ => Err(crowded()),
        }
    }

    fn share(&self, network: IpAddr) -> Share {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.limits.connections_per_network.clamp(1, Semaphore::MAX_PERMITS);
        let (open, users) = shares.entry(network).or_insert_with(|| (Arc::new(Semaphore::new(most)), 0));
        *users += 1;
        Share { network, open: open.clone(), shares: self.shares.clone() }
    }

    /// Waits for a turn to make a handshake. Who says nothing gets none. The connections that wait are bounded, and so is
    /// their wait; the rest are with the operating system. To close them early would only make the phones connect anew.
    pub(super) async fn turn(&self, stream: &TcpStream) -> Result<OwnedSemaphorePermit, ConnectionError> {
        let patience = self.limits.handshake_timeout;
        let deadline = Instant::now() + patience;
        // A stream that is broken is readable, too: the handshake finds out.
        if timeout_at(deadline, stream.readable()).await.is_err() {
            return Err(HandshakeError::Timeout(patience).into());
        }
        match timeout_at(deadline, self.handshakes.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => {
                self.counters.handshakes_shed.inc();
                Err(HandshakeError::Crowded(patience).into())
            }
        }
    }
}

/// How many connections may wait for a place of their network: a storm from behind one address is to be served in the end.
/// Each costs little but its descriptor.
fn most_waiting(connections: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    connections.saturating_mul(WAITING).min(descriptors.unwrap_or(usize::MAX) / 2)
}

/// What a connection holds as long as it is open.
#[derive(Debug)]
pub(super) struct Place {
    _part: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    _share: Share,
}

/// By network: its places, and how many connections are open or wait for one.
type Shares = HashMap<IpAddr, (Arc<Semaphore>, usize)>;

/// One connection's hold on the share of its network, which is forgotten with the last.
#[derive(Debug)]
struct Share {
    network: IpAddr,
    open: Arc<Semaphore>,
    shares: Arc<Mutex<Shares>>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, users)) = shares.get_mut(&self.network) {
            *users = users.saturating_sub(1);
            if *users == 0 {
                shares.remove(&self.network);
            }
        }
    }
}
