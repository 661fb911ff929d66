//! Which device a STUN user is.

use std::sync::Arc;

use crate::model::{MacAddr, Secret};
use crate::records::Records;
use crate::resync::{Lookup, Pipeline};
use crate::settings::{Effective, Value};

/// Digits of a MAC.
const MAC: usize = 12;

/// Looks devices up, as requests for their files do. Clones share everything.
#[derive(Debug, Clone)]
pub struct Devices {
    pipeline: Arc<Pipeline>,
    records: Arc<Records>,
    /// The password of who isn't there.
    nobody: Secret,
}

impl Devices {
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn new(pipeline: Arc<Pipeline>, records: Arc<Records>) -> Result<Self, getrandom::Error> {
        let mut nobody = [0; 32];
        getrandom::fill(&mut nobody)?;
        Ok(Self { pipeline, records, nobody: Secret::new(nobody) })
    }

    /// The password of a user, or one that nobody has: what is compared with it tells nothing of who there is.
    pub async fn stun_password(&self, user: &[u8]) -> Secret {
        self.find(user).await.unwrap_or_else(|| self.nobody.clone())
    }

    async fn find(&self, user: &[u8]) -> Option<Secret> {
        let user = std::str::from_utf8(user).ok()?;
        let mac = mac_of(user)?;
        let generation = self.pipeline.generation();
        let device = match self.records.lookup(&generation, mac).await {
            Lookup::File => generation.profiles.device(mac).cloned(),
            Lookup::Record(device) => Some(device),
            Lookup::Broken(_) | Lookup::Nothing | Lookup::Away => None,
        }?;
        let settings = generation.settings(&device);
        if settings.text("acs.stun_user") != Some(user) {
            return None;
        }
        secret(&settings, "acs.stun_password")
    }
}

/// A secret of a device as its profile has it; none where it is empty or can't be had.
pub fn secret(settings: &Effective, setting: &str) -> Option<Secret> {
    let Value::Secret(source) = &settings.named(setting)?.value else { return None };
    source.text().ok().filter(|secret| !secret.expose().is_empty())
}

/// The MAC that a user name is, or ends in: there is no list of the names of a million devices.
pub fn mac_of(user: &str) -> Option<MacAddr> {
    let end = user.len().checked_sub(MAC).and_then(|at| user.get(at..));
    user.parse().ok().or_else(|| end?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_ends_in_its_mac() {
        let mac = Some("000e08abcdef".parse().unwrap());
        for user in ["000e08abcdef", "00:0E:08:AB:CD:EF", "acme-000e08abcdef"] {
            assert_eq!(mac_of(user), mac, "{user}");
        }
        for user in ["", "phone", "000e08abcdef-1", "ä0e08abcdef", "010e08abcdef"] {
            assert_eq!(mac_of(user), None, "{user}");
        }
    }
}
