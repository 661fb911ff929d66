//! The first step of a request: what it asks for, and which devices have to be looked up for that.

use std::sync::Arc;

use super::generation::Generation;
use super::lookup::DeviceKey;
use super::pipeline::{Pipeline, identify};
use super::request::Request;
use super::target::Target;
use crate::identity::password::{Carried, Claim};
use crate::identity::url_token::Presented;
use crate::model::{MacAddr, Secret};
use crate::packs::{Audience, Candidate, Identified, Packs};

impl Pipeline {
    /// The first step: what a request asks for or sends, and which devices have to be looked up for it.
    pub fn ask(&self, request: &Request<'_>) -> Inquiry {
        let generation = self.generation();
        let carried = Carried {
            listener: &request.connection.listener,
            method: request.method,
            target: request.target,
            authorization: request.authorization,
            time: request.time,
        };
        let claim = self.passwords.as_ref().and_then(|passwords| passwords.claim(&carried));
        let mut inquiry = Inquiry { claim, ..Inquiry::about_nothing(generation) };
        let Some(Target { path, token }) = Target::of(request.target) else { return inquiry };
        let packs = &inquiry.generation.packs;
        let files = packs.matches(&path);
        let uploads = packs.matches_upload(&path, request.method);
        let mut keys = Vec::new();
        let proof = || identify(&inquiry.generation, request).certificate;
        for candidate in &files {
            let pack = packs.get(candidate.pack);
            let file = pack.and_then(|pack| pack.files.get(candidate.file));
            if let Some(code) = &candidate.captures.code {
                inquiry.code = Some(code.clone());
            } else if file.is_some_and(|file| file.audience == Audience::Device) {
                inquiry.of_devices = true;
                keys.extend(key_of(candidate, proof));
            }
        }
        inquiry.of_devices |= !uploads.is_empty();
        for candidate in &uploads {
            keys.extend(key_of(candidate, proof).or_else(|| said_key(packs, request)));
        }
        keys.dedup();
        (inquiry.files, inquiry.uploads, inquiry.keys, inquiry.token) = (Some(files), uploads, keys, token);
        inquiry
    }
}

/// A request between its two steps.
#[derive(Debug)]
pub struct Inquiry {
    pub generation: Arc<Generation>,
    /// None where the request names no path.
    pub(super) files: Option<Vec<Candidate>>,
    pub(super) uploads: Vec<Candidate>,
    /// The devices that it may be about.
    pub keys: Vec<DeviceKey>,
    /// The code of an invitation that it came with.
    pub code: Option<Secret>,
    /// What stood in the place of a token in its URL.
    pub token: Option<Presented>,
    /// What it shows of user and password; none on a listener that doesn't ask for them.
    pub(super) claim: Option<Claim>,
    /// Whether its path is one of devices' files or uploads, whether there is such a device or not.
    pub(super) of_devices: bool,
}

impl Inquiry {
    pub(super) fn about_nothing(generation: Arc<Generation>) -> Self {
        let (files, uploads, keys) = (None, Vec::new(), Vec::new());
        Self { generation, files, uploads, keys, code: None, token: None, claim: None, of_devices: false }
    }

    /// The phone whose password is tried, if one is. Known or not: nobody has been looked up for this.
    pub fn tries_password_of(&self) -> Option<MacAddr> {
        self.claim.as_ref().filter(|claim| claim.is_try())?;
        let mut candidates = self.files.iter().flatten().chain(&self.uploads);
        let named = |key: &DeviceKey| if let DeviceKey::Mac(mac) = key { Some(*mac) } else { None };
        // A session has no file: it is about whom its Inform names.
        let said = || if self.files.is_none() { self.keys.iter().find_map(named) } else { None };
        candidates.find_map(|candidate| candidate.captures.mac).or_else(said)
    }

    /// Lets the password that it came with hold for nobody.
    pub fn distrust(&mut self) {
        if let Some(claim) = &mut self.claim {
            claim.distrust();
        }
    }
}

/// The device that a path names; where it names none, the one that the certificate does.
pub(super) fn key_of(candidate: &Candidate, certificate: impl FnOnce() -> Option<Identified>) -> Option<DeviceKey> {
    let captures = &candidate.captures;
    if let Some(mac) = captures.mac {
        return Some(DeviceKey::Mac(mac));
    }
    if let Some(serial) = &captures.serial {
        return Some(DeviceKey::Serial(serial.clone()));
    }
    let certificate = certificate().filter(|found| !found.generic)?;
    certificate.mac.map(DeviceKey::Mac).or_else(|| certificate.serial.map(DeviceKey::Serial))
}

/// The device that a User-Agent names: a name like that in a path, and no proof.
pub(super) fn said_key(packs: &Packs, request: &Request<'_>) -> Option<DeviceKey> {
    let (_, said) = packs.identify_user_agent(request.user_agent?)?;
    said.mac.map(DeviceKey::Mac).or_else(|| said.serial.map(DeviceKey::Serial))
}
