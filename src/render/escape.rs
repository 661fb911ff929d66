//! Escaping by format. It is always on, and what a format can't carry is refused: a value can never become a further
//! line or element.

use std::io::{Error, Write};

use tera::EscapeFn;

use crate::packs::Format;

/// Control characters other than tab and line ends: no format carries them.
pub const CONTROL: &str = "holds a control character, which no profile can carry";
const LINE_END: &str = "holds a line end, which would begin another line of the file";
const BLANK: &str = "begins or ends with a blank, which phones cut off: this format has no way to keep one";
const QUOTE: &str = "holds a double quote, which would end the text: this format has no way to write one";
const QUOTED: &str = "has quotes around it, which the phone takes away: give it without them";
const QUOTE_AND_COMMENT: &str = "holds a double quote and a #: the phone takes what follows the # for a comment, and quotes that would keep it end at the quote";

/// How values are written in a format.
pub fn escape_fn(format: Format) -> EscapeFn {
    match format {
        Format::Xml => xml,
        Format::ColonLines => colon_line,
        Format::EqualsLines => equals_line,
        Format::Spc => spc,
        Format::GrandstreamBinary => url,
        Format::Text | Format::Binary => plain,
    }
}

/// Why a value can't stand in a format, if it can't.
pub fn refusal(format: Format, value: &str) -> Option<&'static str> {
    // Nearly all values are: a profile has a thousand of them, and each is looked at twice.
    let is_printable_ascii = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_printable_ascii && value.chars().any(is_control) {
        return Some(CONTROL);
    }
    let has_line_end = !is_printable_ascii && value.contains(['\n', '\r']);
    match format {
        Format::ColonLines | Format::EqualsLines | Format::Spc if has_line_end => Some(LINE_END),
        Format::ColonLines | Format::EqualsLines if value.trim() != value => Some(BLANK),
        Format::ColonLines if value.contains('"') && value.contains('#') => Some(QUOTE_AND_COMMENT),
        Format::ColonLines if is_quoted(value) => Some(QUOTED),
        Format::Spc if value.contains('"') => Some(QUOTE),
        _ => None,
    }
}

/// Whether the quotes that a value begins with end where it does: then they are no part of it on Aastra and Mitel phones.
fn is_quoted(value: &str) -> bool {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.contains('"'))
}

/// Why a parameter can't have that name in a format, if it can't: `[params]` of the settings takes any.
pub fn name_refusal(format: Format, name: &str) -> Option<&'static str> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let has = |characters: &[char]| name.contains(characters) || name.trim() != name;
    match format {
        _ if name.chars().any(|character| is_control(character) || matches!(character, '\n' | '\r' | '\t')) => {
            Some("has a name with a control character")
        }
        Format::Xml if has(&[' ', '"', '\'', '/', '=', '<', '>', '&']) => Some("has a name that is no XML element's"),
        Format::ColonLines if has(&[':']) || name.starts_with('#') => {
            Some("has a name that this format would read as another: no : and no # at its beginning")
        }
        Format::EqualsLines if has(&['=']) || name.starts_with('#') => {
            Some("has a name that this format would read as another: no = and no # at its beginning")
        }
        Format::Spc if has(&[' ', '"', ';']) || name.starts_with('#') => Some(
            "has a name that this format would read as another: no blank, no quote, no ; and no # at its beginning",
        ),
        Format::GrandstreamBinary if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
            Some("has a name that is no parameter's: letters, digits and _")
        }
        _ => None,
    }
}

/// Expressions are not escaped: what they make is, once it is laid out.
pub fn as_it_is(value: &str, out: &mut dyn Write) -> Result<(), Error> {
    out.write_all(value.as_bytes())
}

/// Whether XML 1.0 or a line of text has no place for the character. Unicode's line separators are here too: some
/// readers take them for line ends.
fn is_control(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => false,
        '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}' => true,
        other => other.is_control(),
    }
}

fn checked(format: Format, value: &str) -> Result<(), Error> {
    refusal(format, value).map_or(Ok(()), |why| Err(Error::other(why)))
}

