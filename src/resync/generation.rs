//! A generation: packs and file layers, loaded, validated and from then on immutable. Reloads swap whole generations.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::groups::{Group, GroupId};
use super::profiles::{Device, Profiles};
use crate::delivery::{Delivery, Encryption, KeyDigest};
use crate::document::{Problem, Problems};
use crate::packs::{FileEntry, ModelId, Pack, Packs, ParameterList, Source};
use crate::render::{
    Desired, DeviceFacts, Engine, Form, Job, Limit, RenderError, Rendered, SharedParams, Shown, Wanting,
};
use crate::settings::{Effective, Layer};

/// One loaded, validated set of packs and file layers.
#[derive(Debug)]
pub struct Generation {
    /// Counted from 1; the same where only groups were set at run time.
    pub number: u64,
    /// Another one for each generation that there ever was in this process.
    pub stamp: u64,
    pub packs: Arc<Packs>,
    pub profiles: Profiles,
    /// One per pack.
    engines: Arc<Vec<Engine>>,
    /// `profiles/files/`.
    files: PathBuf,
    /// Whether something stands in for secrets that can't be had.
    stand_ins: bool,
    /// The layers below a device's own, merged, by model and group: what thousands of devices share.
    bases: Cache<(ModelId, Option<GroupId>), Arc<Base>, Settings>,
}

/// The layers below devices' own, merged, and what is made of them once.
#[derive(Debug)]
pub struct Base {
    pub settings: Effective,
    params: SharedParams,
}

/// How many settings the kept bases may hold together. One takes some 400 bytes.
const SETTINGS: u64 = 400_000;

/// How many bases are kept, about.
const BASES: usize = 4096;

/// Weighs a base by its settings.
#[derive(Debug, Clone)]
struct Settings;

impl Weighter<(ModelId, Option<GroupId>), Arc<Base>> for Settings {
    fn weight(&self, _: &(ModelId, Option<GroupId>), base: &Arc<Base>) -> u64 {
        base.settings.shared().len() as u64 + 1
    }
}

fn no_bases() -> Cache<(ModelId, Option<GroupId>), Arc<Base>, Settings> {
    Cache::with_weighter(BASES, SETTINGS, Settings)
}

impl Default for Generation {
    /// Nothing: no packs, no devices.
    fn default() -> Self {
        Self {
            number: 0,
            stamp: next_stamp(),
            packs: Arc::default(),
            profiles: Profiles::default(),
            engines: Arc::default(),
            files: PathBuf::new(),
            stand_ins: false,
            bases: no_bases(),
        }
    }
}

impl Generation {
    /// Loads and validates everything. All mistakes are reported in one go.
    pub fn load(templates: &Path, profiles: &Path, number: u64) -> Result<Self, Problems> {
        let packs = Packs::load(templates, profiles)?;
        let mut problems = Problems::default();
        let mut engines = Vec::new();
        for pack in packs.iter() {
            match Engine::new(pack) {
                Ok(engine) => engines.push(engine),
                Err(errors) => problems.extend(errors.iter().map(|error| {
                    let (file, line) = error.place();
                    let mut problem =
                        Problem::file(file.unwrap_or_else(|| pack.folder.as_path().into()), error.message());
                    problem.line = line;
                    problem
                })),
            }
        }
        match Profiles::load(profiles, &packs) {
            Ok(loaded) => problems.into_result(Self {
                number,
                stamp: next_stamp(),
                packs: packs.into(),
                profiles: loaded,
                engines: engines.into(),
                files: profiles.join("files"),
                stand_ins: false,
                bases: no_bases(),
            }),
            Err(found) => {
                problems.extend(found);
                Err(problems)
            }
        }
    }

    /// The same with other settings layers: groups that were set at run time, devices that have records.
    #[must_use]
    pub fn with_profiles(&self, profiles: Profiles) -> Self {
        Self {
            number: self.number,
            stamp: next_stamp(),
            packs: self.packs.clone(),
            profiles,
            engines: self.engines.clone(),
            files: self.files.clone(),
            stand_ins: self.stand_ins,
            bases: no_bases(),
        }
    }

    /// The same with something in the place of each secret that can't be had here: for playing phones, never for serving
    /// them.
    #[must_use]
    pub fn with_stand_ins(self) -> Self {
        Self { stand_ins: true, ..self }
    }

    /// The layers of a device, weakest first.
    pub fn layers<'g>(&'g self, device: &'g Device) -> Vec<&'g Layer> {
        let mut layers = self.shared_layers(device.model, device.group);
        layers.extend(device.layers());
        layers
    }

