//! Many phones at once, for load and for soak tests: what they are, when they come, how some of them misbehave, and what
//! came of it.
//!
//! The load is open: when a resync is due is decided by the phones' timetable and not by how fast the server is, and its
//! latency counts from when it was due. A server that stalls is then seen to stall by everyone who should have been
//! served meanwhile, and not just by the one who was waiting ("coordinated omission").
//!
//! A phone at rest is a small value; a task exists only for a resync that is under way. What is counted goes into
//! histograms of a fixed size (HdrHistogram: three significant digits up to an hour in 200 kB, whatever the number of
//! resyncs), so a run may last for weeks.

mod fault;
mod fleet;
mod report;
mod resync;
mod run;
mod schedule;
mod session;

use std::sync::Arc;
use std::time::Duration;

use super::Identity;
use super::network::{ClientCertificate, Stack};

pub use fault::{Fault, Faults, ParseFaultsError};
pub use fleet::{Fleet, FleetError, ModelMix, ParseModelMixError, ParsePathTemplateError, PathTemplate};
pub use report::{Connections, ErrorCount, FaultCount, Percentiles, Report, Resyncs};
pub use run::{SwarmError, run};
pub use schedule::{ParsePatternError, ParseRetryDelaysError, Pattern, RetryDelays};

/// Where a phone's certificate comes from: asked once, when the phone first needs it.
pub type CertificateSource = Arc<dyn Fn(&Identity) -> Result<ClientCertificate, String> + Send + Sync>;

/// How phones have their sessions.
#[derive(Debug, Clone)]
pub struct Acs {
    /// `/cwmp`, on the plan's server.
    pub path: String,
    /// The connection stays when the session is over.
    pub keep_connection: bool,
}

/// Everything that a run needs to know.
#[derive(Clone)]
pub struct Plan {
    /// `https://config.example.com:8443`; a phone's path follows.
    pub server: String,
    pub fleet: Fleet,
    /// Phones have sessions with their ACS, instead of asking for a file.
    pub acs: Option<Acs>,
    /// What all phones do alike. Where it keeps connections, they are held to the end of the run.
    pub stack: Arc<Stack>,
    /// None: phones without certificates.
    pub certificates: Option<CertificateSource>,
    /// Certificates that name the phone, but are of a CA that the server has no reason to trust.
    pub strangers: Option<CertificateSource>,
    pub pattern: Pattern,
    /// When a phone comes again that was not served, unless the server says when.
    pub error_retry: RetryDelays,
    pub faults: Faults,
    /// How long a slow phone pauses in the middle of its request.
    pub slow_pause: Duration,
    /// No resync begins later than this.
    pub duration: Duration,
    /// Resyncs under way at once; those due beyond that wait, and their latency tells.
    pub most_at_once: usize,
    /// The same seed makes the same timetable and the same faults.
    pub seed: u64,
}
