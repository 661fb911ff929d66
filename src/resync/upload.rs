//! Whether a phone may send what it is about to send: decided before a byte of it is read.

use std::sync::Arc;

use super::inquiry::Inquiry;
use super::lookup::{DeviceKey, Found};
use super::pipeline::{Asking, Pipeline, Stop, refused};
use super::profiles::Device;
use super::proof::Opening;
use super::request::{Answer, Request, Vouched};
use crate::delivery::KeyDigest;
use crate::events::{Event, Kind, Refusal};
use crate::identity::{Access, Proof};
use crate::model::{MacAddr, Secret};
use crate::packs::{Candidate, UploadEntry};
use crate::settings::Effective;

/// What is to be done with a request that has a body.
#[derive(Debug)]
pub enum Admission {
    /// Its body is to be kept.
    Upload(Box<Admitted>),
    /// It asks for a file, and its body is a form that the file's template may read.
    Form,
    /// It is answered, and its body not read.
    Refused(Answer, Box<Event>),
}

/// An upload that may come.
#[derive(Debug)]
pub struct Admitted {
    pub device: MacAddr,
    /// The pack's name.
    pub pack: String,
    pub entry: UploadEntry,
    /// The device's delivery key, where the pack decrypts and it can be had.
    pub key: Option<Secret>,
    /// Rounds of pbkdf2.
    pub iterations: u32,
    /// Whether it is known who sends it. Otherwise it has to open by the device's own key, which is the proof.
    pub proven: bool,
    /// To be filled in and recorded.
    pub event: Event,
}

impl Pipeline {
    /// Decides on a request that is neither GET nor HEAD. All refusals but that of a method are the same 404, as they are
    /// for downloads.
    pub fn admit(&self, request: &Request<'_>, inquiry: &Inquiry, found: &Found) -> Admission {
        let mut asking = Asking::of(self, inquiry, request, found);
        let result = if !inquiry.uploads.is_empty() {
            asking.event.kind = Kind::Upload;
            asking.upload(&inquiry.uploads).map(|admitted| Admission::Upload(Box::new(admitted)))
        } else if request.method == "POST" && inquiry.files.as_ref().is_some_and(|files| !files.is_empty()) {
            asking.form().map(|()| Admission::Form)
        } else {
            Err(refused(Refusal::Method, "no pack takes this method at this path"))
        };
        match result {
            Ok(Admission::Upload(mut admitted)) => {
                asking.watch_certificate();
                admitted.event = asking.event;
                Admission::Upload(admitted)
            }
            Ok(other) => other,
            Err(stop) => {
                let (answer, event) = asking.stopped(stop);
                Admission::Refused(answer, Box::new(event))
            }
        }
    }
}

impl Pipeline {
    /// The first step for a phone that comes with a ticket: its device is to be looked up.
    pub fn ask_for(&self, vouched: &Vouched) -> Inquiry {
        Inquiry { keys: vec![DeviceKey::Mac(vouched.device)], ..Inquiry::about_nothing(self.generation()) }
    }

    /// Decides on what such a phone sends: as which `[[upload]]` of its pack it is kept.
    ///
    /// # Errors
    /// How it is refused: the device, or the pack's entry, may be gone.
    pub fn admit_for(
        &self,
        request: &Request<'_>,
        inquiry: &Inquiry,
        found: &Found,
        upload: &str,
    ) -> Result<Box<Admitted>, (Answer, Box<Event>)> {
        let mut asking = Asking::of(self, inquiry, request, found);
        asking.event.kind = Kind::Upload;
        match asking.upload_for(upload) {
            Ok(mut admitted) => {
                asking.watch_certificate();
                admitted.event = asking.event;
                Ok(Box::new(admitted))
            }
            Err(stop) => {
                let (answer, event) = asking.stopped(stop);
                Err((answer, Box::new(event)))
            }
        }
    }
}

