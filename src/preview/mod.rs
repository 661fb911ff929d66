//! `resyncd preview`: a static site of what every phone would get, for the reviewer of a change. Files and links only: no
//! script, nothing from elsewhere, and readable on a phone's screen.
//!
//! What is shown comes from the code that serves: profiles from [`crate::resync`], findings from [`crate::lint`], changes
//! from [`crate::diff`]. Secrets are masked before anything is rendered. Pages are written as they are made, several at a
//! time, so that memory doesn't grow with the site.

mod fleet;
mod folder;
mod highlight;
mod pages;
mod paths;
mod profile;
mod site;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::Config;
use crate::diff::{self, Side};
use crate::lint::Report;
use crate::model::MacAddr;
use crate::resync::Generation;
use fleet::Fleet;
use folder::Folder;
use site::Site;

pub use folder::MARKER;

/// Why no site was written. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{folder} holds {holds} and is no preview of an earlier run: name a folder that is not there yet, or an empty one",
        folder = folder.display()
    )]
    Foreign { folder: PathBuf, holds: String },
    #[error("{path}: {why}", path = path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
    #[error("the template {name} of the preview failed, which is a bug of resyncd: {message}")]
    Template { name: String, message: String },
}

/// What a site is made of.
pub struct Preview<'p> {
    /// What it is compared with, if it is.
    pub base: Option<Base<'p>>,
    pub config: &'p Config,
    pub generation: &'p Generation,
    /// Of all devices that findings were looked for in.
    pub findings: &'p Report,
    /// The devices that get pages; none: all.
    pub devices: Option<&'p HashSet<MacAddr>>,
    /// A sentence on which devices those are.
    pub scope: Option<&'p str>,
}

/// An earlier state of the deployment, and what changes against it.
pub struct Base<'p> {
    /// As the reader is told: `main`, `../before`.
    pub name: &'p str,
    pub old: Side<'p>,
    pub new: Side<'p>,
    /// Of all devices.
    pub changes: &'p diff::Report,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub pages: usize,
    /// Devices that have a page.
    pub devices: usize,
    pub bytes: u64,
}

/// Writes a site. `progress` is told how many devices get a page and how many have one.
///
/// # Errors
/// When the folder is someone else's, or can't be written to: an earlier site then is still there, or no site.
pub fn write(preview: &Preview<'_>, out: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<Written, Error> {
    let folder = Folder::take(out)?;
    let fleet = Fleet::new(preview);
    let site = Site::new(folder.path(), pages::common(&fleet))?;
    pages::write(&site, &fleet, progress)?;
    let written = Written { pages: site.pages(), devices: fleet.listed().count(), bytes: site.bytes() };
    let marker = json!({
        "program": format!("resyncd {}", env!("CARGO_PKG_VERSION")), "pages": written.pages, "devices": written.devices,
        "findings": preview.findings.findings.len(), "base": preview.base.as_ref().map(|base| base.name),
        "concerned": preview.base.as_ref().map(|base| base.changes.concerned()),
    });
    folder.finish(&format!("{marker:#}\n"))?;
    Ok(written)
}
