//! Judging records before they are stored, as `resyncd check` judges files: what a phone would silently ignore, or what
//! would keep its profile from being made, is refused here and now.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::plan::Why;
use super::{Fleet, FleetError, Query};
use crate::config::Config;
use crate::document::Problem;
use crate::lint::{self, Finding, Levels, Severity};
use crate::model::MacAddr;
use crate::records::{GroupRecord, Record, device_of};
use crate::resync::{Device, Generation};
use crate::settings::Layer;

/// What was found about one record.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    pub problems: Vec<Problem>,
    /// What isn't as good as it could be.
    pub notes: Vec<String>,
}

/// Devices of a group that are looked at when it is changed: one of each model and group within it, so many at most.
const WITNESSES: usize = 64;

/// Judges records.
pub fn judge(
    config: &Config,
    generation: &Generation,
    levels: &Levels,
    records: &[&Record],
) -> HashMap<MacAddr, Judged> {
    let made: Vec<(MacAddr, Result<Device, _>)> =
        records.par_iter().map(|record| (record.mac, device_of(generation, record))).collect();
    let (mut judged, mut devices) = (HashMap::new(), Vec::new());
    for (mac, device) in made {
        match device {
            Ok(device) => devices.push(device),
            Err(problems) => {
                let problems = problems.into_iter().collect();
                judged.insert(mac, Judged { problems, notes: Vec::new() });
            }
        }
    }
    for (mac, findings) in lint::look_at(config, generation, levels, &devices) {
        let source = Record::name(mac);
        let of_record: Vec<Finding> = findings.into_iter().filter(|finding| is_at(finding, &source)).collect();
        judged.insert(mac, sorted(of_record));
    }
    judged
}

/// A device of a file, as it is.
fn copy(file: &Device) -> Device {
    let nothing = Layer::empty(Path::new(&Record::name(file.mac)));
    Device::of_record(Some(file), file.mac, file.model, file.group, file.serial.clone(), nothing.into())
}

fn is_at(finding: &Finding, source: &str) -> bool {
    finding.file.as_deref() == Some(Path::new(source))
}

fn sorted(findings: Vec<Finding>) -> Judged {
    let mut judged = Judged::default();
    for finding in findings {
        let rule = finding.rule;
        let mut problem = Problem::file(finding.file.unwrap_or_else(|| Path::new("").into()), finding.message);
        (problem.key, problem.help) = (finding.key, finding.help);
        if finding.severity == Severity::Error {
            problem.rule = Some(rule);
            judged.problems.push(problem);
        } else {
            judged.notes.push(format!("{problem} [{rule}]"));
        }
    }
    judged
}

impl Fleet {
    /// Judges a group by some of the devices in it.
    pub(super) async fn judge_group(
        &self,
        generation: &Arc<Generation>,
        name: &str,
    ) -> Result<Vec<(Why, Problem)>, FleetError> {
        let query = Query { group: Some(name.to_owned()), ..Query::default() };
        let entries = self.find(&query, None, WITNESSES * 8).await?;
        let mut kinds = HashSet::new();
        let mut witnesses = Vec::new();
        for entry in entries {
            if !kinds.insert((entry.model.clone(), entry.group.clone())) || witnesses.len() >= WITNESSES {
                continue;
            }
            // As it will be, and not as it is.
            let device = match &entry.record {
                Some(stored) => device_of(generation, &stored.record).ok(),
                None => generation.profiles.device(entry.mac).filter(|_| !entry.has_record).map(|file| copy(file)),
            };
            witnesses.extend(device);
        }
        let (config, levels, generation) = (self.config.clone(), self.levels.clone(), generation.clone());
        let source = GroupRecord::source(name);
        let found = tokio::task::spawn_blocking(move || lint::look_at(&config, &generation, &levels, &witnesses));
        let found = found.await.map_err(|error| FleetError::Broken(error.to_string()))?;
        let findings = found.into_iter().flat_map(|(_, findings)| findings).filter(|finding| is_at(finding, &source));
        let mut problems = sorted(findings.collect()).problems;
        problems.dedup();
        Ok(problems.into_iter().map(|problem| (Why::Wrong, problem)).collect())
    }
}
