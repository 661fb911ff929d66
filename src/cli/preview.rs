//! `resyncd preview`: what every phone would get, as a site to look at.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{Ending, Failure, load_generation, render};
use crate::config::Config;
use crate::lint::{self, Levels};
use crate::model::MacAddr;
use crate::preview::{self, Preview};
use crate::resync::Generation;

/// Write a site that shows what every phone would get.
///
/// A folder of pages for the reviewer of a change: counts, findings, and for each device its files with what every value
/// comes from. Nothing in it needs a server, a network or scripts: open index.html, or publish the folder as an artifact
/// of a CI job. Secrets are written as ***, and are not even fetched.
///
/// The exit code is 0 whatever is found: `resyncd check` is the judge.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write. It must not be there yet, or be empty, or hold an earlier preview, which is replaced as a whole.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Pages only for this device, by its MAC address; may be given several times.
    #[arg(long = "device", value_name = "MAC")]
    devices: Vec<MacAddr>,
    /// Pages only for the devices of this group and those within it; may be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let generation = load_generation(config)?;
        let chosen = self.chosen(&generation)?;
        let levels = Levels::new(&config.lint)?;
        let options = lint::Options { all_devices: true, devices: chosen.clone(), ..lint::Options::default() };
        let findings = lint::check(config, &generation, &levels, &options, &mut |_, _| {});
        let preview =
            Preview { config, generation: &generation, findings: &findings, devices: chosen.as_ref(), scope: None };
        let written =
            preview::write(&preview, &self.out, &mut |_, _| {}).map_err(|error| Failure::because("preview", error))?;
        eprintln!(
            "{}: {} pages, {} of them devices', {}",
            self.out.display(),
            written.pages,
            written.devices,
            megabytes(written.bytes)
        );
        Ok(Ending::Fine)
    }

    /// The devices that are named, if any are.
    fn chosen(&self, generation: &Generation) -> Result<Option<HashSet<MacAddr>>, Failure> {
        if self.devices.is_empty() && self.groups.is_empty() {
            return Ok(None);
        }
        let mut chosen = HashSet::new();
        for mac in &self.devices {
            chosen.insert(generation.profiles.device(*mac).ok_or_else(|| render::no_device(*mac))?.mac);
        }
        let groups = &generation.profiles.groups;
        for name in &self.groups {
            let Some(id) = groups.iter().position(|group| *group.name == **name) else {
                let near = crate::document::nearest(name, groups.iter().map(|group| &*group.name));
                let help = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
                return Err(Failure::Other(format!("there is no group \"{name}\"{help}")));
            };
            let lies_within = |group: usize| groups.get(group).is_some_and(|group| group.chain.contains(&id));
            let within =
                generation.profiles.devices().into_iter().filter(|device| device.group.is_some_and(lies_within));
            chosen.extend(within.map(|device| device.mac));
        }
        Ok(Some(chosen))
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
