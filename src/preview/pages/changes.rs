//! What changes against the base: entries of many devices, and what they come to for one.

use rayon::prelude::*;
use serde::Serialize;
use tera::Context;

use super::super::Error;
use super::super::fleet::Fleet;
use super::super::paths::numbered;
use super::super::site::Site;
use super::super::{Base, Preview};
use super::{Link, Pager, devices, on_page, pages};
use crate::diff::{self, Common, Group, Kind, Subject, Told};
use crate::model::MacAddr;
use crate::packs::Effect;

/// Entries of one page.
const PER_PAGE: usize = 50;
/// Devices that an entry names; those of a larger one have pages of their own.
const NAMED: usize = 20;
/// Changes of one entry that its page shows, so that one entry doesn't take the room of all others.
const CHANGES: usize = 200;

/// An entry, as pages show it.
#[derive(Debug, Serialize)]
pub struct Shown<'c> {
    id: String,
    kind: &'static str,
    /// The file that set the new values.
    source: Option<String>,
    files: Vec<String>,
    changes: Vec<Change<'c>>,
    /// Changes that are not shown.
    left_out: usize,
    device_count: usize,
    devices: Vec<Link>,
    more: Option<String>,
    models: Vec<String>,
}

/// One parameter, setting or line.
#[derive(Debug, Serialize)]
struct Change<'c> {
    what: String,
    old: Option<&'c str>,
    new: Option<&'c str>,
    effects: Vec<&'static str>,
    /// The setting that changed, and the line of the entry's source.
    set_by: String,
}

/// How many devices a kind of change, or an effect, concerns.
#[derive(Debug, Serialize)]
pub struct Count {
    word: &'static str,
    meaning: &'static str,
    devices: usize,
}

fn id(at: usize) -> String {
    format!("c{}", at + 1)
}

fn devices_of(at: usize) -> String {
    format!("changes/{}", id(at))
}

pub fn write(site: &Site, fleet: &Fleet<'_>) -> Result<(), Error> {
    let Some(base) = &fleet.preview.base else { return Ok(()) };
    let groups: Vec<&Group> = base.changes.groups.iter().collect();
    let count = pages(groups.len(), PER_PAGE);
    (1..=count).into_par_iter().try_for_each(|page| {
        let shown: Vec<Shown<'_>> = on_page(&groups, page, PER_PAGE)
            .iter()
            .zip((page - 1) * PER_PAGE..)
            .map(|(group, at)| Shown::of_many(fleet, group, at))
            .collect();
        let mut context = Context::new();
        context.insert("entries", &shown);
        context.insert("counts", &counts(base));
        context.insert("pager", &Pager::new("changes", page, count));
        site.page(&numbered("changes", page), "changes.html", context)
    })?;
    for (group, at) in groups.iter().zip(0..) {
        if group.devices.len() > NAMED {
            let of = group.source.as_ref().map(|source| format!(" by {source}")).unwrap_or_default();
            let heading = format!("Devices {}{of}", group.kind.word());
            devices::list(site, fleet, &devices_of(at), "changes", &heading, &group.devices)?;
        }
    }
    Ok(())
}

/// What changes for one device, with its own values.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn of_device(preview: &Preview<'_>, mac: MacAddr) -> Result<Vec<Group>, Error> {
    let Some(base) = &preview.base else { return Ok(Vec::new()) };
    let limit = preview.config.limits.profile_bytes;
    Ok(diff::compare(base.old, base.new, limit, Some(mac)).map_err(Error::Random)?.groups)
}

/// The counts of every kind and effect that there is.
pub fn counts(base: &Base<'_>) -> Vec<Count> {
    let kinds = [
        (Kind::Changed, "change"),
        (Kind::Added, "are new"),
        (Kind::Removed, "are gone"),
        (Kind::Moved, "are of another model or group"),
        (Kind::Unrendered, "have a file that can't be made"),
    ];
    let kinds = kinds.map(|(kind, meaning)| Count { word: kind.word(), meaning, devices: base.changes.count(kind) });
    let effects = Effect::ALL.map(|effect| {
        let meaning = match effect {
            Effect::Reboot => "reboot",
            Effect::Register => "register again",
            Effect::Resync => "resync elsewhere or otherwise",
        };
        Count { word: effect.word(), meaning, devices: base.changes.count_of(effect) }
    });
    kinds.into_iter().chain(effects).filter(|count| count.devices > 0).collect()
}

impl<'c> Shown<'c> {
    fn of_many(fleet: &Fleet<'_>, group: &'c Group, at: usize) -> Self {
        let is_many = group.devices.len() > NAMED;
        let named = group.devices.get(..NAMED).filter(|_| is_many).unwrap_or(&group.devices);
        Self {
            devices: named.iter().map(|mac| Link::device(fleet, *mac)).collect(),
            more: is_many.then(|| numbered(&devices_of(at), 1)),
            left_out: group.changes.len().saturating_sub(CHANGES),
            changes: group.changes.iter().take(CHANGES).map(Change::new).collect(),
            ..Self::of_one(group, at)
        }
    }

    /// An entry on the page of its one device.
    pub fn of_one(group: &'c Group, at: usize) -> Self {
        let own = group.own.then(|| "each device's own file".to_owned());
        Self {
            id: id(at),
            kind: group.kind.word(),
            source: group.source.as_ref().map(ToString::to_string).or(own),
            files: group.files.iter().map(ToString::to_string).collect(),
            changes: group.changes.iter().map(Change::new).collect(),
            left_out: 0,
            device_count: group.devices.len(),
            devices: Vec::new(),
            more: None,
            models: group.models.iter().map(ToString::to_string).collect(),
        }
    }
}

impl<'c> Change<'c> {
    fn new(change: &'c Common) -> Self {
        let what = match &change.subject {
            Subject::Access(name) => format!("access of {name}"),
            Subject::Line => "a line".to_owned(),
            Subject::Layout if change.secret => "a secret in the text".to_owned(),
            Subject::Layout => "the same values, laid out in another way".to_owned(),
            Subject::Failure => "why it can't be made".to_owned(),
            other => other.name().to_owned(),
        };
        let (old, new) = (told(&change.old), told(&change.new));
        // Both are masked.
        let new = if change.secret && old.is_some() && old == new { Some("*** (another secret)") } else { new };
        let line = change.line.map(|line| format!("line {line}"));
        let set_by: Vec<String> = change.setting.iter().map(ToString::to_string).chain(line).collect();
        Self { what, old, new, effects: change.effects.words().collect(), set_by: set_by.join(", ") }
    }
}

fn told(side: &Told) -> Option<&str> {
    match side {
        Told::Absent => None,
        Told::Is(text) if text.is_empty() => Some("\"\""),
        Told::Is(text) => Some(text),
        Told::Varies => Some("(another for each device)"),
    }
}
