//! How many requests are answered at a time. Over that a phone is told at once to come back, before anything is looked up,
//! rendered or recorded: an answer that costs next to nothing is what keeps the others' coming.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Seconds between two lines in the log that say so.
const NOTICE: u64 = 60;

/// The requests in work. Clones share the count.
#[derive(Debug, Clone)]
pub struct Work {
    most: usize,
    places: Arc<Semaphore>,
    shed: Counter,
    began: Instant,
    /// Seconds since then at which it was last said, plus one; 0: never.
    noticed: Arc<AtomicU64>,
}

impl Work {
    pub fn new(most: usize, shed: Counter) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(most));
        Self { most, places, shed, began: Instant::now(), noticed: Arc::default() }
    }

    /// A place among the requests in work, until it is dropped; none where all are taken.
    pub fn begin(&self) -> Option<OwnedSemaphorePermit> {
        let place = self.places.clone().try_acquire_owned().ok();
        if place.is_none() {
            self.shed.inc();
            self.notice();
        }
        place
    }

    fn notice(&self) {
        let now = self.began.elapsed().as_secs() + 1;
        let last = self.noticed.load(Ordering::Relaxed);
        let is_due = last == 0 || now >= last + NOTICE;
        if is_due && self.noticed.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(
                requests = self.most,
                "too many requests at a time, phones are told to come back (limits.requests)"
            );
        }
    }

    /// Requests in work.
    pub fn in_work(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_in_work_than_may() {
        let work = Work::new(2, Counter::default());
        let (first, second) = (work.begin(), work.begin());
        assert!(first.is_some() && second.is_some() && work.begin().is_none());
        assert_eq!((work.in_work(), work.shed.get()), (2, 1));
        drop(first);
        assert!(work.begin().is_some());
        assert_eq!(work.in_work(), 1);
    }
}
