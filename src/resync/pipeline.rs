//! The one way from a request to its answer and its event.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use prometheus_client::metrics::counter::Counter;

use super::cache::Profiles as Cache;
use super::generation::Generation;
use super::inquiry::{Inquiry, key_of, said_key};
use super::lookup::{DeviceKey, Found, Invited, Lookup};
use super::profiles::Device;
use super::request::{Answer, ClientCertificate, Request};
use super::stopped::Stopped;
use super::target::Target;
use crate::events::{Event, Flag, Kind, Outcome, Refusal, cut};
use crate::identity::password::Passwords;
use crate::identity::url_token::Presented;
use crate::identity::{Sightings, Subject};
use crate::model::Secret;
use crate::packs::{Audience, Candidate, FileEntry, Identified};
use crate::render::{Form, Limit, RenderError};

/// The pipeline: the generation in force, and the profiles kept ready.
#[derive(Debug)]
pub struct Pipeline {
    generation: ArcSwap<Generation>,
    pub(super) cache: Cache,
    /// Keys the ETags: an unkeyed digest of a profile would let anyone who may fetch it encrypted try passwords on it.
    pub(super) etag_key: Secret,
    pub(super) profile_limit: Limit,
    pub(super) stopped: Stopped,
    /// Where certificates were seen.
    sightings: Sightings,
    /// None: no listener asks for passwords.
    pub(super) passwords: Option<Passwords>,
    /// The device that was asked for last: what is done for it is done for those whom nobody knows, too.
    pub(super) stand_in: ArcSwapOption<Device>,
}

impl Pipeline {
    pub fn new(generation: Generation, cache_bytes: u64, etag_key: Secret, profile_limit: impl Into<Limit>) -> Self {
        let (generation, cache) = (ArcSwap::from_pointee(generation), Cache::new(cache_bytes));
        let (profile_limit, stopped, sightings) = (profile_limit.into(), Stopped::default(), Sightings::default());
        let (passwords, stand_in) = (None, ArcSwapOption::empty());
        Self { generation, cache, etag_key, profile_limit, stopped, sightings, passwords, stand_in }
    }

    /// The same, asking for passwords on the listeners that are to.
    #[must_use]
    pub fn with_passwords(self, passwords: Passwords) -> Self {
        Self { passwords: Some(passwords), ..self }
    }

    /// The same, counting the renders that are stopped because they take too long.
    #[must_use]
    pub fn counting(self, stopped: Counter) -> Self {
        Self { stopped: Stopped::counting(stopped), ..self }
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
        Asking::new(self, &self.generation.load(), request, &Found::default()).event
    }

    /// Answers a request from the files alone.
    pub fn answer(&self, request: &Request<'_>) -> (Answer, Event) {
        self.answer_with(request, &self.ask(request), &Found::default(), None)
    }

    /// What a request tells of its phone: by a certificate that verifies, and by its User-Agent.
    pub fn identify(&self, request: &Request<'_>) -> (Option<Identified>, Option<Identified>) {
        let generation = self.generation.load();
        let said = request.user_agent.and_then(|text| generation.packs.identify_user_agent(text));
        (identify(&generation, request).certificate, said.map(|(_, said)| said))
    }

    /// The second step: answers with what was found of the devices. A form comes with a request that
    /// [`Pipeline::admit`] has let through.
    pub fn answer_with(
        &self,
        request: &Request<'_>,
        inquiry: &Inquiry,
        found: &Found,
        form: Option<&Form>,
    ) -> (Answer, Event) {
        let mut asking = Asking::of(self, inquiry, request, found);
        asking.form = form;
        match asking.answer() {
            Ok(answer) => asking.answered(answer),
            Err(stop) => asking.stopped(stop),
        }
    }

