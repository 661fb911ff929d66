//! Renders that take too long cost nobody else anything: each runs beside the threads that answer, one that was stopped is not
//! tried again until something of it changes, and of a file that was stopped for one device no more than one is tried at a
//! time for all others.

use std::sync::{Arc, Mutex, TryLockError};

use prometheus_client::metrics::counter::Counter;
use quick_cache::sync::Cache;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::generation::Generation;
use crate::model::MacAddr;
use crate::packs::Candidate;
use crate::render::{RenderError, Rendered};

/// Profiles, and files, that are remembered.
const REMEMBERED: usize = 4_096;

/// A file of a generation: its stamp, the pack, the file.
type FileOf = (u64, usize, usize);

/// Which profile is rendered, and from what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Which {
    file: FileOf,
    model: Option<usize>,
    device: Option<MacAddr>,
    fingerprint: u64,
}

impl Which {
    pub fn of(generation: &Generation, candidate: &Candidate, fingerprint: u64, device: Option<MacAddr>) -> Self {
        let file = (generation.stamp, candidate.pack, candidate.file);
        Self { file, model: candidate.captures.model, device, fingerprint }
    }
}

/// What was stopped.
#[derive(Debug)]
pub(super) struct Stopped {
    profiles: Cache<Which, RenderError>,
    /// Of each file that took too long for somebody, whether it is tried now.
    files: Cache<FileOf, Arc<Mutex<()>>>,
    count: Counter,
}

impl Default for Stopped {
    fn default() -> Self {
        Self { profiles: Cache::new(REMEMBERED), files: Cache::new(REMEMBERED), count: Counter::default() }
    }
}

impl Stopped {
    /// With a counter of one's own.
    pub(super) fn counting(count: Counter) -> Self {
        Self { count, ..Self::default() }
    }

    /// Renders, unless it has been in vain before.
    pub(super) fn guard(
        &self,
        which: Which,
        render: impl FnOnce() -> Result<Rendered, RenderError>,
    ) -> Result<Rendered, RenderError> {
        if let Some(error) = self.profiles.get(&which) {
            return Err(error);
        }
        let turn = self.files.get(&which.file);
        let _turn = match turn.as_ref().map(|turn| turn.try_lock()) {
            None => None,
            Some(Ok(turn)) => Some(turn),
            Some(Err(TryLockError::Poisoned(turn))) => Some(turn.into_inner()),
            Some(Err(TryLockError::WouldBlock)) => return Err(RenderError::Suspect),
        };
        let rendered = beside(render);
        if let Err(error @ RenderError::TooSlow { .. }) = &rendered {
            self.count.inc();
            if turn.is_none() {
                self.files.insert(which.file, Arc::default());
            }
            self.profiles.insert(which, error.clone());
        }
        rendered
    }
}

/// Keeps the runtime's other tasks going meanwhile; without such a runtime there are none.
fn beside<R>(work: impl FnOnce() -> R) -> R {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn which(stamp: u64, device: &str) -> Which {
        Which { file: (stamp, 0, 0), model: None, device: device.parse().ok(), fingerprint: 1 }
    }

    fn slow() -> Result<Rendered, RenderError> {
        Err(RenderError::TooSlow { template: "t".to_owned(), limit: Duration::from_secs(5) })
    }

    fn fine() -> Result<Rendered, RenderError> {
        Ok(Rendered { body: Vec::new(), parameters: Vec::new() })
    }

    #[test]
    fn what_was_stopped_is_not_tried_again_until_it_changes() {
        let stopped = Stopped::default();
        assert_eq!(stopped.guard(which(1, "000e08000001"), slow), slow());
        assert_eq!(stopped.guard(which(1, "000e08000001"), || panic!("it was tried")), slow());
        assert_eq!(stopped.count.get(), 1);
        assert_eq!(stopped.guard(which(2, "000e08000001"), fine), fine());
        assert_eq!(stopped.guard(Which { fingerprint: 2, ..which(1, "000e08000001") }, fine), fine());
    }

    #[test]
    fn of_a_file_that_was_stopped_one_is_tried_at_a_time() {
        let stopped = Stopped::default();
        assert_eq!(stopped.guard(which(1, "000e08000001"), slow), slow());
        let meanwhile = || {
            let other = stopped.guard(which(1, "000e08000003"), || panic!("it was tried"));
            assert_eq!(other, Err(RenderError::Suspect));
            assert_eq!(stopped.guard(which(2, "000e08000003"), fine), fine(), "another file waits for it");
            fine()
        };
        assert_eq!(stopped.guard(which(1, "000e08000002"), meanwhile), fine());
        assert_eq!(stopped.guard(which(1, "000e08000003"), fine), fine());
    }
}