impl Asking<'_> {
    fn upload_for(&mut self, upload: &str) -> Result<Admitted, Stop> {
        let key = self.request.vouched.map(|vouched| DeviceKey::Mac(vouched.device));
        let device = key.map(|key| self.device_named(&key)).transpose()?.flatten();
        let device = device.ok_or_else(|| refused(Refusal::UnknownDevice, "there is no such device any more"))?;
        self.event.device = Some(device.mac);
        let pack = self.generation.packs.get(device.model.pack);
        let found = pack.and_then(|pack| Some((pack, pack.uploads.iter().find(|entry| entry.name == upload)?)));
        let Some((pack, entry)) = found.filter(|(_, entry)| entry.is_for(device.model.model)) else {
            let reason = format!("the pack of {} has no [[upload]] {upload} for its model any more", device.mac);
            return Err(refused(Refusal::NotForModel, reason));
        };
        self.event.file = Some(format!("{}/{}", pack.name, entry.name));
        self.admitted(false, &pack.name, entry, &device)
    }

    fn upload(&mut self, candidates: &[Candidate]) -> Result<Admitted, Stop> {
        self.event.asked_mac = candidates.iter().find_map(|candidate| candidate.captures.mac);
        let mut not_for = None;
        for candidate in candidates {
            let pack = self.generation.packs.get(candidate.pack);
            let Some((pack, entry)) = pack.and_then(|pack| Some((pack, pack.uploads.get(candidate.file)?))) else {
                continue;
            };
            let Some(device) = self.sender(candidate)? else { continue };
            if device.model.pack != candidate.pack || !entry.is_for(device.model.model) {
                not_for = Some((candidate, device));
                continue;
            }
            self.event.file = Some(format!("{}/{}", pack.name, entry.name));
            self.event.device = Some(device.mac);
            self.compare(&device);
            return self.admitted(candidate.captures.code.is_some(), &pack.name, entry, &device);
        }
        if let Some((candidate, device)) = not_for {
            self.event.device = Some(device.mac);
            self.prove(candidate, &device);
            let reason = format!("the model that {} is sends nothing to this path", device.mac);
            return Err(refused(Refusal::NotForModel, reason));
        }
        let reason = match self.event.asked_mac {
            Some(mac) => format!("there is no device {mac}"),
            None => "neither path, certificate nor User-Agent names a device".to_owned(),
        };
        Err(refused(Refusal::UnknownDevice, reason))
    }

    /// The device that a path or certificate names; where neither does, the one of the User-Agent, which is then a name like
    /// that in a path: what it may do is decided as for any other.
    fn sender(&self, candidate: &Candidate) -> Result<Option<Arc<Device>>, Stop> {
        match self.device_of(candidate)? {
            None if candidate.captures.mac.is_none() && candidate.captures.serial.is_none() => self.device_said(),
            found => Ok(found),
        }
    }

    fn admitted(&mut self, has_code: bool, pack: &str, entry: &UploadEntry, device: &Device) -> Result<Admitted, Stop> {
        let settings = self.generation.settings(device);
        // Only this cipher can't be written for without the key. A body under AES-256-CBC proves nothing, and an answer that
        // told whether it opens would help to read others under the same key.
        let is_authenticated = settings.text("delivery.encryption") == Some("aes128gcm");
        let encrypted = entry.decrypt && is_authenticated && settings.named("delivery.key").is_some();
        let proof =
            self.check_access(has_code, &Access::of(&settings), device, Opening { encrypted, is_bootstrap: false })?;
        Ok(Admitted {
            device: device.mac,
            pack: pack.to_owned(),
            entry: entry.clone(),
            key: if entry.decrypt { key(&settings) } else { None },
            iterations: iterations(&settings),
            proven: proof != Proof::Encrypted,
            event: self.event.clone(),
        })
    }

    /// Whether this phone may ask for a file with a form.
    fn form(&mut self) -> Result<(), Stop> {
        let meant = self.meant()?;
        let pack = self.generation.packs.get(meant.candidate.pack);
        self.event.file = pack.map(|pack| format!("{}/{}", pack.name, meant.file.name));
        let Some(device) = &meant.device else { return Ok(()) };
        self.event.device = Some(device.mac);
        self.compare(device);
        let settings = self.generation.settings(device);
        let encrypted = Self::is_encrypted(meant.file, &settings);
        let opening = Opening { encrypted, is_bootstrap: meant.file.bootstrap };
        self.check_access(meant.candidate.captures.code.is_some(), &Access::of(&settings), device, opening).map(drop)
    }
}

/// A key that can't be had opens nothing; what is encrypted then stays as it came, and its event says so.
fn key(settings: &Effective) -> Option<Secret> {
    settings.secret_bytes("delivery.key").and_then(Result::ok)
}

fn iterations(settings: &Effective) -> u32 {
    let rounds = settings.integer("delivery.iterations").and_then(|rounds| u32::try_from(rounds).ok());
    rounds.unwrap_or(KeyDigest::DEFAULT_ITERATIONS)
}
