//! What a phone remembers of its server from one session to the next.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ears::Believed;
use crate::phone::Parameters;

/// Kept as JSON beside what the phone's files said. It holds passwords, as phones do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Parameters of the data model that were set, by path. Booleans are `1` and `0`.
    pub parameters: Parameters,
    /// By path: 1 passive, 2 active; what isn't here is off.
    pub notifications: BTreeMap<String, u8>,
    /// Instances by object, where they are others than the phone was made with.
    pub objects: BTreeMap<String, BTreeSet<u32>>,
    pub parameter_key: String,
    /// The server that was told `0 BOOTSTRAP`.
    pub bootstrapped: Option<String>,
    /// What is to be told in the next session.
    pub events: Vec<Event>,
    /// Parameters that were changed on the phone and are to be told.
    pub changed: BTreeSet<String>,
    pub transfers: Vec<Transfer>,
    /// When the phone is to inform besides, in seconds since 1970, and with which key.
    pub scheduled: Vec<(i64, String)>,
    /// Sessions that failed since the last that didn't.
    pub retries: u32,
    /// Seconds since 1970 of the last session that succeeded.
    pub last_session: Option<i64>,
    /// The last connection request by a datagram that was one: copies and older ones are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub believed: Option<Believed>,
}

/// An event of an Inform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// `2 PERIODIC`
    pub code: String,
    #[serde(default)]
    pub command_key: String,
}

/// A file that the server wants to be fetched or sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub direction: Direction,
    pub command_key: String,
    pub file_type: String,
    pub url: String,
    pub user: String,
    pub password: String,
    pub target: String,
    /// None: it waits.
    #[serde(default)]
    pub ended: Option<Ended>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Download,
    Upload,
}

/// What became of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// 0: it succeeded.
    pub code: u16,
    pub text: String,
    /// Seconds since 1970.
    pub start: i64,
    pub complete: i64,
}

impl Event {
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), command_key: String::new() }
    }

    pub fn with_key(code: &str, key: &str) -> Self {
        Self { code: code.to_owned(), command_key: key.to_owned() }
    }
}

impl Memory {
    /// Whether there is nothing in it: then it isn't kept.
    pub fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// Has an event told; the same one only once.
    pub fn tell(&mut self, event: Event) {
        if !self.events.contains(&event) {
            self.events.push(event);
        }
    }
}
