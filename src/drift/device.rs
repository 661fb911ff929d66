//! One device: its reports and resyncs are looked up, and compared with its profile.

use std::path::Path;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::compare::{Comparison, Status, Times, compare};
use super::expected::expected;
use super::report::{Report, Source, name, read};
use crate::events::{Kind, Outcome, rfc3339};
use crate::model::MacAddr;
use crate::packs::{Pack, UploadKind};
use crate::render::{Limit, RenderError};
use crate::resync::{Device, Generation};
use crate::store::{EventFilter, Store, StoreError, UploadFilter};
use crate::uploads::{Upload, UploadError, Uploads};

/// How a device compares with what it should have.
#[derive(Debug, Clone, Serialize)]
pub struct Drift {
    #[serde(serialize_with = "as_text")]
    pub device: MacAddr,
    /// The file whose parameters are expected, `pack/file`.
    pub file: String,
    /// The reports that were read, newest first.
    pub reports: Vec<Used>,
    /// Reports that can't be read, and why.
    pub problems: Vec<String>,
    /// When the phone last took its profile, as far as events are kept.
    #[serde(serialize_with = "as_time")]
    pub last_resync: Option<OffsetDateTime>,
    /// When its settings, or the pack, last changed.
    #[serde(serialize_with = "as_time")]
    pub last_change: Option<OffsetDateTime>,
    /// In the order of the profile.
    pub parameters: Vec<Comparison>,
}

/// A report that was read.
#[derive(Debug, Clone, Serialize)]
pub struct Used {
    pub id: String,
    #[serde(serialize_with = "as_some_time")]
    pub time: OffsetDateTime,
    pub kind: &'static str,
    pub partial: bool,
}

/// Why a device can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    #[error("{0} has sent no report; its settings say where to by report.url, and `resyncd packs` lists the paths")]
    NoReport(MacAddr),
    #[error("no report of {mac} can be read: {why}")]
    NotRead { mac: MacAddr, why: String },
    #[error("its profile can't be made: {0}")]
    Render(#[from] RenderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// Reports of each kind that are read: the newest, and some before it, which tell what the phone once had.
const REPORTS: u64 = 10;

/// Events that are looked through for the last resync.
const EVENTS: u64 = 500;

/// Largest report that is read, in bytes: what a pack takes where it doesn't say.
const LARGEST: u64 = 2 << 20;

impl Drift {
    /// How many parameters compare so.
    pub fn count(&self, status: Status) -> usize {
        self.parameters.iter().filter(|parameter| parameter.status == status).count()
    }

    pub fn differs(&self) -> bool {
        self.count(Status::Differs) > 0
    }
}

/// Compares what a device has reported with the profile that it should have. `changed` is when its record in the database
/// last changed, if it has one: the files' own times are looked up. `limit` bounds the profile, in bytes.
pub async fn of_device(
    generation: &Generation,
    device: &Device,
    store: &Store,
    uploads: &Uploads,
    changed: Option<OffsetDateTime>,
    limit: Limit,
) -> Result<Drift, DriftError> {
    let profile = expected(generation, device, limit)?;
    let pack = generation.packs.get(device.model.pack).ok_or(RenderError::Missing("a pack"))?;
    let mut found = Vec::new();
    for kind in [UploadKind::Report, UploadKind::LocalConfig, UploadKind::ServerConfig] {
        let filter = UploadFilter { device: Some(device.mac), kind: Some(kind), ..UploadFilter::default() };
        // So that a stream of partial reports does not hide the whole one, there is more than one page.
        let mut before = None;
        let mut has_whole = false;
        for _ in 0..REPORTS {
            let page = uploads.list(&filter, before, REPORTS).await?;
            has_whole |= page.uploads.iter().any(|upload| !upload.partial && !upload.sealed);
            found.extend(page.uploads);
            before = page.next;
            if has_whole || before.is_none() {
                break;
            }
        }
    }
    if found.is_empty() {
        return Err(DriftError::NoReport(device.mac));
    }
    found.sort_by_key(|upload| upload.id);
    let (mut reports, mut used, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for upload in found {
        match read_one(uploads, &upload, profile.format).await? {
            Ok(report) => {
                used.insert(
                    0,
                    Used {
                        id: upload.id.to_string(),
                        time: upload.time,
                        kind: upload.kind.as_str(),
                        partial: upload.partial,
                    },
                );
                reports.push(report);
            }
            Err(why) => problems.push(format!("{} of {}: {why}", upload.id, rfc3339(upload.time))),
        }
    }
    if reports.is_empty() {
        return Err(DriftError::NotRead { mac: device.mac, why: problems.pop().unwrap_or_default() });
    }
    let last_resync = last_resync(store, pack, device.mac).await?;
    let last_change = changed.max(files_changed(generation, device, pack));
    let times = Times { resync: last_resync, change: last_change };
    let name_of = |own: &str| name(profile.format, own);
    let parameters = compare(&profile.expected, &reports, times, name_of, &profile.secrets);
    let file = format!("{}/{}", pack.name, profile.file.name);
    Ok(Drift { device: device.mac, file, reports: used, problems, last_resync, last_change, parameters })
}

/// A report, or why it can't be read.
async fn read_one(
    uploads: &Uploads,
    upload: &Upload,
    format: crate::packs::Format,
) -> Result<Result<Report, String>, DriftError> {
    if upload.sealed {
        return Ok(Err("it is encrypted with a key that is not the device's".to_owned()));
    }
    let content = match uploads.read(upload.id, LARGEST).await {
        Ok(Some((_, content))) => content,
        // It went while we were looking.
        Ok(None) => return Ok(Err("it is deleted".to_owned())),
        Err(UploadError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let source = match upload.kind {
        UploadKind::LocalConfig => Source::Local,
        UploadKind::ServerConfig => Source::Served,
        _ => Source::Held,
    };
    let read = read(format, &content).map_err(|error| error.to_string());
    Ok(read.map(|parameters| Report { time: upload.time, source, partial: upload.partial, parameters }))
}

/// When the phone last got a profile of its own, or was told that it has it.
async fn last_resync(store: &Store, pack: &Pack, mac: MacAddr) -> Result<Option<OffsetDateTime>, StoreError> {
    let mut last = None;
    for outcome in [Outcome::Served, Outcome::NotModified] {
        let filter = EventFilter { device: Some(mac), outcome: Some(outcome.as_str()), ..EventFilter::default() };
        let events = store.events(&filter, EVENTS).await?;
        let is_profile = |file: &str| {
            let name = file.strip_prefix(&pack.name).and_then(|rest| rest.strip_prefix('/'));
            // A file that the operator's parameters go into; others are firmware and the like.
            name.and_then(|name| pack.file(name)).is_some_and(|file| file.params)
        };
        let mut events = events.iter().rev();
        let newest = events.find(|event| {
            event.kind == Kind::Resync && event.device == Some(mac) && event.file.as_deref().is_some_and(is_profile)
        });
        last = last.max(newest.map(|event| event.time));
    }
    Ok(last)
}

/// When any file that the profile is made from was last written: not before what it says changed.
fn files_changed(generation: &Generation, device: &Device, pack: &Pack) -> Option<OffsetDateTime> {
    let written = |path: &Path| {
        let time = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
        Some(OffsetDateTime::from(time))
    };
    let layers = generation.layers(device).into_iter().filter_map(|layer| written(&layer.source));
    let mappings = pack.mappings.values().filter_map(|mapping| written(&mapping.source));
    let templates = pack.templates.iter().filter_map(|template| written(&template.file));
    layers.chain(mappings).chain(templates).max()
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_some_time<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

fn as_time<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}
