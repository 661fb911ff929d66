//! The phone that is emulated: its identity, and the settings for what the guides leave open.

use crate::delivery::KeyDigest;
use crate::model::KeyEncoding;
use crate::phone::{Identity, State};

use super::factory::{Family, Naming, ProductSeries};
use super::profile::{EmptyElement, EmptyValue, KnownNames};
use super::target::Origin;

/// What the guides leave open, disagree about, or leave to the surroundings of a phone.
#[derive(Debug, Clone)]
pub struct Emulation {
    pub empty_element: EmptyElement,
    pub empty_value: EmptyValue,
    pub series: ProductSeries,
    /// How AES-256-CBC's key is derived; the guide has it tested with OpenSSL 0.9.7c, whose digest is MD5.
    pub digest: KeyDigest,
    /// How `IKM_HTTP_Encrypt_Content` is written; the guide doesn't say.
    pub keying_material: KeyEncoding,
    /// The server of rules that name none: DHCP option 66, or one that was given.
    pub origin: Option<Origin>,
    /// Seconds in one unit of `Resync_Random_Delay`: 1 by this guide, 20 by the older SPA guide.
    pub random_delay_unit: u32,
    /// How many redirects in a row are followed; the guide names no bound.
    pub max_redirects: u32,
    /// Bytes of a profile, unpacked; what is larger is corrupt.
    pub max_profile: usize,
    /// `$IP`, `$EXTIP` and `$HWVER`.
    pub address: String,
    pub external_address: String,
    pub hardware: String,
}

impl Default for Emulation {
    fn default() -> Self {
        Self {
            empty_element: EmptyElement::default(),
            empty_value: EmptyValue::default(),
            series: ProductSeries::default(),
            digest: KeyDigest::default(),
            keying_material: KeyEncoding::default(),
            origin: None,
            random_delay_unit: 1,
            max_redirects: 5,
            max_profile: 1 << 20,
            address: "192.168.1.100".to_owned(),
            external_address: String::new(),
            hardware: "2.0.1".to_owned(),
        }
    }
}

/// A phone, apart from what it remembers.
#[derive(Debug, Clone)]
pub struct Phone {
    pub identity: Identity,
    pub family: Family,
    pub known: KnownNames,
    pub emulation: Emulation,
}

impl Phone {
    /// A phone that knows every parameter's name.
    pub fn new(identity: Identity, emulation: Emulation) -> Self {
        let family = Family::of(&identity.model);
        Self { identity, family, known: KnownNames::any(), emulation }
    }

    pub(super) fn naming<'a>(&'a self, state: &'a State) -> Naming<'a> {
        Naming {
            identity: &self.identity,
            family: self.family,
            series: self.emulation.series,
            upgraded: state.upgrade.firmware.as_deref(),
        }
    }
}

/// The phone's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Seconds since 1970.
    pub unix: i64,
    /// Seconds that the phone's time zone is ahead of UTC, for `Resync_At`.
    pub utc_offset: i32,
}

impl Now {
    pub(super) fn local(self) -> i64 {
        self.unix.saturating_add(i64::from(self.utc_offset))
    }

    /// Seconds since another time; 0 where there is none, or it is yet to come.
    pub(super) fn since(self, then: Option<i64>) -> i64 {
        then.map_or(0, |then| self.unix.saturating_sub(then).max(0))
    }
}
