use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::lint::rule::rule;
use crate::lint::{About, Deployment, DeviceView, Finding, Findings, Mark, Rule};
use crate::model::MacAddr;
use crate::settings::Origin;

rule! {
    /// Two devices register the same SIP user at the same proxy.
    ///
    /// # What the phone does
    ///
    /// Each registers in turn, and the last one gets the calls, or both ring: seldom what was meant.
    ///
    /// # How to mend it
    ///
    /// Give each line a user of its own; a line that is shared on purpose has `shared = true`.
    pub struct DuplicateUser { seen: Mutex<HashMap<u64, Vec<Line>>> } = "duplicate-user", Warning;
}

/// How many places of one user are told: a whole fleet may have it.
const PLACES: usize = 10;

/// A line of a device, and where its user is set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    device: MacAddr,
    n: u16,
    source: Arc<Path>,
    line: u32,
}

impl Rule for DuplicateUser {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, _: &mut Findings) {
        for n in 1..=view.model.lines {
            let dotted = format!("lines.{n}.user");
            let text = |name: &str| view.settings.text(&format!("lines.{n}.{name}"));
            let is = |name: &str| view.settings.boolean(&format!("lines.{n}.{name}"));
            let (Some(setting), Some(user), Some(proxy)) = (view.settings.named(&dotted), text("user"), text("proxy"))
            else {
                continue;
            };
            if is("shared") == Some(true) || is("enabled") == Some(false) || is("register") == Some(false) {
                continue;
            }
            // A digest is smaller than the names, and two that are the same by chance are not to be expected.
            let mut hasher = DefaultHasher::new();
            (user, proxy.to_lowercase()).hash(&mut hasher);
            let Origin { source, line } = setting.origin.clone();
            let line = Line { device: view.device.mac, n, source, line };
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entry(hasher.finish()).or_default().push(line);
        }
    }

    fn finish(&self, _: &Deployment<'_>, findings: &mut Findings) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for lines in seen.values().filter(|lines| lines.len() > 1) {
            let mut lines = lines.clone();
            lines.sort_unstable();
            let mut devices: Vec<MacAddr> = lines.iter().map(|line| line.device).collect();
            devices.dedup();
            if devices.len() < 2 {
                continue;
            }
            // The first one may be as it should; it is told of with the others.
            lines.dedup_by_key(|line| (line.source.clone(), line.line));
            for line in lines.into_iter().take(PLACES) {
                let origin = Origin { source: line.source.clone(), line: line.line };
                let message = format!("{} devices register this user at the same proxy", devices.len());
                let finding = Finding::new(message).at(&origin).key(format!("lines.{}.user", line.n));
                findings.report(finding.mark(Mark::Value).devices(devices.clone()));
            }
        }
    }
}
