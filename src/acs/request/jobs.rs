//! Jobs: what a phone is told with a NOTIFY, and tells again when it asks for its action URI. By that it is known which of the
//! connection requests it has heard. A job proves nothing else, and opens nothing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::model::MacAddr;

/// Jobs that are remembered; the least used of more are forgotten.
const JOBS: usize = 16_384;

/// How long one is.
const LIFETIME: Duration = Duration::from_secs(600);

/// Random bytes of a name: nobody can guess one.
const BYTES: usize = 16;

/// The jobs of this server. Clones share everything.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Cache<Box<str>, Job>>);

/// A connection request by NOTIFY.
#[derive(Debug, Clone)]
pub struct Job(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Box<str>,
    mac: MacAddr,
    made: Instant,
    was_called: AtomicBool,
}

impl Job {
    /// Its name: 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whether the phone has asked for its action URI because of it.
    pub fn was_called(&self) -> bool {
        self.0.was_called.load(Ordering::Relaxed)
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Job {}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.id)
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self(Arc::new(Cache::new(JOBS)))
    }
}

impl Jobs {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn begin(&self, mac: MacAddr, now: Instant) -> Result<Job, getrandom::Error> {
        let mut random = [0; BYTES];
        getrandom::fill(&mut random)?;
        let id: Box<str> = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let job = Job(Arc::new(Inner { id: id.clone(), mac, made: now, was_called: AtomicBool::new(false) }));
        self.0.insert(id, job.clone());
        Ok(job)
    }

    /// A phone has asked for its action URI. Tells whose job it is, if there is one of that name.
    pub fn called(&self, id: &str, now: Instant) -> Option<MacAddr> {
        let job = self.0.get(id).filter(|job| now.saturating_duration_since(job.0.made) < LIFETIME)?;
        job.0.was_called.store(true, Ordering::Relaxed);
        Some(job.0.mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_its_name_and_for_a_while() {
        let (jobs, mac, now) = (Jobs::default(), "00085d000001".parse().unwrap(), Instant::now());
        let (first, second) = (jobs.begin(mac, now).unwrap(), jobs.begin(mac, now).unwrap());
        assert_ne!(first, second);
        assert_eq!(first.id().len(), 32);
        assert!(!first.was_called());
        for unknown in ["", "$$JOBID$$", "0", &first.id().to_uppercase(), &first.id()[1..]] {
            // One of digits alone has no capitals.
            assert!(jobs.called(unknown, now).is_none() || unknown == first.id());
        }
        assert_eq!(jobs.called(first.id(), now), Some(mac));
        assert!(first.was_called() && !second.was_called());
        assert_eq!(jobs.called(second.id(), now + LIFETIME), None);
        assert!(!second.was_called());
    }

    #[test]
    fn no_number_of_jobs_takes_more_memory() {
        let (jobs, mac, now) = (Jobs::default(), "00085d000001".parse().unwrap(), Instant::now());
        for _ in 0..2 * JOBS {
            jobs.begin(mac, now).unwrap();
        }
        assert!(jobs.0.len() <= JOBS);
    }
}
