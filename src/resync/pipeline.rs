//! The one way from a request to its answer and its event.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::cache::{Profiles as Cache, Ready, Slot};
use super::generation::{Generation, delivery_of};
use super::lookup::{DeviceKey, Found, Invited, Lookup};
use super::profiles::Device;
use super::request::{Answer, ClientCertificate, Request};
use super::target::path_of;
use crate::events::{Event, Flag, Kind, Outcome, Refusal, cut};
use crate::identity::{Access, Asked, Evidence, decide};
use crate::model::Secret;
use crate::packs::{Audience, Candidate, FileEntry, Identified, Source};
use crate::render::{RenderError, Shown};
use crate::settings::Effective;

/// The pipeline: the generation in force, and the profiles kept ready.
#[derive(Debug)]
pub struct Pipeline {
    generation: ArcSwap<Generation>,
    cache: Cache,
    /// Keys the ETags: an unkeyed digest of a profile would let anyone who may fetch it encrypted try passwords on it.
    etag_key: Secret,
    /// The largest profile, in bytes.
    profile_limit: usize,
}

/// The largest static file that is sent from memory, in bytes; firmware lies in folders, which are streamed.
const STATIC_LIMIT: u64 = 16 << 20;

impl Pipeline {
    pub fn new(generation: Generation, cache_bytes: u64, etag_key: Secret, profile_limit: usize) -> Self {
        Self { generation: ArcSwap::from_pointee(generation), cache: Cache::new(cache_bytes), etag_key, profile_limit }
    }

    /// The generation in force.
    pub fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// Puts another generation in force. Requests that are being answered finish with the old one.
    pub fn swap(&self, generation: Generation) {
        self.generation.store(Arc::new(generation));
    }

    /// Bytes of profiles kept ready.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// The event of a request or connection that the pipeline itself has no part in, to be filled in.
    pub fn blank_event(&self, request: &Request<'_>) -> Event {
        Asking::new(self, &self.generation.load(), request).event
    }

    /// Answers a request from the files alone.
    pub fn answer(&self, request: &Request<'_>) -> (Answer, Event) {
        self.answer_with(request, self.ask(request), &Found::default())
    }

    /// The first step: what a request asks for, and which devices have to be looked up for it.
    pub fn ask(&self, request: &Request<'_>) -> Inquiry {
        let generation = self.generation();
        let is_read = matches!(request.method, "GET" | "HEAD");
        let candidates = path_of(request.target).filter(|_| is_read).map(|path| generation.packs.matches(&path));
        let mut keys = Vec::new();
        let mut code = None;
        for candidate in candidates.iter().flatten() {
            let pack = generation.packs.get(candidate.pack);
            let file = pack.and_then(|pack| pack.files.get(candidate.file));
            if let Some(found) = &candidate.captures.code {
                code = Some(found.clone());
            } else if file.is_some_and(|file| file.audience == Audience::Device)
                && let Some(key) = key_of(candidate, || identify(&generation, request).certificate)
                && !keys.contains(&key)
            {
                keys.push(key);
            }
        }
        Inquiry { generation, candidates, keys, code }
    }

    /// What a request tells of its phone: by a certificate that verifies, and by its User-Agent.
    pub fn identify(&self, request: &Request<'_>) -> (Option<Identified>, Option<Identified>) {
        let generation = self.generation.load();
        let said = request.user_agent.and_then(|text| generation.packs.identify_user_agent(text));
        (identify(&generation, request).certificate, said.map(|(_, said)| said))
    }

    /// The second step: answers with what was found of the devices.
    pub fn answer_with(&self, request: &Request<'_>, asked: Inquiry, found: &Found) -> (Answer, Event) {
        let Inquiry { generation, candidates, keys, code } = asked;
        let mut asking = Asking::new(self, &generation, request);
        asking.found = Some(found);
        if code.is_some() {
            let pattern = candidates.iter().flatten().find(|candidate| candidate.captures.code.is_some());
            let pattern = pattern.and_then(|candidate| asking.pattern(candidate));
            // A code is a secret, in events as everywhere.
            asking.event.target = pattern.unwrap_or_default();
        }
        let may_be_away = found.away && !keys.is_empty();
        let answer = match asking.answer(candidates) {
            Ok(answer) => {
                asking.event.flags.extend(may_be_away.then_some(Flag::DatabaseAway));
                answer
            }
            Err(Stop::Refused(refusal, reason)) => {
                asking.event.outcome = Outcome::Refused(refusal);
                asking.event.reason = Some(reason);
                match refusal {
                    Refusal::Method => Answer::wrong_method(),
                    // Nobody can tell from the answer which devices are known here.
                    Refusal::DatabaseAway => Answer::try_later(),
                    _ if may_be_away => {
                        asking.event.flags.push(Flag::DatabaseAway);
                        Answer::try_later()
                    }
                    _ => Answer::refused(),
                }
            }
            Err(Stop::Failed(error)) => {
                asking.event.outcome = Outcome::Failed;
                asking.event.reason = Some(error.to_string());
                Answer::empty(500)
            }
        };
        let mut event = asking.event;
        event.status = answer.status;
        event.bytes = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        event.duration = request.started.elapsed();
        (answer, event)
    }

