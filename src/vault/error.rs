use super::KeyId;
use crate::document::Problem;

/// Why a secret can't be sealed or opened. Each names its place, and none what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error(
        "the database takes no secrets without a key: set secrets.master_key in the configuration, and make the key with \
         `openssl rand -hex 32`"
    )]
    NoKey,
    #[error("a key of the database's secrets is not to be had: {0}")]
    Unavailable(Problem),
    #[error(
        "{place} is sealed with key {key}, which is neither secrets.master_key nor one of secrets.read_keys: add the key \
         that it was sealed with to secrets.read_keys"
    )]
    UnknownKey { place: String, key: KeyId },
    #[error(
        "{place} does not open: its sealed text was changed, or belongs to another place; set this secret anew, or \
         restore it from a backup"
    )]
    Damaged { place: String },
    #[error(
        "{place} holds no sealed text of this version (v1.KEY.TEXT); set this secret anew, or restore it from a backup"
    )]
    Malformed { place: String },
    #[error("{place} can't be sealed: the operating system has no randomness: {error}")]
    Randomness { place: String, error: getrandom::Error },
    #[error("{place} can't be sealed: it is too long")]
    TooLong { place: String },
}