    /// How a request is refused: the same for every device and for none. A 401 with challenges where the listener asks for
    /// passwords and the path is one of devices' files, the 404 otherwise.
    pub fn refusal(&self, inquiry: &Inquiry) -> Answer {
        match (&self.passwords, &inquiry.claim) {
            (Some(passwords), Some(claim)) if inquiry.of_devices => Answer::challenged(passwords.challenges(claim)),
            _ => Answer::refused(),
        }
    }
}

/// Why a request ends without a file.
pub(super) enum Stop {
    Refused(Refusal, String),
    Failed(RenderError),
}

impl From<RenderError> for Stop {
    fn from(error: RenderError) -> Self {
        Self::Failed(error)
    }
}

pub(super) fn refused(refusal: Refusal, reason: impl Into<String>) -> Stop {
    Stop::Refused(refusal, reason.into())
}

/// Looks at the client certificate of a request's connection.
pub(super) fn identify<'r>(generation: &Generation, request: &'r Request<'_>) -> Identity<'r> {
    match request.connection.tls.as_ref().map(|tls| &tls.certificate) {
        None | Some(ClientCertificate::None) => Identity::default(),
        Some(ClientCertificate::Verified { subject, dates_waived, purpose_waived, root, .. }) => {
            let mut flags = Vec::new();
            flags.extend(dates_waived.then_some(Flag::CertificateDates));
            flags.extend(purpose_waived.then_some(Flag::CertificatePurpose));
            let vouched = generation.packs.identify_vouched(subject, root.as_deref());
            let certificate = vouched.map(|(_, identified)| identified);
            let problem = certificate.is_none().then(|| unknown_subject(generation, subject, root.as_deref()));
            Identity { flags, subject: Some(subject.to_string()), certificate, problem }
        }
        Some(ClientCertificate::Unverified { subject, reason }) => {
            Identity { subject: Some(subject.to_string()), problem: Some(reason.into()), ..Identity::default() }
        }
    }
}

/// Why no pack reads anything from a certificate that verifies.
fn unknown_subject(generation: &Generation, subject: &Subject, root: Option<&str>) -> Cow<'static, str> {
    let form = generation.packs.identify_certificate(subject).and_then(|(pack, _)| generation.packs.get(pack));
    match (form, root) {
        (Some(pack), Some(root)) => not_vouched(root, &pack.name).into(),
        _ => "no pack knows a subject of this form".into(),
    }
}

pub(super) fn not_vouched(root: &str, pack: &str) -> String {
    format!("the root \"{root}\" does not vouch for phones of {pack}: its pack.toml doesn't list it")
}

/// One request on its way.
pub(super) struct Asking<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) generation: &'a Generation,
    pub(super) request: &'a Request<'a>,
    /// What was looked up for it.
    pub(super) found: &'a Found,
    /// None for what has no part in any file.
    pub(super) inquiry: Option<&'a Inquiry>,
    /// Whether user and password were compared with anything.
    pub(super) compared: bool,
    /// It is the phone of the device that it asks about: what it is told now, it may know.
    pub(super) proven: bool,
    /// The files that its path may mean.
    files: Option<&'a [Candidate]>,
    /// What stood in the place of a token in its URL.
    pub(super) presented: Option<&'a Presented>,
    /// The database does not answer, and it is about a device.
    away: bool,
    /// What was posted; none for a request without a body.
    pub(super) form: Option<&'a Form>,
    /// The answer holds a token that nobody knows yet.
    pub(super) brings_token: bool,
    /// Which pack knows the User-Agent.
    pub(super) user_agent: Option<(usize, Identified)>,
    /// What the packs read from a certificate that verifies.
    pub(super) certificate: Option<Identified>,
    pub(super) certificate_problem: Option<Cow<'a, str>>,
    pub(super) event: Event,
}

/// The file that a path means.
pub(super) struct Meant<'a> {
    pub candidate: &'a Candidate,
    pub file: &'a FileEntry,
    /// None for a file for anyone.
    pub device: Option<Arc<Device>>,
}

/// A connection's client certificate, and what the packs make of it.
#[derive(Default)]
pub(super) struct Identity<'a> {
    flags: Vec<Flag>,
    subject: Option<String>,
    pub(super) certificate: Option<Identified>,
    problem: Option<Cow<'a, str>>,
}

