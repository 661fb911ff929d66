//! Findings brought together: levels applied, those that a comment allows left out, the same ones of many devices
//! told once. Memory stays bounded however many devices have something wrong with them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::allow::Allows;
use super::finding::{Finding, Severity};
use super::levels::Levels;
use super::rule::About;
use super::spans::{self, SecretNames};
use crate::model::MacAddr;

/// How many different findings of one rule are kept; more are counted.
const KEPT_PER_RULE: usize = 10_000;

/// How many devices a finding names unless all are asked for.
pub const FEW: usize = 3;

/// What a check came to.
#[derive(Debug, Default)]
pub struct Report {
    /// By file and line.
    pub findings: Vec<Finding>,
    /// Findings that were too many to be kept, by rule.
    pub omitted: BTreeMap<&'static str, usize>,
    /// How bad the worst finding is, of those that are kept and those that are not.
    pub worst: Option<Severity>,
    /// How many findings a comment kept away.
    pub allowed: usize,
    pub devices: usize,
    pub packs: usize,
}

/// Takes findings in, device by device.
pub struct Collector<'c> {
    levels: &'c Levels,
    allows: Allows,
    keep_devices: usize,
    report: Report,
    /// Where a finding of this place and message stands.
    at: HashMap<u64, usize>,
    kept: HashMap<&'static str, usize>,
    /// What comments have kept away.
    allowed: HashSet<u64>,
}

impl<'c> Collector<'c> {
    /// `keep_devices`: how many devices a finding names.
    pub fn new(levels: &'c Levels, allows: Allows, keep_devices: usize) -> Self {
        let (at, kept, allowed) = (HashMap::new(), HashMap::new(), HashSet::new());
        Self { levels, allows, keep_devices, report: Report::default(), at, kept, allowed }
    }

    /// Takes in what one rule found, of one device or of what all share.
    pub fn add(&mut self, about: &'static About, device: Option<MacAddr>, findings: Vec<Finding>) {
        for mut finding in findings {
            finding.rule = about.id;
            finding.severity = self.levels.of(about, finding.at_most);
            finding.message = spans::without_passwords(&finding.message);
            if let Some(device) = device {
                finding = finding.devices(vec![device]);
            }
            finding.devices.truncate(self.keep_devices);
            if self.allows.covers(&finding) {
                self.report.allowed += usize::from(self.allowed.insert(place_of(&finding)));
                continue;
            }
            self.report.worst = self.report.worst.max(Some(finding.severity));
            self.insert(about, finding, device);
        }
    }

    fn insert(&mut self, about: &'static About, mut finding: Finding, device: Option<MacAddr>) {
        let place = place_of(&finding);
        if let Some(known) = self.at.get(&place).and_then(|at| self.report.findings.get_mut(*at)) {
            // Several files of one device, all with the same to tell, are one device.
            if let Some(device) =
                device.filter(|device| known.devices.last() != Some(device) && known.last != Some(*device))
            {
                known.device_count += 1;
                if known.devices.len() < self.keep_devices {
                    known.devices.push(device);
                }
                known.last = Some(device);
            }
            return;
        }
        let kept = self.kept.entry(about.id).or_default();
        if *kept >= KEPT_PER_RULE {
            *self.report.omitted.entry(about.id).or_default() += 1;
            return;
        }
        *kept += 1;
        finding.why = finding.why.or_else(|| about.why());
        finding.help = finding.help.or_else(|| about.help());
        finding.last = device;
        self.at.insert(place, self.report.findings.len());
        self.report.findings.push(finding);
    }

    /// Everything, in order. What comments came to is the last to be told: `finish` says it, given all of them.
    pub fn finish(
        mut self,
        secrets: &SecretNames,
        of_comments: impl FnOnce(&Allows) -> Vec<(&'static About, Finding)>,
    ) -> Report {
        for (about, finding) in of_comments(&self.allows) {
            self.add(about, None, vec![finding]);
        }
        let mut report = self.report;
        report.findings.sort_by(|a, b| {
            let place = |finding: &Finding| (finding.file.clone(), finding.line, finding.key.clone());
            place(a).cmp(&place(b)).then_with(|| (a.rule, &a.message).cmp(&(b.rule, &b.message)))
        });
        spans::fill(&mut report.findings, secrets);
        report
    }
}

/// Equal for findings that are told once. A collision of two places would hide one of them; at 64 bits none is to be
/// expected.
fn place_of(finding: &Finding) -> u64 {
    let mut hasher = DefaultHasher::new();
    (finding.rule, &finding.file, finding.line, &finding.key, &finding.message).hash(&mut hasher);
    hasher.finish()
}
