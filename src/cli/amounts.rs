//! Numbers, bytes and lengths of time as people read them.

use std::fmt::Display;

/// `100,000`, of a whole number that is not negative.
pub fn thousands(count: impl Display) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits, or a whole number: `0.048`, `1.74`, `27.8`, `2,778`, `60`.
pub fn number(value: f64) -> String {
    match value {
        _ if value.fract() == 0.0 => thousands(value as u64),
        _ if value >= 99.95 => thousands(value.round() as u64),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ if value >= 0.995 => format!("{value:.2}"),
        _ if value > 0.0 => format!("{value:.3}"),
        _ => "0".to_owned(),
    }
}

/// In units of a thousand: `1.7 GB`.
pub fn bytes(value: f64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = value;
    let mut unit = "B";
    for next in UNITS {
        unit = next;
        if value < 999.5 {
            break;
        }
        if next != "EB" {
            value /= 1_000.0;
        }
    }
    if value >= 9.95 || unit == "B" {
        format!("{} {unit}", thousands(value.round() as u64))
    } else {
        format!("{value:.1} {unit}")
    }
}

/// `95 s`, `27 min`, `7.3 h`, `12 days`.
pub fn seconds(value: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 3_600.0;
    const DAY: f64 = 86_400.0;
    match value {
        _ if value < 600.5 => format!("{} s", value.round()),
        _ if value < 2.0 * HOUR => format!("{:.0} min", value / MINUTE),
        _ if value < 2.0 * DAY => format!("{:.1} h", value / HOUR),
        _ => format!("{:.1} days", value / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        let whole = [0, 999, 1_000, 100_000, 1_234_567].map(thousands);
        assert_eq!(whole, ["0", "999", "1,000", "100,000", "1,234,567"]);
        let numbers = [0.0, 0.0484, 1.742, 27.77, 60.0, 99.96, 2_777.7].map(number);
        assert_eq!(numbers, ["0", "0.048", "1.74", "27.8", "60", "100", "2,778"]);
        let sizes = [0.0, 512.0, 1_000.0, 971_200_000.0, 1.7e9, 97.12e9, 999.6e9, 1e30].map(bytes);
        assert_eq!(sizes[..7], ["0 B", "512 B", "1.0 kB", "971 MB", "1.7 GB", "97 GB", "1.0 TB"]);
        assert!(sizes[7].ends_with(" EB"));
        let times = [2.0, 600.4, 1_620.0, 26_280.0, 1_036_800.0].map(seconds);
        assert_eq!(times, ["2 s", "600 s", "27 min", "7.3 h", "12.0 days"]);
    }
}
