//! Brakes for those who ask in vain, and the recognition of scans. Decided here, carried out by [`crate::http`]; nothing here
//! knows which devices there are.
//!
//! A proof that holds is looked at first and always served, at once, whatever else its network has done: behind one address
//! there may be an office with a hundred phones and one that nobody knows. Only what is refused anyway is braked: after a few
//! failures of a network, or for one phone, the refusals are delayed, longer each time, and then become a 503 with
//! `Retry-After`. A brake looks at the source and the MAC that was asked for, known or not, so that it tells nothing.
//!
//! All memory is bounded: about 13 MB where every table is full, whatever is sent ([`counts::Counts`], [`scans::Scans`]).

mod counters;
mod counts;
mod scans;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::config;
use crate::model::MacAddr;

pub use counters::Counters;
pub use counts::{Counts, network, written};
pub use scans::{Noted, Scan, Scans};

/// Networks, and phones, whose failures are remembered.
const REMEMBERED: usize = 65_536;

/// Pairs of both whose wrong passwords are remembered, and networks whose last proof is.
const FEWER: usize = 16_384;

/// The delay of the first refusal that is braked; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The target of the lines that name who is to be kept out: `resyncd::ban=warn` keeps these only.
pub const BAN_TARGET: &str = "resyncd::ban";

/// All brakes of a server. Clones share everything.
#[derive(Debug, Clone)]
pub struct Brakes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: config::Brakes,
    networks: Counts<IpAddr>,
    phones: Counts<MacAddr>,
    pairs: Counts<(IpAddr, MacAddr)>,
    /// When a phone of a network last had a proof.
    proofs: Cache<IpAddr, Instant>,
    scans: Scans,
    waiting: Arc<Semaphore>,
    /// Turns true when nobody is to wait any more.
    released: watch::Sender<bool>,
    counters: Counters,
}

/// What becomes of a refusal.
#[derive(Debug)]
pub enum Brake {
    /// It is answered at once.
    Off,
    /// It is answered after a while.
    Delay(Delay),
    /// Instead of it, the asker is told to come back in so many seconds.
    Refuse(u16),
}

/// A wait before a refusal, and the place for it.
#[derive(Debug)]
pub struct Delay {
    time: Duration,
    released: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Delay {
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Waits, but not beyond the end of the server.
    pub async fn pass(mut self) {
        // An error of either kind is the end: of the time, or of the server.
        let _ = tokio::time::timeout(self.time, self.released.wait_for(|released| *released)).await;
    }
}

/// What a request in vain comes to.
#[derive(Debug)]
pub struct Judged {
    pub brake: Brake,
    /// Scans that are recognised with it: from its network, or from many.
    pub scans: Vec<Scan>,
    /// Part of a scan that was told before.
    pub is_scan: bool,
    /// One of so many of its network that each need not be told.
    pub is_flood: bool,
}

/// Who is named in the log to be kept out, and why. The line is an interface: see examples/fail2ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    pub peer: IpAddr,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    Scan { phones: usize, oui: String },
    Failures(u32),
}

impl std::fmt::Display for Ban {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "abuse from {}: ", written(self.peer))?;
        match &self.why {
            Why::Scan { phones, oui } => write!(f, "scan, {phones} phones of {oui} asked for in vain"),
            Why::Failures(number) => write!(f, "failures, {number} requests in vain"),
        }
    }
}

impl Brakes {
    pub fn new(config: &config::Brakes, counters: Counters) -> Self {
        let (released, _) = watch::channel(false);
        Self(Arc::new(Shared {
            networks: Counts::new(REMEMBERED, config.window),
            phones: Counts::new(REMEMBERED, config.window),
            pairs: Counts::new(FEWER, config.window),
            proofs: Cache::new(FEWER),
            scans: Scans::new(config.scan_phones, config.scan_window),
            waiting: Arc::new(Semaphore::new(config.waiting)),
            released,
            counters,
            config: config.clone(),
        }))
    }