impl<'a> Asking<'a> {
    /// With what was looked up for it.
    pub(super) fn of(pipeline: &'a Pipeline, inquiry: &'a Inquiry, request: &'a Request<'a>, found: &'a Found) -> Self {
        let mut asking = Self::new(pipeline, &inquiry.generation, request, found);
        asking.inquiry = Some(inquiry);
        asking.files = inquiry.files.as_deref();
        asking.presented = inquiry.token.as_ref();
        asking.away = found.away && !(inquiry.keys.is_empty() && inquiry.token.is_none());
        let with_code = asking.files.into_iter().flatten().find(|candidate| candidate.captures.code.is_some());
        if let Some(candidate) = with_code {
            // A code is a secret, in events as everywhere.
            asking.event.target = asking.pattern(candidate).unwrap_or_default();
        }
        asking
    }

    fn new(pipeline: &'a Pipeline, generation: &'a Generation, request: &'a Request<'a>, found: &'a Found) -> Self {
        let tls = request.connection.tls.as_ref();
        let user_agent = request.user_agent.and_then(|text| generation.packs.identify_user_agent(text));
        let Identity { flags, subject, certificate, problem: certificate_problem } = identify(generation, request);
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
            target: match request.vouched {
                Some(vouched) => cut(&vouched.told),
                None => cut(&Target::told(request.target)),
            },
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
        Self {
            pipeline,
            generation,
            request,
            found,
            inquiry: None,
            compared: false,
            proven: false,
            files: None,
            presented: None,
            away: false,
            form: None,
            brings_token: false,
            user_agent,
            certificate,
            certificate_problem,
            event,
        }
    }

    /// Flags a certificate that more than one phone seems to have.
    pub(super) fn watch_certificate(&mut self) {
        let tls = self.request.connection.tls.as_ref();
        let Some(fingerprint) = tls.and_then(|tls| tls.certificate.fingerprint()) else { return };
        if self.certificate.as_ref().is_some_and(|found| found.generic) {
            return;
        }
        let (peer, asked, now) = (self.request.connection.peer.ip(), self.event.asked_mac, self.request.started);
        if self.pipeline.sightings.note(*fingerprint, peer, asked, now) {
            self.event.flags.push(Flag::CertificateShared);
        }
    }

    /// Ends with an answer.
    fn answered(mut self, answer: Answer) -> (Answer, Event) {
        self.watch_certificate();
        self.event.flags.extend(self.away.then_some(Flag::DatabaseAway));
        let mut event = self.event;
        event.status = answer.status;
        event.bytes = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        event.duration = self.request.started.elapsed();
        (answer, event)
    }

    /// Ends without one.
    pub(super) fn stopped(mut self, stop: Stop) -> (Answer, Event) {
        let answer = match stop {
            Stop::Refused(refusal, reason) => {
                self.event.outcome = Outcome::Refused(refusal);
                self.event.reason = Some(reason);
                match refusal {
                    Refusal::Method => Answer::wrong_method(),
                    Refusal::DatabaseAway => Answer::try_later(),
                    // Nobody can tell from the answer which devices are known here.
                    _ if self.away => Answer::try_later(),
                    // A phone that tries several names goes on to the next by this.
                    _ if self.proven => Answer { is_proven: true, ..Answer::refused() },
                    _ => {
                        if !self.compared {
                            self.pretend();
                        }
                        self.inquiry.map_or_else(Answer::refused, |inquiry| self.pipeline.refusal(inquiry))
                    }
                }
            }
            Stop::Failed(error) => {
                self.event.outcome = Outcome::Failed;
                self.event.reason = Some(error.to_string());
                Answer::empty(500)
            }
        };
        self.answered(answer)
    }

