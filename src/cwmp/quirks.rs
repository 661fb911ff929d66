use std::str::FromStr;

use serde::Deserialize;

/// How one model wants values to be written, where the protocol leaves a choice. Every phone sends either, and both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    pub booleans: BooleanForm,
    pub times: TimeForm,
}

/// How a boolean is written. XML Schema knows both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BooleanForm {
    /// `true` and `false`.
    #[default]
    Words,
    /// `1` and `0`.
    Digits,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeForm {
    /// `2026-01-31T12:00:00Z`: some phones break on anything more.
    #[default]
    Seconds,
    /// `2026-01-31T12:00:00.000Z`.
    Milliseconds,
    /// `2026-01-31T12:00:00`, which is UTC.
    NoZone,
}

impl FromStr for BooleanForm {
    type Err = String;

    /// As packs have it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "words" => Ok(Self::Words),
            "digits" => Ok(Self::Digits),
            other => Err(format!("\"{other}\" is no form of booleans: it is one of words, digits")),
        }
    }
}

impl FromStr for TimeForm {
    type Err = String;

    /// As packs have it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "seconds" => Ok(Self::Seconds),
            "milliseconds" => Ok(Self::Milliseconds),
            "no-zone" => Ok(Self::NoZone),
            other => Err(format!("\"{other}\" is no form of times: it is one of seconds, milliseconds, no-zone")),
        }
    }
}
