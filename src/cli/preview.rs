//! `resyncd preview`: what every phone would get, as a site to look at.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::check::progress::Bar;
use super::{Ending, Failure, render};
use crate::diff::{self, Side};
use crate::lint::{self, Levels};
use crate::model::MacAddr;
use crate::preview::{self, Base, Preview};
use crate::resync::Generation;
use crate::revision::Deployment;

/// Write a site that shows what every phone would get.
///
/// A folder of pages for the reviewer of a change: counts, findings, changes, and for each device its files with what every
/// value comes from. It needs no server, no network and no scripts: open index.html, or publish the folder as an artifact of
/// a CI job. Secrets are written as ***, and are not even fetched.
///
/// Every device gets a page, and with --base every device that changes. A page takes 40 to 150 kB, and a tenth of that in a
/// zip, as artifacts are: 100,000 devices come to some 6 GB. --base, --group and --device bound it. Memory doesn't grow with
/// the site.
///
/// The exit code is 0 whatever is found: `resyncd check` is the judge.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write. It must not be there yet, or be empty, or hold an earlier preview, which is replaced as a whole.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to compare with: a git revision (HEAD, main, v1.2), or a folder that holds a configuration by the same name.
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Pages for this device, by its MAC address, and findings of no other; may be given several times.
    #[arg(long = "device", value_name = "MAC")]
    devices: Vec<MacAddr>,
    /// Pages for the devices of this group and of those within it, and findings of no other; may be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Pages only for devices that change against the base, also of those named by --device and --group.
    #[arg(long, requires = "base", conflicts_with = "all")]
    changed: bool,
    /// Pages also for devices that don't change against the base.
    #[arg(long)]
    all: bool,
}

impl Args {
    pub fn run(&self, config: &Path) -> Result<Ending, Failure> {
        let here = Deployment::here(config);
        let loaded = here.load()?;
        let (config_now, generation) = (&loaded.config, &loaded.generation);
        let named = self.named(generation)?;
        let levels = Levels::new(&config_now.lint)?;

        let old = self.base.as_deref().map(|base| Deployment::named(base, config)).transpose()?;
        let old_loaded = old.as_ref().map(Deployment::load).transpose()?;
        let sides = old.as_ref().zip(old_loaded.as_ref()).map(|(old, loaded_old)| {
            let (old_side, new_side) = (Side::of(old, loaded_old), Side::of(&here, &loaded));
            let changes = diff::compare(old_side, new_side, config_now.limits.profile_bytes, None);
            changes.map(|changes| (old.name(), old_side, new_side, changes))
        });
        let sides =
            sides.transpose().map_err(|error| Failure::because("the operating system gives no random bytes", error))?;
        let base = sides.as_ref().map(|(name, old, new, changes)| Base { name, old: *old, new: *new, changes });

        let options = lint::Options { all_devices: true, devices: named.clone(), ..lint::Options::default() };
        let mut bar = Bar::new();
        let findings =
            lint::check_loaded(config_now, generation, &levels, &options, &mut |all, seen| bar.tell(all, seen));
        bar.end();
        let (devices, scope) = self.chosen(named, base.as_ref());
        let preview = Preview {
            base,
            config: config_now,
            generation,
            findings: &findings,
            devices: devices.as_ref(),
            scope: scope.as_deref(),
        };
        let mut bar = Bar::new();
        let written = preview::write(&preview, &self.out, &mut |all, seen| bar.tell(all, seen));
        bar.end();
        let written = written.map_err(|error| Failure::Other(error.to_string()))?;
        let (out, megabytes) = (self.out.display(), written.bytes.div_ceil(1_000_000));
        eprintln!("{out}: {} pages, {} of them of devices, {megabytes} MB", written.pages, written.devices);
        Ok(Ending::Fine)
    }

    /// The devices that are named, if any are.
    fn named(&self, generation: &Generation) -> Result<Option<HashSet<MacAddr>>, Failure> {
        if self.devices.is_empty() && self.groups.is_empty() {
            return Ok(None);
        }
        let mut named = HashSet::new();
        for mac in &self.devices {
            named.insert(generation.profiles.device(*mac).ok_or_else(|| render::no_device(*mac))?.mac);
        }
        let groups = &generation.profiles.groups;
        for name in &self.groups {
            let Some(id) = groups.iter().position(|group| *group.name == **name) else {
                let near = crate::document::nearest(name, groups.iter().map(|group| &*group.name));
                let help = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
                return Err(Failure::Other(format!("there is no group \"{name}\"{help}")));
            };
            let lies_within = |group: usize| groups.get(group).is_some_and(|group| group.chain.contains(&id));
            let devices = generation.profiles.devices().into_iter();
            let within = devices.filter(|device| device.group.is_some_and(lies_within));
            named.extend(within.map(|device| device.mac));
        }
        Ok(Some(named))
    }

    /// The devices that get pages, none for all of them; and a sentence on which they are.
    fn chosen(
        &self,
        named: Option<HashSet<MacAddr>>,
        base: Option<&Base<'_>>,
    ) -> (Option<HashSet<MacAddr>>, Option<String>) {
        let only_changed = self.changed || (named.is_none() && !self.all);
        let of_named = named.is_some().then_some("Pages and findings are of the devices that were asked for.");
        let Some(base) = base.filter(|_| only_changed) else { return (named, of_named.map(str::to_owned)) };
        let changed = base.changes.groups.iter().flat_map(|group| group.devices.iter().copied());
        let chosen = changed.filter(|mac| named.as_ref().is_none_or(|named| named.contains(mac))).collect();
        let scope = match of_named {
            None => format!("Pages are of the devices that change against {}.", base.name),
            Some(_) => format!("Pages are of the devices that were asked for and change against {}.", base.name),
        };
        (Some(chosen), Some(scope))
    }
}
