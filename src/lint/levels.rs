//! How bad each rule's findings are: the rule's own severity, or what the configuration says.

use std::collections::BTreeMap;

use super::finding::Severity;
use super::rule::About;
use crate::config::{Level, Lint};
use crate::document::{Problem, Problems, nearest};

/// What the configuration says of rules.
#[derive(Debug, Clone, Default)]
pub struct Levels(BTreeMap<&'static str, Level>);

impl Levels {
    /// Reads the configuration's `[lint]`.
    ///
    /// # Errors
    /// For every name that no rule has, with the nearest.
    pub fn new(lint: &Lint) -> Result<Self, Problems> {
        let abouts: Vec<&'static About> = super::abouts();
        let mut levels = BTreeMap::new();
        let mut problems = Problems::default();
        for written in &lint.severity {
            if let Some(about) = abouts.iter().find(|about| about.id == written.rule) {
                levels.insert(about.id, written.level);
                continue;
            }
            let near = nearest(&written.rule, abouts.iter().map(|about| about.id));
            let help = near.map_or_else(
                || "docs/rules.md has them all".to_owned(),
                |near| format!("did you mean \"{near}\"? docs/rules.md has them all"),
            );
            let problem = Problem::file(written.file.clone(), format!("there is no rule \"{}\"", written.rule));
            problems.push(problem.line(written.line).key(format!("lint.severity.{}", written.rule)).help(help));
        }
        problems.into_result(Self(levels))
    }

    /// Whether a rule's findings are told at all.
    pub fn is_on(&self, id: &str) -> bool {
        self.0.get(id) != Some(&Level::Off)
    }

    /// How bad a finding of the rule is. What a rule tells as a note at most is never raised.
    pub fn of(&self, about: &About, at_most: Severity) -> Severity {
        let level = match self.0.get(about.id) {
            Some(Level::Note) => Severity::Note,
            Some(Level::Warning) => Severity::Warning,
            Some(Level::Error) => Severity::Error,
            Some(Level::Off) | None => about.severity,
        };
        level.min(at_most)
    }
}
