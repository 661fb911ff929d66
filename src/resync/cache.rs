//! Delivered profiles kept in memory, so that a warm resync renders, compresses and encrypts nothing.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::identity::Access;
use crate::model::MacAddr;

/// A profile, ready to be sent.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Of everything that the profile depends on; a profile whose fingerprint is not the present one is stale.
    pub fingerprint: u64,
    /// So that a warm resync need not merge settings to decide.
    pub access: Access,
    pub encrypted: bool,
    pub body: Bytes,
    /// As it stands in the header, quotes and all.
    pub etag: String,
    pub content_type: String,
    pub content_encoding: Option<&'static str>,
    pub label: Option<&'static str>,
}

/// What a profile is kept under: the device (none for a file for anyone), pack, file and model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    pub device: Option<MacAddr>,
    pub pack: usize,
    pub file: usize,
    pub model: Option<usize>,
    /// Whether the profile leads on with the token that it was asked for with.
    pub with_token: bool,
}

#[derive(Debug, Clone)]
struct Size;

impl Weighter<Slot, Arc<Ready>> for Size {
    fn weight(&self, _: &Slot, ready: &Arc<Ready>) -> u64 {
        // The body, and about what the rest of an entry takes.
        u64::try_from(ready.body.len()).unwrap_or(u64::MAX).saturating_add(512)
    }
}

/// Bounded by bytes; what was asked for once goes before what is asked for again and again.
#[derive(Debug)]
pub struct Profiles(Cache<Slot, Arc<Ready>, Size>);

/// A profile's usual size as it is sent, in bytes; only for sizing the cache's tables.
const USUAL_BYTES: u64 = 8 * 1024;

impl Profiles {
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / USUAL_BYTES).unwrap_or(usize::MAX).max(16);
        Self(Cache::with_weighter(items, bytes, Size))
    }

    /// The profile, if it is there and not stale.
    pub fn get(&self, slot: &Slot, fingerprint: u64) -> Option<Arc<Ready>> {
        self.0.get(slot).filter(|ready| ready.fingerprint == fingerprint)
    }

    pub fn put(&self, slot: Slot, ready: Arc<Ready>) {
        self.0.insert(slot, ready);
    }

    /// Bytes held now.
    pub fn weight(&self) -> u64 {
        self.0.weight()
    }
}
