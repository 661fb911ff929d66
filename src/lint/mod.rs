//! Lint: what is wrong with configuration, packs and settings, before a phone sees it. Findings are data; how they are
//! written is the command line's matter.

mod rendering;
pub mod values;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::document::{Problem, Problems};
use crate::model::MacAddr;

pub use rendering::rendering;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Note,
    Warning,
    Error,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id, in kebab case.
    pub rule: &'static str,
    pub severity: Severity,
    pub message: String,
    pub file: Option<Arc<Path>>,
    pub line: Option<u32>,
    /// The dotted key.
    pub key: Option<String>,
    pub help: Option<String>,
    /// The device whose file it is about.
    pub device: Option<MacAddr>,
}

impl Finding {
    fn of_problem(rule: &'static str, problem: Problem) -> Self {
        Self {
            rule,
            severity: Severity::Error,
            message: problem.message,
            file: Some(problem.file),
            line: problem.line,
            key: problem.key,
            help: problem.help,
            device: None,
        }
    }
}

/// Findings of what could not be loaded at all. `rule` says what was being loaded.
pub fn loading(rule: &'static str, problems: Problems) -> Vec<Finding> {
    problems.into_iter().map(|problem| Finding::of_problem(rule, problem)).collect()
}
