//! What is wrong with a file, said so that the reader can go and mend it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::model::Escaped;

/// One mistake in a file of the operator's: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the operator names it (relative to where the program was started, where possible).
    pub file: Arc<Path>,
    /// Counted from 1; none where the whole file is meant.
    pub line: Option<u32>,
    /// The dotted key, `listener.tls.key`; none where no key is meant.
    pub key: Option<String>,
    /// What is wrong. Never holds a secret value.
    pub message: String,
    /// What to do about it, where that isn't plain from the message.
    pub help: Option<String>,
    /// The name that the check tells it by, where it has one of its own.
    pub rule: Option<&'static str>,
}

impl Problem {
    /// A problem of a file as a whole.
    pub fn file(file: impl Into<Arc<Path>>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, key: None, message: message.into(), help: None, rule: None }
    }

    #[must_use]
    pub fn line(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }

    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    #[must_use]
    pub fn rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One line, whatever names and values of the file it quotes.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Escaped(&self.file.display().to_string()))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {}", Escaped(key))?;
        }
        write!(f, ": {}", Escaped(&self.message))?;
        if let Some(help) = &self.help {
            write!(f, " ({})", Escaped(help))?;
        }
        Ok(())
    }
}

/// Everything wrong that was found in one go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.0.extend(problems);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// `value` if nothing was wrong.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
