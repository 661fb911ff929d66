//! What phones send: taken, kept and given back.
//!
//! The content is a file below `<data_dir>/uploads`; on PostgreSQL, which several nodes share, it is in the database, so
//! that any node can give back what another took. In both cases a phone is told that its upload is kept only when content and
//! row are on disk. Who may send what is [`crate::resync`]'s to decide, and HTTP is [`crate::http`]'s.
//!
//! Names and types are the phone's own words: they are data, to be escaped wherever they are shown. Content is given to
//! people as `application/octet-stream` and as an attachment, and never as what it claims to be: a report may be HTML.

mod disk;
mod error;
pub mod multipart;
pub mod opened;
mod receive;
mod record;
mod streamed;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, Semaphore, watch};

use self::disk::Lock;
use crate::config;
use crate::store::{Store, UploadFilter};

pub use error::UploadError;
pub use receive::{About, Kept, Receiving};
pub use record::{ParseUploadIdError, TEXT_LIMIT, Upload, UploadId};
pub use streamed::Streamed;

/// All uploads. Clones share everything.
#[derive(Debug, Clone)]
pub struct Uploads(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    folder: PathBuf,
    limits: config::Uploads,
    node: String,
    places: Arc<Semaphore>,
    /// Bytes kept since all were last counted.
    added: AtomicU64,
    /// Told when it is time to count again.
    many: Notify,
    /// None for those that only look.
    lock: Option<Lock>,
}

/// Uploads, newest first, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub uploads: Vec<Upload>,
    /// Give this as `before` for the next page; none: there is none.
    pub next: Option<UploadId>,
}

/// Most uploads of one page.
pub const PAGE: u64 = 1_000;

/// How often old uploads are looked for.
const EVERY: Duration = Duration::from_secs(3_600);

/// Bytes of one part of the content, as it is read from disk.
const PART: usize = 64 << 10;

impl Uploads {
    /// Opens the folder, makes it if need be, and removes what an earlier run left half done.
    ///
    /// # Errors
    /// When the folder can't be made or cleaned, or the database not asked.
    pub async fn start(store: Store, limits: &config::Uploads, data_dir: &Path) -> Result<Self, UploadError> {
        let mut shared = Shared::new(store, limits, data_dir);
        let (lock, is_alone) = Lock::take(&shared.folder)?;
        let partial = shared.partial();
        disk::make_folder(&partial).map_err(|error| UploadError::disk(&partial, error))?;
        if is_alone {
            match shared.clean().await? {
                0 => {}
                removed => tracing::info!(removed, "{removed} files of uploads that were never finished are removed"),
            }
        }
        lock.share();
        shared.lock = Some(lock);
        Ok(Self(Arc::new(shared)))
    }

    /// The same for looking at what a server has taken, running or not: nothing is made and nothing removed.
    pub fn open_only(store: Store, limits: &config::Uploads, data_dir: &Path) -> Self {
        Self(Arc::new(Shared::new(store, limits, data_dir)))
    }

    /// How long an upload may take to come.
    pub fn timeout(&self) -> Duration {
        self.0.limits.timeout
    }

    /// The newest uploads that the filter lets through, `limit` and [`PAGE`] at most; those before `before` where it is given.
    pub async fn list(&self, filter: &UploadFilter, before: Option<UploadId>, limit: u64) -> Result<Page, UploadError> {
        let limit = limit.clamp(1, PAGE);
        let uploads = self.0.store.uploads(filter, before, limit).await?;
        let is_full = u64::try_from(uploads.len()).unwrap_or(u64::MAX) >= limit;
        let next = uploads.last().filter(|_| is_full).map(|upload| upload.id);
        Ok(Page { uploads, next })
    }

    /// One upload without its content; none where there is no such.
    pub async fn get(&self, id: UploadId) -> Result<Option<Upload>, UploadError> {
        Ok(self.0.store.upload(id).await?)
    }

