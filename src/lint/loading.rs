//! What can't be loaded at all. These are found where the files are read; here they get their names.

use super::finding::Finding;
use super::rule::{About, rule};
use crate::document::Problems;

rule! {
    /// The configuration can't be used: an unknown key, a value outside its bounds, things that don't go together.
    ///
    /// # What the phone does
    ///
    /// Nothing yet: the server doesn't start with it.
    ///
    /// # How to mend it
    ///
    /// docs/configuration.md has every key with its bounds.
    pub struct Configuration = "configuration", Error;
}

rule! {
    /// A pack or a settings layer can't be used: no TOML, an unknown setting or model, a value outside its bounds, a
    /// template that doesn't compile.
    ///
    /// # What the phone does
    ///
    /// It goes on being served by what was loaded before: a server that reloads refuses all of the new files, and one
    /// that starts ends.
    ///
    /// # How to mend it
    ///
    /// docs/settings.md and docs/packs.md have every key; `resyncd packs` lists the models.
    pub struct Settings = "settings", Error;
}

rule! {
    /// Two device files are for one MAC address.
    ///
    /// # What the phone does
    ///
    /// It would get one customer's profile or another's, by chance; so neither is loaded.
    ///
    /// # How to mend it
    ///
    /// Remove one of the files.
    pub struct DuplicateMac = "duplicate-mac", Error;
}

rule! {
    /// Two devices have one serial number.
    ///
    /// # What the phone does
    ///
    /// A phone that names itself by its serial number would get the profile of another; so neither is loaded.
    ///
    /// # How to mend it
    ///
    /// Take the serial number out of one of the files.
    pub struct DuplicateSerial = "duplicate-serial", Error;
}

rule! {
    /// Groups lie within each other in a ring.
    ///
    /// # What the phone does
    ///
    /// Nothing: no settings can be merged in a ring, so none of the profiles is loaded.
    ///
    /// # How to mend it
    ///
    /// Take the parent out of one of the groups.
    pub struct GroupCycle = "group-cycle", Error;
}

pub const ABOUTS: [&About; 5] =
    [&Configuration::ABOUT, &Settings::ABOUT, &DuplicateMac::ABOUT, &DuplicateSerial::ABOUT, &GroupCycle::ABOUT];

/// The findings that problems come to, each with the rule that tells of it; `otherwise` where a problem names none.
pub fn findings(problems: Problems, otherwise: &'static About) -> Vec<(&'static About, Finding)> {
    let named = |rule: Option<&str>| ABOUTS.into_iter().find(|about| Some(about.id) == rule).unwrap_or(otherwise);
    problems.into_iter().map(|problem| (named(problem.rule), Finding::of_problem(problem))).collect()
}
