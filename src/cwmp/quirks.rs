use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// What one model wants otherwise than another. Plain data: a pack's file may hold it; what it leaves out is as in
/// [`Quirks::default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// How many names or values go into one message. A Grandstream phone answered 9002 to 32 names.
    pub batch: NonZeroU16,
    /// How booleans are written.
    pub booleans: BooleanForm,
    /// How times are written.
    pub times: TimeForm,
    /// The phone counts every use of a nonce of HTTP Digest as its first (`nc=00000001`). Where replays are refused strictly,
    /// such a phone is locked out.
    pub repeats_nonce_count: bool,
}

/// How a boolean is written. XML Schema knows both; every phone sends either, and both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BooleanForm {
    /// `true` and `false`.
    #[default]
    Words,
    /// `1` and `0`.
    Digits,
}

/// How a time is written. Both forms are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeForm {
    /// `2026-01-31T12:00:00Z`: some phones break on anything more.
    #[default]
    Seconds,
    /// `2026-01-31T12:00:00.000Z`.
    Milliseconds,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            batch: NonZeroU16::MIN.saturating_add(15),
            booleans: BooleanForm::default(),
            times: TimeForm::default(),
            repeats_nonce_count: false,
        }
    }
}

impl Quirks {
    /// Parts a list into what goes into one message each.
    pub fn batches<'t, T>(&self, all: &'t [T]) -> std::slice::Chunks<'t, T> {
        all.chunks(usize::from(self.batch.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_differs_and_nothing_unknown() {
        let quirks: Quirks = toml::from_str("batch = 5\nbooleans = \"digits\"\ntimes = \"milliseconds\"").unwrap();
        assert_eq!((quirks.batch.get(), quirks.booleans), (5, BooleanForm::Digits));
        assert_eq!((quirks.times, quirks.repeats_nonce_count), (TimeForm::Milliseconds, false));
        let text = toml::to_string(&quirks).unwrap();
        assert_eq!(toml::from_str::<Quirks>(&text).unwrap(), quirks);
        assert_eq!(toml::from_str::<Quirks>("").unwrap(), Quirks::default());
        for wrong in ["batch = 0", "booleans = \"yes\"", "batches = 3"] {
            assert!(toml::from_str::<Quirks>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_message_holds_more_than_the_model_takes() {
        let all: Vec<usize> = (0..33).collect();
        let sizes: Vec<usize> = Quirks::default().batches(&all).map(<[_]>::len).collect();
        assert_eq!(sizes, [16, 16, 1]);
        assert_eq!(Quirks::default().batches::<usize>(&[]).len(), 0);
    }
}