    fn shared_layers(&self, model: ModelId, group: Option<GroupId>) -> Vec<&Layer> {
        let groups = group.and_then(|group| self.profiles.group(group)).map(|group| group.chain.as_slice());
        let groups =
            groups.unwrap_or_default().iter().filter_map(|id| self.profiles.group(*id)).flat_map(Group::layers);
        let defaults = self.packs.get(model.pack).map(|pack| &pack.defaults);
        defaults
            .into_iter()
            .chain(self.profiles.defaults.as_deref())
            .chain(self.profiles.models.get(&model))
            .chain(groups)
            .collect()
    }

    /// The layers below a device's own, merged.
    pub fn base(&self, device: &Device) -> Arc<Base> {
        let key = (device.model, device.group);
        if let Some(base) = self.bases.get(&key) {
            return base;
        }
        let settings = Effective::merge(self.shared_layers(device.model, device.group));
        let list = self.packs.get(device.model.pack).map(|pack| &pack.parameters);
        let params = SharedParams::of(&settings, list.unwrap_or(&ParameterList::unknown()));
        let base = Arc::new(Base { settings, params });
        self.bases.insert(key, base.clone());
        base
    }

    /// The settings that hold for a device.
    pub fn settings(&self, device: &Device) -> Effective {
        let mut settings = self.base(device).settings.clone();
        device.layers().for_each(|layer| settings.apply(layer));
        if self.stand_ins {
            settings.stand_in_for_secrets();
        }
        settings
    }

    /// The settings that hold for a file for anyone: the pack's, the operator's defaults, and the model's if the path
    /// names one.
    pub fn settings_for_anyone(&self, pack: usize, model: Option<usize>) -> Effective {
        match model {
            Some(model) => Effective::merge(self.shared_layers(ModelId { pack, model }, None)),
            None => Effective::merge(
                self.packs.get(pack).map(|pack| &pack.defaults).into_iter().chain(self.profiles.defaults.as_deref()),
            ),
        }
    }

    /// Changes when anything that a device's profiles depend on does.
    pub fn fingerprint(&self, device: &Device) -> u64 {
        let base = self.base(device);
        let pack = self.packs.get(device.model.pack).map_or(0, |pack| pack.fingerprint);
        // What stands outside the layers is looked at again after each reload.
        let is_outside = base.settings.has_outside_values() || device.layers().any(|layer| layer.outside);
        let outside = if is_outside { self.number } else { 0 };
        let record = device.record.as_ref().map_or(0, |layer| layer.fingerprint);
        mix(&[pack, base.settings.fingerprint_with(&device.layer), record, outside])
    }

    /// The same of a file for anyone.
    pub fn fingerprint_for_anyone(&self, pack: usize, model: Option<usize>) -> u64 {
        let layers = match model {
            Some(model) => self.shared_layers(ModelId { pack, model }, None),
            None => self.profiles.defaults.as_deref().into_iter().collect(),
        };
        let mut parts = vec![self.packs.get(pack).map_or(0, |pack| pack.fingerprint)];
        parts.extend(layers.iter().map(|layer| layer.fingerprint));
        mix(&parts)
    }

    /// What templates may know of a device.
    pub fn facts(&self, device: &Device) -> DeviceFacts {
        let group = device.group.and_then(|group| self.profiles.group(group)).map(|group| group.name.to_string());
        DeviceFacts { mac: device.mac, serial: device.serial.clone(), group }
    }

    /// Renders a device's file.
    pub fn render(
        &self,
        device: &Device,
        file: &FileEntry,
        settings: &Effective,
        shown: Shown,
        limit: impl Into<Limit>,
    ) -> Result<Rendered, RenderError> {
        self.render_with_form(device, file, settings, shown, limit, None)
    }

    /// The same with what the phone posted.
    pub fn render_with_form(
        &self,
        device: &Device,
        file: &FileEntry,
        settings: &Effective,
        shown: Shown,
        limit: impl Into<Limit>,
        form: Option<&Form>,
    ) -> Result<Rendered, RenderError> {
        let (pack, model) = self.packs.pack_and_model(device.model).ok_or(RenderError::Missing("a model"))?;
        let engine = self.engines.get(device.model.pack).ok_or(RenderError::Missing("a pack"))?;
        let facts = self.facts(device);
        let base = self.base(device);
        engine.render(&Job {
            pack,
            file,
            model: Some(model),
            device: Some(&facts),
            settings,
            shared: Some(&base.params),
            shown,
            limit: limit.into(),
            form,
        })
    }

