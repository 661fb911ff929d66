//! Where the request pipeline hands its events in.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::queue::Queue;
use super::spool::{Spool, SpoolError};
use super::writer::{Request, Writer, spill};
use super::{Entry, Event, EventIds, Metrics, line, prune};
use crate::config;
use crate::store::Store;

/// Why events can't be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// What the writer, the spool's task and the recorder share.
#[derive(Debug)]
pub(super) struct Shared {
    pub queue: Queue,
    pub spool: Spool,
    pub metrics: Arc<Metrics>,
    /// Set before a close is asked for, so that draining a long spool ends after its current batch.
    pub closing: AtomicBool,
    /// Who else is told of each event.
    listener: Listener,
}

type Told = Box<dyn Fn(&Entry) + Send + Sync>;

#[derive(Default)]
struct Listener(OnceLock<Told>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// Takes events: into the log and the metrics at once, into the database by a task of its own. Clones share everything.
/// To be closed before the last is dropped, which ends the tasks wherever they are.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    ids: Arc<EventIds>,
    requests: mpsc::Sender<Request>,
    tasks: Arc<tokio::sync::Mutex<JoinSet<()>>>,
}

/// Where the events are that were recorded before a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// All in the database.
    Stored,
    /// Some in the spool, or lost: the database can't be written to.
    Spooled,
}

impl Recorder {
    /// Starts the tasks that write and prune. What an earlier run left in `data_dir/spool` is taken in. To be called
    /// inside a tokio runtime.
    pub fn start(
        store: Store,
        events: &config::Events,
        data_dir: &Path,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RecorderError> {
        let ids = Arc::new(EventIds::new()?);
        let spool = Spool::open(&data_dir.join("spool"), events.spool_bytes)?;
        metrics.spool_bytes.set(spool.bytes());
        let queue = Queue::new(events.queue);
        let shared =
            Arc::new(Shared { queue, spool, metrics, closing: AtomicBool::new(false), listener: Listener::default() });
        let (requests, requested) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        tasks.spawn(prune::hourly(store.clone(), events.clone()));
        tasks.spawn(Writer::new(Arc::clone(&shared), store).run(requested));
        tasks.spawn(spill_overflow(Arc::clone(&shared)));
        let tasks = Arc::new(tokio::sync::Mutex::new(tasks));
        Ok(Self { shared, ids, requests, tasks })
    }

    /// Records an event. Never waits and never fails.
    pub fn record(&self, event: Event) {
        let entry = Entry::new(self.ids.next(event.time), event);
        line::write(&entry);
        self.shared.metrics.observe(&entry);
        if let Some(listener) = self.shared.listener.0.get() {
            listener(&entry);
        }
        self.shared.queue.push(entry, &self.shared.metrics);
    }

    /// Counts an event in the metrics, and keeps it nowhere: one of very many that are told together by another.
    pub fn count(&self, event: Event) {
        self.shared.metrics.observe(&Entry::new(self.ids.next(event.time), event));
    }

    /// Has somebody else told of each event from now on, who may neither wait nor fail. The first who asks stays.
    pub fn tell(&self, listener: impl Fn(&Entry) + Send + Sync + 'static) {
        let _ = self.shared.listener.0.set(Box::new(listener));
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Tries to bring everything that was recorded so far into the database, also when it has just failed.
    pub async fn flush(&self) -> Flushed {
        self.ask(Request::Flush).await
    }

    /// Stops recording: what is queued goes to the database or, if that fails, to the spool, where the next start finds
    /// it. Events that come later are in log and metrics only, and counted as lost.
    pub async fn close(&self) -> Flushed {
        self.shared.queue.close();
        self.shared.closing.store(true, Ordering::Relaxed);
        let flushed = self.ask(Request::Close).await;
        self.shared.queue.tell_losses();
        self.tasks.lock().await.shutdown().await;
        flushed
    }

    async fn ask(&self, request: impl FnOnce(oneshot::Sender<Flushed>) -> Request) -> Flushed {
        let (reply, answer) = oneshot::channel();
        // No writer: it has been closed before, and has seen to everything.
        let _ = self.requests.send(request(reply)).await;
        answer.await.unwrap_or_else(|_| Flushed::of(&self.shared))
    }
}

impl Flushed {
    pub(super) fn of(shared: &Shared) -> Self {
        if shared.spool.is_empty() { Self::Stored } else { Self::Spooled }
    }
}

/// Brings what the queue could not take to the spool. A task of its own, because the writer may be waiting for the
/// database just then.
async fn spill_overflow(shared: Arc<Shared>) {
    loop {
        shared.queue.overflowed.notified().await;
        spill(&shared, Vec::new()).await;
    }
}
