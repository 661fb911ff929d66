//! Will the phone still find us? A device's phone, which holds its profile, is run against its own files in this process
//! until nothing changes any more.

use super::any::{Cause, Maker, Phone};
use super::cisco::{Emulation, SeededRandom};
use super::in_process::InProcess;
use super::state::{Identity, State};
use crate::delivery::KeyDigest;
use crate::model::Serial;
use crate::packs::{Audience, FileEntry, Source};
use crate::render::{RenderError, Shown};
use crate::resync::{ClientCertificate, Connection, Device, Generation, Pipeline, TlsSession};
use crate::settings::Effective;

/// What becomes of a phone that takes this profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It comes back, and has what it should have; seconds until it looks again.
    Settles { next: u64 },
    /// A resync fails, each time; why, as the phone sees it.
    Fails { why: String },
    /// It asks somewhere that is not this server.
    MovesAway { to: String },
    /// Its parameters change with each resync.
    Loops { changed: Vec<String> },
    /// It has what it should have, and no reason to ask again.
    NeverReturns,
    /// The profile can't be made, or no such phone is emulated.
    Unknown { why: String },
}

/// Resyncs until a phone must have settled: a bootstrap, a first profile, its own, and twice the same again.
const ROUNDS: u32 = 6;

/// What the listener is called that phones are played by.
pub const IN_PROCESS: &str = "in process";

/// What stands for a serial number that nobody knows.
const NO_SERIAL: &str = "UNKNOWN1";

/// Any time will do, as long as it is the same in every run.
const NOW: i64 = 1_800_000_000;

/// Runs one device's phone. `pipeline` serves the same generation; with a cache of its own, and no events.
pub async fn verdict(pipeline: &std::sync::Arc<Pipeline>, device: &Device, limit: usize) -> Verdict {
    let generation = pipeline.generation();
    let unknown = |why: String| Verdict::Unknown { why };
    let Some((_, model)) = generation.packs.pack_and_model(device.model) else {
        return unknown("the device has no model".to_owned());
    };
    let Some(maker) = Maker::of(&model.name) else {
        return unknown(format!("no phone of the model {} is emulated", model.name));
    };
    let settings = generation.settings(device);
    // A phone has a serial number, whether its record says so or not.
    let Some(serial) = device.serial.clone().or_else(|| NO_SERIAL.parse().ok()) else {
        return unknown("the device has no serial number".to_owned());
    };
    let identity = Identity {
        model: model.name.to_string(),
        mac: device.mac,
        serial,
        firmware: "11.2.4".to_owned(),
        has_certificate: true,
    };
    let emulation = Emulation { digest: digest(&settings), ..Emulation::default() };
    let phone = Phone::new(maker, identity, emulation);
    let state = match holding(&generation, device, &settings, &phone, limit) {
        Ok(state) => state,
        Err(error) => return unknown(error.to_string()),
    };
    let bases = settings.text("provisioning.url").map(str::to_owned).into_iter().collect();
    let fetch = InProcess::new(pipeline.clone(), bases, connection(device, maker, &model.name, &settings));
    settle(&phone, state, &fetch).await
}

async fn settle(phone: &Phone, mut state: State, fetch: &InProcess) -> Verdict {
    let mut random = SeededRandom(1);
    let mut now = NOW;
    let mut changed = Vec::new();
    for round in 0..ROUNDS {
        let cause = if round == 0 { Cause::PowerUp } else { Cause::Due };
        let played = phone.resync(&state, &cause, None, now, fetch, &mut random).await;
        if let Some(to) = fetch.strayed() {
            return Verdict::MovesAway { to };
        }
        if let Some(why) = played.failure {
            return Verdict::Fails { why };
        }
        let Some(next) = played.next else { return Verdict::NeverReturns };
        if round > 0 && played.changed.is_empty() {
            return Verdict::Settles { next };
        }
        changed = played.changed;
        state = played.state;
        now = now.saturating_add(i64::try_from(next).unwrap_or(i64::MAX));
    }
    Verdict::Loops { changed }
}

/// The state of a phone that holds the device's profile.
fn holding(
    generation: &Generation,
    device: &Device,
    settings: &Effective,
    phone: &Phone,
    limit: usize,
) -> Result<State, RenderError> {
    let mut state = phone.factory_state();
    let Some((pack, _)) = generation.packs.pack_and_model(device.model) else { return Ok(state) };
    let own = |file: &&FileEntry| {
        file.audience == Audience::Device
            && file.is_for(device.model.model)
            && matches!(file.source, Source::Template { mapping: Some(_), .. })
    };
    let file = pack.files.iter().find(own).ok_or(RenderError::Missing("a profile of its own"))?;
    let rendered = generation.render(device, file, settings, Shown::Real, limit)?;
    for parameter in rendered.parameters {
        state.parameters.insert(parameter.name.to_string(), parameter.value);
    }
    state.last_success = Some(NOW);
    Ok(state)
}

fn digest(settings: &Effective) -> KeyDigest {
    match settings.text("delivery.digest") {
        Some("sha256") => KeyDigest::Sha256,
        Some("pbkdf2") => KeyDigest::Pbkdf2 {
            iterations: settings
                .integer("delivery.iterations")
                .and_then(|rounds| u32::try_from(rounds).ok())
                .unwrap_or(KeyDigest::DEFAULT_ITERATIONS),
        },
        _ => KeyDigest::Md5,
    }
}

/// A connection by which the device can prove itself: with its maker's certificate, and from its own network.
fn connection(device: &Device, maker: Maker, model: &str, settings: &Effective) -> Connection {
    let serial = device.serial.as_ref().map_or(NO_SERIAL, Serial::as_str);
    let subject = match maker {
        Maker::Cisco => format!("OU={model}, L={serial}, ST={}", device.mac),
        Maker::Aastra | Maker::Grandstream => format!("CN={}", device.mac.upper()),
    };
    let network = settings.texts("access.networks").find_map(|network| network.parse::<ipnet::IpNet>().ok());
    let address = network.map_or(std::net::IpAddr::from([192, 0, 2, 1]), |network| network.addr());
    Connection {
        listener: IN_PROCESS.into(),
        peer: (address, 0).into(),
        tls: subject.parse().ok().map(|subject| TlsSession {
            version: "TLSv1.3",
            cipher: String::new(),
            certificate: ClientCertificate::verified(subject),
        }),
    }
}
