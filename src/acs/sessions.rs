//! The sessions of this node: found by their cookie or their connection, one for each phone, and not more than there may be.
//!
//! A session stays where it began: its cookie is known to no other node, which answers 400, so that the phone begins anew.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::job::Job;
use crate::cwmp::Quirks;
use crate::cwmp::session::{Session, Times, Token};
use crate::events::Event;
use crate::model::MacAddr;
use crate::resync::Connection;

/// Sessions that are over, for each that may be open: a phone that says again that it has nothing to say hears 204 again.
const REMEMBERED: usize = 2;

/// A session, as long as it is known here.
#[derive(Debug)]
pub struct Live {
    pub token: Token,
    pub mac: MacAddr,
    /// Of the client certificate that it was opened with: whoever goes on with it has to show the same.
    certificate: Option<[u8; 32]>,
    /// The listener and the phone's own port. Without a cookie, this is what tells whose session it is.
    at: (Arc<str>, SocketAddr),
    pub opened: Instant,
    pub state: Mutex<State>,
}

/// How far it has come.
#[derive(Debug)]
pub struct State {
    pub session: Session,
    /// None when it is over.
    pub work: Option<Box<Work>>,
    pub last: Instant,
    pub quirks: Quirks,
}

/// What there is to do in a session, and to tell of it.
#[derive(Debug)]
pub struct Work {
    pub job: Job,
    pub event: Event,
    pub messages: u32,
    /// What the phone said beside its Inform.
    pub told: Vec<String>,
}

impl Live {
    pub fn new(token: Token, mac: MacAddr, connection: &Connection, state: State) -> Self {
        Self {
            token,
            mac,
            certificate: certificate(connection),
            at: at(connection),
            opened: state.last,
            state: Mutex::new(state),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn certificate(connection: &Connection) -> Option<[u8; 32]> {
    connection.tls.as_ref().and_then(|tls| tls.certificate.fingerprint()).copied()
}

fn at(connection: &Connection) -> (Arc<str>, SocketAddr) {
    (connection.listener.clone(), connection.peer)
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    most: usize,
    pub times: Times,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_token: HashMap<Box<[u8]>, Arc<Live>>,
    by_phone: HashMap<MacAddr, Arc<Live>>,
    by_connection: HashMap<(Arc<str>, SocketAddr), Arc<Live>>,
    /// Those that are not over.
    open: usize,
}

impl Sessions {
    pub fn new(most: usize) -> Self {
        Self { most, times: Times::default(), table: Mutex::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session that a request goes on with: the first whose cookie it shows, or the one of its connection.
    pub fn find(&self, tokens: &[Token], connection: &Connection) -> Option<Arc<Live>> {
        let table = self.table();
        let by_token = tokens.iter().find_map(|token| table.by_token.get(token.expose()));
        // Where a proxy doesn't tell the phone's port, many phones have the same.
        let by_connection = || table.by_connection.get(&at(connection)).filter(|_| connection.peer.port() != 0);
        // A phone may still send the cookie of the session before.
        let live = by_token.or_else(by_connection)?;
        (live.certificate == certificate(connection) && live.at.0 == connection.listener).then(|| live.clone())
    }

    /// The session that a phone has.
    pub fn of_phone(&self, mac: MacAddr) -> Option<Arc<Live>> {
        self.table().by_phone.get(&mac).cloned()
    }

    /// Keeps a new session. False where there are too many.
    pub fn keep(&self, live: &Arc<Live>) -> bool {
        let mut table = self.table();
        if table.open >= self.most || table.by_token.len() >= self.most.saturating_mul(1 + REMEMBERED) {
            return false;
        }
        table.open += 1;
        table.by_token.insert(live.token.expose().into(), live.clone());
        table.by_phone.insert(live.mac, live.clone());
        table.by_connection.insert(live.at.clone(), live.clone());
        true
    }

    /// A session is over; it is still known for a while.
    pub fn ended(&self) {
        let mut table = self.table();
        table.open = table.open.saturating_sub(1);
    }

    /// Takes out what nobody will go on with: what was over is forgotten, and what was not is given back to be ended.
    pub fn expired(&self, now: Instant) -> Vec<Arc<Live>> {
        let mut table = self.table();
        let is_expired = |live: &Arc<Live>| self.times.expired(live.opened, live.state().last, now).is_some();
        let gone: Vec<_> = table.by_token.values().filter(|live| is_expired(live)).cloned().collect();
        for live in &gone {
            table.forget(live);
        }
        gone.into_iter().filter(|live| live.state().work.is_some()).collect()
    }

    /// Everything that is open, when the server stops.
    pub fn all(&self) -> Vec<Arc<Live>> {
        self.table().by_token.values().filter(|live| live.state().work.is_some()).cloned().collect()
    }
}

impl Table {
    fn forget(&mut self, live: &Arc<Live>) {
        let is_it = |other: &Arc<Live>| Arc::ptr_eq(other, live);
        self.by_token.remove(live.token.expose());
        if self.by_phone.get(&live.mac).is_some_and(is_it) {
            self.by_phone.remove(&live.mac);
        }
        if self.by_connection.get(&live.at).is_some_and(is_it) {
            self.by_connection.remove(&live.at);
        }
    }
}
