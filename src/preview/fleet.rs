//! What pages about many devices are made of, gathered once: a few dozen bytes for each device.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use super::{Preview, paths};
use crate::lint::{Deployment, Finding, PublicFile};
use crate::model::MacAddr;
use crate::packs::{Model, ModelId, Pack};
use crate::resync::{Device, GroupId};

/// One device, as lists show it.
#[derive(Debug)]
pub struct Row<'f> {
    pub device: &'f Device,
    /// Who the phone is for: what its first line says.
    pub label: Box<str>,
    /// How many findings are about it.
    pub findings: u32,
    pub is_listed: bool,
}

/// A deployment, its findings, and who they are about.
pub struct Fleet<'f> {
    pub preview: &'f Preview<'f>,
    pub deployment: Deployment<'f>,
    /// Every device, by MAC.
    pub rows: Vec<Row<'f>>,
    /// The findings in the order in which they are shown: the worst first, and of a rule those that
    /// concern most devices.
    pub findings: Vec<&'f Finding>,
    /// Which finding is about which device, by MAC; the numbers are places in `findings`.
    findings_of: Vec<(MacAddr, u32)>,
    /// Which entry of changes is about which device, by MAC.
    changes_of: Vec<(MacAddr, u32)>,
    /// The files for anyone that a device of this deployment may ask for: places in `deployment.public`.
    pub public: Vec<usize>,
}

impl<'f> Fleet<'f> {
    pub fn new(preview: &'f Preview<'f>) -> Self {
        let generation = preview.generation;
        let mut findings: Vec<&Finding> = preview.findings.findings.iter().collect();
        findings.sort_by(|a, b| {
            let by_rule = b.severity.cmp(&a.severity).then_with(|| a.rule.cmp(b.rule));
            by_rule.then_with(|| b.device_count.cmp(&a.device_count))
        });
        let findings_of = by_device(findings.iter().map(|finding| finding.devices.as_slice()));
        let devices = generation.profiles.devices();
        let rows = devices.into_par_iter().map(|device| Row {
            device,
            label: label(preview, device),
            findings: u32::try_from(of(&findings_of, device.mac).len()).unwrap_or(u32::MAX),
            is_listed: preview.devices.is_none_or(|chosen| chosen.contains(&device.mac)),
        });
        let groups = preview.base.as_ref().map(|base| base.changes.groups.as_slice()).unwrap_or_default();
        let changes_of = by_device(groups.iter().map(|group| group.devices.as_slice()));
        let deployment = Deployment::new(preview.config, generation);
        let rows: Vec<Row<'_>> = rows.collect();
        let public = public(&deployment, &rows);
        Self { preview, deployment, rows, findings, findings_of, changes_of, public }
    }

    /// The devices that have a page.
    pub fn listed(&self) -> impl Iterator<Item = &Row<'f>> {
        self.rows.iter().filter(|row| row.is_listed)
    }

    pub fn row(&self, mac: MacAddr) -> Option<&Row<'f>> {
        let at = self.rows.binary_search_by_key(&mac, |row| row.device.mac).ok()?;
        self.rows.get(at)
    }

    /// The findings about a device: each with its place in the list.
    pub fn findings_of(&self, mac: MacAddr) -> impl Iterator<Item = (usize, &'f Finding)> {
        of(&self.findings_of, mac).iter().filter_map(|(_, at)| {
            let at = usize::try_from(*at).ok()?;
            Some((at, *self.findings.get(at)?))
        })
    }

    /// What becomes of a device against the base: the worst of it.
    pub fn change_of(&self, mac: MacAddr) -> Option<&'static str> {
        let (_, first) = of(&self.changes_of, mac).first()?;
        let groups = &self.preview.base.as_ref()?.changes.groups;
        // Entries come with trouble first.
        groups.get(usize::try_from(*first).ok()?).map(|group| group.kind.word())
    }

    /// The page of a device, if it has one.
    pub fn link(&self, mac: MacAddr) -> Option<String> {
        self.row(mac).filter(|row| row.is_listed).map(|_| paths::device(mac))
    }

    pub fn pack_and_model(&self, device: &Device) -> Option<(&'f Pack, &'f Model)> {
        self.preview.generation.packs.pack_and_model(device.model)
    }

    pub fn group_name(&self, device: &Device) -> Option<Arc<str>> {
        let group = self.preview.generation.profiles.group(device.group?)?;
        Some(group.name.clone())
    }

    /// How many devices each model has, and how many of them have a page.
    pub fn by_model(&self) -> BTreeMap<ModelId, (usize, usize)> {
        let mut counts = BTreeMap::new();
        for row in &self.rows {
            let (all, listed): &mut (usize, usize) = counts.entry(row.device.model).or_default();
            *all += 1;
            *listed += usize::from(row.is_listed);
        }
        counts
    }

    /// The same of each group, with the devices of groups within it.
    pub fn by_group(&self) -> HashMap<GroupId, (usize, usize)> {
        let mut counts = HashMap::new();
        for row in &self.rows {
            for group in self.groups_of(row.device) {
                let (all, listed): &mut (usize, usize) = counts.entry(*group).or_default();
                *all += 1;
                *listed += usize::from(row.is_listed);
            }
        }
        counts
    }

    /// The groups that a device lies in, from the outermost.
    pub fn groups_of(&self, device: &Device) -> &'f [GroupId] {
        let group = device.group.and_then(|group| self.preview.generation.profiles.group(group));
        group.map_or(&[], |group| &group.chain)
    }
}

/// A pack knows many models that a deployment has no phone of.
fn public(deployment: &Deployment<'_>, rows: &[Row<'_>]) -> Vec<usize> {
    let used: BTreeSet<ModelId> = rows.iter().map(|row| row.device.model).collect();
    let used: Vec<(&Pack, &Model)> =
        used.into_iter().filter_map(|id| deployment.generation.packs.pack_and_model(id)).collect();
    let is_used = |file: &PublicFile<'_>| {
        let is_of = |model: &Model| file.model.is_none_or(|other| other.name == model.name);
        used.iter().any(|(pack, model)| pack.name == file.pack.name && is_of(model))
    };
    deployment.public.iter().enumerate().filter(|(_, file)| is_used(file)).map(|(at, _)| at).collect()
}

/// Lists of devices turned round: which lists each device is in, by MAC.
fn by_device<'l>(lists: impl Iterator<Item = &'l [MacAddr]>) -> Vec<(MacAddr, u32)> {
    let mut pairs: Vec<(MacAddr, u32)> =
        lists.zip(0..).flat_map(|(macs, at)| macs.iter().map(move |mac| (*mac, at))).collect();
    pairs.par_sort_unstable();
    pairs.dedup();
    pairs
}

fn of(pairs: &[(MacAddr, u32)], mac: MacAddr) -> &[(MacAddr, u32)] {
    let first = pairs.partition_point(|(other, _)| *other < mac);
    let length = pairs.get(first..).unwrap_or_default().partition_point(|(other, _)| *other == mac);
    pairs.get(first..first + length).unwrap_or_default()
}

/// Number and name of the first line, as far as they are set.
fn label(preview: &Preview<'_>, device: &Device) -> Box<str> {
    let settings = preview.generation.settings(device);
    let parts = ["lines.1.user", "lines.1.display_name"].map(|name| settings.text(name).unwrap_or_default());
    parts.join(" ").trim().into()
}
