//! What a phone is, and what it remembers between resyncs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cwmp::Memory;
use crate::model::{MacAddr, Serial};

/// What a phone is: fixed when it was built, save for the firmware.
#[derive(Debug, Clone)]
pub struct Identity {
    /// As on the box: `CP-6841-3PCC`, `SPA504G`, `6757i`, `GXP2170`.
    pub model: String,
    pub mac: MacAddr,
    pub serial: Serial,
    /// As the User-Agent writes it: `11.2.4`, `7.4.9c`, `3.2.0.70-SIP`.
    pub firmware: String,
    /// Whether it carries a client certificate of its own.
    pub has_certificate: bool,
}

/// The phone's parameters by their own names, as it now holds them. What a factory-new phone has is the family's to say.
pub type Parameters = BTreeMap<String, String>;

/// The names whose values differ, in order.
pub fn changes(before: &Parameters, after: &Parameters) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let mut names: Vec<_> =
        after.keys().filter(|name| before.get(*name) != after.get(*name)).chain(gone).cloned().collect();
    names.sort();
    names
}

/// What a phone remembers between resyncs, kept as JSON by `--state`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    #[serde(default)]
    pub parameters: Parameters,
    /// The user's access to a parameter, where a profile has set one: `na`, `ro`, `rw`; `locked`, `forced`.
    #[serde(default)]
    pub access: BTreeMap<String, String>,
    /// What the user changed on the phone itself, where the family keeps that apart from what its files say.
    #[serde(default)]
    pub local: Parameters,
    /// What the files say of the parameters whose local change holds.
    #[serde(default)]
    pub hidden: Parameters,
    /// Seconds since 1970 of the last resync that succeeded; none for a factory-new phone.
    #[serde(default)]
    pub last_success: Option<i64>,
    /// Seconds since 1970 of the last attempt, successful or not.
    #[serde(default)]
    pub last_attempt: Option<i64>,
    /// How many resyncs have failed since the last that succeeded.
    #[serde(default)]
    pub failures: u32,
    /// How many resyncs have succeeded since the last that failed.
    #[serde(default)]
    pub successes: u32,
    /// The parameters as the last resync left them: what differs now was changed on the phone.
    #[serde(default)]
    pub settled: Option<Parameters>,
    /// Seconds since 1970 of the last attempt to upgrade the firmware.
    #[serde(default)]
    pub last_upgrade: Option<i64>,
    #[serde(default)]
    pub upgrade: Upgrade,
    /// What it has to do with its ACS.
    #[serde(default, skip_serializing_if = "Memory::is_new")]
    pub cwmp: Memory,
}

/// What a phone remembers of its attempts to upgrade.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The firmware that an upgrade put in, as its file names it; none for that of [`Identity`].
    #[serde(default)]
    pub firmware: Option<String>,
    /// The URL that was last upgraded from: it is not tried again.
    #[serde(default)]
    pub done: Option<String>,
    /// How many attempts have failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// What the last attempt ended with, empty for success.
    #[serde(default)]
    pub error: String,
}