    /// Changes exactly when the profile or the way that it is packed does.
    fn etag(&self, profile: &[u8], packing: &str, is_weak: bool) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.etag_key.expose()) else { return String::new() };
        mac.update(packing.as_bytes());
        mac.update(&[0]);
        mac.update(profile);
        let digest = mac.finalize().into_bytes();
        let hex: String = digest.iter().take(12).map(|octet| format!("{octet:02x}")).collect();
        if is_weak { format!("W/\"{hex}\"") } else { format!("\"{hex}\"") }
    }
}

/// A request between its two steps.
#[derive(Debug)]
pub struct Inquiry {
    pub generation: Arc<Generation>,
    /// None where the request names no path, or asks by a method that no file answers to.
    candidates: Option<Vec<Candidate>>,
    /// The devices that it may be about.
    pub keys: Vec<DeviceKey>,
    /// The code of an invitation that it came with.
    pub code: Option<Secret>,
}

/// The device that a path names; where it names none, the one that the certificate does.
fn key_of(candidate: &Candidate, certificate: impl FnOnce() -> Option<Identified>) -> Option<DeviceKey> {
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

/// Why a request ends without a file.
enum Stop {
    Refused(Refusal, String),
    Failed(RenderError),
}

impl From<RenderError> for Stop {
    fn from(error: RenderError) -> Self {
        Self::Failed(error)
    }
}

fn refused(refusal: Refusal, reason: impl Into<String>) -> Stop {
    Stop::Refused(refusal, reason.into())
}

/// Looks at the client certificate of a request's connection.
fn identify<'r>(generation: &Generation, request: &'r Request<'_>) -> Proof<'r> {
    match request.connection.tls.as_ref().map(|tls| &tls.certificate) {
        None | Some(ClientCertificate::None) => Proof::default(),
        Some(ClientCertificate::Verified { subject, dates_waived, purpose_waived }) => {
            let mut flags = Vec::new();
            flags.extend(dates_waived.then_some(Flag::CertificateDates));
            flags.extend(purpose_waived.then_some(Flag::CertificatePurpose));
            let certificate = generation.packs.identify_certificate(subject).map(|(_, identified)| identified);
            let problem = certificate.is_none().then_some("no pack knows a subject of this form");
            Proof { flags, subject: Some(subject.to_string()), certificate, problem }
        }
        Some(ClientCertificate::Unverified { subject, reason }) => {
            Proof { subject: Some(subject.to_string()), problem: Some(reason), ..Proof::default() }
        }
    }
}

/// One request on its way.
struct Asking<'a> {
    pipeline: &'a Pipeline,
    generation: &'a Generation,
    request: &'a Request<'a>,
    /// Which pack knows the User-Agent.
    user_agent: Option<(usize, Identified)>,
    /// What the packs read from a certificate that verifies.
    certificate: Option<Identified>,
    certificate_problem: Option<&'a str>,
    /// None: nothing was looked up.
    found: Option<&'a Found>,
    event: Event,
}

/// The file that a path means.
struct Meant<'a> {
    candidate: Candidate,
    file: &'a FileEntry,
    /// None for a file for anyone.
    device: Option<Arc<Device>>,
}

/// A connection's client certificate, and what the packs make of it.
#[derive(Default)]
struct Proof<'a> {
    flags: Vec<Flag>,
    subject: Option<String>,
    certificate: Option<Identified>,
    problem: Option<&'a str>,
}