    /// Counts a request that is refused for want of a proof, whether there is such a phone or not, and tells what becomes of
    /// the refusal.
    pub fn failed(&self, peer: IpAddr, mac: Option<MacAddr>, now: Instant) -> Judged {
        let shared = &*self.0;
        let by_network = shared.networks.add(network(peer), now);
        let by_phone = mac.map_or(0, |mac| shared.phones.add(mac, now));
        let brake = self.brake(by_network, by_phone, peer, now);
        let refuse_at = shared.config.refuse_after.saturating_add(1);
        // At 101, 202, 404, …: a flood makes no flood of lines.
        let is_told = by_network.is_multiple_of(refuse_at) && (by_network / refuse_at).is_power_of_two();
        if is_told {
            self.ban(peer, Why::Failures(by_network), now);
        }
        let is_flood = by_network > shared.config.refuse_after && !is_told;
        let mut judged = Judged { brake, scans: Vec::new(), is_scan: false, is_flood };
        let Some(mac) = mac else { return judged };
        for noted in shared.scans.note(peer, mac, now) {
            match noted {
                Noted::Alone => {}
                Noted::Part => judged.is_scan = true,
                Noted::Told(scan) => {
                    shared.counters.scans.inc();
                    if scan.network.is_some() {
                        self.ban(peer, Why::Scan { phones: scan.phones, oui: scan.oui() }, now);
                    }
                    judged.scans.push(scan);
                }
            }
        }
        if judged.is_scan {
            shared.counters.scan_requests.inc();
        }
        judged
    }

    fn brake(&self, by_network: u32, by_phone: u32, peer: IpAddr, now: Instant) -> Brake {
        let Shared { config, networks, counters, .. } = &*self.0;
        let refuse = || {
            counters.refused.inc();
            let rest = networks.rest(&network(peer), now).as_secs() + 1;
            Brake::Refuse(u16::try_from(rest).unwrap_or(u16::MAX))
        };
        if by_network > config.refuse_after {
            return refuse();
        }
        let Some(over) = by_network.max(by_phone).checked_sub(config.failures + 1) else { return Brake::Off };
        let Ok(place) = self.0.waiting.clone().try_acquire_owned() else { return refuse() };
        counters.delayed.inc();
        let time = FIRST_DELAY.saturating_mul(1 << over.min(16)).min(config.longest_delay);
        Brake::Delay(Delay { time, released: self.0.released.subscribe(), _place: place })
    }

    /// Names a peer in the log, unless a phone of its network had a proof lately: a ban would take that phone away, too.
    fn ban(&self, peer: IpAddr, why: Why, now: Instant) {
        if self.has_proved(peer, now) {
            return;
        }
        self.0.counters.bans.inc();
        tracing::warn!(target: BAN_TARGET, "{}", Ban { peer, why });
    }

    /// Notes that a phone of a network had a proof.
    pub fn proved(&self, peer: IpAddr, now: Instant) {
        self.0.proofs.insert(network(peer), now);
    }

    /// Whether a phone of the network had a proof within `brakes.spare`.
    pub fn has_proved(&self, peer: IpAddr, now: Instant) -> bool {
        let last = self.0.proofs.get(&network(peer));
        last.is_some_and(|at| now.saturating_duration_since(at) < self.0.config.spare)
    }

    /// Whether a proof that can be guessed, such as a password, is to be looked at: after `brakes.tries` wrong ones from one
    /// network for one phone it is taken for wrong unseen. To be asked for known and unknown phones alike.
    pub fn may_try(&self, peer: IpAddr, mac: MacAddr, now: Instant) -> bool {
        self.0.pairs.get(&(network(peer), mac), now) < self.0.config.tries
    }

    /// Counts a wrong one. To be told for known and unknown phones alike.
    pub fn tried(&self, peer: IpAddr, mac: MacAddr, now: Instant) {
        self.0.pairs.add((network(peer), mac), now);
    }

    /// Lets everybody go who waits, and nobody wait from now on: the server stops.
    pub fn release(&self) {
        self.0.released.send_replace(true);
    }

    /// Refusals that wait now.
    pub fn waiting(&self) -> usize {
        self.0.config.waiting.saturating_sub(self.0.waiting.available_permits())
    }
}

#[cfg(test)]
mod tests;
