//! What changes for the phones between two generations, told by parameter and not by line. Both generations are loaded
//! already; nothing is read but the static files under `profiles/files/`, and no secret that stands in an environment
//! or a file is fetched.
//!
//! Secrets are replaced by tokens ([`seal`]) before anything is rendered, so that a changed one is seen wherever a
//! template puts it; in what is shown, tokens are masked.

mod acs;
mod cause;
mod change;
mod device;
mod everyone;
mod file;
mod group;
mod lines;
mod seal;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;

pub use self::change::{Kind, Source, Subject};
pub use self::group::{Common, Group, Told};
use self::group::{Found, Who};
use self::seal::Sealer;
use crate::model::{MacAddr, lexical};
use crate::packs::{Effect, Effects};
use crate::resync::Generation;
use crate::revision::{Deployment, Loaded};

/// One of the two generations, and where it was loaded from.
#[derive(Debug, Clone, Copy)]
pub struct Side<'s> {
    pub generation: &'s Generation,
    /// The folders of packs and settings: secrets in files are told apart by their path below these.
    pub templates: &'s Path,
    pub profiles: &'s Path,
    /// A folder that no message is to name: what lies in it is told relative to it.
    pub root: Option<&'s Path>,
}

impl<'s> Side<'s> {
    /// A deployment, loaded.
    pub fn of(deployment: &'s Deployment, loaded: &'s Loaded) -> Self {
        Self {
            generation: &loaded.generation,
            templates: &loaded.config.templates,
            profiles: &loaded.config.profiles,
            root: deployment.root(),
        }
    }

    /// A message without the folder that the generation happened to be loaded from.
    pub fn rooted(&self, message: &str) -> String {
        match self.root {
            Some(root) => message.replace(&format!("{}/", root.display()), ""),
            None => message.to_owned(),
        }
    }

    /// A file as messages name it.
    fn named(&self, path: &Path) -> String {
        let path = lexical(path);
        let within = self.root.and_then(|root| path.strip_prefix(lexical(root)).ok());
        within.unwrap_or(&path).display().to_string()
    }

    fn file(&self, path: &Path) -> Source {
        Source::File(self.named(path).into())
    }
}

/// Everything that changes between two generations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Trouble first, then what concerns most devices.
    pub groups: Vec<Group>,
    /// How many devices both sides have together.
    pub devices: usize,
}

impl Report {
    /// How many devices a kind of change concerns.
    pub fn count(&self, kind: Kind) -> usize {
        self.distinct(|group| group.kind == kind)
    }

    /// How many devices a change has this effect on.
    pub fn count_of(&self, effect: Effect) -> usize {
        self.distinct(|group| group.effects().has(effect))
    }

    /// How many devices change at all.
    pub fn concerned(&self) -> usize {
        self.distinct(|_| true)
    }

    /// The entries by what they have in common for a reader: the kind, and the file that set the new values. One change of a
    /// layer is several entries where phones of several families have it in different files.
    pub fn sections(&self) -> Vec<Section<'_>> {
        let mut sections: Vec<Section<'_>> = Vec::new();
        let mut at: HashMap<(Kind, Option<&str>, bool), usize> = HashMap::new();
        for group in &self.groups {
            let index = *at.entry((group.kind, group.source.as_deref(), group.own)).or_insert_with(|| {
                sections.push(Section { groups: Vec::new() });
                sections.len() - 1
            });
            if let Some(section) = sections.get_mut(index) {
                section.groups.push(group);
            }
        }
        sections
    }

    fn distinct(&self, is_meant: impl Fn(&Group) -> bool) -> usize {
        let groups = self.groups.iter().filter(|group| is_meant(group));
        groups.flat_map(|group| &group.devices).collect::<BTreeSet<_>>().len()
    }
}

/// Entries of one kind and source.
#[derive(Debug, Clone)]
pub struct Section<'r> {
    /// At least one.
    pub groups: Vec<&'r Group>,
}

impl Section<'_> {
    /// The devices of all entries.
    pub fn devices(&self) -> Vec<MacAddr> {
        match self.groups.as_slice() {
            [one] => one.devices.clone(),
            groups => {
                let devices: BTreeSet<MacAddr> = groups.iter().flat_map(|group| &group.devices).copied().collect();
                devices.into_iter().collect()
            }
        }
    }

    pub fn effects(&self) -> Effects {
        self.groups.iter().fold(Effects::default(), |all, group| all.and(group.effects()))
    }
}

/// Compares two generations, or what they mean for one device. `limit` is the largest profile, in bytes.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn compare(old: Side<'_>, new: Side<'_>, limit: usize, only: Option<MacAddr>) -> Result<Report, getrandom::Error> {
    let sealer = Sealer::new()?;
    let comparing = device::Comparing::new(old, new, &sealer, limit);
    let profiles = [&old.generation.profiles, &new.generation.profiles];
    let macs: BTreeSet<MacAddr> = match only {
        Some(mac) => BTreeSet::from([mac]),
        None => profiles.iter().flat_map(|profiles| profiles.devices()).map(|device| device.mac).collect(),
    };
    let macs: Vec<MacAddr> = macs.into_iter().collect();
    let mut found = macs
        .par_iter()
        .fold(Found::default, |mut found, mac| {
            found.put(&Who::Device(*mac), comparing.device(*mac));
            found
        })
        .reduce(Found::default, Found::join);
    if only.is_none() {
        comparing.for_anyone(&mut found);
        comparing.static_files(&mut found);
    }
    let mut groups = found.into_groups();
    for group in groups.iter_mut().filter(|group| group.own) {
        // Whose own file it is can be said of one device only.
        if let [mac] = group.devices.as_slice() {
            let find = |side: &Side<'_>| Some(side.named(&side.generation.profiles.device(*mac)?.layer.source));
            group.source = find(&new).or_else(|| find(&old)).map(Into::into);
        }
    }
    Ok(Report { groups, devices: macs.len() })
}
