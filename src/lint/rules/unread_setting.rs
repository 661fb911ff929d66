use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use regex::Regex;

use crate::lint::rule::rule;
use crate::lint::{About, Deployment, DeviceView, FEW, Finding, Findings, Mark, Rule};
use crate::model::MacAddr;
use crate::packs::{ModelId, Pack, sources_of};
use crate::resync::GroupId;
use crate::settings::schema::Shape;
use crate::settings::{Key, Origin};

rule! {
    /// A setting that nothing reads for any of the phones that it is set for.
    ///
    /// # What the phone does
    ///
    /// Nothing: it is never told of it.
    ///
    /// # How to mend it
    ///
    /// Remove the setting, or say it in the phone's own words in `[params]`; `resyncd explain MAC PARAMETER` tells
    /// what a parameter is made of.
    ///
    /// A setting that several devices share is told of only if none of their packs reads it.
    pub struct UnreadSetting {
        read: OnceLock<HashMap<(usize, String), Reads>>,
        alike: Mutex<BTreeMap<Alike, Devices>>,
    } = "unread-setting", Warning;
}

/// Devices of one model and group share every setting that isn't in their own layers: one of them is looked at.
type Alike = (ModelId, Option<GroupId>);

/// How many devices there are of a kind, and the first few.
#[derive(Default, Clone)]
struct Devices {
    count: usize,
    first: Vec<MacAddr>,
}

impl Devices {
    fn add(&mut self, count: usize, devices: &[MacAddr]) {
        self.count += count;
        self.first.extend(devices);
        self.first.sort_unstable();
        self.first.truncate(FEW);
    }
}

/// File and line of a setting, and its name.
type Place = (Arc<Path>, u32, Key);

/// Names of settings, with `{n}` for a number, that a family's mappings and the pack's templates read.
#[derive(Default)]
struct Reads(HashSet<String>);

/// What the program itself reads: how files are delivered and opened.
const OWN: [&str; 2] = ["delivery", "access"];

/// And of a section whose other settings phones are told.
const OWN_SETTING: (&str, &str) = ("credentials", "previous");

/// What the ACS itself goes by, for phones that know one.
const OF_ACS: [&str; 3] = ["acs.changed_on_phone", "acs.connection_way", "acs.notify_to"];

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by every test of this rule")]
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b([a-z_]+)(?:\[[^\]]*\])?\??\.([a-z0-9_]+)|\battribute=.([a-z0-9_]+)").unwrap());

impl Reads {
    fn of(pack: &Pack, family: &str) -> Self {
        let mut reads = Self::default();
        let mappings = pack.mappings.values().chain(pack.data_model.as_ref().map(|data_model| &data_model.mapping));
        for entry in mappings.filter_map(|mapping| mapping.of_family(family)).flat_map(|all| all.iter()) {
            // An expression may loop over lines and keys, or give one a name.
            reads.0.extend(entry.reads.iter().flat_map(|read| sources_of(read)));
            reads.text(&entry.expression);
        }
        if pack.data_model.is_some() {
            reads.0.extend(OF_ACS.map(str::to_owned));
        }
        for template in &pack.templates {
            reads.text(&template.text);
        }
        reads
    }

    /// Every `section.setting`, and every `name.setting` where the name may stand for a line or a key.
    fn text(&mut self, text: &str) {
        for found in NAME.captures_iter(text) {
            let part = |group: usize| found.get(group).map_or("", |part| part.as_str());
            let (section, setting) = if part(3).is_empty() { (part(1), part(2)) } else { ("", part(3)) };
            self.0.extend(sources_of(&format!("{section}.{setting}")));
            let shape = crate::settings::schema::section(section).map(|section| section.shape);
            if matches!(shape, None | Some(Shape::Numbered)) {
                for section in ["lines", "keys"] {
                    self.0.extend(sources_of(&format!("{section}.{{n}}.{setting}")));
                }
            }
        }
    }

    fn has(&self, key: &Key) -> bool {
        match key {
            Key::Param(_) | Key::ParamAccess(_) | Key::AcsParam(_) | Key::AcsNotification(_) => true,
            Key::Var(name) => {
                let first = name.split('.').next().unwrap_or_default();
                self.0.contains(&format!("vars.{first}"))
            }
            Key::Numbered { .. } | Key::Plain { .. } => {
                let Some((section, setting)) = key.schema() else { return true };
                let middle = if matches!(key, Key::Numbered { .. }) { ".{n}." } else { "." };
                OWN.contains(&section.name)
                    || OWN_SETTING == (section.name, setting.name)
                    || self.0.contains(&format!("{}{middle}{}", section.name, setting.name))
            }
        }
    }
}

impl UnreadSetting {
    /// What each family of each pack reads.
    fn read(&self, deployment: &Deployment<'_>) -> &HashMap<(usize, String), Reads> {
        self.read.get_or_init(|| {
            let mut all = HashMap::new();
            for (index, pack) in deployment.generation.packs.iter().enumerate() {
                for model in &pack.models.list {
                    let key = (index, model.family.clone());
                    all.entry(key).or_insert_with(|| Reads::of(pack, &model.family));
                }
            }
            all
        })
    }
}

impl Rule for UnreadSetting {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let device = view.device;
        let Some(reads) = self.read(view.deployment).get(&(device.model.pack, view.model.family.clone())) else {
            return;
        };
        for leaf in device.layer.leaves.iter().filter(|leaf| !reads.has(&leaf.key)) {
            let origin = Origin { source: device.layer.source.clone(), line: leaf.line };
            findings.report(finding(&leaf.key, &origin));
        }
        let mut alike = self.alike.lock().unwrap_or_else(PoisonError::into_inner);
        alike.entry((device.model, device.group)).or_default().add(1, &[device.mac]);
    }

    fn finish(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        let generation = deployment.generation;
        let alike = self.alike.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether anything reads the setting, and for whom it is set.
        let mut shared: BTreeMap<Place, (bool, Devices)> = BTreeMap::new();
        for ((id, _), devices) in alike.iter() {
            let device = devices.first.first().and_then(|mac| generation.profiles.device(*mac));
            let (Some(device), Some((pack, model))) = (device, generation.packs.pack_and_model(*id)) else { continue };
            let Some(reads) = self.read(deployment).get(&(id.pack, model.family.clone())) else { continue };
            for (key, setting) in generation.base(device).settings.iter() {
                if Arc::ptr_eq(&setting.origin.source, &pack.defaults.source) {
                    continue;
                }
                let place = (setting.origin.source.clone(), setting.origin.line, key.clone());
                let (is_read, of) = shared.entry(place).or_default();
                *is_read |= reads.has(key);
                of.add(devices.count, &devices.first);
            }
        }
        for ((source, line, key), (_, devices)) in shared.into_iter().filter(|(_, (is_read, _))| !is_read) {
            let finding = finding(&key, &Origin { source, line }).devices(devices.first);
            findings.report(Finding { device_count: devices.count, ..finding });
        }
    }
}

fn finding(key: &Key, origin: &Origin) -> Finding {
    Finding::new(format!("nothing reads {key}")).at(origin).key(key).mark(Mark::Name)
}
