//! What this server answers to: whether a URL is one of its own, and whether anything lies at its path.

use std::path::PathBuf;

use super::view::{Deployment, DeviceView};
use crate::config::Listener;
use crate::packs::{Audience, Source};
use crate::phone::path_at;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A file of the device's, or one for anyone that is rendered.
    File,
    /// A file on this server's disk, which may not be there.
    OnDisk(PathBuf),
    /// A file of a pack's, but of other phones.
    OfOthers,
    Nothing,
}

impl DeviceView<'_> {
    /// The path and query of a URL that leads to this server, as its `provisioning.url` names it.
    pub fn own_path(&self, url: &str) -> Option<String> {
        path_at(self.settings.text("provisioning.url")?, url)
    }

    /// What the device's phone finds at a path of this server.
    pub fn at_path(&self, target: &str) -> Answer {
        let Some(crate::resync::Target { path, .. }) = crate::resync::Target::of(target) else {
            return Answer::Nothing;
        };
        if let Some(file) = self.deployment.in_folder(&path) {
            return Answer::OnDisk(file);
        }
        let generation = self.deployment.generation;
        let mut answer = Answer::Nothing;
        for candidate in generation.packs.matches(&path) {
            let Some(pack) = generation.packs.get(candidate.pack) else { continue };
            let Some(file) = pack.files.get(candidate.file) else { continue };
            let captures = &candidate.captures;
            let is_own_pack = candidate.pack == self.device.model.pack && file.is_for(self.device.model.model);
            let is_own = captures.mac.is_none_or(|mac| mac == self.device.mac)
                && captures.serial.as_ref().is_none_or(|serial| Some(serial) == self.device.serial.as_ref());
            let is_open = file.audience == Audience::Anyone && captures.model.is_none_or(|model| file.is_for(model));
            if !(is_open || is_own_pack && is_own) {
                answer = Answer::OfOthers;
                continue;
            }
            return match &file.source {
                Source::Template { .. } => Answer::File,
                Source::Static(_) => {
                    let device = Some(self.device).filter(|_| !is_open);
                    let path = generation.static_path(file, pack, device, captures.model);
                    path.map_or(Answer::Nothing, Answer::OnDisk)
                }
            };
        }
        answer
    }
}

impl Deployment<'_> {
    /// The file that a static folder has at a path, whether it is there or not.
    pub fn in_folder(&self, path: &str) -> Option<PathBuf> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        self.config.folders.iter().find_map(|folder| Some(folder.folder.join(path.strip_prefix(&folder.path)?)))
    }

    /// The listeners that speak plain HTTP, or those that speak TLS.
    pub fn listeners(&self, tls: bool) -> impl Iterator<Item = &Listener> {
        self.config.listeners.iter().filter(move |listener| listener.tls.is_some() == tls)
    }
}
