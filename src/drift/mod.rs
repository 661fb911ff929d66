//! Drift: what a phone reports, compared with what it should have, parameter by parameter; and why they differ, as far as
//! that can be told. Nothing here shows a secret.

mod compare;
mod device;
mod expected;
mod report;

pub use compare::{Cause, Comparison, Status, Times, compare};
pub use device::{Drift, DriftError, Used, of_device};
pub use expected::{Expected, Profile, expected};
pub use report::{Report, ReportError, Source, name, read};
