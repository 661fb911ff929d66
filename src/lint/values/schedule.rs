//! Schedules and times of day (guide: "Configurable Schedules", "Resync at a Specific Time"), read by the emulated phone's
//! own parsers.

use super::{Quoted, Wrong};
use crate::packs::Dialect;
use crate::phone::cisco::schedule::{Schedule, ScheduleError, TimeOfDay};

/// `1800+300,3600`: seconds, each with a random part or none.
pub(super) fn schedule(value: &str) -> Result<(), Wrong> {
    let Err(error) = Schedule::parse(value) else { return Ok(()) };
    Err(match error {
        ScheduleError::Number { at, text } => {
            let message = format!("{} is no number of seconds: schedules are like 1800+300,3600,7200", Quoted(&text));
            Wrong::new(message).at(at..at + text.len())
        }
        ScheduleError::TooLarge { at, text } => {
            Wrong::new(format!("{} is more seconds than a phone can count", Quoted(&text))).at(at..at + text.len())
        }
    })
}

/// `HHmm`, from 0000 to 2400, and with a random part in minutes, `0300+60`; where times are not Cisco's, `HH:mm` too.
pub(super) fn time_of_day(dialect: Dialect, value: &str) -> Result<(), Wrong> {
    let (time, random) = match value.split_once('+') {
        Some((time, random)) => (time, Some(random)),
        None => (value, None),
    };
    let known = TimeOfDay::parse(time).is_ok() || (!dialect.is_cisco() && with_colon(time));
    if !known {
        let digits: String = time.trim().chars().take(8).filter(char::is_ascii_digit).collect();
        let help = TimeOfDay::parse(&digits).is_ok().then(|| format!("write {digits}"));
        let message = format!("{} is no time of day: it must be four digits HHmm, from 0000 to 2400", Quoted(time));
        return Err(Wrong::new(message).helped(help).at(0..time.len()));
    }
    match random {
        Some(random) if random.is_empty() || random.len() > 5 || !random.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Wrong::new(format!("{} is no random delay: it must be a whole number", Quoted(random)))
                .at(time.len() + 1..value.len()))
        }
        _ => Ok(()),
    }
}

fn with_colon(time: &str) -> bool {
    time.split_once(':').is_some_and(|(hours, minutes)| {
        hours.len() == 2 && minutes.len() == 2 && TimeOfDay::parse(&format!("{hours}{minutes}")).is_ok()
    })
}