impl<'a> Asking<'a> {
    fn new(pipeline: &'a Pipeline, generation: &'a Generation, request: &'a Request<'a>) -> Self {
        let tls = request.connection.tls.as_ref();
        let user_agent = request.user_agent.and_then(|text| generation.packs.identify_user_agent(text));
        let Proof { flags, subject, certificate, problem: certificate_problem } = identify(generation, request);
        let said = user_agent.as_ref().map(|(_, said)| said);
        let first = |read: fn(&Identified) -> Option<&String>| {
            said.and_then(read).or_else(|| certificate.as_ref().and_then(read)).map(|text| cut(text))
        };
        let event = Event {
            time: request.time,
            kind: Kind::Resync,
            listener: request.connection.listener.clone(),
            peer: request.connection.peer,
            method: cut(request.method),
            target: cut(request.target),
            status: 0,
            bytes: 0,
            duration: std::time::Duration::ZERO,
            tls_version: tls.map(|tls| tls.version),
            tls_cipher: tls.map(|tls| tls.cipher.clone()),
            certificate: subject.as_deref().map(cut),
            user_agent: request.user_agent.map(cut),
            vendor: first(|found| found.vendor.as_ref()),
            model: first(|found| found.model.as_ref()),
            firmware: first(|found| found.firmware.as_ref()),
            device: None,
            asked_mac: None,
            file: None,
            generation: generation.number,
            encoding: None,
            outcome: Outcome::Served,
            reason: None,
            flags,
        };
        Self { pipeline, generation, request, user_agent, certificate, certificate_problem, found: None, event }
    }

    fn answer(&mut self, candidates: Option<Vec<Candidate>>) -> Result<Answer, Stop> {
        if !matches!(self.request.method, "GET" | "HEAD") {
            return Err(refused(Refusal::Method, "phones fetch their files by GET or HEAD"));
        }
        let candidates = candidates.ok_or_else(|| refused(Refusal::BadRequest, "the request target names no path"))?;
        let meant = self.meant(candidates)?;
        let pack = self.generation.packs.get(meant.candidate.pack);
        self.event.file = pack.map(|pack| format!("{}/{}", pack.name, meant.file.name));
        let ready = match &meant.device {
            Some(device) => {
                self.event.device = Some(device.mac);
                self.compare(device);
                self.for_device(&meant, device)?
            }
            None => self.for_anyone(&meant)?,
        };
        self.event.encoding = ready.label;
        Ok(self.answer_of(&ready))
    }

