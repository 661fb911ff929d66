//! Who tries codes: how often a source network has come with a wrong one, in bounded memory.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// Wrong codes of one network within the window; then it has to wait.
const MOST_FAILURES: u32 = 20;

/// After this they are forgotten.
const WINDOW: Duration = Duration::from_secs(3_600);

/// Networks that are remembered; those that try again and again stay.
const NETWORKS: usize = 10_000;

/// Counts wrong codes.
#[derive(Debug)]
pub struct Brake(Cache<IpAddr, (Instant, u32)>);

impl Brake {
    pub fn new() -> Self {
        Self(Cache::new(NETWORKS))
    }

    /// Whether a network has to wait.
    pub fn holds(&self, peer: IpAddr, now: Instant) -> bool {
        let found = self.0.get(&network(peer));
        found.is_some_and(|(since, failures)| failures >= MOST_FAILURES && now.duration_since(since) < WINDOW)
    }

    /// Counts a wrong code.
    pub fn fail(&self, peer: IpAddr, now: Instant) {
        let network = network(peer);
        let (since, failures) =
            self.0.get(&network).filter(|(since, _)| now.duration_since(*since) < WINDOW).unwrap_or((now, 0));
        self.0.insert(network, (since, failures.saturating_add(1)));
    }
}

/// What one customer has: an IPv4 address, or the first half of an IPv6 one.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_tries_codes_has_to_wait_for_a_while_and_no_other() {
        let (brake, now) = (Brake::new(), Instant::now());
        let peer = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..MOST_FAILURES {
            assert!(!brake.holds(peer("2001:db8::1"), now));
            brake.fail(peer("2001:db8::1"), now);
        }
        assert!(brake.holds(peer("2001:db8::2"), now));
        assert!(!brake.holds(peer("2001:db8:0:1::1"), now));
        assert!(!brake.holds(peer("2001:db8::2"), now + WINDOW));
    }
}
