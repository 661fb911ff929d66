//! From the words of packs to those of the protocol.

use crate::cwmp::Quirks;
use crate::cwmp::message::{Notification as Attribute, Value, ValueKind};
use crate::model::Secret;
use crate::packs::data_model::{self, Kind, Notification};
use crate::render::{DesiredParameter, DesiredValue};

/// How a model wants values to be written.
pub fn quirks(own: &data_model::Quirks) -> Quirks {
    Quirks { booleans: own.booleans, times: own.date_time }
}

/// A value as it is sent. What is no value of its type is a string: the phone refuses it by name, and that is told.
pub fn value(parameter: &DesiredParameter) -> Value {
    let kind = kind(parameter.kind);
    match &parameter.value {
        DesiredValue::Secret(secret) if kind == ValueKind::String => Value::Secret(secret.clone()),
        value => Value::parse(kind, value.expose()).unwrap_or_else(|| Value::Secret(Secret::new(value.expose()))),
    }
}

/// A type as messages have it.
pub fn kind(kind: Kind) -> ValueKind {
    match kind {
        Kind::String => ValueKind::String,
        Kind::Int => ValueKind::Int,
        Kind::UnsignedInt => ValueKind::UnsignedInt,
        Kind::Long => ValueKind::Long,
        Kind::UnsignedLong => ValueKind::UnsignedLong,
        Kind::Boolean => ValueKind::Boolean,
        Kind::DateTime => ValueKind::DateTime,
        Kind::Base64 => ValueKind::Base64,
    }
}

pub fn attribute(notification: Notification) -> Attribute {
    match notification {
        Notification::Off => Attribute::Off,
        Notification::Passive => Attribute::Passive,
        Notification::Active => Attribute::Active,
    }
}
