//! What this server knows of the records: which MACs have one and at which revision, and those records that were asked for
//! lately, ready to be served. A record that has changed is fetched anew when its phone asks; no other is touched.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Notify;

use super::group::GroupRecord;
use super::record::Record;
use super::resolve::{device_of, group_of};
use super::url_tokens::UrlTokens;
use crate::model::{MacAddr, Serial};
use crate::resync::{DeviceKey, Found, Generation, GroupLayer, Inquiry, Known as Token, Lookup};
use crate::store::{ChangeKind, DeviceRow, Store, StoreError};
use crate::vault::Vault;

/// How long a resync waits for the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serial numbers whose MAC is remembered.
const SERIALS: usize = 65_536;

/// A record's usual size in memory, in bytes; only for sizing the cache's tables.
const USUAL_BYTES: u64 = 4 * 1024;

/// What this server knows of the records.
#[derive(Debug)]
pub struct Records {
    store: Store,
    vault: Vault,
    /// Every record's revision.
    index: RwLock<HashMap<MacAddr, i64>>,
    cache: Cache<MacAddr, Arc<Known>, Size>,
    serials: Cache<Serial, MacAddr>,
    pub(super) url_tokens: UrlTokens,
    /// The fleet's revision that all of this is of.
    revision: AtomicI64,
    /// The database does not answer.
    away: AtomicBool,
    /// Somebody has found the database away, or back.
    pub(super) doubt: Notify,
}

/// A record that was asked for.
#[derive(Debug)]
struct Known {
    row: DeviceRow,
    /// What it makes in a generation, by the generation's stamp.
    made: ArcSwap<(u64, Lookup)>,
}

#[derive(Debug, Clone)]
struct Size;

impl Weighter<MacAddr, Arc<Known>> for Size {
    fn weight(&self, _: &MacAddr, known: &Arc<Known>) -> u64 {
        // The text, and about what is made of it.
        u64::try_from(known.row.settings.len()).unwrap_or(u64::MAX).saturating_mul(4).saturating_add(1024)
    }
}

/// What has changed, and is not in force yet.
#[derive(Debug)]
pub struct News {
    /// All groups that are set at run time, if one of them has changed. They are to be in force before the rest is: a device
    /// may be in one that came with it.
    pub groups: Option<Vec<GroupLayer>>,
    revision: i64,
    devices: Devices,
    /// Devices whose tokens have changed.
    tokens: Vec<MacAddr>,
}

/// The revisions of records.
#[derive(Debug)]
enum Devices {
    All(HashMap<MacAddr, i64>),
    /// Of these; none: it went.
    Some(Vec<(MacAddr, Option<i64>)>),
}

