//! Slows down those who present wrong tokens. No token can be guessed; this keeps the tries from costing the database and
//! the log anything. Who presents a token that was right a moment ago is never held up by others behind the same address.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::brakes::{Counts, network};

/// Wrong tokens that one source may present; then it waits until half of them are forgotten.
const MOST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Sources, and digests of good tokens, that are remembered.
const REMEMBERED: usize = 4096;

/// How long a token that was right counts as such here. It is still looked up each time.
const TRUSTED: Duration = Duration::from_secs(300);

/// Counts wrong tokens by source. Bounded in memory.
#[derive(Debug)]
pub struct Brake {
    wrong: Counts<IpAddr>,
    right: Cache<String, Instant>,
}

impl Default for Brake {
    fn default() -> Self {
        Self { wrong: Counts::new(REMEMBERED, WINDOW), right: Cache::new(REMEMBERED) }
    }
}

impl Brake {
    /// How long the source has to wait, if it has tried too often.
    pub fn wait(&self, source: IpAddr, now: Instant) -> Option<Duration> {
        let source = network(source);
        (self.wrong.get(&source, now) >= MOST).then(|| self.wrong.rest(&source, now))
    }

    /// Whether the token with this digest was right lately.
    pub fn is_trusted(&self, digest: &str, now: Instant) -> bool {
        self.right.get(digest).is_some_and(|at| now.saturating_duration_since(at) < TRUSTED)
    }

    /// Notes a right token.
    pub fn right(&self, digest: &str, now: Instant) {
        if !self.is_trusted(digest, now) {
            self.right.insert(digest.to_owned(), now);
        }
    }

    /// Notes a wrong one. True where the source has now tried too often.
    pub fn wrong(&self, source: IpAddr, now: Instant) -> bool {
        self.wrong.add(network(source), now) == MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_tries_too_often_waits_and_others_do_not() {
        let (brake, now) = (Brake::default(), Instant::now());
        let [one, other]: [IpAddr; 2] = ["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        for tried in 1..=MOST {
            assert_eq!(brake.wait(one, now), None);
            assert_eq!(brake.wrong(one, now), tried == MOST);
        }
        assert_eq!(brake.wait("2001:db8::2".parse().unwrap(), now), Some(WINDOW));
        assert_eq!(brake.wait(other, now), None);
        assert_eq!(brake.wait(one, now + WINDOW), None);
        assert!(!brake.wrong(one, now + WINDOW));
    }

    #[test]
    fn a_token_that_was_right_is_trusted_for_a_while() {
        let (brake, now) = (Brake::default(), Instant::now());
        assert!(!brake.is_trusted("a", now));
        brake.right("a", now);
        assert!(brake.is_trusted("a", now) && !brake.is_trusted("a", now + TRUSTED));
    }
}
