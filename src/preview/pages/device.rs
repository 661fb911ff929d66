//! One device: its files as they would be sent, where each value comes from, and what is wrong with it.

use serde::Serialize;
use tera::Context;

use super::super::Error;
use super::super::fleet::{Fleet, Row};
use super::super::paths;
use super::super::profile::{self, Line};
use super::super::site::Site;
use super::{Link, changes, findings, public};
use crate::lint::Profile;
use crate::packs::{FileEntry, Source};
use crate::render::RenderError;
use crate::resync::Provenance;

/// A file, as pages show it.
#[derive(Debug, Serialize)]
pub struct Shown<'t> {
    /// What links lead to.
    id: String,
    path: String,
    /// Further paths that it answers to, as the pack has them.
    others: Vec<String>,
    name: String,
    format: &'static str,
    template: Option<String>,
    mapping: Option<String>,
    /// A file that is sent as it is.
    sent: Option<String>,
    error: Option<String>,
    /// Of a text that is nearly that of another file only those that differ.
    lines: Vec<Line<'t>>,
    line_count: usize,
    bytes: usize,
    like: Option<Like>,
}

/// An earlier file with the same text, or nearly.
#[derive(Debug, Serialize)]
struct Like {
    id: String,
    path: String,
}

impl<'t> Shown<'t> {
    /// `number` is counted from 1. `text` is the rendered one; `lines` makes lines of it.
    pub fn new(
        number: usize,
        entry: &FileEntry,
        path: &str,
        outcome: Option<&Result<Profile, RenderError>>,
        text: &str,
        lines: impl FnOnce(&Profile) -> Vec<Line<'t>>,
    ) -> Self {
        let (template, mapping, sent) = match &entry.source {
            Source::Template { template, mapping } => (Some(template.clone()), mapping.clone(), None),
            Source::Static(name) => (None, None, Some(name.clone())),
        };
        let (lines, error) = match outcome {
            Some(Ok(profile)) => (lines(profile), None),
            Some(Err(error)) => (Vec::new(), Some(error.to_string())),
            None => (Vec::new(), None),
        };
        Self {
            id: format!("file-{number}"),
            path: path.to_owned(),
            others: entry.paths.iter().skip(1).map(ToString::to_string).collect(),
            name: entry.name.clone(),
            format: entry.format.as_str(),
            template,
            mapping,
            sent,
            error,
            lines,
            line_count: text.lines().count(),
            bytes: text.len(),
            like: None,
        }
    }
}

impl Shown<'_> {
    fn as_like(&self) -> Like {
        Like { id: self.id.clone(), path: self.path.clone() }
    }
}

pub fn write(site: &Site, fleet: &Fleet<'_>, row: &Row<'_>) -> Result<(), Error> {
    let device = row.device;
    let settings = fleet.preview.generation.settings(device);
    let mut context = Context::new();
    context.insert("mac", &device.mac);
    context.insert("label", &row.label);
    context.insert("serial", &device.serial);
    context.insert("source", &device.layer.source.display().to_string());
    let groups = fleet.groups_of(device).iter().filter_map(|id| fleet.preview.generation.profiles.group(*id));
    context.insert("groups", &groups.map(|group| Link::group(&group.name)).collect::<Vec<_>>());
    let told: Vec<_> = fleet
        .findings_of(device.mac)
        .map(|(at, finding)| (findings::Shown::new(fleet, finding, at), findings::link(at)))
        .collect();
    context.insert("findings", &told);

    let groups = changes::of_device(fleet.preview, device.mac)?;
    let entries: Vec<_> = groups.iter().zip(0..).map(|(group, at)| changes::Shown::of_one(group, at)).collect();
    context.insert("changes", &entries);

    let view = fleet.deployment.device(device, &settings);
    let provenance = Provenance::new(fleet.preview.generation, device);
    let all = provenance.as_ref().map(Provenance::all).unwrap_or_default();
    context.insert("settings", &all.iter().map(profile::setting).collect::<Vec<_>>());
    let files = view.as_ref().map(|view| view.files.as_slice()).unwrap_or_default();
    let texts: Vec<String> = files
        .iter()
        .map(|file| match &file.outcome {
            Some(Ok(made)) => profile::text(file.entry.format, &made.body),
            _ => String::new(),
        })
        .collect();
    let mut shown: Vec<Shown<'_>> = Vec::with_capacity(files.len());
    for (index, (file, text)) in files.iter().zip(&texts).enumerate() {
        let lines = |made: &Profile| match &view {
            Some(view) => profile::lines(text, made, view.pack, file.entry, provenance.as_ref()),
            None => Vec::new(),
        };
        let mut one = Shown::new(index + 1, file.entry, &file.path, file.outcome.as_ref(), text, lines);
        // The text of a file with the very same template is not even made.
        one.like = file.same_as.and_then(|at| shown.get(at)).map(Shown::as_like);
        let earlier = shown.iter().zip(files).zip(&texts);
        let mut earlier = earlier.filter(|((other, entry), _)| {
            other.like.is_none() && !other.lines.is_empty() && entry.entry.format == file.entry.format
        });
        let found = earlier.find_map(|((other, _), whole)| Some((other, profile::differing(text, whole)?)));
        if let Some((other, differing)) = found {
            one.like = Some(other.as_like());
            one.lines.retain(|line| differing.contains(&line.number()));
        }
        shown.push(one);
    }
    context.insert("files", &shown);
    let (pack, model) = fleet.pack_and_model(device).map_or(("", ""), |(pack, model)| (&pack.name, &model.name));
    context.insert("pack", pack);
    context.insert("model", &Link::model(model));
    context.insert("public", &public::of_model(fleet, pack, model));
    site.page(&paths::device(device.mac), "device.html", context)
}
