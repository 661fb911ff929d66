//! The first page: what there is, how many of it, and where to look first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use tera::Context;

use super::super::Error;
use super::super::fleet::Fleet;
use super::super::paths::OVERVIEW;
use super::super::site::Site;
use super::{Link, changes, devices};
use crate::lint::Severity;
use crate::model::MacAddr;

/// Groups that the overview names; the others are on pages of their own.
const GROUPS: usize = 20;

#[derive(Debug, Serialize)]
struct Rule {
    severity: &'static str,
    link: Link,
    findings: usize,
    devices: usize,
}

#[derive(Debug, Serialize)]
struct PackCount {
    name: String,
    description: String,
    devices: usize,
    models: Vec<ModelCount>,
}

#[derive(Debug, Serialize)]
struct ModelCount {
    link: Link,
    devices: usize,
}

pub fn write(site: &Site, fleet: &Fleet<'_>) -> Result<(), Error> {
    let mut context = Context::new();
    let count = |severity: Severity| fleet.findings.iter().filter(|finding| finding.severity == severity).count();
    context.insert("errors", &count(Severity::Error));
    context.insert("warnings", &count(Severity::Warning));
    context.insert("notes", &count(Severity::Note));
    context.insert("rules", &rules(fleet));
    context.insert("omitted", &fleet.preview.findings.omitted.values().sum::<usize>());
    context.insert("allowed", &fleet.preview.findings.allowed);
    context.insert("packs", &packs(fleet));
    context.insert("scope", &fleet.preview.scope);
    let base = fleet.preview.base.as_ref();
    context.insert("counts", &base.map(changes::counts));
    context.insert("entry_count", &base.map(|base| base.changes.groups.len()));
    let groups = devices::groups(fleet);
    context.insert("group_count", &groups.len());
    context.insert("groups", groups.get(..GROUPS).unwrap_or(&groups));
    context.insert("without_group", &fleet.rows.iter().filter(|row| row.device.group.is_none()).count());
    site.page(OVERVIEW, "overview.html", context)
}

/// Rules with findings, the worst first.
fn rules(fleet: &Fleet<'_>) -> Vec<Rule> {
    type Counts = (usize, Vec<MacAddr>);
    let mut counts: BTreeMap<(Reverse<Severity>, &str), Counts> = BTreeMap::new();
    for finding in &fleet.findings {
        let (findings, devices) = counts.entry((Reverse(finding.severity), finding.rule)).or_default();
        *findings += 1;
        devices.extend(&finding.devices);
    }
    let rules = counts.into_iter().map(|((severity, rule), (findings, mut devices))| {
        // Two findings may be about one device.
        devices.sort_unstable();
        devices.dedup();
        Rule { severity: severity.0.as_str(), link: Link::rule(fleet, rule), findings, devices: devices.len() }
    });
    rules.collect()
}

/// Packs and models that any device is of.
fn packs(fleet: &Fleet<'_>) -> Vec<PackCount> {
    let mut packs: BTreeMap<usize, PackCount> = BTreeMap::new();
    for (id, (devices, _)) in fleet.by_model() {
        let Some((pack, model)) = fleet.preview.generation.packs.pack_and_model(id) else { continue };
        let count = packs.entry(id.pack).or_insert_with(|| PackCount {
            name: pack.name.clone(),
            description: pack.description.clone(),
            devices: 0,
            models: Vec::new(),
        });
        count.devices += devices;
        count.models.push(ModelCount { link: Link::model(&model.name), devices });
    }
    packs.into_values().collect()
}
