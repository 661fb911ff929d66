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
