//! TOML files read with their places: every value knows its file and line.
//!
//! Configuration, pack manifests and settings layers are all read through [`Reader`], so that they refuse the same
//! mistakes in the same words: a wrong type, a value outside its range, a key that nothing reads (with the nearest
//! name), and all of them in one go. Nothing here knows what a key means.

mod nearest;
mod problem;
mod reader;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use nearest::nearest;
pub use problem::{Problem, Problems};
pub use reader::{Reader, Value, kind, parse_duration, parse_size};
pub use toml::de::{DeTable, DeValue};

/// The text of one file, and where its lines begin.
#[derive(Debug)]
pub struct Document {
    path: Arc<Path>,
    text: String,
    /// Byte offset of the first character of each line.
    line_starts: Vec<usize>,
}

impl Document {
    /// Reads a file. The error names the file and what the operating system said.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let bytes = std::fs::read(path).map_err(|error| Problem::file(path, format!("can't be read: {error}")))?;
        String::from_utf8(bytes).map(|text| Self::from_text(path, text)).map_err(|error| {
            let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            Problem::file(path, "holds bytes that are no UTF-8 text")
                .line(u32::try_from(line).unwrap_or(u32::MAX))
                .help("save the file as UTF-8")
        })
    }

    /// A document whose text is already there; `path` is what messages call it.
    pub fn from_text(path: impl Into<PathBuf>, text: String) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path: path.into().into(), text, line_starts }
    }

    /// The name that messages use.
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line, counted from 1, that a byte offset stands in.
    pub fn line_at(&self, offset: usize) -> u32 {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// Parses the text. What is not TOML is reported with its line, every place at once.
    pub fn parse(&self) -> Result<DeTable<'_>, Problems> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return Ok(table.into_inner());
        }
        let mut problems = Problems::default();
        for error in errors {
            let mut problem =
                Problem::file(self.path.clone(), format!("not valid TOML: {}", error.message().replace('\n', ", ")));
            problem.line = error.span().map(|span| self.line_at(span.start));
            problems.push(problem);
        }
        Err(problems)
    }
}
