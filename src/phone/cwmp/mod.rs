//! The emulated phone speaks CWMP (TR-069): what its guide says it knows, one session at a time.
//!
//! Written from the makers' guides and TR-069 alone. It uses neither the server's protocol ([`crate::cwmp`], [`crate::acs`]) nor the
//! packs' data models: where both sides read a guide in the same way, they understand each other, and where not, a test shows it.
//! [`Session`] does no input or output: it says what is posted, and is told what came back. [`play`] does the rest: HTTP, and the
//! transfers that were asked for. [`Life`] drives a phone from its first resync on, and listens for connection requests.

mod answers;
mod changes;
mod configuration;
mod diagnostics;
mod ears;
mod knowledge;
mod learnt;
mod life;
mod memory;
mod message;
mod play;
mod quirks;
mod session;
mod soap;
mod step;
mod surroundings;
mod transfer;
mod tree;
mod value;

pub use changes::ChangeError;
pub use ears::{Believed, StunError, Wake, Way};
pub use knowledge::{Knowledge, Retry};
pub use learnt::{NoServer, Server};
pub use life::{Bound, CheckSync, Life};
pub use memory::{Direction, Ended, Event, Memory, Transfer};
pub use play::{Played, play};
pub use quirks::{ParseQuirkError, Quirk};
pub use session::{End, Session};
pub use step::Step;
pub use surroundings::{Host, ParseHostError, Reach};

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{Identity, Maker, State};

/// Where connection requests by datagrams reach the phone.
const UDP_ADDRESS: &str = "Device.ManagementServer.UDPConnectionRequestAddress";

/// A phone that speaks CWMP, apart from what it remembers.
#[derive(Debug, Clone)]
pub struct Phone {
    pub maker: Maker,
    pub identity: Identity,
    pub habits: Habits,
}

/// How a phone is made to behave besides what its family does.
#[derive(Debug, Clone)]
pub struct Habits {
    /// What it refuses, however right it is.
    pub faults: Vec<Fault>,
    /// Methods that it knows beside its family's.
    pub more_methods: Vec<String>,
    /// Its own address, as it tells its server.
    pub address: String,
    /// It loses its power after so many messages of a session.
    pub power_cut: Option<u32>,
    /// How hosts are reached by its ping and its trace route.
    pub hosts: Vec<Host>,
    /// The version that the next firmware file holds, where its name doesn't tell.
    pub next_firmware: Option<String>,
    /// The port that it hears connection requests at, in the place of the one that its files say.
    pub connection_port: Option<u16>,
    /// It asks for a password by Basic when it hears a connection request, as a few clients do.
    pub asks_basic: bool,
    pub quirks: BTreeSet<Quirk>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            more_methods: Vec::new(),
            // For documents (RFC 5737): nobody is there.
            address: "192.0.2.1".to_owned(),
            power_cut: None,
            hosts: Vec::new(),
            next_firmware: None,
            connection_port: None,
            asks_basic: false,
            quirks: BTreeSet::new(),
        }
    }
}

/// A refusal on purpose: of a parameter, of a method, or with `*` of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub of: String,
    /// 9000 to 9899.
    pub code: u16,
}

/// A text that says no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fault: write PATH=9007, METHOD=9001 or *=9002, with a code of 9000 to 9899")]
pub struct ParseFaultError(String);

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('=').and_then(|(of, code)| {
            let code = code.trim().parse().ok().filter(|code| (9000..9900).contains(code))?;
            (!of.trim().is_empty()).then(|| Self { of: of.trim().to_owned(), code })
        });
        parsed.ok_or_else(|| ParseFaultError(text.to_owned()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.of, self.code)
    }
}

impl Phone {
    pub fn new(maker: Maker, identity: Identity) -> Self {
        Self { maker, identity, habits: Habits::default() }
    }

    pub fn knowledge(&self) -> &'static Knowledge {
        Knowledge::of(self.maker)
    }

    /// The first six digits of its MAC address; Aastra's phones say 00085D, the guide's only one.
    pub fn oui(&self) -> String {
        match self.maker {
            Maker::Aastra => "00085D".to_owned(),
            _ => self.identity.mac.upper().chars().take(6).collect(),
        }
    }

    /// What it says as its serial number: Aastra "OUI + Product Class + MAC (not serial number)".
    pub fn serial_number(&self) -> String {
        if self.knowledge().is_named_by_mac { self.identity.mac.upper() } else { self.identity.serial.to_string() }
    }

    /// What it holds in a parameter of its data model, passwords too; booleans are `1` and `0`. None: it has no such parameter.
    pub fn value(&self, state: &State, path: &str) -> Option<String> {
        let knowledge = self.knowledge();
        let entry = knowledge.model().find(path, &state.cwmp, knowledge.lines(&self.identity.model))?;
        Some(entry.value(path, self, state))
    }

    /// How a change of a parameter is told: 0 not at all, 1 by the next session, 2 by one at once. Nobody has to ask to be told of the
    /// address beyond a NAT, where the family can tell it (TR-106: active by default).
    fn notification(&self, state: &State, path: &str) -> u8 {
        let usual = if path == UDP_ADDRESS && self.knowledge().can_notify(path) { 2 } else { 0 };
        state.cwmp.notifications.get(path).copied().unwrap_or(usual)
    }

    fn has(&self, quirk: Quirk) -> bool {
        self.habits.quirks.contains(&quirk)
    }

    pub(super) fn user_agent(&self) -> String {
        match self.maker {
            Maker::Aastra => super::aastra::user_agent(&self.identity),
            Maker::Grandstream => super::grandstream::user_agent(&self.identity),
            Maker::Cisco => {
                let Identity { model, mac, firmware, .. } = &self.identity;
                format!("Cisco-{model}/{firmware} ({mac})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_what_is_none_is_refused() {
        let fault = |of: &str, code| Ok(Fault { of: of.to_owned(), code });
        assert_eq!("Device.LAN.DNSServers=9007".parse(), fault("Device.LAN.DNSServers", 9007));
        assert_eq!("*=9002".parse(), fault("*", 9002));
        for text in ["", "=9002", "Reboot", "Reboot=8000", "Reboot=x"] {
            assert_eq!(text.parse::<Fault>(), Err(ParseFaultError(text.to_owned())));
        }
    }
}