impl Records {
    /// Knows nothing yet: see [`Self::news`].
    pub fn new(store: Store, vault: Vault, cache_bytes: u64) -> Self {
        let items = usize::try_from(cache_bytes / USUAL_BYTES).unwrap_or(usize::MAX).max(16);
        Self {
            store,
            vault,
            index: RwLock::default(),
            cache: Cache::with_weighter(items, cache_bytes, Size),
            serials: Cache::new(SERIALS),
            url_tokens: UrlTokens::new(),
            revision: AtomicI64::new(-1),
            away: AtomicBool::new(false),
            doubt: Notify::new(),
        }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Whether the database does not answer at present.
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    pub(super) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.index.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn revision_of(&self, mac: MacAddr) -> Option<i64> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).get(&mac).copied()
    }

    /// Looks up the devices that a request may be about.
    pub async fn find(&self, inquiry: &Inquiry) -> Found {
        let mut known = Vec::with_capacity(inquiry.keys.len());
        for key in &inquiry.keys {
            let lookup = match key {
                DeviceKey::Mac(mac) => self.of_mac(&inquiry.generation, *mac).await,
                DeviceKey::Serial(serial) => self.of_serial(&inquiry.generation, serial).await,
            };
            known.push((key.clone(), lookup));
        }
        let token = match &inquiry.token {
            Some(presented) => Some(self.token(presented).await),
            None => None,
        };
        if let Some(Token::Of(bearer)) = &token {
            let lookup = self.of_mac(&inquiry.generation, bearer.mac).await;
            known.push((DeviceKey::Mac(bearer.mac), lookup));
        }
        Found { known, away: self.is_away(), invited: None, token }
    }

    /// What is known of one device at run time.
    pub async fn lookup(&self, generation: &Generation, mac: MacAddr) -> Lookup {
        self.of_mac(generation, mac).await
    }

    async fn of_mac(&self, generation: &Generation, mac: MacAddr) -> Lookup {
        // Most of those that nobody knows end here, without a question to the database.
        let Some(revision) = self.revision_of(mac) else { return Lookup::File };
        if let Some(known) = self.cache.get(&mac).filter(|known| known.row.revision >= revision) {
            return self.made(generation, &known);
        }
        match self.ask(|| self.store.device(mac)).await {
            Some(Some(row)) => {
                let made = ArcSwap::from_pointee((0, Lookup::Nothing));
                let known = Arc::new(Known { row, made });
                let lookup = self.made(generation, &known);
                self.cache.insert(mac, known);
                lookup
            }
            // It went just now.
            Some(None) => Lookup::File,
            None => Lookup::Away,
        }
    }

    async fn of_serial(&self, generation: &Generation, serial: &Serial) -> Lookup {
        if let Some(mac) = self.serials.get(serial) {
            match self.of_mac(generation, mac).await {
                Lookup::Record(device) if device.serial.as_ref() == Some(serial) => return Lookup::Record(device),
                Lookup::Away => return Lookup::Away,
                // It was given to another device since.
                _ => drop(self.serials.remove(serial)),
            }
        }
        let file = generation.profiles.device_by_serial(serial).map(|device| device.mac);
        let of_record = match self.count() {
            0 => None,
            _ => match self.ask(|| self.store.serials(std::slice::from_ref(serial))).await {
                Some(found) => found.first().map(|(_, mac)| *mac),
                // A device of a file that no record is laid over is known without the database.
                None if file.is_some_and(|mac| self.revision_of(mac).is_none()) => None,
                None => return Lookup::Away,
            },
        };
        let Some(mac) = of_record.or(file) else { return Lookup::Nothing };
        match self.of_mac(generation, mac).await {
            Lookup::Record(device) if device.serial.as_ref() == Some(serial) => {
                self.serials.insert(serial.clone(), mac);
                Lookup::Record(device)
            }
            // Its record gives the file's device another one.
            Lookup::Record(_) => Lookup::Nothing,
            Lookup::File if file != Some(mac) => Lookup::Nothing,
            other => other,
        }
    }

    /// What a record makes in a generation.
    fn made(&self, generation: &Generation, known: &Known) -> Lookup {
        let made = known.made.load();
        if made.0 == generation.stamp {
            return made.1.clone();
        }
        let lookup = match Record::open(&known.row, &self.vault) {
            Ok(stored) => match device_of(generation, &stored.record) {
                Ok(device) => Lookup::Record(Arc::new(device)),
                Err(problems) => Lookup::Broken(problems.to_string().replace('\n', "; ")),
            },
            Err(error) => Lookup::Broken(error.to_string()),
        };
        known.made.store(Arc::new((generation.stamp, lookup.clone())));
        lookup
    }

    /// Asks the database, unless it is known not to answer; none where it doesn't in time. Whoever restarts a database ends
    /// its connections in the middle of what they do: what broke off is asked once more.
    pub(super) async fn ask<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        question: impl Fn() -> F,
    ) -> Option<T> {
        if self.is_away() {
            return None;
        }
        let asking = async {
            match question().await {
                Err(error) if error.is_broken_off() => question().await,
                answer => answer,
            }
        };
        let error = match self.store.in_time(PATIENCE, asking).await {
            Ok(answer) => return Some(answer),
            Err(error) => error,
        };
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::error!("the database does not answer; what is known here goes on being served: {error}");
        }
        self.doubt.notify_one();
        None
    }

    /// Looks for what has changed since the last time; at first everything is news. None: nothing has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn news(&self) -> Result<Option<News>, StoreError> {
        match self.newer().await? {
            Some(revision) => self.since(revision).await.map(Some),
            None => Ok(None),
        }
    }

    /// The fleet's revision, if it is another than the one that is known here.
    pub(super) async fn newer(&self) -> Result<Option<i64>, StoreError> {
        let now = self.store.fleet_revision().await?;
        Ok((now != self.revision.load(Ordering::Relaxed)).then_some(now))
    }

    /// What has changed up to a revision, or later.
    pub(super) async fn since(&self, now: i64) -> Result<News, StoreError> {
        let seen = self.revision.load(Ordering::Relaxed);
        let changes = if seen < 0 { None } else { self.store.changes_since(seen).await? };
        let Some(changes) = changes else {
            let index = self.store.device_revisions().await?.into_iter().collect();
            let groups = self.groups().await?;
            let devices = Devices::All(index);
            return Ok(News { groups: Some(groups), revision: now, devices, tokens: Vec::new() });
        };
        let of_kind = |kind: ChangeKind| -> Vec<MacAddr> {
            changes.iter().filter(|change| change.kind == kind).filter_map(|change| change.name.parse().ok()).collect()
        };
        let (macs, mut tokens) = (of_kind(ChangeKind::Device), of_kind(ChangeKind::Token));
        // Whose record goes loses the tokens, too.
        tokens.extend(&macs);
        let groups = changes.iter().any(|change| change.kind == ChangeKind::Group);
        let groups = if groups { Some(self.groups().await?) } else { None };
        let revisions = self.store.revisions_of(&macs).await?;
        let devices = macs.into_iter().map(|mac| (mac, revisions.get(&mac).copied())).collect();
        let revision = changes.iter().map(|change| change.revision).max().unwrap_or(now).max(now);
        Ok(News { groups, revision, devices: Devices::Some(devices), tokens })
    }

    /// Puts what has changed in force, but for the groups.
    pub fn take_in(&self, news: News) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        match news.devices {
            Devices::All(all) => {
                *index = all;
                drop(index);
                self.cache.clear();
                self.serials.clear();
                self.url_tokens.forget_all();
            }
            Devices::Some(some) => {
                for (mac, revision) in &some {
                    match revision {
                        Some(revision) => index.insert(*mac, *revision),
                        None => index.remove(mac),
                    };
                }
                drop(index);
                for (mac, _) in &some {
                    self.cache.remove(mac);
                }
            }
        }
        self.url_tokens.forget(&news.tokens);
        self.revision.store(news.revision, Ordering::Relaxed);
    }

    /// All groups that are set at run time. One that can't be read is there all the same: whoever is in it must not be
    /// served without it.
    pub async fn groups(&self) -> Result<Vec<GroupLayer>, StoreError> {
        let rows = self.store.groups().await?;
        let layers = rows.iter().map(|row| {
            let read = GroupRecord::open(row, &self.vault).map_err(|error| error.to_string());
            let read = read.and_then(|stored| group_of(&stored.record).map_err(|error| error.to_string()));
            read.unwrap_or_else(|why| {
                tracing::error!("the group {} can't be used, and those in it are not served: {why}", row.name);
                GroupLayer::unreadable(&row.name, row.parent.as_deref(), &why)
            })
        });
        Ok(layers.collect())
    }
}
