//! Tones and their frequencies (guide: "FreqScript", "ToneScript").

use super::number::is_decimal;
use super::script::{duration, limited, sections};
use super::{Quoted, Wrong, span_of};

/// The most frequencies of a tone.
const FREQUENCIES: usize = 6;

/// `350@-19,440@-19`: hertz and dBm. A lone number is one of the SPA adapters' ring frequency.
pub(super) fn frequencies(value: &str) -> Result<(), Wrong> {
    limited(value)?;
    if !value.contains('@') && is_decimal(value) {
        return Ok(());
    }
    components(value, value).map(|_| ())
}

/// `350@-19,440@-19;10(*/0/1+2)`: frequencies, then a section or two of segments on/off/frequencies.
pub(super) fn tone(value: &str) -> Result<(), Wrong> {
    limited(value)?;
    let Some((frequencies, rest)) = value.split_once(';') else {
        components(value, value)?;
        return Err(Wrong::new("the tone has no section after its frequencies: it must be like 350@-19;10(*/0/1)")
            .at(value.len()..value.len()));
    };
    let count = components(value, frequencies)?;
    sections(value, rest, |segment, fields| match fields {
        [on, off, components] => {
            duration(value, on)?;
            duration(value, off)?;
            components.split('+').try_for_each(|number| component(value, number, count))
        }
        // The sample's Holding_Tone has segments of two fields, which the guide's syntax does not.
        [on, off] => duration(value, on).and_then(|()| duration(value, off)),
        _ => {
            Err(Wrong::new(format!("{} is no segment: it must be on/off/frequencies, like .5/.5/1+2", Quoted(segment)))
                .at(span_of(value, segment)))
        }
    })
}

/// How many frequencies there are.
fn components(whole: &str, text: &str) -> Result<usize, Wrong> {
    let mut count = 0;
    for part in text.split(',') {
        count += 1;
        if count > FREQUENCIES {
            return Err(Wrong::new(format!("there are more than {FREQUENCIES} frequencies")).at(span_of(whole, part)));
        }
        let wrong = |message: String| Err(Wrong::new(message).at(span_of(whole, part)));
        let Some((hertz, level)) = part.trim().split_once('@') else {
            return wrong(format!("{} is no frequency: it must be like 440@-19, hertz and dBm", Quoted(part)));
        };
        if hertz.is_empty() || hertz.len() > 5 || !hertz.bytes().all(|byte| byte.is_ascii_digit()) {
            return wrong(format!("{} must be a whole number of hertz", Quoted(hertz)));
        }
        let digits = level.strip_prefix(['-', '+']).unwrap_or(level);
        if !is_decimal(digits) || digits.split_once('.').is_some_and(|(_, places)| places.len() > 1) {
            return wrong(format!("{} must be a level in dBm with at most one decimal place", Quoted(level)));
        }
    }
    Ok(count)
}

/// The number of one of the frequencies; 0 is silence, as the sample's Secure_Call_Indication_Tone has it.
fn component(whole: &str, number: &str, count: usize) -> Result<(), Wrong> {
    let is_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits && number.parse::<usize>().is_ok_and(|number| number <= count) {
        return Ok(());
    }
    let range = if count == 1 { "1".to_owned() } else { format!("1 to {count}") };
    let message = format!("{} is the number of no frequency: there are {range}, and 0 for silence", Quoted(number));
    Err(Wrong::new(message).at(span_of(whole, number)))
}
