//! What is recorded of every request, and how it reaches log, database and metrics.
//!
//! A resync hands its [`Event`] to the [`Recorder`] and goes on: log line and metrics are made there and then, the
//! database is written by a task. What the database can't take goes to the spool, and what that can't take is counted.

mod entry;
mod line;
mod metrics;
mod prune;
mod queue;
mod record;
mod recorder;
#[cfg(test)]
mod sample;
mod spool;
mod words;
mod writer;

pub use crate::model::{Escaped, steers};
pub use entry::{Entry, EventId, EventIds, ParseEventIdError, rfc3339};
pub use line::{Message, TARGET};
pub use metrics::Metrics;
pub use prune::prune;
pub use record::{Event, Flag, Kind, Outcome, Refusal, TEXT_LIMIT, cut};
pub use recorder::{Flushed, Recorder, RecorderError};
pub use spool::SpoolError;
pub use words::ParseWordError;
