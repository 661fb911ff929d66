//! Recognises scans: many phones of one maker asked for in vain. Told once, and again when ten times as much was asked; what
//! comes in between is counted only.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::counts::{network, written};
use crate::model::MacAddr;

/// Ranges by network that are remembered.
const RANGES: usize = 4_096;

/// Ranges over all networks that are remembered.
const WIDE_RANGES: usize = 256;

/// A scan over all networks is one of so many times the phones: a maker's phones ask in vain from many places without any
/// harm meant.
const WIDE: usize = 10;

/// How much more has to be asked for until a scan is told again.
const TELL_AGAIN: u64 = 10;

/// A scan, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Where it came from; none: from many networks.
    pub network: Option<IpAddr>,
    /// Different phones asked for: at least so many.
    pub phones: usize,
    /// Requests since it began.
    pub requests: u64,
    /// The lowest and the highest MAC.
    pub range: (MacAddr, MacAddr),
    /// Since it began.
    pub within: Duration,
}

impl Scan {
    /// The first half of the MACs, which names the maker.
    pub fn oui(&self) -> String {
        self.range.0.to_string().chars().take(6).collect()
    }
}

impl std::fmt::Display for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, last) = self.range;
        let from = self.network.map_or_else(|| "many networks".to_owned(), written);
        let seconds = self.within.as_secs() + 1;
        let (phones, requests) = (self.phones, self.requests);
        write!(f, "{phones} phones of {} were asked for in vain from {from}, ", self.oui())?;
        write!(f, "{first} to {last}, by {requests} requests in {seconds} s")
    }
}

/// What one request for a phone in vain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// Nothing special.
    Alone,
    /// With it a scan is recognised, or has grown much.
    Told(Scan),
    /// One of a scan that has been told.
    Part,
}

#[derive(Debug)]
struct Range {
    since: Instant,
    /// The last halves of the MACs, until there are as many as make a scan.
    seen: Vec<[u8; 3]>,
    first: MacAddr,
    last: MacAddr,
    requests: u64,
    /// Requests at which it is told the next time; none: not told yet.
    next: Option<u64>,
}

/// The first three octets of a MAC.
type Oui = [u8; 3];

type Ranges<K> = Cache<K, Arc<Mutex<Range>>>;

/// Looks for scans, in bounded memory.
#[derive(Debug)]
pub struct Scans {
    by_network: Ranges<(IpAddr, Oui)>,
    wide: Ranges<Oui>,
    phones: usize,
    window: Duration,
}

impl Scans {
    /// So many phones within a window are a scan.
    pub fn new(phones: usize, window: Duration) -> Self {
        Self { by_network: Cache::new(RANGES), wide: Cache::new(WIDE_RANGES), phones, window }
    }

    /// Notes that a phone was asked for in vain: what that is of a scan from one network, and of one from many.
    pub fn note(&self, peer: IpAddr, mac: MacAddr, now: Instant) -> [Noted; 2] {
        let [a, b, c, d, e, f] = mac.octets();
        let (oui, own) = ([a, b, c], [d, e, f]);
        let network = network(peer);
        let fresh = || Arc::new(Mutex::new(Range::new(mac, now)));
        let near = get_or_insert(&self.by_network, &(network, oui), fresh);
        let wide = get_or_insert(&self.wide, &oui, fresh);
        let note = |range: &Mutex<Range>, phones, network| {
            let mut range = range.lock().unwrap_or_else(PoisonError::into_inner);
            range.note(mac, own, now, self.window, phones, network)
        };
        [note(&near, self.phones, Some(network)), note(&wide, self.phones * WIDE, None)]
    }
}

fn get_or_insert<K: Eq + std::hash::Hash + Clone>(
    ranges: &Ranges<K>,
    key: &K,
    fresh: impl Fn() -> Arc<Mutex<Range>>,
) -> Arc<Mutex<Range>> {
    match ranges.get(key) {
        Some(range) => range,
        None => {
            let range = fresh();
            ranges.insert(key.clone(), range.clone());
            range
        }
    }
}

