//! What `resyncd check` finds, with the operator's line and the devices that it is about.

use rayon::prelude::*;
use serde::Serialize;
use tera::Context;

use super::super::Error;
use super::super::fleet::Fleet;
use super::super::paths::{numbered, page_of};
use super::super::site::Site;
use super::{Link, Pager, devices, on_page, pages};
use crate::lint::Finding;

/// Findings of one page.
const PER_PAGE: usize = 100;
/// Devices that a finding names; those of one that is about more have pages of their own.
const NAMED: usize = 20;

/// A finding, as a page shows it.
#[derive(Debug, Serialize)]
pub struct Shown<'f> {
    /// What links lead to.
    pub id: String,
    pub rule: &'f str,
    pub severity: &'static str,
    pub message: &'f str,
    pub why: Option<&'f str>,
    pub help: Option<&'f str>,
    /// File, line and column.
    pub place: Option<String>,
    pub line: Option<u32>,
    pub key: Option<&'f str>,
    /// The line that is meant: what stands before the part that is, that part, and the rest.
    pub source: Option<[&'f str; 3]>,
    device_count: usize,
    devices: Vec<Link>,
    more: Option<String>,
    /// The rendered file and line, of the first device.
    pub rendered: Option<String>,
}

/// Where the finding at a place of the list is told.
pub fn link(at: usize) -> String {
    format!("{}#{}", numbered("findings", page_of(at, PER_PAGE)), id(at))
}

fn id(at: usize) -> String {
    format!("f{}", at + 1)
}

/// The list of devices of the finding at a place.
fn devices_of(at: usize) -> String {
    format!("findings/{}", id(at))
}

pub fn write(site: &Site, fleet: &Fleet<'_>) -> Result<(), Error> {
    let count = pages(fleet.findings.len(), PER_PAGE);
    (1..=count).into_par_iter().try_for_each(|page| {
        let shown: Vec<Shown<'_>> = on_page(&fleet.findings, page, PER_PAGE)
            .iter()
            .zip((page - 1) * PER_PAGE..)
            .map(|(finding, at)| Shown::new(fleet, finding, at))
            .collect();
        let mut context = Context::new();
        context.insert("findings", &shown);
        context.insert("pager", &Pager::new("findings", page, count));
        context.insert("omitted", &fleet.preview.findings.omitted.values().sum::<usize>());
        site.page(&numbered("findings", page), "findings.html", context)
    })?;
    for (finding, at) in fleet.findings.iter().zip(0..) {
        if finding.devices.len() > NAMED {
            let heading = format!("Devices with: {}", finding.message);
            devices::list(site, fleet, &devices_of(at), "findings", &heading, &finding.devices)?;
        }
    }
    Ok(())
}

impl<'f> Shown<'f> {
    pub fn new(fleet: &Fleet<'_>, finding: &'f Finding, at: usize) -> Self {
        let place = finding.file.as_ref().map(|file| {
            let mut place = file.display().to_string();
            for number in [finding.line, finding.column].into_iter().flatten() {
                place += &format!(":{number}");
            }
            place
        });
        let source = finding.source.as_ref().map(|source| {
            let part = |range: std::ops::Range<usize>| source.text.get(range).unwrap_or_default();
            let (start, end) = (source.span.start, source.span.end);
            [part(0..start), part(start..end), part(end..source.text.len())]
        });
        let is_many = finding.devices.len() > NAMED;
        let named = finding.devices.get(..NAMED).filter(|_| is_many).unwrap_or(&finding.devices);
        let line = finding.rendered_line.map(|line| format!(", line {line}")).unwrap_or_default();
        Self {
            id: id(at),
            rule: finding.rule,
            severity: finding.severity.as_str(),
            message: &finding.message,
            why: finding.why.as_deref(),
            help: finding.help.as_deref(),
            place,
            line: finding.line,
            key: finding.key.as_deref(),
            source,
            device_count: finding.device_count,
            devices: named.iter().map(|mac| Link::device(fleet, *mac)).collect(),
            more: is_many.then(|| numbered(&devices_of(at), 1)),
            rendered: finding.path.as_ref().map(|path| format!("{path}{line}")),
        }
    }
}
