//! Whether a request comes from the phone of the device that it asks about.

use std::hint::black_box;
use std::sync::Arc;

use super::lookup::{Bearer, Known};
use super::pipeline::{Asking, Stop, not_vouched, refused};
use super::profiles::Device;
use crate::events::{Flag, Refusal};
use crate::identity::password::{Verdict, Which};
use crate::identity::{Access, Asked, Evidence, Proof, TokenEvidence, decide};
use crate::packs::Candidate;

/// What of a file counts when it is decided whether it is opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Opening {
    /// Its body is encrypted with the device's own key.
    pub encrypted: bool,
    /// It is made for the first contact.
    pub is_bootstrap: bool,
}

impl<'a> Asking<'a> {
    /// What user and password come to; none on a listener that doesn't ask.
    pub(super) fn password(&mut self, access: Option<&Access>, device: Option<&Device>) -> Option<Verdict> {
        let passwords = self.pipeline.passwords.as_ref()?;
        let claim = self.inquiry?.claim.as_ref()?;
        self.compared = true;
        let credentials = access.and_then(|access| access.credentials.as_ref());
        let model = device.and_then(|device| self.generation.packs.pack_and_model(device.model));
        let verdict = passwords.verify(claim, credentials, model.is_some_and(|(_, model)| model.digest_repeats_nc));
        if let (Verdict::Holds(Which::Current), Some(device), Some(own)) = (&verdict, device, credentials)
            && own.previous_of_record
        {
            passwords.settle(device.mac, own);
        }
        Some(verdict)
    }

    /// Keeps a device for [`Self::pretend`].
    pub(super) fn remember(&self, device: &Arc<Device>) {
        if self.inquiry.is_some_and(|inquiry| inquiry.claim.is_some()) {
            self.pipeline.stand_in.store(Some(device.clone()));
        }
    }

    /// Does for a device that nobody knows what would be done for one that is known, so that the time doesn't tell.
    pub(super) fn pretend(&mut self) {
        if !self.inquiry.is_some_and(|inquiry| inquiry.claim.is_some() && inquiry.of_devices) {
            return;
        }
        let stand_in = self.pipeline.stand_in.load_full().or_else(|| self.generation.profiles.any_device().cloned());
        if let Some(device) = stand_in {
            let settings = self.generation.settings(&device);
            black_box((self.generation.fingerprint(&device), Access::of(&settings)));
        }
        self.password(None, None);
    }

    /// Finds out whether it is a device's own phone, where there is nothing for that to be asked for.
    pub(super) fn prove(&mut self, candidate: &Candidate, device: &Device) {
        let access = Access::of(&self.generation.settings(device));
        self.proven = self.check_access(candidate.captures.code.is_some(), &access, device, Opening::default()).is_ok();
    }

    /// `has_code`: it came with the code of an invitation.
    pub(super) fn check_access(
        &mut self,
        has_code: bool,
        access: &Access,
        device: &Device,
        opening: Opening,
    ) -> Result<Proof, Stop> {
        if self.request.vouched.is_some_and(|vouched| vouched.device == device.mac) {
            self.proven = true;
            return Ok(Proof::Ticket);
        }
        let root = self.request.connection.tls.as_ref().and_then(|tls| tls.certificate.root());
        let pack = self.generation.packs.get(device.model.pack);
        let foreign = root.zip(pack).filter(|(root, pack)| !pack.takes_root(Some(root)));
        let foreign = foreign.map(|(root, pack)| not_vouched(root, &pack.name));
        if let Some(problem) = foreign.as_ref().filter(|_| has_code) {
            return Err(refused(Refusal::Invitation, problem.as_str()));
        }
        // Whoever came with the code, over TLS, was made this device by it just now.
        if has_code {
            return Ok(Proof::Code);
        }
        let password = self.password(Some(access), Some(device));
        let Opening { encrypted, is_bootstrap } = opening;
        let asked = Asked { mac: device.mac, serial: device.serial.as_ref(), encrypted, is_bootstrap };
        let evidence = Evidence {
            peer: self.request.connection.peer.ip(),
            certificate: self.certificate.as_ref(),
            certificate_problem: self.certificate_problem.as_deref(),
            token: self.token_evidence(),
            password: password.as_ref(),
        };
        let proof = match decide(access, &asked, &evidence) {
            // It names this phone, but its root is another maker's.
            Ok(Proof::Certificate) if foreign.is_some() => {
                let without = Evidence { certificate: None, certificate_problem: foreign.as_deref(), ..evidence };
                decide(access, &asked, &without)
            }
            decided => decided,
        };
        let proof = proof.map_err(|denied| match &self.found.token {
            Some(Known::Away) => refused(Refusal::DatabaseAway, denied.reason),
            _ => Stop::Refused(denied.refusal, denied.reason),
        })?;
        self.proven = true;
        let flag = match proof {
            Proof::Password(Which::Current) => Some(Flag::Password),
            Proof::Password(Which::Previous) => Some(Flag::PreviousPassword),
            _ => None,
        };
        self.event.flags.extend(flag.filter(|flag| !self.event.flags.contains(flag)));
        Ok(proof)
    }
    /// Whoever comes with a good token.
    pub(super) fn bearer(&self) -> Option<&'a Bearer> {
        match &self.found.token {
            Some(Known::Of(bearer)) if self.request.connection.tls.is_some() => Some(bearer),
            _ => None,
        }
    }

    fn token_evidence(&self) -> TokenEvidence<'a> {
        match (self.presented, &self.found.token) {
            (None, _) => TokenEvidence::None,
            _ if self.request.connection.tls.is_none() => TokenEvidence::Worthless("tokens are taken over TLS only"),
            (_, Some(Known::Of(bearer))) => TokenEvidence::Of { mac: bearer.mac, is_bootstrap: bearer.is_bootstrap },
            (_, Some(Known::Worthless(why))) => TokenEvidence::Worthless(why),
            (_, Some(Known::Away)) => TokenEvidence::Worthless("the database does not answer"),
            (Some(_), None) => TokenEvidence::Worthless("it is none"),
        }
    }
}
