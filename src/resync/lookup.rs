//! What the database is asked for a request, and what it answered. The pipeline itself asks nobody: whoever calls it looks
//! the devices up between its two steps.

use std::sync::Arc;

use super::profiles::{Device, Profiles};
use crate::identity::url_token::UrlToken;
use crate::model::{MacAddr, Serial};

/// What a device is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceKey {
    Mac(MacAddr),
    Serial(Serial),
}

/// What is known of a device at run time.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// It has no record: what its file says holds, if it has one.
    File,
    /// The device as its record makes it.
    Record(Arc<Device>),
    /// It has a record that nothing can be made of; why.
    Broken(String),
    /// There is no such device, whatever files say.
    Nothing,
    /// The database does not answer, and the record is not known.
    Away,
}

/// What was looked up for one request.
#[derive(Debug, Default)]
pub struct Found {
    pub known: Vec<(DeviceKey, Lookup)>,
    /// The database does not answer at present.
    pub away: bool,
    /// What became of the phone that came with a code.
    pub invited: Option<Invited>,
    /// What is known of the token in the URL; none: there is none.
    pub token: Option<Known>,
}

/// What is known of the token in a URL.
#[derive(Debug, Clone)]
pub enum Known {
    /// It is this device's.
    Of(Bearer),
    /// It is good for nothing; why.
    Worthless(String),
    /// It is not known here, and the database does not answer.
    Away,
}

/// Whoever comes with a good token.
#[derive(Debug, Clone)]
pub struct Bearer {
    pub mac: MacAddr,
    pub token: UrlToken,
    /// It is for the first contact, and dies with it.
    pub is_bootstrap: bool,
    /// It has never been used.
    pub is_new: bool,
    /// The token that the profile is to bring in its place. Whoever sends that profile has to keep it first.
    pub next: Option<UrlToken>,
}

/// What becomes of a phone that comes with the code of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invited {
    /// It is this device now.
    Bound(MacAddr),
    /// It is not; why.
    Refused(String),
    /// The database does not answer.
    Away,
}

impl Found {
    /// The device of a key; none where there is none.
    pub(super) fn device(&self, key: &DeviceKey, profiles: &Profiles) -> Result<Option<Arc<Device>>, &Lookup> {
        let known = self.known.iter().find(|(known, _)| known == key).map(|(_, lookup)| lookup);
        match (known, key) {
            (Some(Lookup::Record(device)), _) => Ok(Some(device.clone())),
            (Some(Lookup::Nothing), _) => Ok(None),
            (Some(lookup @ (Lookup::Broken(_) | Lookup::Away)), _) => Err(lookup),
            (None | Some(Lookup::File), DeviceKey::Mac(mac)) => Ok(profiles.device(*mac).cloned()),
            (None | Some(Lookup::File), DeviceKey::Serial(serial)) => Ok(profiles.device_by_serial(serial).cloned()),
        }
    }
}
