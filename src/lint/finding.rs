//! One thing that is wrong: data, and nothing of how it is written.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::document::Problem;
use crate::model::MacAddr;
use crate::settings::Origin;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know; nothing has to be done.
    Note,
    /// Probably not what was meant.
    Warning,
    /// A phone would take harm, or nobody could use what is configured.
    Error,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Note, Self::Warning, Self::Error];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What of a line is meant, where that is less than the line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mark {
    /// The line as a whole.
    #[default]
    Line,
    /// The name of the setting.
    Name,
    /// The setting's value.
    Value,
    /// These bytes of the setting's text.
    Within(Range<usize>),
}

/// A line as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub text: String,
    /// Bytes of the text.
    pub span: Range<usize>,
}

/// One thing that is wrong, and where. The names of its fields are what scripts read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id, in kebab case.
    pub rule: &'static str,
    pub severity: Severity,
    /// What is wrong. Never holds a secret.
    pub message: String,
    /// What the phone does with it.
    pub why: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// The file that the operator has to look at.
    pub file: Option<Arc<Path>>,
    /// Counted from 1; none where the whole file is meant.
    pub line: Option<u32>,
    /// The first character that is meant, counted from 1.
    pub column: Option<u32>,
    /// The first character after it.
    pub end_column: Option<u32>,
    /// The dotted key.
    pub key: Option<String>,
    /// The device whose file it is about; the first, where there are more.
    pub device: Option<MacAddr>,
    /// How many devices it is about.
    pub device_count: usize,
    /// The first few of them, or all that were asked for.
    pub devices: Vec<MacAddr>,
    /// The rendered file, as the first of them asks for it.
    pub path: Option<String>,
    /// The line of the rendered file, counted from 1.
    pub rendered_line: Option<u32>,
    #[serde(skip)]
    pub mark: Mark,
    /// The most that it is told as, whatever the rule's other findings are.
    #[serde(skip)]
    pub at_most: Severity,
    /// The line that it names, with every secret masked, and the bytes of it that are meant; for people.
    #[serde(skip)]
    pub source: Option<Source>,
    /// The device that was counted last.
    #[serde(skip)]
    pub(crate) last: Option<MacAddr>,
}

impl Finding {
    /// A finding without a place. Rule and severity are filled in where it is reported.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            rule: "",
            severity: Severity::Note,
            message: message.into(),
            why: None,
            help: None,
            file: None,
            line: None,
            column: None,
            end_column: None,
            key: None,
            device: None,
            device_count: 0,
            devices: Vec::new(),
            path: None,
            rendered_line: None,
            mark: Mark::Line,
            at_most: Severity::Error,
            source: None,
            last: None,
        }
    }

    /// The finding that a mistake of a file comes to.
    pub fn of_problem(problem: Problem) -> Self {
        Self {
            file: Some(problem.file),
            line: problem.line,
            key: problem.key,
            help: problem.help,
            ..Self::new(problem.message)
        }
    }

    /// At the line of a setting.
    #[must_use]
    pub fn at(self, origin: &Origin) -> Self {
        Self { file: Some(origin.source.clone()), line: Some(origin.line), ..self }
    }

    /// In a file as a whole.
    #[must_use]
    pub fn in_file(self, file: impl Into<Arc<Path>>) -> Self {
        Self { file: Some(file.into()), line: None, ..self }
    }

    /// At a line of a file.
    #[must_use]
    pub fn in_line(self, file: impl Into<Arc<Path>>, line: u32) -> Self {
        Self { file: Some(file.into()), line: Some(line), ..self }
    }

    #[must_use]
    pub fn key(self, key: impl ToString) -> Self {
        Self { key: Some(key.to_string()), ..self }
    }

    /// What the phone does with it, where the rule's own words are too general.
    #[must_use]
    pub fn why(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    /// What to do about it, where the rule's own words are too general.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    #[must_use]
    pub fn mark(self, mark: Mark) -> Self {
        Self { mark, ..self }
    }

    /// In a rendered file, and perhaps at a line of it.
    #[must_use]
    pub fn rendered(self, path: &str, line: Option<u32>) -> Self {
        Self { path: Some(path.to_owned()), rendered_line: line, ..self }
    }

    /// About these devices.
    #[must_use]
    pub fn devices(self, devices: Vec<MacAddr>) -> Self {
        Self { device: devices.first().copied(), device_count: devices.len(), devices, ..self }
    }

    /// Told as a note, whatever the rule's other findings are.
    #[must_use]
    pub fn note(self) -> Self {
        Self { at_most: Severity::Note, ..self }
    }

    /// Told as a warning at most, whatever the rule's other findings are.
    #[must_use]
    pub fn warning(self) -> Self {
        Self { at_most: Severity::Warning, ..self }
    }
}
