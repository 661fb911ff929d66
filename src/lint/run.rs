//! One check from end to end: loads, lets every rule look, brings the findings together.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::allow::{Allows, files_of};
use super::collect::{Collector, FEW, Report};
use super::comments;
use super::finding::Finding;
use super::levels::Levels;
use super::loading::{self, Configuration, Settings};
use super::rule::{About, Findings, Rule};
use super::rules::Emulation;
use super::spans::{self, SecretNames};
use super::view::Deployment;
use crate::config::Config;
use crate::document::{Problem, Problems};
use crate::identity::password::Passwords;
use crate::model::{MacAddr, Secret};
use crate::phone::IN_PROCESS;
use crate::records::Snapshot;
use crate::resync::{Device, Generation, Pipeline};

/// What is looked at, and how much is told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Findings name every device, and not just the first few.
    pub all_devices: bool,
    /// Only these rules; none: all.
    pub rules: Vec<String>,
    /// Only these devices; none: all. What all devices share is looked at in any case.
    pub devices: Option<HashSet<MacAddr>>,
    /// Plays every device's phone, too.
    pub emulate: bool,
    /// What the database has; none: files alone.
    pub records: Option<Snapshot>,
}

/// Devices that are looked at before their findings are brought together: enough to keep all cores busy, few enough for
/// their findings to be held.
const AT_A_TIME: usize = 256;

/// Checks a deployment. What keeps it from being loaded is among the findings. `progress` is told how many devices
/// there are and how many have been looked at.
pub fn run(config_file: &Path, options: &Options, progress: &mut dyn FnMut(usize, usize)) -> Report {
    let config = match Config::load(config_file) {
        Ok(config) => config,
        Err(problems) => return unloaded(problems, &Configuration::ABOUT),
    };
    let levels = match Levels::new(&config.lint) {
        Ok(levels) => levels,
        Err(problems) => return unloaded(problems, &Configuration::ABOUT),
    };
    match Generation::load(&config.templates, &config.profiles, 1) {
        Ok(generation) => {
            let played = match options.emulate.then(|| emulation(&config, options)).transpose() {
                Ok(played) => played,
                Err(problems) => return unloaded(problems, &Settings::ABOUT),
            };
            let (generation, broken) = match &options.records {
                Some(records) => records.over(&generation),
                None => (generation, Vec::new()),
            };
            check(&config, &generation, &levels, options, Apart { played, broken }, progress)
        }
        Err(problems) => unloaded(problems, &Settings::ABOUT),
    }
}

/// Plays phones against a pipeline of its own, whose generation has something for every secret. What the pipeline keeps
/// ready would only take memory.
fn emulation(config: &Config, options: &Options) -> Result<Emulation, Problems> {
    let generation = Generation::load(&config.templates, &config.profiles, 1)?.with_stand_ins();
    let generation = match &options.records {
        Some(records) => records.over(&generation).0,
        None => generation,
    };
    let limit = config.limits.profile_bytes;
    let passwords = Passwords::played(config, IN_PROCESS)
        .map_err(|error| Problem::file(config.file.clone(), format!("phones can't be played: {error}")))?;
    let pipeline = Pipeline::new(generation, 0, Secret::new([0; 32]), limit).with_passwords(passwords);
    Ok(Emulation::new(Arc::new(pipeline), limit))
}

/// What keeps a deployment from being loaded can't be allowed: nothing of it is served.
fn unloaded(problems: Problems, about: &'static About) -> Report {
    let levels = Levels::default();
    let mut collector = Collector::new(&levels, Allows::default(), FEW);
    for (about, finding) in loading::findings(problems, about) {
        collector.add(about, None, vec![finding]);
    }
    collector.finish(&SecretNames::of_anything(), |_| Vec::new())
}

/// Checks what has been loaded already; phones are not played.
pub fn check_loaded(
    config: &Config,
    generation: &Generation,
    levels: &Levels,
    options: &Options,
    progress: &mut dyn FnMut(usize, usize),
) -> Report {
    check(config, generation, levels, options, Apart::default(), progress)
}

/// What is found otherwise than by looking at devices.
#[derive(Default)]
struct Apart {
    /// Phones to be played.
    played: Option<Emulation>,
    /// Devices whose records nothing can be made of.
    broken: Vec<(MacAddr, Problems)>,
}

