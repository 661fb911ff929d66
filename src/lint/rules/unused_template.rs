use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::lint::rule::rule;
use crate::lint::{About, Deployment, Finding, Findings, Rule};
use crate::packs::{Pack, Source};

rule! {
    /// A template that no file is made by, and that no other template includes.
    ///
    /// # What the phone does
    ///
    /// Nothing: it never sees what the template would write.
    ///
    /// # How to mend it
    ///
    /// Name it as the template that it is meant to stand in for, or include it; else remove it. A pack's manifest
    /// says which templates its files are made by.
    pub struct UnusedTemplate = "unused-template", Warning;
}

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by every test of this rule")]
static NAMED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"\{%-?\s*(?:include|extends|import)\s+["']([^"']+)["']"#).unwrap());

impl Rule for UnusedTemplate {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn deployment(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        for pack in deployment.generation.packs.iter() {
            let used = used(pack);
            let mut told: HashSet<&Path> = HashSet::new();
            for template in &pack.templates {
                // A pack's own template has two names.
                let is_used =
                    pack.templates.iter().any(|one| one.file == template.file && used.contains(one.name.as_str()));
                // The pack's own that the operator's stands in for.
                let is_replaced = template.name.starts_with("pack/")
                    && !pack.templates.iter().any(|one| one.file == template.file && one.name != template.name);
                if !is_used && !is_replaced && told.insert(&template.file) {
                    let message = format!("no file of {} is made by this template", pack.name);
                    findings.report(Finding::new(message).in_file(template.file.as_path()));
                }
            }
        }
    }
}

/// The names of all templates that files are made by, and of what those include.
fn used(pack: &Pack) -> HashSet<&str> {
    let texts: HashMap<&str, &str> = pack.templates.iter().map(|one| (one.name.as_str(), one.text.as_str())).collect();
    let mut used = HashSet::new();
    let mut open: Vec<&str> = pack
        .files
        .iter()
        .filter_map(|file| match &file.source {
            Source::Template { template, .. } => Some(template.as_str()),
            Source::Static(_) => None,
        })
        .collect();
    while let Some(name) = open.pop() {
        if used.insert(name) {
            let text = texts.get(name).copied().unwrap_or_default();
            open.extend(NAMED.captures_iter(text).filter_map(|found| found.get(1)).map(|name| name.as_str()));
        }
    }
    used
}
