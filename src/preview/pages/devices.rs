//! Lists of devices: all of them, those of a group, of a model; and the list of groups.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::Serialize;
use tera::Context;

use super::super::Error;
use super::super::fleet::Fleet;
use super::super::paths::{ROWS, numbered, slug};
use super::super::site::Site;
use super::{Link, Pager, on_page, pages};
use crate::model::MacAddr;
use crate::packs::ModelId;
use crate::resync::GroupId;

/// A device in a list.
#[derive(Debug, Serialize)]
struct Shown<'f> {
    link: Link,
    label: &'f str,
    model: &'f str,
    group: Option<String>,
    change: Option<&'static str>,
    findings: Option<u32>,
}

/// A group in the list of groups.
#[derive(Debug, Serialize)]
pub struct GroupCount {
    link: Link,
    /// The groups that it lies in, from the outermost.
    within: Vec<Link>,
    devices: usize,
    listed: usize,
}

/// A page of the list of all devices: the first and the last of it.
#[derive(Debug, Serialize)]
struct Range {
    href: String,
    first: String,
    last: String,
}

pub fn of_group(name: &str) -> String {
    format!("group/{}", slug(name))
}

pub fn of_model(name: &str) -> String {
    format!("model/{}", slug(name))
}

pub fn write(site: &Site, fleet: &Fleet<'_>) -> Result<(), Error> {
    let listed: Vec<MacAddr> = fleet.listed().map(|row| row.device.mac).collect();
    list(site, fleet, "devices", "devices", "Devices", &listed)?;
    ranges(site, &listed)?;
    group_list(site, fleet)?;
    let mut by_group: HashMap<GroupId, Vec<MacAddr>> = HashMap::new();
    let mut by_model: HashMap<ModelId, Vec<MacAddr>> = HashMap::new();
    for row in fleet.listed() {
        by_model.entry(row.device.model).or_default().push(row.device.mac);
        for group in fleet.groups_of(row.device) {
            by_group.entry(*group).or_default().push(row.device.mac);
        }
    }
    // Every group and model has a list, also where none of its devices has a page: links lead somewhere.
    for (id, group) in fleet.preview.generation.profiles.groups.iter().enumerate() {
        let macs = by_group.get(&id).map(Vec::as_slice).unwrap_or_default();
        list(site, fleet, &of_group(&group.name), "groups", &format!("Group {}", group.name), macs)?;
    }
    for id in fleet.by_model().keys() {
        let Some((_, model)) = fleet.preview.generation.packs.pack_and_model(*id) else { continue };
        let macs = by_model.get(id).map(Vec::as_slice).unwrap_or_default();
        list(site, fleet, &of_model(&model.name), "devices", &format!("Model {}", model.name), macs)?;
    }
    Ok(())
}

/// Writes a list of devices in pages. `section` is the part of the site that it belongs to.
pub fn list(
    site: &Site,
    fleet: &Fleet<'_>,
    folder: &str,
    section: &str,
    heading: &str,
    macs: &[MacAddr],
) -> Result<(), Error> {
    let count = pages(macs.len(), ROWS);
    (1..=count).into_par_iter().try_for_each(|page| {
        let shown: Vec<Shown<'_>> = on_page(macs, page, ROWS).iter().map(|mac| Shown::new(fleet, *mac)).collect();
        let mut context = Context::new();
        context.insert("is_of_pages", &matches!(section, "devices" | "groups"));
        context.insert("heading", heading);
        context.insert("row_count", &macs.len());
        context.insert("rows", &shown);
        context.insert("pager", &Pager::new(folder, page, count));
        site.page(&numbered(folder, page), "devices.html", context)
    })
}

impl<'f> Shown<'f> {
    /// A device that is gone has only its MAC.
    fn new(fleet: &'f Fleet<'_>, mac: MacAddr) -> Self {
        let row = fleet.row(mac);
        Self {
            link: Link::device(fleet, mac),
            label: row.map_or("", |row| &row.label),
            model: row.and_then(|row| fleet.pack_and_model(row.device)).map_or("", |(_, model)| &model.name),
            group: row.and_then(|row| fleet.group_name(row.device)).map(|name| name.to_string()),
            change: fleet.change_of(mac),
            findings: row.map(|row| row.findings),
        }
    }
}

/// Which page a MAC is on.
fn ranges(site: &Site, listed: &[MacAddr]) -> Result<(), Error> {
    let ranges: Vec<Range> = listed
        .chunks(ROWS)
        .zip(1..)
        .filter_map(|(macs, page)| {
            let (first, last) = (macs.first()?, macs.last()?);
            Some(Range { href: numbered("devices", page), first: first.to_string(), last: last.to_string() })
        })
        .collect();
    let mut context = Context::new();
    context.insert("ranges", &ranges);
    site.page("devices/index.html", "ranges.html", context)
}

/// The groups that have devices, the largest first.
pub fn groups(fleet: &Fleet<'_>) -> Vec<GroupCount> {
    let counts = fleet.by_group();
    let profiles = &fleet.preview.generation.profiles;
    let mut groups: Vec<GroupCount> = profiles
        .groups
        .iter()
        .enumerate()
        .map(|(id, group)| {
            let (devices, listed) = counts.get(&id).copied().unwrap_or_default();
            let within = group.chain.iter().filter(|other| **other != id).filter_map(|other| profiles.group(*other));
            let within = within.map(|other| Link::group(&other.name)).collect();
            GroupCount { link: Link::group(&group.name), within, devices, listed }
        })
        .collect();
    groups.sort_by(|a, b| b.devices.cmp(&a.devices).then_with(|| a.link.name.cmp(&b.link.name)));
    groups
}

fn group_list(site: &Site, fleet: &Fleet<'_>) -> Result<(), Error> {
    let groups = groups(fleet);
    let count = pages(groups.len(), ROWS);
    for page in 1..=count {
        let mut context = Context::new();
        context.insert("groups", on_page(&groups, page, ROWS));
        context.insert("group_count", &groups.len());
        context.insert("pager", &Pager::new("groups", page, count));
        site.page(&numbered("groups", page), "groups.html", context)?;
    }
    Ok(())
}
