//! The file that is answered with: kept ready from the time before, or made now.

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::cache::{Ready, Slot};
use super::generation::{delivery_of, mix};
use super::pipeline::{Asking, Meant, Pipeline, Stop, refused};
use super::profiles::Device;
use super::proof::Opening;
use super::request::Answer;
use super::stopped::Which;
use crate::events::{Outcome, Refusal};
use crate::identity::url_token::UrlToken;
use crate::identity::{Access, Proof};
use crate::packs::{FileEntry, Source};
use crate::render::{RenderError, Shown};
use crate::settings::Effective;

/// The largest static file that is sent from memory, in bytes; firmware lies in folders, which are streamed.
const STATIC_LIMIT: u64 = 16 << 20;

impl Pipeline {
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

impl<'a> Asking<'a> {
    pub(super) fn for_device(&mut self, meant: &Meant<'a>, device: &Device) -> Result<Arc<Ready>, Stop> {
        let place = Slot {
            device: Some(device.mac),
            pack: meant.candidate.pack,
            file: meant.candidate.file,
            model: Some(device.model.model),
            with_token: false,
        };
        let unvarying = self.generation.fingerprint(device);
        let is_static = matches!(meant.file.source, Source::Static(_));
        let is_kept = !is_static && !self.reads_form(meant);
        // A profile leads on with the token that it was asked for with, and only then.
        let of = |token: Option<&UrlToken>| {
            let fingerprint = token
                .map_or(unvarying, |token| mix(&[unvarying, crate::model::fingerprint(token.digest().as_bytes())]));
            (Slot { with_token: token.is_some(), ..place }, fingerprint)
        };
        let bearer = self.bearer().filter(|bearer| bearer.mac == device.mac && bearer.next.is_none());
        let (slot, fingerprint) = of(bearer.map(|bearer| &bearer.token));
        let mut proof = None;
        if let Some(ready) = self.pipeline.cache.get(&slot, fingerprint).filter(|_| is_kept) {
            let opening = Opening { encrypted: ready.encrypted, is_bootstrap: meant.file.bootstrap };
            let found = self.check_access(meant.candidate.captures.code.is_some(), &ready.access, device, opening)?;
            if slot.with_token == by_token(found) {
                return Ok(ready);
            }
            // Not to be asked again: a nonce is counted each time that it is looked at.
            proof = Some(found);
        }
        let mut settings = self.generation.settings(device);
        let access = Access::of(&settings);
        let encrypted = Self::is_encrypted(meant.file, &settings);
        let opening = Opening { encrypted, is_bootstrap: meant.file.bootstrap };
        let proof = match proof {
            Some(proof) => proof,
            None => self.check_access(meant.candidate.captures.code.is_some(), &access, device, opening)?,
        };
        if is_static {
            return Ok(Arc::new(self.static_file(meant, Some(device))?));
        }
        let bearer = self.bearer().filter(|_| by_token(proof));
        let token = bearer.map(|bearer| bearer.next.as_ref().unwrap_or(&bearer.token));
        if let Some(token) = token {
            settings.replace_text("provisioning.url", |server| token.url(server));
        }
        self.brings_token = bearer.is_some_and(|bearer| bearer.next.is_some());
        let (slot, fingerprint) = of(token);
        let blank = Ready::blank(fingerprint, access, encrypted);
        let ready = Arc::new(self.rendered(meant, device, &settings, blank)?);
        if is_kept && !self.brings_token {
            self.pipeline.cache.put(slot, ready.clone());
        }
        Ok(ready)
    }

    /// Whether the answer may depend on what was posted, so that it is no one else's and no other time's.
    fn reads_form(&self, meant: &Meant<'_>) -> bool {
        let has_fields = self.form.is_some_and(|form| !form.is_empty());
        has_fields && self.generation.packs.get(meant.candidate.pack).is_some_and(|pack| pack.reads_request)
    }

    /// Whether a file's body is encrypted with the device's own key.
    pub(super) fn is_encrypted(file: &FileEntry, settings: &Effective) -> bool {
        file.delivery
            && settings.text("delivery.encryption").is_some_and(|encryption| encryption != "none")
            && settings.named("delivery.key").is_some()
    }

    fn rendered(&self, meant: &Meant<'_>, device: &Device, settings: &Effective, blank: Ready) -> Result<Ready, Stop> {
        let limit = self.pipeline.profile_limit;
        let generation = self.generation;
        let which = Which::of(generation, meant.candidate, blank.fingerprint, Some(device.mac));
        let rendered = self.pipeline.stopped.guard(which, || {
            generation.render_with_form(device, meant.file, settings, Shown::Real, limit, self.form)
        })?;
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

    pub(super) fn for_anyone(&self, meant: &Meant<'_>) -> Result<Arc<Ready>, Stop> {
        let model = meant.candidate.captures.model;
        let slot =
            Slot { device: None, pack: meant.candidate.pack, file: meant.candidate.file, model, with_token: false };
        if matches!(meant.file.source, Source::Static(_)) {
            return Ok(Arc::new(self.static_file(meant, None)?));
        }
        let fingerprint = self.generation.fingerprint_for_anyone(meant.candidate.pack, model);
        let is_kept = !self.reads_form(meant);
        if let Some(ready) = self.pipeline.cache.get(&slot, fingerprint).filter(|_| is_kept) {
            return Ok(ready);
        }
        let limit = self.pipeline.profile_limit;
        let pack = meant.candidate.pack;
        let which = Which::of(self.generation, meant.candidate, fingerprint, None);
        let rendered = self
            .pipeline
            .stopped
            .guard(which, || self.generation.render_for_anyone_with_form(pack, meant.file, model, limit, self.form))?;
        let blank = Ready::blank(fingerprint, Access::default(), false);
        let ready = Arc::new(self.plain(meant.file, rendered.body, blank));
        if is_kept {
            self.pipeline.cache.put(slot, ready.clone());
        }
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

    pub(super) fn answer_of(&mut self, ready: &Ready) -> Answer {
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
            is_proven: true,
            brings_token: self.brings_token && self.request.method != "HEAD",
            challenges: Vec::new(),
        };
        if has_it {
            self.event.outcome = Outcome::NotModified;
            return Answer { etag: answer.etag, ..Answer::empty(304) };
        }
        if self.request.method == "HEAD" { Answer { body: Bytes::new(), ..answer } } else { answer }
    }
}

fn by_token(proof: Proof) -> bool {
    matches!(proof, Proof::Token | Proof::BootstrapToken)
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
