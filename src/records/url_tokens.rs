//! What this server knows of the tokens in URLs. Those of a device are read together, kept, and forgotten when one of them
//! has changed on any server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use time::OffsetDateTime;

use super::known::Records;
use crate::identity::url_token::{Presented, UrlToken};
use crate::model::MacAddr;
use crate::resync::{Bearer, Known};
use crate::store::UrlTokenRow;

/// Devices whose tokens are remembered. Some 300 bytes each.
const DEVICES: usize = 65_536;

#[derive(Debug)]
pub(super) struct UrlTokens {
    /// The device of a digest. It may have lost the token since: what the device's tokens are, the next tells.
    whose: Cache<String, MacAddr>,
    of: Cache<MacAddr, Arc<[UrlTokenRow]>>,
    /// Raised before anything is forgotten, so that what was read before that is not kept after it.
    epoch: AtomicU64,
}

impl UrlTokens {
    pub fn new() -> Self {
        Self { whose: Cache::new(DEVICES), of: Cache::new(DEVICES), epoch: AtomicU64::new(0) }
    }

    pub fn forget(&self, macs: &[MacAddr]) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        macs.iter().for_each(|mac| drop(self.of.remove(mac)));
    }

    pub fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.of.clear();
    }
}

impl Records {
    /// What is known of what stands in the place of a token.
    pub(super) async fn token(&self, presented: &Presented) -> Known {
        let Presented::Token(token) = presented else { return Known::Worthless("it is none".to_owned()) };
        let digest = token.digest();
        let known = self.url_tokens.whose.get(&digest);
        let mac = match known {
            Some(mac) => Some(mac),
            // All that nobody knows end here, at the cost of one question.
            None => match self.ask(|| self.store().url_token_mac(&digest)).await {
                Some(mac) => mac,
                None => return Known::Away,
            },
        };
        let Some(mac) = mac else { return Known::Worthless("nobody has it".to_owned()) };
        let of_digest = |rows: &[UrlTokenRow]| rows.iter().find(|row| row.digest == digest).cloned();
        let kept = self.url_tokens.of.get(&mac).and_then(|rows| of_digest(&rows));
        let row = match kept {
            Some(row) => Some(row),
            None => match self.tokens_of(mac).await {
                Some(rows) => of_digest(&rows),
                None => return Known::Away,
            },
        };
        let Some(row) = row else { return Known::Worthless("it was revoked, or another took its place".to_owned()) };
        if known.is_none() {
            self.url_tokens.whose.insert(digest, mac);
        }
        bearer(token, row).map_or_else(Known::Worthless, Known::Of)
    }

    async fn tokens_of(&self, mac: MacAddr) -> Option<Arc<[UrlTokenRow]>> {
        let epoch = self.url_tokens.epoch.load(Ordering::SeqCst);
        let rows: Arc<[UrlTokenRow]> = self.ask(|| self.store().url_tokens(mac)).await?.into();
        self.url_tokens.of.insert(mac, rows.clone());
        if self.url_tokens.epoch.load(Ordering::SeqCst) != epoch {
            self.url_tokens.of.remove(&mac);
        }
        Some(rows)
    }
}

fn bearer(token: &UrlToken, row: UrlTokenRow) -> Result<Bearer, String> {
    if let Some(why) = row.problem(OffsetDateTime::now_utc()) {
        return Err(why);
    }
    let next = if row.is_bootstrap || row.renews {
        Some(UrlToken::generate().map_err(|error| format!("there is no randomness for the next one: {error}"))?)
    } else {
        None
    };
    Ok(Bearer { mac: row.mac, token: token.clone(), is_bootstrap: row.is_bootstrap, is_new: row.used.is_none(), next })
}