fn xml(value: &str, out: &mut dyn Write) -> Result<(), Error> {
    checked(Format::Xml, value)?;
    if !value.bytes().any(|byte| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'' | b'\t' | b'\n' | b'\r')) {
        return out.write_all(value.as_bytes());
    }
    let mut plain_from = 0;
    for (at, byte) in value.bytes().enumerate() {
        let entity: &[u8] = match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'"' => b"&quot;",
            b'\'' => b"&apos;",
            // Within an attribute a reader would make a blank of each, and everywhere a line feed of a carriage return.
            b'\t' => b"&#9;",
            b'\n' => b"&#10;",
            b'\r' => b"&#13;",
            _ => continue,
        };
        out.write_all(value.as_bytes().get(plain_from..at).unwrap_or_default())?;
        out.write_all(entity)?;
        plain_from = at + 1;
    }
    out.write_all(value.as_bytes().get(plain_from..).unwrap_or_default())
}

fn colon_line(value: &str, out: &mut dyn Write) -> Result<(), Error> {
    line(Format::ColonLines, value, out)
}

fn equals_line(value: &str, out: &mut dyn Write) -> Result<(), Error> {
    line(Format::EqualsLines, value, out)
}

fn line(format: Format, value: &str, out: &mut dyn Write) -> Result<(), Error> {
    // A template may write something beside the value, so its ends need not be those of the line.
    checked(format, value.trim_matches(' '))?;
    out.write_all(value.as_bytes())
}

fn spc(value: &str, out: &mut dyn Write) -> Result<(), Error> {
    checked(Format::Spc, value)?;
    out.write_all(value.as_bytes())
}

fn plain(value: &str, out: &mut dyn Write) -> Result<(), Error> {
    checked(Format::Text, value)?;
    out.write_all(value.as_bytes())
}

fn url(value: &str, out: &mut dyn Write) -> Result<(), Error> {
    checked(Format::GrandstreamBinary, value)?;
    write!(out, "{}", super::filters::percent_encoded(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(format: Format, value: &str) -> Result<String, String> {
        let mut out = Vec::new();
        escape_fn(format)(value, &mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn xml_has_five_entities() {
        assert_eq!(
            escaped(Format::Xml, "Tom & \"Jerry\" <'x'> ]]>").unwrap(),
            "Tom &amp; &quot;Jerry&quot; &lt;&apos;x&apos;&gt; ]]&gt;"
        );
        assert_eq!(escaped(Format::Xml, "a\0b"), Err(CONTROL.to_owned()));
        assert_eq!(escaped(Format::Xml, "grün").unwrap(), "grün");
    }

    #[test]
    fn a_line_stays_one_line() {
        for format in [Format::ColonLines, Format::EqualsLines, Format::Spc] {
            for value in ["a\nb", "a\rb", "a\u{2028}b", "a\u{85}b", "a\u{0}b"] {
                assert!(escaped(format, value).is_err(), "{format} {value:?}");
            }
            assert_eq!(escaped(format, "a & b: c = d").unwrap(), "a & b: c = d");
        }
        assert_eq!(escaped(Format::Spc, "say \"hi\""), Err(QUOTE.to_owned()));
    }

    #[test]
    fn quotes_that_a_phone_would_take_away_or_end_at_are_refused() {
        for (value, why) in [
            ("\"\"", QUOTED),
            ("\"b\"", QUOTED),
            ("a\"b#c", QUOTE_AND_COMMENT),
            ("#\"", QUOTE_AND_COMMENT),
            ("\"b\" # c", QUOTE_AND_COMMENT),
        ] {
            assert_eq!(escaped(Format::ColonLines, value), Err(why.to_owned()), "{value}");
            assert_eq!(escaped(Format::EqualsLines, value).as_deref(), Ok(value));
        }
        for value in ["\"", "\"b", "b\"", "\"b\" & \"c\"", "\"b\"c", "1#2"] {
            assert_eq!(escaped(Format::ColonLines, value).as_deref(), Ok(value));
        }
    }

    #[test]
    fn pairs_are_url_encoded() {
        assert_eq!(escaped(Format::GrandstreamBinary, "a b&P2=c\n%").unwrap(), "a%20b%26P2%3Dc%0A%25");
    }
}
