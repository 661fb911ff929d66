//! Where events wait in memory: the queue for the database, and beside it those that found the queue full and wait for
//! the spool. Both are bounded, and putting an event in never waits.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Entry, Metrics};

/// Events in one transaction at most, and how many make the writer begin at once.
pub const BATCH: usize = 500;

/// Events that may wait for the spool, at least. A disk writes as many in some ten milliseconds.
const OVERFLOW: usize = 4_096;

/// How often losses are told in the log at most.
const TELL_LOSSES: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    losses: Mutex<Losses>,
    /// There is something for the writer.
    pub arrived: Notify,
    /// There is a whole batch for the writer.
    pub batch: Notify,
    /// There is something for the spool.
    pub overflowed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    database: VecDeque<Entry>,
    spool: Vec<Entry>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Losses {
    untold: u64,
    told: Option<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks can panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            waiting: Mutex::default(),
            losses: Mutex::default(),
            arrived: Notify::new(),
            batch: Notify::new(),
            overflowed: Notify::new(),
        }
    }

    /// Puts an event in, or counts it as lost.
    pub fn push(&self, entry: Entry, metrics: &Metrics) {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            drop(waiting);
            self.lose(1, metrics);
        } else if waiting.database.len() < self.capacity {
            waiting.database.push_back(entry);
            let length = waiting.database.len();
            drop(waiting);
            metrics.queued.inc();
            if length == 1 {
                self.arrived.notify_one();
            }
            if length == BATCH.min(self.capacity) {
                self.batch.notify_one();
            }
        } else if waiting.spool.len() < self.capacity.max(OVERFLOW) {
            waiting.spool.push(entry);
            drop(waiting);
            self.overflowed.notify_one();
        } else {
            drop(waiting);
            self.lose(1, metrics);
        }
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.waiting).database.is_empty()
    }

    /// The oldest events for the database, a batch at most.
    pub fn take_batch(&self, metrics: &Metrics) -> Vec<Entry> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.database.len().min(BATCH);
        let batch: Vec<_> = waiting.database.drain(..count).collect();
        drop(waiting);
        metrics.queued.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
        batch
    }

    /// All events that wait for the spool.
    pub fn take_overflow(&self) -> Vec<Entry> {
        std::mem::take(&mut lock(&self.waiting).spool)
    }

    /// Takes no more events.
    pub fn close(&self) {
        lock(&self.waiting).closed = true;
    }

    /// Counts events that nothing could take, and says so, though not for each of them: what makes events get lost makes
    /// many get lost.
    pub fn lose(&self, count: u64, metrics: &Metrics) {
        if count == 0 {
            return;
        }
        metrics.lost.inc_by(count);
        let mut losses = lock(&self.losses);
        losses.untold += count;
        if losses.told.is_none_or(|told| told.elapsed() >= TELL_LOSSES) {
            losses.told = Some(Instant::now());
            tell(std::mem::take(&mut losses.untold));
        }
    }

    /// Says what was lost and not said yet.
    pub fn tell_losses(&self) {
        tell(std::mem::take(&mut lock(&self.losses).untold));
    }
}

fn tell(lost: u64) {
    if lost > 0 {
        tracing::error!(lost, "{lost} events are lost to the database: neither it nor the spool could take them");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EventIds, sample};

    #[test]
    fn what_does_not_fit_is_counted() {
        let (queue, metrics, ids) = (Queue::new(2), Metrics::new(), EventIds::new().unwrap());
        let entry = || Entry::new(ids.next(sample::served().time), sample::served());
        for _ in 0..2 + OVERFLOW + 3 {
            queue.push(entry(), &metrics);
        }
        assert_eq!(metrics.queued.get(), 2);
        assert_eq!(queue.take_batch(&metrics).len(), 2);
        assert_eq!(queue.take_overflow().len(), OVERFLOW);
        assert_eq!((metrics.queued.get(), metrics.lost.get()), (0, 3));
        queue.close();
        queue.push(entry(), &metrics);
        assert_eq!((queue.is_empty(), metrics.lost.get()), (true, 4));
    }
}
