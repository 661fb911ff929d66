use crate::fleet::FleetError;
use crate::model::MacAddr;
use crate::store::StoreError;
use crate::vault::VaultError;

use super::spec::Mistake;

/// Why a task can't be ordered.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("{}", told(.0))]
    Invalid(Vec<Mistake>),
    #[error("there is no device {0}, or its record can't be read")]
    NoDevice(MacAddr),
    #[error("{0} is of a model that no ACS manages")]
    NotManaged(MacAddr),
    #[error("{mac} has {most} open tasks, and no more are taken; cancel some, or let it come")]
    TooMany { mac: MacAddr, most: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("a value can't be sealed: {0}")]
    Vault(#[from] VaultError),
    #[error("the task can't be written down: {0}")]
    Json(#[from] serde_json::Error),
}

fn told(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