impl Range {
    fn new(mac: MacAddr, now: Instant) -> Self {
        Self { since: now, seen: Vec::new(), first: mac, last: mac, requests: 0, next: None }
    }

    fn note(
        &mut self,
        mac: MacAddr,
        own: [u8; 3],
        now: Instant,
        window: Duration,
        phones: usize,
        network: Option<IpAddr>,
    ) -> Noted {
        if now.saturating_duration_since(self.since) >= window {
            *self = Self::new(mac, now);
        }
        self.requests += 1;
        self.first = self.first.min(mac);
        self.last = self.last.max(mac);
        if self.seen.len() < phones && !self.seen.contains(&own) {
            self.seen.push(own);
        }
        if self.seen.len() < phones {
            return Noted::Alone;
        }
        if self.next.is_some_and(|next| self.requests < next) {
            return Noted::Part;
        }
        self.next = Some(self.requests.saturating_mul(TELL_AGAIN));
        Noted::Told(Scan {
            network,
            phones: self.seen.len(),
            requests: self.requests,
            range: (self.first, self.last),
            within: now.saturating_duration_since(self.since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(3_600);

    fn mac(number: u32) -> MacAddr {
        format!("000e08{number:06x}").parse().unwrap()
    }

    fn peer(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0xc000_0200 + number).into()
    }

    #[test]
    fn many_phones_from_one_network_are_one_scan() {
        let (scans, now) = (Scans::new(5, WINDOW), Instant::now());
        let told = |number| scans.note(peer(7), mac(number), now)[0].clone();
        for number in [9, 3, 3, 3, 4, 8] {
            assert_eq!(told(number), Noted::Alone);
        }
        let Noted::Told(scan) = told(5) else { panic!("not told") };
        assert_eq!((scan.phones, scan.requests, scan.range), (5, 7, (mac(3), mac(9))));
        let text = "5 phones of 000e08 were asked for in vain from 192.0.2.7, 000e08000003 to 000e08000009, by 7 requests \
                    in 1 s";
        assert_eq!(scan.to_string(), text);
        for number in 0..62 {
            assert_eq!(told(number), Noted::Part, "{number}");
        }
        let Noted::Told(scan) = told(200) else { panic!("not told again") };
        assert_eq!((scan.requests, scan.range), (70, (mac(0), mac(200))));
        // Another network has done nothing, and a window later all is forgotten.
        assert_eq!(scans.note(peer(8), mac(1), now)[0], Noted::Alone);
        assert_eq!(scans.note(peer(7), mac(1), now + WINDOW)[0], Noted::Alone);
    }

    #[test]
    fn a_phone_that_asks_again_and_again_is_no_scan() {
        let (scans, now) = (Scans::new(5, WINDOW), Instant::now());
        assert!((0..1_000).all(|number| scans.note(peer(7), mac(number % 4), now)[0] == Noted::Alone));
    }

    #[test]
    fn a_scan_from_many_networks_is_seen_too() {
        let (scans, now) = (Scans::new(5, WINDOW), Instant::now());
        let noted: Vec<_> = (0..60).map(|number| scans.note(peer(number), mac(number), now)).collect();
        assert!(noted.iter().all(|[near, _]| *near == Noted::Alone));
        let told: Vec<_> = noted.iter().filter(|[_, wide]| matches!(wide, Noted::Told(_))).collect();
        let [[_, Noted::Told(scan)]] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((scan.network, scan.phones, scan.range), (None, 50, (mac(0), mac(49))));
    }

    #[test]
    fn memory_is_bounded() {
        let (scans, now) = (Scans::new(5, WINDOW), Instant::now());
        for number in 1..20_000_u32 {
            let mac = format!("{number:06x}000000").parse().unwrap();
            scans.note(peer(number), mac, now);
        }
        assert!(scans.by_network.len() <= RANGES && scans.wide.len() <= WIDE_RANGES);
    }
}