    /// What a device should hold by its data model; none where its pack has none.
    ///
    /// # Errors
    /// Where an expression fails, or a secret can't be had.
    pub fn desired(
        &self,
        device: &Device,
        settings: &Effective,
        shown: Shown,
        limit: impl Into<Limit>,
    ) -> Result<Option<Desired>, RenderError> {
        let (pack, model) = self.packs.pack_and_model(device.model).ok_or(RenderError::Missing("a model"))?;
        let engine = self.engines.get(device.model.pack).ok_or(RenderError::Missing("a pack"))?;
        engine.desired(&Wanting {
            pack,
            model_index: device.model.model,
            model,
            device: &self.facts(device),
            settings,
            shown,
            limit: limit.into(),
        })
    }

    /// Renders a file for anyone.
    pub fn render_for_anyone(
        &self,
        pack_index: usize,
        file: &FileEntry,
        model: Option<usize>,
        limit: impl Into<Limit>,
    ) -> Result<Rendered, RenderError> {
        self.render_for_anyone_with_form(pack_index, file, model, limit, None)
    }

    /// The same with what the phone posted.
    pub fn render_for_anyone_with_form(
        &self,
        pack_index: usize,
        file: &FileEntry,
        model: Option<usize>,
        limit: impl Into<Limit>,
        form: Option<&Form>,
    ) -> Result<Rendered, RenderError> {
        let pack = self.packs.get(pack_index).ok_or(RenderError::Missing("a pack"))?;
        let engine = self.engines.get(pack_index).ok_or(RenderError::Missing("a pack"))?;
        let settings = self.settings_for_anyone(pack_index, model);
        let model = model.and_then(|model| pack.models.get(model));
        let job = Job {
            pack,
            file,
            model,
            device: None,
            settings: &settings,
            shared: None,
            shown: Shown::Absent,
            limit: limit.into(),
            form,
        };
        engine.render(&job)
    }

    /// The path of a static file that the operator drops in, for this device or model.
    pub fn static_path(
        &self,
        file: &FileEntry,
        pack: &Pack,
        device: Option<&Device>,
        model: Option<usize>,
    ) -> Option<PathBuf> {
        let Source::Static(name) = &file.source else { return None };
        let model = device.map(|device| device.model.model).or(model).and_then(|model| pack.models.get(model));
        let mut name = name.clone();
        let places = [
            ("{mac}", device.map(|device| device.mac.to_string())),
            ("{MAC}", device.map(|device| device.mac.upper())),
            ("{serial}", device.and_then(|device| device.serial.as_ref()).map(ToString::to_string)),
            ("{model}", model.map(|model| model.name.to_string())),
        ];
        for (place, value) in places {
            if name.contains(place) {
                name = name.replace(place, &value?);
            }
        }
        Some(self.files.join(name))
    }
}

fn next_stamp() -> u64 {
    static STAMPS: AtomicU64 = AtomicU64::new(1);
    STAMPS.fetch_add(1, Ordering::Relaxed)
}

pub(super) fn mix(parts: &[u64]) -> u64 {
    parts
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |mixed: u64, part| (mixed ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(29))
}

/// The delivery that `[delivery]` asks for.
pub fn delivery_of(settings: &Effective) -> Result<Delivery, RenderError> {
    let gzip = settings.boolean("delivery.gzip").unwrap_or(false);
    let wanted = settings.text("delivery.encryption").unwrap_or("none");
    if wanted == "none" {
        return Ok(Delivery { gzip, encryption: Encryption::None });
    }
    let key = match (settings.named("delivery.key"), settings.secret_bytes("delivery.key")) {
        (_, Some(Ok(key))) => key,
        (Some(setting), Some(Err(why))) => {
            return Err(RenderError::Secret {
                setting: "delivery.key".to_owned(),
                origin: setting.origin.clone(),
                why,
            });
        }
        _ => return Err(RenderError::Missing("delivery.key, which delivery.encryption needs")),
    };
    let encryption = if wanted == "aes128gcm" {
        let record_size = settings.integer("delivery.record_size").and_then(|size| u32::try_from(size).ok());
        Encryption::Aes128Gcm {
            keying_material: key,
            record_size: record_size.unwrap_or(crate::delivery::DEFAULT_RECORD_SIZE),
            key_id: settings.text("delivery.key_id").unwrap_or_default().as_bytes().to_vec(),
        }
    } else {
        let iterations = settings.integer("delivery.iterations").and_then(|rounds| u32::try_from(rounds).ok());
        let digest = match settings.text("delivery.digest") {
            Some("sha256") => KeyDigest::Sha256,
            Some("pbkdf2") => KeyDigest::Pbkdf2 { iterations: iterations.unwrap_or(KeyDigest::DEFAULT_ITERATIONS) },
            _ => KeyDigest::Md5,
        };
        Encryption::Aes256Cbc { passphrase: key, digest }
    };
    Ok(Delivery { gzip, encryption })
}