    /// Finds the file, and the device that it is for.
    fn meant(&mut self, candidates: Vec<Candidate>) -> Result<Meant<'a>, Stop> {
        if candidates.is_empty() {
            return Err(refused(Refusal::UnknownPath, "no pack has a file at this path"));
        }
        self.event.asked_mac = candidates.iter().find_map(|candidate| candidate.captures.mac);
        let mut not_for = None;
        let mut for_anyone = Vec::new();
        for candidate in candidates {
            let pack = self.generation.packs.get(candidate.pack);
            let Some(file) = pack.and_then(|pack| pack.files.get(candidate.file)) else { continue };
            if file.audience == Audience::Anyone {
                if candidate.captures.model.is_none_or(|model| file.is_for(model)) {
                    for_anyone.push(Meant { candidate, file, device: None });
                }
                continue;
            }
            let Some(device) = self.device_of(&candidate)? else { continue };
            if let Some(why) = self.generation.profiles.broken(&device) {
                return Err(refused(Refusal::BrokenRecord, why));
            }
            if device.model.pack == candidate.pack && file.is_for(device.model.model) {
                return Ok(Meant { candidate, file, device: Some(device) });
            }
            not_for = Some(device);
        }
        // The device's own pack decides; between files for anyone the User-Agent breaks the tie.
        let by_user_agent = self.user_agent.as_ref().map(|(pack, _)| *pack);
        let preferred = for_anyone.iter().position(|meant| Some(meant.candidate.pack) == by_user_agent).unwrap_or(0);
        if let Some(meant) = for_anyone.into_iter().nth(preferred) {
            return Ok(meant);
        }
        if let Some(device) = not_for {
            self.event.device = Some(device.mac);
            let model = self.generation.packs.pack_and_model(device.model).map(|(_, model)| &*model.name);
            let reason = format!("the record of {} says {}, which has no such file", device.mac, model.unwrap_or("?"));
            return Err(refused(Refusal::NotForModel, reason));
        }
        let reason = match self.event.asked_mac {
            Some(mac) => format!("there is no device {mac}"),
            None => "the path names no device, and no certificate does".to_owned(),
        };
        Err(refused(Refusal::UnknownDevice, reason))
    }

    fn device_of(&self, candidate: &Candidate) -> Result<Option<Arc<Device>>, Stop> {
        let nothing = Found::default();
        let key = if candidate.captures.code.is_some() {
            match self.found.and_then(|found| found.invited.as_ref()) {
                Some(Invited::Bound(mac)) => Some(DeviceKey::Mac(*mac)),
                Some(Invited::Refused(why)) => return Err(refused(Refusal::Invitation, why.as_str())),
                Some(Invited::Away) => return Err(refused(Refusal::DatabaseAway, "the database doesn't answer")),
                None => return Err(refused(Refusal::Invitation, "nobody takes codes here")),
            }
        } else {
            key_of(candidate, || self.certificate.clone())
        };
        let Some(key) = key else { return Ok(None) };
        let profiles = &self.generation.profiles;
        self.found.unwrap_or(&nothing).device(&key, profiles).map_err(|lookup| match lookup {
            Lookup::Broken(why) => refused(Refusal::BrokenRecord, why.as_str()),
            _ => {
                refused(Refusal::DatabaseAway, "the device's record is not known here, and the database doesn't answer")
            }
        })
    }

    /// The pattern of the path that a candidate with a code was asked for by.
    fn pattern(&self, candidate: &Candidate) -> Option<String> {
        let file = self.generation.packs.get(candidate.pack)?.files.get(candidate.file)?;
        file.paths.iter().find(|path| path.has_code()).map(ToString::to_string)
    }

    /// Flags what the phone says of itself and its record says otherwise.
    fn compare(&mut self, device: &Device) {
        let model = self.generation.packs.pack_and_model(device.model).map(|(_, model)| model);
        let said = self.user_agent.as_ref().map(|(_, said)| said);
        for found in said.into_iter().chain(&self.certificate).filter(|found| !found.generic) {
            let mut flag = |flag: Flag, differs: bool| {
                if differs && !self.event.flags.contains(&flag) {
                    self.event.flags.push(flag);
                }
            };
            let other_model = found.model.as_deref().zip(model).is_some_and(|(said, own)| !own.is_called(said));
            flag(Flag::ModelDiffers, other_model);
            flag(Flag::MacDiffers, found.mac.is_some_and(|mac| mac != device.mac));
            let serials = found.serial.as_ref().zip(device.serial.as_ref());
            flag(Flag::SerialDiffers, serials.is_some_and(|(said, own)| said != own));
        }
    }

    fn for_device(&self, meant: &Meant<'a>, device: &Device) -> Result<Arc<Ready>, Stop> {
        let slot = Slot {
            device: Some(device.mac),
            pack: meant.candidate.pack,
            file: meant.candidate.file,
            model: Some(device.model.model),
        };
        let fingerprint = self.generation.fingerprint(device);
        let is_static = matches!(meant.file.source, Source::Static(_));
        if let Some(ready) = self.pipeline.cache.get(&slot, fingerprint).filter(|_| !is_static) {
            self.check_access(meant, &ready.access, device, ready.encrypted)?;
            return Ok(ready);
        }
        let settings = self.generation.settings(device);
        let access = Access::of(&settings);
        let encrypted = meant.file.delivery
            && settings.text("delivery.encryption").is_some_and(|encryption| encryption != "none")
            && settings.named("delivery.key").is_some();
        self.check_access(meant, &access, device, encrypted)?;
        let ready = if is_static {
            self.static_file(meant, Some(device))?
        } else {
            self.rendered(meant, device, &settings, Ready::blank(fingerprint, access, encrypted))?
        };
        let ready = Arc::new(ready);
        if !is_static {
            self.pipeline.cache.put(slot, ready.clone());
        }
        Ok(ready)
    }

    fn check_access(&self, meant: &Meant<'_>, access: &Access, device: &Device, encrypted: bool) -> Result<(), Stop> {
        // Whoever came with the code, over TLS, was made this device by it just now.
        if meant.candidate.captures.code.is_some() {
            return Ok(());
        }
        let asked = Asked { mac: device.mac, serial: device.serial.as_ref(), encrypted };
        let evidence = Evidence {
            peer: self.request.connection.peer.ip(),
            certificate: self.certificate.as_ref(),
            certificate_problem: self.certificate_problem,
        };
        decide(access, &asked, &evidence).map(|_| ()).map_err(|denied| Stop::Refused(denied.refusal, denied.reason))
    }

    fn rendered(&self, meant: &Meant<'_>, device: &Device, settings: &Effective, blank: Ready) -> Result<Ready, Stop> {
        let limit = self.pipeline.profile_limit;
        let rendered = self.generation.render(device, meant.file, settings, Shown::Real, limit)?;
        if !meant.file.delivery {
            return Ok(self.plain(meant.file, rendered.body, blank));
        }
        let delivery = delivery_of(settings)?;
        let delivered = delivery.pack(&rendered.body).map_err(RenderError::from)?;
        // A new key makes other bytes of the same profile; the phone has to fetch them.
        let key = settings.secret_bytes("delivery.key").and_then(Result::ok);
        let key = key.map(|key| crate::model::fingerprint(key.expose())).unwrap_or_default();
        let packing = format!("{}/{key:x}", delivered.label.unwrap_or("plain"));
        Ok(Ready {
            etag: self.pipeline.etag(&rendered.body, &packing, blank.encrypted),
            body: Bytes::from(delivered.body),
            content_type: match delivered.label {
                None => meant.file.content_type.clone(),
                Some(_) => "application/octet-stream".to_owned(),
            },
            content_encoding: delivered.content_encoding,
            label: delivered.label,
            ..blank
        })
    }

    fn for_anyone(&self, meant: &Meant<'_>) -> Result<Arc<Ready>, Stop> {
        let model = meant.candidate.captures.model;
        let slot = Slot { device: None, pack: meant.candidate.pack, file: meant.candidate.file, model };
        if matches!(meant.file.source, Source::Static(_)) {
            return Ok(Arc::new(self.static_file(meant, None)?));
        }
        let fingerprint = self.generation.fingerprint_for_anyone(meant.candidate.pack, model);
        if let Some(ready) = self.pipeline.cache.get(&slot, fingerprint) {
            return Ok(ready);
        }
        let limit = self.pipeline.profile_limit;
        let rendered = self.generation.render_for_anyone(meant.candidate.pack, meant.file, model, limit)?;
        let blank = Ready::blank(fingerprint, Access::default(), false);
        let ready = Arc::new(self.plain(meant.file, rendered.body, blank));
        self.pipeline.cache.put(slot, ready.clone());
        Ok(ready)
    }

    fn plain(&self, file: &FileEntry, body: Vec<u8>, blank: Ready) -> Ready {
        Ready {
            etag: self.pipeline.etag(&body, "plain", false),
            body: Bytes::from(body),
            content_type: file.content_type.clone(),
            encrypted: false,
            ..blank
        }
    }

    /// A file that the operator drops in, as it is now.
    fn static_file(&self, meant: &Meant<'_>, device: Option<&Device>) -> Result<Ready, Stop> {
        let pack = self.generation.packs.get(meant.candidate.pack);
        let path =
            pack.and_then(|pack| self.generation.static_path(meant.file, pack, device, meant.candidate.captures.model));
        let path = path.ok_or_else(|| refused(Refusal::NoFile, "the file's name needs what the path doesn't tell"))?;
        let missing = |why: String| refused(Refusal::NoFile, format!("{}: {why}", path.display()));
        let metadata = std::fs::metadata(&path).map_err(|error| missing(error.to_string()))?;
        if !metadata.is_file() || metadata.len() > STATIC_LIMIT {
            return Err(missing(format!("is no file of at most {STATIC_LIMIT} bytes")));
        }
        let body = std::fs::read(&path).map_err(|error| missing(error.to_string()))?;
        Ok(self.plain(meant.file, body, Ready::blank(0, Access::default(), false)))
    }

    fn answer_of(&mut self, ready: &Ready) -> Answer {
        let has_it = self.request.if_none_match.is_some_and(|header| matches_etag(header, &ready.etag));
        let answer = Answer {
            status: 200,
            content_type: Some(ready.content_type.clone()),
            content_encoding: ready.content_encoding,
            etag: Some(ready.etag.clone()),
            body: ready.body.clone(),
            length: u64::try_from(ready.body.len()).unwrap_or(u64::MAX),
            allow: false,
            retry_after: None,
        };
        if has_it {
            self.event.outcome = Outcome::NotModified;
            return Answer { etag: answer.etag, ..Answer::empty(304) };
        }
        if self.request.method == "HEAD" { Answer { body: Bytes::new(), ..answer } } else { answer }
    }
}

/// Whether an `If-None-Match` header names the ETag, compared weakly as RFC 9110 asks for it.
fn matches_etag(header: &str, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    header.trim() == "*" || header.split(',').any(|tag| opaque(tag) == opaque(etag))
}

impl Ready {
    fn blank(fingerprint: u64, access: Access, encrypted: bool) -> Self {
        Self {
            fingerprint,
            access,
            encrypted,
            body: Bytes::new(),
            etag: String::new(),
            content_type: String::new(),
            content_encoding: None,
            label: None,
        }
    }
}