fn check(
    config: &Config,
    generation: &Generation,
    levels: &Levels,
    options: &Options,
    apart: Apart,
    progress: &mut dyn FnMut(usize, usize),
) -> Report {
    let mut rules = super::rules::all();
    rules.retain(|rule| rule.about().id != Emulation::ABOUT.id);
    rules.extend(apart.played.map(|rule| Box::new(rule) as Box<dyn Rule>));
    rules.retain(|rule| {
        let id = rule.about().id;
        levels.is_on(id) && (options.rules.is_empty() || options.rules.iter().any(|wanted| wanted == id))
    });
    let deployment = Deployment::new(config, generation);
    let keep = if options.all_devices { usize::MAX } else { FEW };
    let mut collector = Collector::new(levels, Allows::read(&sources(config, generation)), keep);
    let shared = each(&rules, |rule, findings| rule.deployment(&deployment, findings));
    shared.into_iter().for_each(|(about, findings)| collector.add(about, None, findings));

    for (mac, problems) in apart.broken {
        for (about, finding) in loading::findings(problems, &Settings::ABOUT) {
            collector.add(about, Some(mac), vec![finding]);
        }
    }

    let mut devices = generation.profiles.devices();
    if let Some(wanted) = &options.devices {
        devices.retain(|device| wanted.contains(&device.mac));
    }
    let mut seen = 0;
    progress(devices.len(), seen);
    for some in devices.chunks(AT_A_TIME) {
        let found: Vec<_> = some.par_iter().map(|device| of_device(&deployment, device, &rules)).collect();
        for (device, found) in some.iter().zip(found) {
            for (about, findings) in found {
                collector.add(about, Some(device.mac), findings);
            }
        }
        seen += some.len();
        progress(devices.len(), seen);
    }
    let compared = each(&rules, |rule, findings| rule.finish(&deployment, findings));
    compared.into_iter().for_each(|(about, findings)| collector.add(about, None, findings));

    let is_whole = options.devices.is_none();
    let has_run = |id: &str| is_whole && rules.iter().any(|rule| rule.about().id == id);
    let comments_are_wanted = options.rules.is_empty();
    let mut report = collector.finish(&SecretNames::new(&generation.packs), |allows| {
        let mut found = comments::findings(allows, levels, has_run);
        found.retain(|(about, _)| comments_are_wanted || options.rules.iter().any(|wanted| wanted == about.id));
        found
    });
    (report.devices, report.packs) = (devices.len(), generation.packs.iter().count());
    report
}

type Found = Vec<(&'static About, Vec<Finding>)>;

fn of_device(deployment: &Deployment<'_>, device: &Device, rules: &[Box<dyn Rule>]) -> Found {
    let settings = deployment.generation.settings(device);
    let Some(view) = deployment.device(device, &settings) else { return Vec::new() };
    each(rules, |rule, findings| rule.device(&view, findings))
}

/// What each rule finds, if it finds anything.
fn each(rules: &[Box<dyn Rule>], look: impl Fn(&dyn Rule, &mut Findings)) -> Found {
    let mut found = Vec::new();
    for rule in rules {
        let mut findings = Findings::default();
        look(&**rule, &mut findings);
        let findings = findings.into_inner();
        if !findings.is_empty() {
            found.push((rule.about(), findings));
        }
    }
    found
}

/// Every file that a comment may stand in.
fn sources(config: &Config, generation: &Generation) -> Vec<Arc<Path>> {
    let mut files: Vec<Arc<Path>> = vec![config.file.as_path().into()];
    for pack in generation.packs.iter() {
        let folders = [pack.folder.clone(), config.profiles.join("templates").join(&pack.name)];
        files.extend(folders.iter().flat_map(|folder| files_of(folder)).map(|file| Arc::from(file.as_path())));
    }
    let profiles = &generation.profiles;
    files.extend(profiles.defaults.iter().map(|layer| layer.source.clone()));
    files.extend(profiles.models.values().map(|layer| layer.source.clone()));
    files.extend(profiles.groups.iter().map(|group| group.layer.source.clone()));
    files.extend(profiles.devices().iter().map(|device| device.layer.source.clone()));
    files
}

/// Looks at these devices alone, whether the generation has them or not, and at nothing that they share. Phones are not
/// played, and comments are not looked for: what a device's record says can't be allowed in one.
pub fn look_at(
    config: &Config,
    generation: &Generation,
    levels: &Levels,
    devices: &[Device],
) -> Vec<(MacAddr, Vec<Finding>)> {
    let mut rules = super::rules::all();
    rules.retain(|rule| rule.about().id != Emulation::ABOUT.id && levels.is_on(rule.about().id));
    let deployment = Deployment::new(config, generation);
    let look = |device: &Device| {
        let found = of_device(&deployment, device, &rules)
            .into_iter()
            .flat_map(|(about, findings)| findings.into_iter().map(move |finding| (about, finding)));
        let findings = found.map(|(about, finding)| Finding {
            rule: about.id,
            severity: levels.of(about, finding.at_most),
            message: spans::without_passwords(&finding.message),
            help: finding.help.or_else(|| about.help()),
            ..finding
        });
        (device.mac, findings.collect())
    };
    devices.par_iter().map(look).collect()
}
