//! When the phone acts again: lists of delays, and a time of day (guide: "Configurable Schedules", "Resync at a Specific
//! Time", and the table of configuration profile parameters).

use super::random::Random;

/// `1800+300,3600+600,7200`: seconds, each perhaps with a random part. The last one repeats for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    delays: Vec<Delay>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Delay {
    seconds: u32,
    random: u32,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("\"{text}\" at {at} is no number of seconds: schedules are like 1800+300,3600,7200")]
    Number { at: usize, text: String },
    #[error("\"{text}\" at {at} is more seconds than a phone can count")]
    TooLarge { at: usize, text: String },
}

impl Schedule {
    /// Reads a parameter's value; an empty one is a schedule that never acts.
    ///
    /// # Errors
    /// With the place of what is no number.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let mut delays = Vec::new();
        if text.trim().is_empty() {
            return Ok(Self { delays });
        }
        let mut at = 0;
        for element in text.split(',') {
            let (seconds, random) = match element.split_once('+') {
                Some((seconds, random)) => (number(seconds, at)?, number(random, at + seconds.len() + 1)?),
                None => (number(element, at)?, 0),
            };
            delays.push(Delay { seconds, random });
            at += element.len() + 1;
        }
        Ok(Self { delays })
    }

    /// Seconds to wait the nth time, counted from 0; none for never: the delay is 0, or there is none.
    pub fn delay(&self, nth: u32, random: &mut impl Random) -> Option<u64> {
        let nth = usize::try_from(nth).unwrap_or(usize::MAX);
        let delay = self.delays.get(nth).or(self.delays.last())?;
        if delay.seconds == 0 && delay.random == 0 {
            return None;
        }
        Some(u64::from(delay.seconds) + u64::from(random.up_to(delay.random)))
    }
}

fn number(text: &str, at: usize) -> Result<u32, ScheduleError> {
    let digits = text.trim();
    let at = at + (text.len() - text.trim_start().len());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScheduleError::Number { at, text: digits.to_owned() });
    }
    digits.parse().map_err(|_| ScheduleError::TooLarge { at, text: digits.to_owned() })
}

const DAY: i64 = 86_400;

/// `Resync_At`: a time of day, HHmm, from 0000 to 2400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    minutes: u16,
}

/// A text that is no time of day; the phone ignores it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no time of day: four digits HHmm from 0000 to 2400")]
pub struct TimeOfDayError(String);

impl TimeOfDay {
    /// # Errors
    /// When it is not four digits from 0000 to 2400.
    pub fn parse(text: &str) -> Result<Self, TimeOfDayError> {
        let refused = || TimeOfDayError(text.to_owned());
        let digits = text.trim();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        let number: u16 = digits.parse().map_err(|_| refused())?;
        let (hours, minutes) = (number / 100, number % 100);
        if number > 2400 || minutes > 59 {
            return Err(refused());
        }
        Ok(Self { minutes: hours * 60 + minutes })
    }

    /// Seconds until this time comes next, and the random part on top: up to `random_delay` seconds, which the phone
    /// turns into whole minutes by (seconds + 30) / 60. A time that is now comes next tomorrow. `local` is in seconds
    /// of the phone's own time zone; changes to and from summer time are not looked at.
    pub fn next(self, local: i64, random_delay: u32, random: &mut impl Random) -> u64 {
        let now = local.rem_euclid(DAY);
        let at = i64::from(self.minutes) * 60;
        let wait = (at - now - 1).rem_euclid(DAY) + 1;
        u64::try_from(wait).unwrap_or_default() + u64::from(random.up_to(whole_minutes(random_delay) * 60))
    }
}

/// The guide says "rounding up to the next minute", and a formula that rounds to the nearest: this is the formula.
pub fn whole_minutes(seconds: u32) -> u32 {
    seconds.min(65_535).saturating_add(30) / 60
}
