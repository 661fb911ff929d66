//! The nonces of Digest: signed, so that none has to be kept before it is used, and dead after a while; those that were used are
//! remembered with their count, in bounded memory, so that no answer is taken twice.
//!
//! A nonce is bound to the realm and to its time. It is not bound to the phone's address: phones behind a NAT with several
//! addresses, and those with IPv4 and IPv6, ask from one and answer from another. What an answer is good for is bound by the
//! answer itself, to method and URI.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

use crate::model::Secret;

/// How old a nonce of another server may be, in milliseconds: long enough for a phone whose second request a load balancer
/// takes elsewhere, and short, because what was used there is not known here.
const OF_OTHERS: i64 = 30_000;

/// How far the clocks of two servers may be apart, in milliseconds.
const AHEAD: i64 = 30_000;

const BODY: usize = 20;
const TAG: usize = 16;

/// Makes nonces and knows them again.
#[derive(Debug)]
pub struct Nonces {
    key: Secret,
    realm: String,
    /// Of this process.
    server: [u8; 4],
    /// Milliseconds.
    lifetime: i64,
    used: Mutex<Used>,
    /// How many used ones are remembered.
    most: usize,
}

/// Those that were used, the oldest first.
#[derive(Debug, Default)]
struct Used {
    counts: BTreeMap<Nonce, u32>,
    /// Those of this time and before that are not remembered may have been forgotten: they count as used.
    forgotten: i64,
}

/// A nonce of ours that is young enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nonce {
    /// Milliseconds since 1970.
    issued: i64,
    random: u64,
}

impl Nonces {
    /// `key` signs; servers that share one take each other's nonces.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new(key: Secret, realm: &str, lifetime: std::time::Duration, most: usize) -> Result<Self, getrandom::Error> {
        let mut server = [0; 4];
        getrandom::fill(&mut server)?;
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        let used = Mutex::new(Used { counts: BTreeMap::new(), forgotten: i64::MIN });
        Ok(Self { key, realm: realm.to_owned(), server, lifetime, used, most: most.max(1) })
    }

    /// A new one: 48 letters, digits, `-` and `_`. Without randomness it is one that nobody can answer.
    pub fn issue(&self, now: OffsetDateTime) -> String {
        let mut random = [0; 8];
        if getrandom::fill(&mut random).is_err() {
            return "0".repeat(48);
        }
        let body = [&milliseconds(now).to_be_bytes()[..], &self.server, &random].concat();
        let tag = self.tag(&body);
        URL_SAFE_NO_PAD.encode([body, tag].concat())
    }

    /// The nonce, if it is ours and not too old.
    pub fn read(&self, text: &str, now: OffsetDateTime) -> Option<Nonce> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY)?;
        if tag.len() != TAG || !bool::from(self.tag(body).ct_eq(tag)) {
            return None;
        }
        let (issued, rest) = body.split_first_chunk::<8>()?;
        let (server, random) = rest.split_first_chunk::<4>()?;
        let issued = i64::from_be_bytes(*issued);
        let most = if *server == self.server { self.lifetime } else { self.lifetime.min(OF_OTHERS) };
        let age = milliseconds(now).saturating_sub(issued);
        let random = u64::from_be_bytes(*random.first_chunk::<8>()?);
        (-AHEAD..=most).contains(&age).then_some(Nonce { issued, random })
    }

    /// Whether it was used with this count or a higher one, or may have been.
    pub fn is_used(&self, nonce: Nonce, count: u32) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.last(nonce).is_some_and(|last| last >= count)
    }

    /// Uses it. `may_repeat`: with the same count as before, too. False: it was used so already.
    pub fn take(&self, nonce: Nonce, count: u32, may_repeat: bool, now: OffsetDateTime) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.put_right(milliseconds(now), self.lifetime.saturating_add(AHEAD));
        match used.last(nonce) {
            Some(last) if last > count || last == count && !may_repeat => return false,
            _ => used.counts.insert(nonce, count),
        };
        let dead = milliseconds(now).saturating_sub(self.lifetime.saturating_add(AHEAD));
        while let Some(oldest) = used.counts.first_entry() {
            let issued = oldest.key().issued;
            if issued < dead {
                oldest.remove();
            } else if used.counts.len() > self.most {
                used.forgotten = used.forgotten.max(issued);
                used.counts.pop_first();
            } else {
                break;
            }
        }
        true
    }

    fn tag(&self, body: &[u8]) -> Vec<u8> {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.expose()) else { return Vec::new() };
        mac.update(b"resyncd nonce v1\0");
        mac.update(self.realm.as_bytes());
        mac.update(b"\0");
        mac.update(body);
        mac.finalize().into_bytes().iter().take(TAG).copied().collect()
    }
}

