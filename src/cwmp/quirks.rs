/// How one model wants values to be written, where the protocol leaves a choice. Every phone sends either, and both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    pub booleans: BooleanForm,
    pub times: TimeForm,
}

/// How a boolean is written. XML Schema knows both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BooleanForm {
    /// `true` and `false`.
    #[default]
    Words,
    /// `1` and `0`.
    Digits,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeForm {
    /// `2026-01-31T12:00:00Z`: some phones break on anything more.
    #[default]
    Seconds,
    /// `2026-01-31T12:00:00.000Z`.
    Milliseconds,
    /// `2026-01-31T12:00:00`, which is UTC.
    NoZone,
}
