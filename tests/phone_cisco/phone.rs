//! The phone of a case.

use std::collections::BTreeMap;

use resyncd::phone::cisco::profile::{EmptyElement, EmptyValue, KnownNames};
use resyncd::phone::cisco::target::Origin;
use resyncd::phone::cisco::{Emulation, Now, Outcome, Phone, ProductSeries, Reason, View, macros, resync};
use resyncd::phone::{Identity, State};
use serde::Deserialize;

use crate::support::phone::{Extreme, ScriptedServer, block_on};

/// 2023-11-14, 22:13:20 UTC.
pub const NOW: i64 = 1_700_000_000;

/// A phone; by default a CP-6841-3PCC that is factory-new but for what is said.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneCase {
    pub model: String,
    pub mac: String,
    pub firmware: String,
    pub certificate: bool,
    pub series_with_prefix: bool,
    pub server: Option<String>,
    pub digest: String,
    pub random_delay_unit: u32,
    pub empty_element_unchanged: bool,
    pub empty_value_is_default: bool,
    /// The names that it knows; all, if none are said.
    pub known: Vec<String>,
    pub parameters: BTreeMap<String, String>,
    /// Seconds ago.
    pub last_attempt: Option<i64>,
    pub last_success: Option<i64>,
    pub last_upgrade: Option<i64>,
    pub failures: u32,
    pub successes: u32,
    pub upgraded: Option<String>,
    pub upgraded_from: Option<String>,
    pub settled: Option<BTreeMap<String, String>>,
}

impl Default for PhoneCase {
    fn default() -> Self {
        Self {
            model: "CP-6841-3PCC".to_owned(),
            mac: "000e08abcdef".to_owned(),
            firmware: "11.0.1".to_owned(),
            certificate: true,
            series_with_prefix: false,
            server: None,
            digest: "md5".to_owned(),
            random_delay_unit: 1,
            empty_element_unchanged: false,
            empty_value_is_default: false,
            known: Vec::new(),
            parameters: BTreeMap::new(),
            last_attempt: None,
            last_success: None,
            last_upgrade: None,
            failures: 0,
            successes: 0,
            upgraded: None,
            upgraded_from: None,
            settled: None,
        }
    }
}

impl PhoneCase {
    pub fn make(&self) -> (Phone, State) {
        let identity = Identity {
            model: self.model.clone(),
            mac: self.mac.parse().unwrap(),
            serial: "88012BA01234".parse().unwrap(),
            firmware: self.firmware.clone(),
            has_certificate: self.certificate,
        };
        let emulation = Emulation {
            series: if self.series_with_prefix { ProductSeries::WithPrefix } else { ProductSeries::Short },
            origin: self.server.as_deref().map(|server| Origin::parse(server).unwrap()),
            digest: self.digest.parse().unwrap(),
            random_delay_unit: self.random_delay_unit,
            empty_element: if self.empty_element_unchanged { EmptyElement::Unchanged } else { EmptyElement::SetsEmpty },
            empty_value: if self.empty_value_is_default { EmptyValue::SetsDefault } else { EmptyValue::SetsEmpty },
            max_profile: 100_000,
            ..Emulation::default()
        };
        let mut phone = Phone::new(identity, emulation);
        if !self.known.is_empty() {
            let names = self.known.iter().map(|name| (name.clone(), false)).collect();
            phone.known = KnownNames { open: false, names };
        }
        let mut state = phone.family.new_phone();
        state.parameters.extend(self.parameters.clone());
        state.last_attempt = self.last_attempt.map(|ago| NOW - ago);
        state.last_success = self.last_success.map(|ago| NOW - ago);
        state.last_upgrade = self.last_upgrade.map(|ago| NOW - ago);
        (state.failures, state.successes) = (self.failures, self.successes);
        state.upgrade.firmware = self.upgraded.clone();
        state.upgrade.done = self.upgraded_from.clone();
        state.settled = self.settled.clone();
        (phone, state)
    }
}

/// Expands a text as that phone does.
pub fn expanded(case: &PhoneCase, text: &str, is_rule: bool) -> String {
    let (phone, state) = case.make();
    let now = Now { unix: NOW, utc_offset: 0 };
    let view = View { phone: &phone, state: &state, now, provisioning_state: 1, location: None, error: "" };
    if is_rule { macros::expand_rule(text, &view) } else { macros::expand(text, &view) }
}

/// What a case says of an error: a part of its message, and its place.
pub fn check_error(
    about: &str,
    error: &dyn std::fmt::Display,
    at: usize,
    expected: Option<&str>,
    place: Option<usize>,
) {
    let message = error.to_string();
    let expected = expected.unwrap_or_else(|| panic!("{about}: {message} at {at}"));
    assert!(message.contains(expected), "{about}: {message}");
    if let Some(place) = place {
        assert_eq!(at, place, "{about}: {message}");
    }
}

pub fn resynced(case: &PhoneCase, reason: Reason, server: &ScriptedServer, mut random: Extreme) -> Outcome {
    let (phone, state) = case.make();
    block_on(resync(&phone, state, reason, Now { unix: NOW, utc_offset: 0 }, server, &mut random))
}