    /// An upload and its content; none where there is no such.
    pub async fn open(&self, id: UploadId) -> Result<Option<(Upload, Content)>, UploadError> {
        let Some(upload) = self.get(id).await? else { return Ok(None) };
        let source = match &upload.path {
            None => Source::Database { store: self.0.store.clone(), id, next: 0 },
            // The path is made anew from the id: no row leads anywhere else.
            Some(_) => {
                let path = self.0.path(id);
                let file = tokio::fs::File::open(&path).await.map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => UploadError::Missing(path.clone()),
                    _ => UploadError::disk(&path, error),
                })?;
                Source::File { file, path }
            }
        };
        Ok(Some((upload, Content(source))))
    }

    /// The whole content of an upload, if it has no more than `limit` bytes.
    pub async fn read(&self, id: UploadId, limit: u64) -> Result<Option<(Upload, Vec<u8>)>, UploadError> {
        let Some((upload, mut content)) = self.open(id).await? else { return Ok(None) };
        let mut all = Vec::new();
        while let Some(part) = content.next().await? {
            all.extend_from_slice(&part);
            if u64::try_from(all.len()).unwrap_or(u64::MAX) > limit {
                return Err(UploadError::TooLarge(limit));
            }
        }
        Ok(Some((upload, all)))
    }

    /// Deletes an upload. False where there is no such.
    pub async fn delete(&self, id: UploadId) -> Result<bool, UploadError> {
        let deleted = self.0.store.delete_upload(id).await?;
        let was_there = deleted.is_some();
        self.0.gone(deleted.as_slice()).await;
        Ok(was_there)
    }

    /// Deletes what is older than `uploads.keep`, and the oldest beyond `uploads.total`. Tells how many went.
    pub async fn prune(&self, now: OffsetDateTime) -> Result<usize, UploadError> {
        let limits = &self.0.limits;
        let keep = limits.keep.map(|keep| time::Duration::try_from(keep).unwrap_or(time::Duration::MAX));
        // A time before the calendar's beginning keeps everything.
        let before = keep.and_then(|keep| now.checked_sub(keep));
        self.0.added.store(0, Ordering::Relaxed);
        let mut pruned = 0;
        loop {
            let gone = self.0.store.prune_uploads(before, limits.total).await?;
            if gone.is_empty() {
                return Ok(pruned);
            }
            pruned += gone.len();
            self.0.gone(&gone).await;
        }
    }

    /// Prunes now, every hour, and when much has come, until `stopping` turns true.
    pub async fn keep_pruned(self, mut stopping: watch::Receiver<bool>) {
        let mut hours = tokio::time::interval(EVERY);
        hours.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut clock = self.0.store.steady_clock().await;
        loop {
            tokio::select! {
                // An error means that the server is gone: a reason to stop as well.
                _ = stopping.wait_for(|stop| *stop) => return,
                _ = hours.tick() => {}
                () = self.0.many.notified() => {}
            }
            match self.prune(clock.now()).await {
                Ok(0) => {}
                Ok(pruned) => tracing::info!(pruned, "{pruned} uploads were old enough to go, or too many"),
                // It is tried again in an hour, and nothing is lost by that but room.
                Err(error) => tracing::warn!("old uploads can't be deleted: {error}"),
            }
        }
    }
}

impl Shared {
    fn new(store: Store, limits: &config::Uploads, data_dir: &Path) -> Self {
        Self {
            store,
            folder: data_dir.join("uploads"),
            limits: limits.clone(),
            node: hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            places: Arc::new(Semaphore::new(limits.at_once)),
            added: AtomicU64::new(0),
            many: Notify::new(),
            lock: None,
        }
    }

    fn partial(&self) -> PathBuf {
        self.folder.join("partial")
    }

    fn path(&self, id: UploadId) -> PathBuf {
        self.folder.join(id.folder()).join(id.to_string())
    }

    /// Removes the files of uploads whose rows are deleted.
    async fn gone(&self, uploads: &[Upload]) {
        for upload in uploads.iter().filter(|upload| upload.path.is_some()) {
            self.remove(&self.path(upload.id)).await;
        }
    }

    /// Counts what has come. All are counted anew after each hundredth of what they may have together.
    fn added(&self, bytes: u64) {
        let added = self.added.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if added > self.limits.total / 100 {
            self.many.notify_one();
        }
    }
}

/// The content of an upload, part by part.
pub struct Content(Source);

enum Source {
    File { file: tokio::fs::File, path: PathBuf },
    Database { store: Store, id: UploadId, next: i64 },
}

impl Content {
    /// The next part, of at most 256 KiB; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, UploadError> {
        match &mut self.0 {
            Source::File { file, path } => {
                let mut part = vec![0; PART];
                let length = file.read(&mut part).await.map_err(|error| UploadError::disk(path, error))?;
                part.truncate(length);
                Ok((length > 0).then(|| part.into()))
            }
            Source::Database { store, id, next } => {
                let part = store.upload_chunk(*id, *next).await?;
                *next += 1;
                Ok(part.map(Bytes::from))
            }
        }
    }
}
