//! `resyncd render`: the file that a phone would get.

mod acs;

use super::{Ending, Failure, data_file, output, snapshot};
use crate::config::Config;
use crate::model::MacAddr;
use crate::packs::{Audience, Candidate, FileEntry, Source};
use crate::render::{Limit, Rendered, Shown};
use crate::resync::{Device, Generation, delivery_of};

/// Print a phone's file as it would be rendered now.
///
/// What the database sets for the phone is part of it, if there is a database.
///
/// Secrets are written as ***, and are not even fetched, unless --show-secrets or --delivered asks for the real ones.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    /// The path that the phone asks for; left out: its own profile.
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
    /// The data-model parameters that an ACS would set (TR-069), and where each comes from, instead of a file.
    #[arg(long, conflicts_with_all = ["file", "delivered"])]
    acs: bool,
    /// How these are written.
    #[arg(long, value_enum, default_value_t = output::Format::Human, requires = "acs")]
    format: output::Format,
    /// The bytes as they are sent: compressed and encrypted as [delivery] says.
    #[arg(long)]
    delivered: bool,
    /// Write secrets as they are.
    #[arg(long)]
    show_secrets: bool,
    /// Leave the database out: what files alone make of it.
    #[arg(long)]
    files_only: bool,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let generation = snapshot::load(config, self.mac, self.files_only)?;
        let device = generation.profiles.device(self.mac).ok_or_else(|| no_device(self.mac))?;
        if self.acs {
            let shown = if self.show_secrets { Shown::Real } else { Shown::Masked };
            let desired = generation.desired(device, &generation.settings(device), shown, &config.limits);
            let desired = desired.map_err(|error| Failure::Other(error.to_string()))?;
            let desired = desired.ok_or_else(|| {
                let model = generation.packs.pack_and_model(device.model).map_or("phone", |(_, model)| &model.name);
                Failure::Other(format!(
                    "a {model} has no data model: its pack has no tr069.toml, or leaves the model out"
                ))
            })?;
            return acs::write(&desired, self.format, self.show_secrets);
        }
        let found = find(&generation, device, self.file.as_deref())?;
        let settings = generation.settings(device);
        let delivery = if self.delivered && found.file.delivery { Some(delivery_of(&settings)) } else { None };
        let delivery = delivery.transpose().map_err(|error| Failure::Other(error.to_string()))?;
        let is_clear = delivery.as_ref().is_none_or(|delivery| delivery.label().is_none_or(|label| label == "gzip"));
        let holds_secrets = found.file.audience == Audience::Device;
        if self.delivered && is_clear && holds_secrets && !self.show_secrets {
            return Err(Failure::Other(
                "what this phone is sent is not encrypted; add --show-secrets to have its secrets written".to_owned(),
            ));
        }
        let shown = if self.show_secrets || self.delivered { Shown::Real } else { Shown::Masked };
        let limit = (&config.limits).into();
        let rendered = found.render(&generation, device, shown, limit)?;
        let body = match delivery {
            None => rendered.body,
            Some(delivery) => delivery.pack(&rendered.body).map_err(|error| Failure::Other(error.to_string()))?.body,
        };
        data_file::write(None, &body, data_file::Privacy::Private)?;
        Ok(Ending::Fine)
    }
}

/// A device's file, and the path that it is asked for by.
pub struct Found<'g> {
    pub file: &'g FileEntry,
    pub pack: usize,
    pub model: Option<usize>,
    pub path: String,
}

impl Found<'_> {
    pub fn render(
        &self,
        generation: &Generation,
        device: &Device,
        shown: Shown,
        limit: Limit,
    ) -> Result<Rendered, Failure> {
        let rendered = match self.file.audience {
            Audience::Device => generation.render(device, self.file, &generation.settings(device), shown, limit),
            Audience::Anyone => generation.render_for_anyone(self.pack, self.file, self.model, limit),
        };
        rendered.map_err(|error| Failure::Other(error.to_string()))
    }
}

pub fn no_device(mac: MacAddr) -> Failure {
    Failure::Other(format!(
        "there is no device {mac}; its file would be profiles/devices/{mac}.toml, and `resyncd device add` makes a record"
    ))
}

/// The file at a path, or the device's own profile: the first file of its pack that is rendered for a device.
pub fn find<'g>(generation: &'g Generation, device: &Device, path: Option<&str>) -> Result<Found<'g>, Failure> {
    let (pack, model) = generation
        .packs
        .pack_and_model(device.model)
        .ok_or_else(|| Failure::Other("the device has no model".to_owned()))?;
    let Some(path) = path else {
        let file = pack
            .files
            .iter()
            .filter(|file| file.audience == Audience::Device && file.is_for(device.model.model))
            .find(|file| matches!(file.source, Source::Template { .. }));
        let file = file.ok_or_else(|| Failure::Other(format!("{} has no profile of its own", model.name)))?;
        let path = file.paths.first().and_then(|path| path.fill(Some(device.mac), device.serial.as_ref(), &model.name));
        return Ok(Found {
            file,
            pack: device.model.pack,
            model: Some(device.model.model),
            path: path.unwrap_or_default(),
        });
    };
    let is_own = |candidate: &Candidate, file: &FileEntry| match file.audience {
        Audience::Anyone => true,
        Audience::Device => {
            candidate.captures.mac.is_none_or(|mac| mac == device.mac)
                && candidate.captures.serial.as_ref().is_none_or(|serial| Some(serial) == device.serial.as_ref())
                && file.is_for(device.model.model)
        }
    };
    let mut candidates = generation.packs.matches(path);
    candidates.retain(|candidate| candidate.pack == device.model.pack);
    for candidate in candidates {
        let Some(file) = pack.files.get(candidate.file) else { continue };
        if !is_own(&candidate, file) {
            continue;
        }
        if matches!(file.source, Source::Static(_)) {
            return Err(Failure::Other(format!("{path} is a static file: nothing is rendered")));
        }
        return Ok(Found { file, pack: candidate.pack, model: candidate.captures.model, path: path.to_owned() });
    }
    Err(Failure::Other(format!(
        "{path} is no file of {}, a {}; `resyncd packs {}` lists them",
        device.mac, model.name, pack.name
    )))
}