impl Used {
    /// Forgets what a clock has left that ran ahead: it would stand in the way until that time comes.
    fn put_right(&mut self, now: i64, margin: i64) {
        let ahead = now.saturating_add(margin);
        if self.counts.last_key_value().is_some_and(|(newest, _)| newest.issued > ahead) {
            drop(self.counts.split_off(&Nonce { issued: ahead, random: 0 }));
        }
        if self.forgotten > ahead {
            // What is from before this moment and not remembered still counts as used.
            self.forgotten = now;
        }
    }

    /// The highest count that it was used with.
    fn last(&self, nonce: Nonce) -> Option<u32> {
        self.counts.get(&nonce).copied().or_else(|| (nonce.issued <= self.forgotten).then_some(u32::MAX))
    }
}

fn milliseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 10:00 UTC);

    fn nonces(key: &str, most: usize) -> Nonces {
        Nonces::new(Secret::new(key), "resyncd", Duration::from_secs(300), most).unwrap()
    }

    #[test]
    fn a_clock_that_ran_ahead_leaves_nothing_in_the_way() {
        let ours = nonces("key", 3);
        let take = |issued: OffsetDateTime| {
            let nonce = ours.read(&ours.issue(issued), issued).unwrap();
            ours.take(nonce, 1, false, issued)
        };
        let ahead = NOW + time::Duration::days(365);
        assert!((0..5).all(|second| take(ahead + time::Duration::seconds(second))));
        // The first may be refused, and its phone is given a new one.
        take(NOW);
        assert!((1..5).all(|second| take(NOW + time::Duration::seconds(second))));
        // Those that are remembered are still not taken twice.
        let nonce = ours.read(&ours.issue(NOW), NOW).unwrap();
        let later = NOW + time::Duration::seconds(9);
        let newest = ours.read(&ours.issue(later), later).unwrap();
        assert!(ours.take(newest, 1, false, later) && !ours.take(newest, 1, false, later));
        assert!(!ours.take(nonce, 1, false, later), "it is older than what had to be forgotten");
    }

    #[test]
    fn a_nonce_is_known_again_until_it_is_too_old() {
        let ours = nonces("key", 10);
        let text = ours.issue(NOW);
        assert_eq!(text.len(), 48);
        assert_ne!(text, ours.issue(NOW));
        let later = |seconds: i64| ours.read(&text, NOW + time::Duration::seconds(seconds));
        assert!(later(0).is_some() && later(300).is_some() && later(-30).is_some());
        assert!(later(301).is_none() && later(-31).is_none());
    }

    #[test]
    fn nobody_else_can_make_one() {
        let ours = nonces("key", 10);
        let text = ours.issue(NOW);
        for (at, _) in text.char_indices() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(ours.read(&changed, NOW), None, "{changed}");
        }
        for text in ["", "0", &text[..40], &format!("{text}AAAA"), &nonces("other", 1).issue(NOW), &"0".repeat(48)] {
            assert_eq!(ours.read(text, NOW), None, "{text}");
        }
        let elsewhere = Nonces::new(Secret::new("key"), "another", Duration::from_secs(300), 1).unwrap();
        assert_eq!(ours.read(&elsewhere.issue(NOW), NOW), None);
    }

    #[test]
    fn another_server_of_the_same_key_is_believed_for_a_moment() {
        let (ours, theirs) = (nonces("key", 10), nonces("key", 10));
        let text = theirs.issue(NOW);
        assert!(ours.read(&text, NOW + time::Duration::seconds(30)).is_some());
        assert!(ours.read(&text, NOW + time::Duration::seconds(31)).is_none());
    }

    #[test]
    fn counts_have_to_grow() {
        let ours = nonces("key", 10);
        let nonce = ours.read(&ours.issue(NOW), NOW).unwrap();
        assert!(!ours.is_used(nonce, 1) && ours.take(nonce, 1, false, NOW));
        assert!(ours.is_used(nonce, 1) && !ours.take(nonce, 1, false, NOW));
        assert!(ours.take(nonce, 5, false, NOW) && !ours.take(nonce, 4, true, NOW));
        assert!(ours.take(nonce, 5, true, NOW), "a phone that repeats its count");
    }

    #[test]
    fn what_had_to_be_forgotten_counts_as_used() {
        let ours = nonces("key", 3);
        let made: Vec<_> = (0..10)
            .map(|second| {
                let then = NOW + time::Duration::seconds(second);
                ours.read(&ours.issue(then), then).unwrap()
            })
            .collect();
        assert!(made.iter().skip(1).all(|nonce| ours.take(*nonce, 1, false, NOW)));
        assert_eq!(ours.used.lock().unwrap().counts.len(), 3);
        assert!(made.iter().all(|nonce| !ours.take(*nonce, 1, false, NOW)), "the first was never used");
        assert!(ours.take(made[9], 2, false, NOW));
        // What is too old is of no use, and needs no memory.
        let then = NOW + time::Duration::seconds(1000);
        assert!(ours.take(ours.read(&ours.issue(then), then).unwrap(), 1, false, then));
        assert_eq!(ours.used.lock().unwrap().counts.len(), 1);
    }
}
