//! Where client certificates were seen: one that two phones have was copied.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use quick_cache::sync::Cache;

use crate::model::MacAddr;

/// Two sightings within this time are told of. A phone that was carried somewhere else has by then been without power for a
/// while; two with the same certificate come again and again.
const AT_ONCE: Duration = Duration::from_secs(3_600);

/// Certificates that are remembered; the least asked for go first. Some 5 MB.
const REMEMBERED: usize = 1 << 15;

/// Certificates, and where each was seen last.
#[derive(Debug)]
pub struct Sightings(Cache<[u8; 32], Sighting>);

#[derive(Debug, Clone, Copy)]
struct Sighting {
    network: IpNet,
    /// The MAC of the path.
    asked: Option<MacAddr>,
    at: Instant,
}

impl Default for Sightings {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Sightings {
    /// Takes note of a certificate, by its SHA-256. True where it was seen within an hour for another MAC, or from another
    /// network (/24, /48).
    pub fn note(&self, certificate: [u8; 32], peer: IpAddr, asked: Option<MacAddr>, now: Instant) -> bool {
        let peer = peer.to_canonical();
        let length = if peer.is_ipv4() { 24 } else { 48 };
        let network = IpNet::new(peer, length).unwrap_or_else(|_| IpNet::from(peer)).trunc();
        let before = self.0.get(&certificate).filter(|before| now.saturating_duration_since(before.at) <= AT_ONCE);
        let known = before.and_then(|before| before.asked);
        self.0.insert(certificate, Sighting { network, asked: asked.or(known), at: now });
        let elsewhere = before.is_some_and(|before| before.network != network);
        elsewhere || known.zip(asked).is_some_and(|(known, asked)| known != asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_at_two_places_at_once_is_seen() {
        let (seen, now) = (Sightings::default(), Instant::now());
        let after = |minutes: u64| now + Duration::from_secs(60 * minutes);
        let note = |certificate: u8, peer: &str, mac: &str, at: Instant| {
            seen.note([certificate; 32], peer.parse().unwrap(), mac.parse().ok(), at)
        };
        assert!(!note(1, "192.0.2.7", "000e08abcdef", now));
        // Its neighbour's, and another phone behind the same address.
        assert!(!note(1, "192.0.2.99", "000e08abcdef", after(1)));
        assert!(!note(2, "192.0.2.7", "000e08000001", after(1)));
        // A path without a MAC is no other phone's.
        assert!(!note(1, "192.0.2.7", "", after(2)));
        assert!(note(1, "192.0.2.7", "000e08000001", after(3)));
        assert!(note(1, "198.51.100.7", "000e08000001", after(4)));
        // A phone that has moved.
        assert!(!note(1, "192.0.2.7", "000e08000001", after(65)));
        assert!(!note(3, "2001:db8:1:1::7", "", now));
        assert!(!note(3, "2001:db8:1:2::7", "", now));
        assert!(note(3, "2001:db8:2::7", "", now));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (seen, now) = (Sightings::default(), Instant::now());
        for number in 0..100_000_u32 {
            let mut certificate = [0; 32];
            certificate[..4].copy_from_slice(&number.to_be_bytes());
            seen.note(certificate, [192, 0, 2, 1].into(), None, now);
        }
        assert!(seen.0.len() <= REMEMBERED);
    }
}
