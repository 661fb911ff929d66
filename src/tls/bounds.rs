//! What one network may do to the listeners, and all of them together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::accept::ConnectionError;
use super::handshake::HandshakeError;
use crate::brakes::{Counters, network};
use crate::config::Limits;

/// What one peer may do, and all of them together. Clones share the counts: one is made, and every listener gets a clone.
#[derive(Debug, Clone)]
pub struct Bounds {
    pub(super) limits: Arc<Limits>,
    pub(super) places: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    /// Open connections by network. No longer than there are connections.
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
    counters: Counters,
}

impl Bounds {
    pub fn new(limits: &Limits) -> Self {
        let semaphore = |most: usize| Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            places: semaphore(limits.connections),
            handshakes: semaphore(limits.handshakes),
            shares: Arc::default(),
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

    /// A network's share of the connections, for one more. To be asked once it is known who the peer really is.
    pub(super) fn enter(&self, peer: IpAddr) -> Result<Share, ConnectionError> {
        let network = network(peer);
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let open = shares.entry(network).or_default();
        if *open >= self.limits.connections_per_network {
            self.counters.connections_shed.inc();
            return Err(ConnectionError::Crowded(*open));
        }
        *open += 1;
        Ok(Share { network, shares: self.shares.clone() })
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

/// One connection of a network's. Dropping it gives its place back.
#[derive(Debug)]
pub(super) struct Share {
    network: IpAddr,
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = shares.get_mut(&self.network) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                shares.remove(&self.network);
            }
        }
    }
}
