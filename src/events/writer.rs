//! The task that brings events into the database, in batches; what the database can't take it spools, and takes in again
//! when the database is back, the oldest first.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Entry;
use super::queue::BATCH;
use super::recorder::{Flushed, Shared};
use crate::store::{Store, StoreError};

/// How long the writer waits for a batch to fill.
const LINGER: Duration = Duration::from_millis(100);

/// The time from a failure to the next try: this, doubled with every failure up to the limit.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// How long the database may take for a batch. What it has taken without saying so is not taken twice: events have ids.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the recorder asks of the writer.
#[derive(Debug)]
pub enum Request {
    Flush(oneshot::Sender<Flushed>),
    Close(oneshot::Sender<Flushed>),
}

#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    store: Store,
    trouble: Option<Trouble>,
}

/// The database has failed.
#[derive(Debug)]
struct Trouble {
    delay: Duration,
    retry: Instant,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, store: Store) -> Self {
        Self { shared, store, trouble: None }
    }

    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            match self.next(&mut requests).await {
                None => self.work().await,
                Some(Request::Flush(reply)) => {
                    self.settle().await;
                    let _ = reply.send(Flushed::of(&self.shared));
                }
                Some(Request::Close(reply)) => {
                    self.settle().await;
                    self.sync().await;
                    let _ = reply.send(Flushed::of(&self.shared));
                    return;
                }
            }
        }
    }

    /// Waits until there is something to do: a request, or else work.
    async fn next(&self, requests: &mut mpsc::Receiver<Request>) -> Option<Request> {
        let queue = &self.shared.queue;
        let retry = self.trouble.as_ref().map(|trouble| trouble.retry);
        if queue.is_empty() {
            tokio::select! {
                biased;
                // None when no recorder is left: nothing can be asked any more, and the rest is work.
                Some(request) = requests.recv() => return Some(request),
                () = due(retry, !self.shared.spool.is_empty()) => return None,
                () = queue.arrived.notified() => {}
            }
        }
        tokio::select! {
            biased;
            Some(request) = requests.recv() => Some(request),
            () = queue.batch.notified() => None,
            () = tokio::time::sleep(LINGER) => None,
        }
    }

    /// One go at everything that is there, or to the spool with it while the database is in trouble.
    async fn work(&mut self) {
        if self.trouble.as_ref().is_none_or(|trouble| trouble.retry <= Instant::now()) && self.drain_spool().await {
            self.drain_queue().await;
        } else {
            self.spool_queue().await;
        }
    }

    /// Brings everything into the database now, or to the spool.
    async fn settle(&mut self) {
        spill(&self.shared, Vec::new()).await;
        // On closing the spool can wait for the next start, and a long one would hold the shutdown up.
        let closing = self.shared.closing.load(Ordering::Relaxed);
        if closing || self.drain_spool().await {
            self.drain_queue().await;
        }
        self.spool_queue().await;
    }

    /// Inserts all that is queued. What fails is spooled.
    async fn drain_queue(&mut self) {
        loop {
            let batch = self.shared.queue.take_batch(&self.shared.metrics);
            if batch.is_empty() {
                return;
            }
            if !self.insert(&batch).await {
                spill(&self.shared, batch).await;
                return;
            }
        }
    }

    async fn spool_queue(&self) {
        loop {
            let batch = self.shared.queue.take_batch(&self.shared.metrics);
            if batch.is_empty() {
                return;
            }
            spill(&self.shared, batch).await;
        }
    }

    /// Brings the spool into the database, segment by segment. False when that fails.
    async fn drain_spool(&mut self) -> bool {
        while !self.shared.spool.is_empty() {
            let shared = Arc::clone(&self.shared);
            let Some(oldest) = blocking(move || shared.spool.read_oldest()).await else {
                self.postpone();
                return false;
            };
            match oldest {
                None => return true,
                Some((number, Ok(segment))) => {
                    for batch in segment.entries.chunks(BATCH) {
                        if !self.insert(batch).await {
                            return false;
                        }
                        if self.shared.closing.load(Ordering::Relaxed) {
                            return true;
                        }
                    }
                    self.shared.queue.lose(segment.unreadable, &self.shared.metrics);
                    let shared = Arc::clone(&self.shared);
                    if let Some(Err(error)) = blocking(move || shared.spool.remove(number)).await {
                        tracing::warn!("a spooled file can't be deleted (its events are in the database): {error}");
                    }
                }
                Some((number, Err(error))) => {
                    let shared = Arc::clone(&self.shared);
                    if let Some(path) = blocking(move || shared.spool.set_aside(number)).await {
                        let path = path.display();
                        tracing::error!(
                            "a spooled file can't be read, its events are missing; it is now {path}: {error}"
                        );
                    }
                }
            }
            self.shared.metrics.spool_bytes.set(self.shared.spool.bytes());
        }
        true
    }

    /// Inserts a batch, and keeps account of how the database does.
    async fn insert(&mut self, batch: &[Entry]) -> bool {
        match self.store.in_time(PATIENCE, self.store.insert_events(batch)).await {
            Ok(new) => {
                self.shared.metrics.stored.inc_by(new);
                if self.trouble.take().is_some() {
                    tracing::info!("the database takes events again");
                }
                true
            }
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    fn fail(&mut self, error: &StoreError) {
        if self.trouble.is_none() {
            tracing::error!("the database takes no events, and they are spooled until it does: {error}");
        } else {
            tracing::debug!("the database still takes no events: {error}");
        }
        self.postpone();
    }

    /// Puts the next try off, longer each time.
    fn postpone(&mut self) {
        let delay = self.trouble.as_ref().map_or(FIRST_DELAY, |trouble| LONGEST_DELAY.min(trouble.delay * 2));
        self.trouble = Some(Trouble { delay, retry: Instant::now() + delay });
    }

    async fn sync(&self) {
        let shared = Arc::clone(&self.shared);
        if let Some(Err(error)) = blocking(move || shared.spool.sync()).await {
            tracing::warn!("the spool may not survive a power cut: {error}");
        }
    }
}

/// When the spool is to be taken in: at once, or when the trouble may be over. Without a spool there is nothing to try.
async fn due(retry: Option<Instant>, spooled: bool) {
    match retry {
        _ if !spooled => std::future::pending().await,
        Some(retry) => tokio::time::sleep_until(retry).await,
        None => {}
    }
}

/// Brings events to the spool, after those that the queue could not take.
pub async fn spill(shared: &Arc<Shared>, batch: Vec<Entry>) {
    let task = Arc::clone(shared);
    let done = blocking(move || {
        // Under the lock, so that nobody finds the overflow gone and not in the spool yet.
        task.spool.append_with(|| {
            let mut entries = task.queue.take_overflow();
            entries.extend(batch);
            entries
        })
    });
    let Some(appended) = done.await else { return };
    shared.metrics.spooled.inc_by(appended.kept);
    shared.metrics.spool_bytes.set(shared.spool.bytes());
    if let Some(error) = &appended.error {
        tracing::debug!("the spool can't be written: {error}");
    }
    shared.queue.lose(appended.lost, &shared.metrics);
}

/// File I/O off the runtime's threads. None when the runtime is going down, or the work panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
