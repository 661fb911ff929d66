//! What changes for the phones between two generations, told by parameter and not by line. No I/O: both generations are
//! loaded already, and no secret that stands in an environment or a file is fetched.
//!
//! Secrets are replaced by tokens ([`seal`]) before anything is rendered, so that a changed one is seen wherever a
//! template puts it; what is shown comes from a second rendering, in which they are masked.

mod device;
mod group;
mod lines;
mod seal;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

pub use self::group::Group;
use self::seal::Sealer;
use crate::model::MacAddr;
use crate::packs::Effect;
use crate::resync::Generation;

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

impl Side<'_> {
    /// A message without the folder that the generation happened to be loaded from.
    fn rooted(&self, message: &str) -> String {
        match self.root {
            Some(root) => message.replace(&format!("{}/", root.display()), ""),
            None => message.to_owned(),
        }
    }
}

/// What became of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Changed,
    Added,
    Removed,
    /// The old or the new file can't be made, and so not be compared.
    Unrendered,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Unrendered => "unrendered",
        }
    }
}

/// One parameter, setting or line that is another now. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Change {
    /// The phone's own name of it, or the dotted name of a setting; none for a line of a text.
    pub parameter: Option<Arc<str>>,
    /// None: it wasn't there.
    pub old: Option<String>,
    /// None: it is there no more.
    pub new: Option<String>,
    /// Whether it is a secret, or holds one: the values are masked, and may look the same.
    pub secret: bool,
    pub effect: Option<Effect>,
}

impl Change {
    fn setting(name: impl Into<Arc<str>>, old: Option<String>, new: Option<String>) -> Self {
        Self { parameter: Some(name.into()), old, new, secret: false, effect: None }
    }
}

/// Everything that changes between two generations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The largest first.
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
        self.distinct(|group| group.changes.iter().any(|change| change.effect == Some(effect)))
    }

    fn distinct(&self, is_meant: impl Fn(&Group) -> bool) -> usize {
        let groups = self.groups.iter().filter(|group| is_meant(group));
        groups.flat_map(|group| &group.devices).collect::<BTreeSet<_>>().len()
    }
}

/// Compares two generations. `limit` is the largest profile, in bytes.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn compare(old: Side<'_>, new: Side<'_>, limit: usize) -> Result<Report, getrandom::Error> {
    let sealer = Sealer::new()?;
    let comparing = device::Comparing { old, new, sealer: &sealer, limit };
    let profiles = [&old.generation.profiles, &new.generation.profiles];
    let macs: BTreeSet<MacAddr> =
        profiles.iter().flat_map(|profiles| profiles.devices()).map(|device| device.mac).collect();
    let macs: Vec<MacAddr> = macs.into_iter().collect();
    let found = macs
        .par_iter()
        .fold(HashMap::new, |mut found, mac| {
            for what in comparing.device(*mac) {
                group::put(&mut found, what, *mac);
            }
            found
        })
        .reduce(HashMap::new, group::merge);
    let mut groups = group::of_devices(found);
    groups.extend(comparing.for_anyone());
    group::sort(&mut groups);
    Ok(Report { groups, devices: macs.len() })
}
