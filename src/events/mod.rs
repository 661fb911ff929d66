//! What is recorded of every request, and how it reaches log, database and metrics.

mod record;

pub use record::{Event, Flag, Kind, Outcome, Refusal, TEXT_LIMIT, cut};
