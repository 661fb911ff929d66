//! Why a profile could not be made. Told to the operator only; the phone gets a 500 and keeps the profile it has.

use std::fmt;

use crate::delivery::DeliveryError;
use crate::settings::{Origin, SecretError};

/// Why a profile could not be made: which file, line and setting, and what to do. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenderError {
    /// A secret can't be had from where the setting says it stands.
    Secret { setting: String, origin: Origin, why: SecretError },
    /// A mapping's expression failed. `place` is file and line.
    Expression { place: String, parameter: String, message: String },
    /// A template failed. `place` is file, line and column.
    Template { place: String, message: String },
    /// A value can't stand in this format without breaking out of its place.
    Value { parameter: String, why: &'static str, made_by: String },
    /// The rendered text is not of its format.
    Malformed { template: String, line: u32, message: String },
    /// The rendered text is larger than the configured limit, in bytes.
    TooLarge { template: String, limit: usize },
    /// The profile could not be compressed or encrypted.
    Delivery(String),
    /// The file needs something that this request can't tell: a MAC, a model.
    Missing(&'static str),
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { setting, origin, why } => write!(f, "{origin}: {setting}: {why}"),
            Self::Expression { place, parameter, message } => write!(f, "{place}: {parameter}: {message}"),
            Self::Template { place, message } => write!(f, "{place}: {message}"),
            Self::Value { parameter, why, made_by } => write!(f, "{made_by}: {parameter}: {why}"),
            Self::Malformed { template, line, message } => {
                write!(f, "{template}: the rendered text is malformed at its line {line}: {message}")
            }
            Self::TooLarge { template, limit } => {
                write!(f, "{template}: renders more than {limit} bytes (limits.profile)")
            }
            Self::Delivery(why) => write!(f, "[delivery]: {why}"),
            Self::Missing(what) => write!(f, "the file can't be made without {what}"),
        }
    }
}

impl std::error::Error for RenderError {}

impl From<DeliveryError> for RenderError {
    fn from(error: DeliveryError) -> Self {
        Self::Delivery(error.to_string())
    }
}
