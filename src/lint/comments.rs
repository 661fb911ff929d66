//! What is wrong with the comments that allow findings.

use super::allow::Allows;
use super::finding::Finding;
use super::levels::Levels;
use super::rule::{About, rule};
use crate::document::nearest;

rule! {
    /// A comment allows a finding and doesn't say why.
    ///
    /// # What the phone does
    ///
    /// What the finding says; nobody who reads the file can tell whether somebody thought of it.
    ///
    /// # How to mend it
    ///
    /// Write the reason behind the bracket: `# resyncd: allow(weak-key) a demonstration, serves no phone`.
    pub struct AllowWithoutReason = "allow-without-reason", Warning;
}

rule! {
    /// A comment allows a finding that there isn't.
    ///
    /// # What the phone does
    ///
    /// Nothing. But the comment would hide the finding when it comes back.
    ///
    /// # How to mend it
    ///
    /// Remove the comment. One that allows a rule on purpose stands in the line of the finding, or on a line of its own
    /// before it.
    pub struct UnusedAllow = "unused-allow", Note;
}

pub const ABOUTS: [&About; 2] = [&AllowWithoutReason::ABOUT, &UnusedAllow::ABOUT];

/// What is wrong with the comments, once all findings are in. A rule that didn't run finds nothing to be allowed.
pub fn findings(allows: &Allows, levels: &Levels, has_run: impl Fn(&str) -> bool) -> Vec<(&'static About, Finding)> {
    let abouts = super::abouts();
    let mut found: Vec<(&'static About, Finding)> = Vec::new();
    for (file, allow) in allows.iter() {
        let at = |message: String| Finding::new(message).in_line(file.clone(), allow.line);
        let is_rule = abouts.iter().any(|about| about.id == allow.rule);
        if !is_rule {
            let near = nearest(&allow.rule, abouts.iter().map(|about| about.id));
            let finding = at(format!("allows \"{}\", and there is no such rule", allow.rule));
            let help = near.map(|near| format!("did you mean \"{near}\"?"));
            found.push((&UnusedAllow::ABOUT, Finding { help, ..finding }));
        } else if !allow.is_used() && has_run(&allow.rule) {
            found.push((&UnusedAllow::ABOUT, at(format!("allows {}, and there is nothing to allow", allow.rule))));
        }
        if is_rule && allow.reason.is_empty() {
            found.push((&AllowWithoutReason::ABOUT, at(format!("allows {} without a reason", allow.rule))));
        }
    }
    found.retain(|(about, _)| levels.is_on(about.id));
    found
}