    fn answer(&mut self) -> Result<Answer, Stop> {
        let posts = self.request.method == "POST" && self.form.is_some();
        if !posts && !matches!(self.request.method, "GET" | "HEAD") {
            return Err(refused(Refusal::Method, "phones fetch their files by GET, HEAD or, with a form, POST"));
        }
        let meant = self.meant()?;
        let pack = self.generation.packs.get(meant.candidate.pack);
        self.event.file = pack.map(|pack| format!("{}/{}", pack.name, meant.file.name));
        let ready = match &meant.device {
            Some(device) => {
                self.event.device = Some(device.mac);
                self.compare(device);
                self.remember(device);
                self.for_device(&meant, device)?
            }
            None => self.for_anyone(&meant)?,
        };
        self.event.encoding = ready.label;
        Ok(self.answer_of(&ready))
    }

    /// Finds the file, and the device that it is for.
    pub(super) fn meant(&mut self) -> Result<Meant<'a>, Stop> {
        let candidates = self.files.ok_or_else(|| refused(Refusal::BadRequest, "the request target names no path"))?;
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
            let Some(device) = self.device_of(candidate)? else { continue };
            if device.model.pack == candidate.pack && file.is_for(device.model.model) {
                return Ok(Meant { candidate, file, device: Some(device) });
            }
            not_for = Some((candidate, device));
        }
        // The device's own pack decides; between files for anyone the User-Agent breaks the tie.
        let by_user_agent = self.user_agent.as_ref().map(|(pack, _)| *pack);
        let preferred = for_anyone.iter().position(|meant| Some(meant.candidate.pack) == by_user_agent).unwrap_or(0);
        if let Some(meant) = for_anyone.into_iter().nth(preferred) {
            return Ok(meant);
        }
        if let Some((candidate, device)) = not_for {
            self.event.device = Some(device.mac);
            self.prove(candidate, &device);
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

    pub(super) fn device_of(&self, candidate: &Candidate) -> Result<Option<Arc<Device>>, Stop> {
        if candidate.captures.code.is_none() {
            let key = key_of(candidate, || self.certificate.clone());
            let key = key.or_else(|| self.bearer().map(|bearer| DeviceKey::Mac(bearer.mac)));
            return key.map_or(Ok(None), |key| self.device_named(&key));
        }
        match &self.found.invited {
            Some(Invited::Bound(mac)) => self.device_named(&DeviceKey::Mac(*mac)),
            Some(Invited::Refused(why)) => Err(refused(Refusal::Invitation, why.as_str())),
            Some(Invited::Away) => Err(refused(Refusal::DatabaseAway, "the database doesn't answer")),
            None => Err(refused(Refusal::Invitation, "nobody takes codes here")),
        }
    }

    /// The device that the User-Agent names.
    pub(super) fn device_said(&self) -> Result<Option<Arc<Device>>, Stop> {
        said_key(&self.generation.packs, self.request).map_or(Ok(None), |key| self.device_named(&key))
    }

    pub(super) fn device_named(&self, key: &DeviceKey) -> Result<Option<Arc<Device>>, Stop> {
        let profiles = &self.generation.profiles;
        let device = self.found.device(key, profiles).map_err(|lookup| match lookup {
            Lookup::Broken(why) => refused(Refusal::BrokenRecord, why.as_str()),
            _ => {
                refused(Refusal::DatabaseAway, "the device's record is not known here, and the database doesn't answer")
            }
        })?;
        match device.as_ref().and_then(|device| profiles.broken(device)) {
            Some(why) => Err(refused(Refusal::BrokenRecord, why)),
            None => Ok(device),
        }
    }

    /// The pattern of the path that a candidate with a code was asked for by.
    fn pattern(&self, candidate: &Candidate) -> Option<String> {
        let file = self.generation.packs.get(candidate.pack)?.files.get(candidate.file)?;
        file.paths.iter().find(|path| path.has_code()).map(ToString::to_string)
    }

    /// Flags what the phone says of itself and its record says otherwise.
    pub(super) fn compare(&mut self, device: &Device) {
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
}
