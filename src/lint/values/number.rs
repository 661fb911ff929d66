//! Numbers (guide: "Uns<n>", "Sig<n>", "Float<n>", "Time<n>", "PwrLevel", "Port").

use super::{Quoted, Wrong};
use crate::packs::Parameter;

/// Decimal or hexadecimal, 12 or 0x18, within the parameter's range or 32 bits.
pub(super) fn unsigned(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    let limit = i64::from(u32::MAX);
    let range = (parameter.min.unwrap_or(0).max(0), parameter.max.unwrap_or(limit));
    match integer(value) {
        Some(number) if !value.starts_with(['-', '+']) => within(number, range, value),
        Some(_) => Err(Wrong::new(format!("{} must be a whole number without a sign", Quoted(value)))),
        None => Err(no_number(value, "a whole number like 12 or 0x18")),
    }
}

/// The same with a sign, of which + may be left out.
pub(super) fn signed(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    let range = (parameter.min.unwrap_or(i64::from(i32::MIN)), parameter.max.unwrap_or(i64::from(i32::MAX)));
    match integer(value) {
        Some(number) => within(number, range, value),
        None => Err(no_number(value, "a whole number like -3, 12 or 0x18")),
    }
}

/// 0 to 65535, decimal or hexadecimal.
pub(super) fn port(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    let range = (parameter.min.unwrap_or(0), parameter.max.unwrap_or(65_535));
    match integer(value).filter(|_| !value.starts_with(['-', '+'])) {
        Some(number) => within(number, range, value),
        None => Err(no_number(value, "a port from 0 to 65535")),
    }
}

/// A number with or without decimal places, `.5`, `-13.5`. How many places count is the firmware's matter.
pub(super) fn decimal(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    real(parameter, value, "a number like 0.030 or -3")
}

/// Seconds, `.5`, without a sign; places beyond what the phone counts are ignored by it.
pub(super) fn time(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    if value.starts_with(['-', '+']) {
        return Err(Wrong::new(format!("{} must be seconds without a sign", Quoted(value))));
    }
    real(parameter, value, "a number of seconds like 16 or .5")
}

/// dBm with up to one decimal place, `-13.5`.
pub(super) fn power_level(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    real(parameter, value, "a level in dBm like -13.5")?;
    match value.split_once('.') {
        Some((whole, places)) if places.len() > 1 => {
            let start = whole.len();
            Err(Wrong::new(format!("{} must be a level in dBm with one decimal place", Quoted(value)))
                .at(start..value.len()))
        }
        _ => Ok(()),
    }
}

fn real(parameter: &Parameter, value: &str, wanted: &str) -> Result<(), Wrong> {
    if !is_decimal(value.strip_prefix(['-', '+']).unwrap_or(value)) {
        return Err(no_number(value, wanted));
    }
    let Ok(number) = value.parse::<f64>() else { return Err(no_number(value, wanted)) };
    // Ranges are small whole numbers, which a float holds.
    #[allow(clippy::cast_precision_loss, reason = "the limits of parameters.toml are far below 2^53")]
    let beyond =
        |limit: Option<i64>, is: fn(&f64, &f64) -> bool| limit.is_some_and(|limit| is(&number, &(limit as f64)));
    if beyond(parameter.min, f64::lt) || beyond(parameter.max, f64::gt) {
        return Err(out_of_range(value, parameter.min, parameter.max));
    }
    Ok(())
}

/// Digits with at most one point among them, `2`, `.5`, `2.`.
pub(super) fn is_decimal(text: &str) -> bool {
    let mut points = 0;
    let plain = text.bytes().all(|byte| {
        points += usize::from(byte == b'.');
        byte.is_ascii_digit() || byte == b'.'
    });
    plain && points <= 1 && text.len() > points
}

/// A decimal or hexadecimal number with a sign before it or none; one too large to count is the largest.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).unwrap_or(i64::MAX);
    Some(if negative { -number } else { number })
}

fn within(number: i64, (min, max): (i64, i64), value: &str) -> Result<(), Wrong> {
    if (min..=max).contains(&number) { Ok(()) } else { Err(out_of_range(value, Some(min), Some(max))) }
}

fn out_of_range(value: &str, min: Option<i64>, max: Option<i64>) -> Wrong {
    let range = match (min, max) {
        (Some(min), Some(max)) => format!("from {min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "smaller".to_owned(),
    };
    Wrong::new(format!("{} is out of range: it must be {range}", Quoted(value)))
}

fn no_number(value: &str, wanted: &str) -> Wrong {
    let trimmed = value.trim();
    let help = (trimmed != value && integer(trimmed).is_some()).then(|| format!("write {trimmed}"));
    let wrong = Wrong::new(format!("{} must be {wanted}", Quoted(value))).helped(help);
    match value.char_indices().find(|(_, c)| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '+')) {
        Some((at, c)) => wrong.at(at..at + c.len_utf8()),
        None => wrong,
    }
}
