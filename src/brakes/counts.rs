//! How often something has happened lately, in bounded memory: what every brake counts with.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// What one customer has: an IPv4 address (/32), or the first half of an IPv6 one (/64).
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// A network as it is written: `192.0.2.7`, `2001:db8::/64`.
pub fn written(peer: IpAddr) -> String {
    match network(peer) {
        IpAddr::V6(network) => format!("{network}/64"),
        v4 => v4.to_string(),
    }
}

/// Counts by key. A count is halved with each window that passes. No more keys than so many are remembered; those that come
/// again and again stay, so that a flood of new ones does not make the others forgotten.
#[derive(Debug)]
pub struct Counts<K> {
    counts: Cache<K, Count>,
    window: Duration,
    /// Held while a count goes up.
    counting: Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    number: u32,
    /// When it began, or was last halved.
    since: Instant,
}

impl Count {
    fn at(self, now: Instant, window: Duration) -> Self {
        let windows = now.saturating_duration_since(self.since).as_nanos() / window.as_nanos().max(1);
        match u32::try_from(windows) {
            Ok(0) => self,
            Ok(windows @ 1..32) => Self { number: self.number >> windows, since: self.since + window * windows },
            _ => Self { number: 0, since: now },
        }
    }
}

impl<K: Eq + Hash + Clone> Counts<K> {
    pub fn new(remembered: usize, window: Duration) -> Self {
        Self { counts: Cache::new(remembered), window, counting: Mutex::default() }
    }

    /// How often it happened.
    pub fn get(&self, key: &K, now: Instant) -> u32 {
        self.counts.get(key).map_or(0, |count| count.at(now, self.window).number)
    }

    /// Counts once more, and gives how often it is now.
    pub fn add(&self, key: K, now: Instant) -> u32 {
        let _one_at_a_time = self.counting.lock();
        let count = self.counts.get(&key).map(|count| count.at(now, self.window)).filter(|count| count.number > 0);
        let count = count.unwrap_or(Count { number: 0, since: now });
        let number = count.number.saturating_add(1);
        self.counts.insert(key, Count { number, ..count });
        number
    }

    /// How long until the count is halved; nothing for what is not counted.
    pub fn rest(&self, key: &K, now: Instant) -> Duration {
        let count = self.counts.get(key).map(|count| count.at(now, self.window));
        count.map_or(Duration::ZERO, |count| self.window.saturating_sub(now.saturating_duration_since(count.since)))
    }

    /// Keys that are remembered now.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    #[test]
    fn a_count_is_halved_with_each_window() {
        let (counts, now) = (Counts::new(10, WINDOW), Instant::now());
        for number in 1..=20 {
            assert_eq!(counts.add("a", now), number);
        }
        assert_eq!((counts.get(&"a", now), counts.get(&"b", now)), (20, 0));
        assert_eq!(counts.rest(&"a", now + WINDOW / 2), WINDOW / 2);
        assert_eq!(counts.get(&"a", now + WINDOW), 10);
        assert_eq!(counts.add("a", now + WINDOW * 2), 6);
        assert_eq!(counts.get(&"a", now + WINDOW * 40), 0);
        assert_eq!(counts.add("a", now + WINDOW * 40), 1);
        assert_eq!(counts.get(&"a", now), 1, "a clock that seems to go back forgets nothing");
    }

    #[test]
    fn networks_are_of_one_customer() {
        let of = |text: &str| written(text.parse().unwrap());
        assert_eq!((of("192.0.2.7"), of("::ffff:192.0.2.7")), ("192.0.2.7".into(), "192.0.2.7".into()));
        assert_eq!((of("2001:db8::1"), of("2001:db8:0:1::1")), ("2001:db8::/64".into(), "2001:db8:0:1::/64".into()));
    }

    #[test]
    fn memory_is_bounded_and_who_comes_often_is_not_forgotten() {
        let (counts, now) = (Counts::new(1_000, WINDOW), Instant::now());
        for number in 0..100_000_u32 {
            counts.add(number, now);
            counts.add(u32::MAX, now);
        }
        assert!(counts.len() <= 1_000, "{}", counts.len());
        assert_eq!(counts.get(&u32::MAX, now), 100_000);
    }
}
