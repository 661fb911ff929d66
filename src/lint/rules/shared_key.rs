use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::lint::rule::rule;
use crate::lint::{About, Deployment, DeviceView, Finding, Findings, Mark, Rule};
use crate::model::MacAddr;
use crate::settings::{Origin, SecretSource, Value};

rule! {
    /// Several devices have the same delivery key.
    ///
    /// # What the phone does
    ///
    /// It can open the others' profiles, and so can everybody who takes the key out of one phone.
    ///
    /// # How to mend it
    ///
    /// Give each device a key of its own, in its own layer.
    ///
    /// Keys in an environment or in files count as the same where they have the same name, if they can't be read here.
    pub struct SharedKey { seen: Seen } = "shared-key", Warning;
}

/// How many places of one key are told: a whole fleet may have it.
const PLACES: usize = 10;

/// Which devices have the key from where.
type Places = BTreeMap<(Arc<Path>, u32), Vec<MacAddr>>;

impl Rule for SharedKey {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, _: &mut Findings) {
        if !super::delivery_mismatch::is_encrypted(view) {
            return;
        }
        self.seen.add(view, "delivery.key");
    }

    fn finish(&self, _: &Deployment<'_>, findings: &mut Findings) {
        self.seen.report("delivery.key", "delivery key", findings);
    }
}

/// Secrets, and which devices have them from where.
#[derive(Default)]
pub(super) struct Seen(Mutex<BTreeMap<[u8; 32], Places>>);

impl Seen {
    /// Remembers a device's secret.
    pub fn add(&self, view: &DeviceView<'_>, setting: &str) {
        let Some(setting) = view.settings.named(setting) else { return };
        let Value::Secret(source) = &setting.value else { return };
        let digest = match (source.bytes(), source) {
            (Ok(key), _) => Sha256::digest(key.expose()),
            (Err(_), SecretSource::Env(name)) => Sha256::digest(format!("env {name}")),
            (Err(_), SecretSource::File(path)) => Sha256::digest(format!("file {}", path.display())),
            (Err(_), _) => return,
        };
        let place = (setting.origin.source.clone(), setting.origin.line);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(digest.into()).or_default().entry(place).or_default().push(view.device.mac);
    }

    /// Tells of those that several devices have.
    pub fn report(&self, setting: &str, what: &str, findings: &mut Findings) {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for places in seen.values() {
            let mut all: Vec<MacAddr> = places.values().flatten().copied().collect();
            if all.len() < 2 {
                continue;
            }
            all.sort_unstable();
            for (source, line) in places.keys().take(PLACES) {
                let devices = all.clone();
                let origin = Origin { source: source.clone(), line: *line };
                let finding = Finding::new(format!("{} devices have this {what}", all.len()));
                findings.report(finding.at(&origin).key(setting).mark(Mark::Value).devices(devices));
            }
        }
    }
}
