//! Whether a phone may have a session of CWMP: decided by the same rules as for its files, when its Inform has been read.

use std::sync::Arc;

use super::generation::Generation;
use super::inquiry::Inquiry;
use super::lookup::{DeviceKey, Found};
use super::pipeline::{Asking, Pipeline, Stop, refused};
use super::profiles::Device;
use super::proof::Opening;
use super::request::{Answer, Request};
use crate::cwmp::message::DeviceId;
use crate::events::{Event, Kind, Refusal};
use crate::identity::Access;
use crate::identity::password::Carried;
use crate::model::{MacAddr, Serial};
use crate::packs::data_model::{DataModel, Identity};
use crate::packs::{Identified, Packs};
use crate::settings::Effective;

/// A phone that may have a session.
#[derive(Debug)]
pub struct OpenedSession {
    pub device: Arc<Device>,
    pub generation: Arc<Generation>,
    pub settings: Effective,
    /// To be filled in and recorded when the session is over.
    pub event: Event,
}

/// What a phone says it is, as each pack reads it.
fn names<'p>(
    packs: &'p Packs,
    said: &'p DeviceId,
) -> impl Iterator<Item = (&'p DataModel, Option<MacAddr>, Option<Serial>)> {
    packs.iter().filter_map(|pack| pack.data_model.as_ref()).filter(|model| takes_oui(model, said)).map(|model| {
        let number = said.serial_number.trim();
        match model.quirks(None).identity {
            Identity::Mac => (model, number.parse().ok(), None),
            Identity::Serial => (model, None, number.parse().ok()),
        }
    })
}

fn takes_oui(model: &DataModel, said: &DeviceId) -> bool {
    let known = &model.quirks(None).oui;
    known.is_empty() || known.iter().any(|oui| oui.eq_ignore_ascii_case(said.oui.trim()))
}

impl Pipeline {
    /// The first step for an Inform: which devices have to be looked up for it.
    pub fn ask_for_session(&self, request: &Request<'_>, said: &DeviceId) -> Inquiry {
        let mut keys: Vec<DeviceKey> = Vec::new();
        let generation = self.generation();
        for (_, mac, serial) in names(&generation.packs, said) {
            for key in mac.map(DeviceKey::Mac).into_iter().chain(serial.map(DeviceKey::Serial)) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        Inquiry { keys, ..self.ask_without_path(request, generation) }
    }

    /// What a request shows that asks for no file, and may yet be refused as one that does.
    pub fn ask_before_session(&self, request: &Request<'_>) -> Inquiry {
        self.ask_without_path(request, self.generation())
    }

    fn ask_without_path(&self, request: &Request<'_>, generation: Arc<Generation>) -> Inquiry {
        let carried = Carried {
            listener: &request.connection.listener,
            method: request.method,
            target: request.target,
            authorization: request.authorization,
            time: request.time,
        };
        let claim = self.passwords.as_ref().and_then(|passwords| passwords.claim(&carried));
        Inquiry { claim, of_devices: true, ..Inquiry::about_nothing(generation) }
    }

    /// The event of a session, or of what came instead of one.
    pub fn session_event(&self, request: &Request<'_>) -> Event {
        Event { kind: Kind::Session, ..self.blank_event(request) }
    }

    /// The second step: whether the phone may have a session.
    ///
    /// # Errors
    /// How it is refused: as any other who may not have a device's file.
    pub fn admit_session(
        &self,
        request: &Request<'_>,
        inquiry: &Inquiry,
        found: &Found,
        said: &DeviceId,
    ) -> Result<Box<OpenedSession>, Box<(Answer, Event)>> {
        let mut asking = Asking::of(self, inquiry, request, found);
        asking.event.kind = Kind::Session;
        match asking.session(inquiry, said) {
            Ok((device, settings)) => {
                asking.watch_certificate();
                let generation = inquiry.generation.clone();
                Ok(Box::new(OpenedSession { device, generation, settings, event: asking.event }))
            }
            Err(stop) => Err(Box::new(asking.stopped(stop))),
        }
    }

    /// What a phone that nobody knows says of itself, for those that are let wait.
    pub fn identify_said(&self, said: &DeviceId, software: Option<&str>) -> Option<Identified> {
        let generation = self.generation();
        let (mac, serial) = names(&generation.packs, said).find_map(|(_, mac, serial)| Some((mac?, serial)))?;
        let model = Some(said.product_class.trim().to_owned()).filter(|class| !class.is_empty())?;
        Some(Identified {
            vendor: Some(said.manufacturer.clone()),
            model: Some(model),
            firmware: software.map(str::to_owned),
            mac: Some(mac),
            serial,
            ..Identified::default()
        })
    }
}

impl Asking<'_> {
    fn session(&mut self, inquiry: &Inquiry, said: &DeviceId) -> Result<(Arc<Device>, Effective), Stop> {
        let named = |key: &DeviceKey| if let DeviceKey::Mac(mac) = key { Some(*mac) } else { None };
        self.event.asked_mac = inquiry.keys.iter().find_map(named);
        let mut not_for = None;
        for key in &inquiry.keys {
            let Some(device) = self.device_named(key)? else { continue };
            let pack = self.generation.packs.get(device.model.pack);
            let model = pack.and_then(|pack| pack.data_model.as_ref());
            let is_named_so = model.is_some_and(|model| {
                let by_mac = model.quirks(Some(device.model.model)).identity == Identity::Mac;
                model.is_for(device.model.model) && takes_oui(model, said) && by_mac == named(key).is_some()
            });
            if !is_named_so {
                not_for = Some(device);
                continue;
            }
            self.event.device = Some(device.mac);
            self.compare(&device);
            self.remember(&device);
            let settings = self.generation.settings(&device);
            if settings.boolean("acs.enabled") == Some(false) {
                return Err(refused(Refusal::NoProof, format!("acs.enabled is false for {}", device.mac)));
            }
            let access = Access::for_sessions(&settings);
            self.check_access(false, &access, &device, Opening::default())?;
            return Ok((device, settings));
        }
        if let Some(device) = not_for {
            self.event.device = Some(device.mac);
            let reason = format!("the record of {} is of a model that no ACS manages, or of another maker", device.mac);
            return Err(refused(Refusal::NotForModel, reason));
        }
        let reason = match (self.event.asked_mac, inquiry.keys.is_empty()) {
            (Some(mac), _) => format!("there is no device {mac}"),
            (None, true) => "no pack reads MAC or serial number from the phone's DeviceId".to_owned(),
            (None, false) => "there is no device with the phone's serial number".to_owned(),
        };
        Err(refused(Refusal::UnknownDevice, reason))
    }
}
