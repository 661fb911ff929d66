//! How phones become devices without anybody typing their MAC: by the code of an invitation, as the makers' guides tell it for
//! phones from a shop (`/cisco-init/<code>`), or by approval of those that were first seen in a staging network.

mod code;
mod invite;
mod redeem;
mod token;
mod waiting;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::brakes::Counts;
use crate::config;
use crate::fleet::{Fleet, FleetError, Refused};
use crate::model::MacAddr;
use crate::records::RecordError;
use crate::store::StoreError;

pub use code::Code;
pub use invite::{Invitation, LONGEST, MOST_USES};
pub use redeem::Phone;
pub use token::FirstContact;

/// Lets phones become devices. Clones share everything.
#[derive(Debug, Clone)]
pub struct Onboarding {
    fleet: Fleet,
    /// Wrong codes by network.
    wrong: Arc<Counts<IpAddr>>,
    certificate_required: bool,
    staging: Arc<[IpNet]>,
    most_waiting: u64,
}

/// How long a phone waits for the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// Wrong codes of one network; then it has to wait until half of them are forgotten.
const MOST_WRONG: u32 = 20;

/// After this half of them are.
const WINDOW: Duration = Duration::from_secs(3_600);

/// Networks that are remembered.
const NETWORKS: usize = 10_000;

/// Why a phone can't be invited or approved.
#[derive(Debug, thiserror::Error)]
pub enum OnboardingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the operating system has no randomness to give: {0}")]
    Randomness(#[from] getrandom::Error),
    #[error("{}", invite::told(.0))]
    Refused(Vec<Refused>),
    #[error("there are too many invitations; withdraw some")]
    TooMany,
    #[error("there is no device {0}, or its record can't be read")]
    NoDevice(MacAddr),
    #[error("{0} is not opened by tokens: set access.token = true for it")]
    NoTokens(MacAddr),
    #[error("the pack {0} has no file for the first contact: say bootstrap = true at the [[file]] that it is")]
    NoFirstContact(String),
    #[error("{0} can't be sent on with a token: set provisioning.url to the server's https:// URL")]
    NoServer(MacAddr),
    #[error("invitation {id} can't be read: {why}")]
    Damaged { id: String, why: String },
}

impl Onboarding {
    pub fn new(fleet: Fleet, config: &config::Onboarding) -> Self {
        Self {
            fleet,
            wrong: Arc::new(Counts::new(NETWORKS, WINDOW)),
            certificate_required: config.certificate_required,
            staging: config.staging_networks.clone().into(),
            most_waiting: config.waiting,
        }
    }

    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }
}
