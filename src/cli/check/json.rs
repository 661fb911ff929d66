//! Findings for scripts: an array of objects.

use crate::cli::{Failure, output};
use crate::lint::Report;

pub fn write(report: &Report) -> Result<(), Failure> {
    output::json(&report.findings)
}
