//! Why a profile could not be made. Told to the operator only; the phone gets a 500 and keeps the profile it has.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
    /// The file took too long for another device, and is tried for one more just now.
    Suspect,
    /// Rendering took longer than it may.
    TooSlow { template: String, limit: Duration },
    /// The profile could not be compressed or encrypted.
    Delivery(String),
    /// The file needs something that this request can't tell: a MAC, a model.
    Missing(&'static str),
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { origin, .. } => write!(f, "{origin}: ")?,
            Self::Expression { place, .. } | Self::Template { place, .. } => write!(f, "{place}: ")?,
            Self::Value { made_by, .. } => write!(f, "{made_by}: ")?,
            Self::Malformed { template, .. } | Self::TooLarge { template, .. } | Self::TooSlow { template, .. } => {
                write!(f, "{template}: ")?;
            }
            Self::Suspect | Self::Delivery(_) | Self::Missing(_) => {}
        }
        f.write_str(&self.message())
    }
}

impl std::error::Error for RenderError {}

impl RenderError {
    /// The file and line that the operator should look at, where one is to blame.
    pub fn place(&self) -> (Option<Arc<Path>>, Option<u32>) {
        let place = match self {
            Self::Secret { origin, .. } => return (Some(origin.source.clone()), Some(origin.line)),
            Self::Expression { place, .. } | Self::Template { place, .. } => place,
            Self::Value { made_by, .. } => made_by,
            Self::Malformed { template, .. } | Self::TooLarge { template, .. } | Self::TooSlow { template, .. } => {
                template
            }
            Self::Suspect | Self::Delivery(_) | Self::Missing(_) => return (None, None),
        };
        // Line and column stand last: a path may hold a colon of its own.
        let number = |place: &str| {
            let (rest, number) = place.rsplit_once(':')?;
            Some((rest.to_owned(), number.parse::<u32>().ok()?))
        };
        let (file, line) = match number(place) {
            None => (place.clone(), None),
            Some((rest, last)) => match number(&rest) {
                None => (rest, Some(last)),
                Some((file, line)) => (file, Some(line)),
            },
        };
        (Some(Path::new(&file).into()), line)
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> String {
        match self {
            Self::Secret { setting, why, .. } => format!("{setting}: {why}"),
            Self::Expression { parameter, message, .. } => format!("{parameter}: {message}"),
            Self::Template { message, .. } => message.clone(),
            Self::Value { parameter, why, .. } => format!("{parameter}: {why}"),
            Self::Malformed { line, message, .. } => {
                format!("the rendered text is malformed at its line {line}: {message}")
            }
            Self::TooLarge { limit, .. } => format!("renders more than {limit} bytes (limits.profile_bytes)"),
            Self::TooSlow { limit, .. } => format!("renders for longer than {limit:?} (limits.render_time)"),
            Self::Suspect => "the file took too long for another device, and is rendered for one at a time".to_owned(),
            Self::Delivery(why) => format!("[delivery]: {why}"),
            Self::Missing(what) => format!("the file can't be made without {what}"),
        }
    }
}

impl From<DeliveryError> for RenderError {
    fn from(error: DeliveryError) -> Self {
        Self::Delivery(error.to_string())
    }
}
