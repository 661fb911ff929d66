//! The last look at a rendered text: is it what its format says?

use crate::packs::Format;

/// Where a text is not of its format, and what is wrong. Never quotes the text, which holds secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Counted from 1.
    pub line: u32,
    pub message: String,
}

/// Checks a whole rendered text against its format's grammar.
pub fn check(format: Format, text: &str) -> Result<(), Malformed> {
    control_characters(text)?;
    match format {
        Format::Xml => xml(text),
        Format::ColonLines => lines(text, |line| keyed(line, ':')),
        Format::EqualsLines => lines(text, |line| keyed(line, '=')),
        Format::Spc => lines(text, spc),
        Format::GrandstreamBinary => lines(text, pairs),
        Format::Text | Format::Binary => Ok(()),
    }
}

fn control_characters(text: &str) -> Result<(), Malformed> {
    // 0xC2 begins the two bytes of U+0080 to U+00BF, some of which are control characters.
    let may_be = |byte: u8| (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || matches!(byte, 0x7F | 0xC2);
    if !text.bytes().any(may_be) {
        return Ok(());
    }
    let found = text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\t' | '\n' | '\r'));
    let Some((at, character)) = found else { return Ok(()) };
    let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    Err(Malformed {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        message: format!("the control character U+{:04X}", u32::from(character)),
    })
}

/// Well-formed, one root, no DTD (which could define entities).
fn xml(text: &str) -> Result<(), Malformed> {
    let body = text.trim_start_matches('\u{FEFF}');
    match roxmltree::Document::parse(body) {
        Ok(_) => Ok(()),
        Err(error) => Err(Malformed { line: error.pos().row, message: without_text(&error) }),
    }
}

/// roxmltree's own message, without the names and texts of the document in it.
fn without_text(error: &roxmltree::Error) -> String {
    use roxmltree::Error as E;
    match error {
        E::UnexpectedCloseTag(..) => "a closing tag doesn't match the opening one".to_owned(),
        E::DuplicatedAttribute(..) => "an attribute is given twice".to_owned(),
        E::UnknownEntityReference(..) => "an entity that XML doesn't define".to_owned(),
        E::UnknownNamespace(..) => "an unknown namespace".to_owned(),
        E::DtdDetected => "a document type definition".to_owned(),
        E::NoRootNode => "there is no root element".to_owned(),
        E::UnclosedRootNode => "an element is never closed".to_owned(),
        _ => "not well-formed XML".to_owned(),
    }
}

fn lines(text: &str, check: impl Fn(&str) -> Result<(), &'static str>) -> Result<(), Malformed> {
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        check(trimmed).map_err(|message| Malformed {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            message: message.to_owned(),
        })?;
    }
    Ok(())
}

fn keyed(line: &str, separator: char) -> Result<(), &'static str> {
    let (key, _) = line.split_once(separator).ok_or("a line without a key and its separator")?;
    if key.trim().is_empty() { Err("a line without a key") } else { Ok(()) }
}

/// `Name "value" ;`, with `!` or `?` for the user's access beside the value and a comment at the end.
fn spc(line: &str) -> Result<(), &'static str> {
    let (name, rest) = line.split_once('"').ok_or("a line without a quoted value")?;
    let name = name.trim_end().trim_end_matches(['!', '?']).trim_end();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("a line must begin with one name");
    }
    let (_, after) = rest.split_once('"').ok_or("a value whose quote is never closed")?;
    let after = after.trim_start().trim_start_matches(['!', '?']).trim_start();
    let after = after.strip_prefix(';').ok_or("a value that no ; follows")?.trim_start();
    if after.is_empty() || after.starts_with('#') { Ok(()) } else { Err("something after the ;") }
}

fn pairs(line: &str) -> Result<(), &'static str> {
    let encoded = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=');
    for pair in line.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("a pair without =")?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("a pair whose name is not a parameter's");
        }
        if !encoded(value) {
            return Err("a value that is not URL-encoded");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(format: Format, text: &str) -> u32 {
        check(format, text).unwrap_err().line
    }

    #[test]
    fn xml_must_be_well_formed() {
        assert_eq!(
            check(Format::Xml, "<?xml version=\"1.0\"?>\n<!-- x --><flat-profile><A>1</A></flat-profile>\n"),
            Ok(())
        );
        assert_eq!(fails(Format::Xml, "<a>\n<b></a>"), 2);
        for text in
            ["", "<a/><b/>", "<a>&nbsp;</a>", "<!DOCTYPE a><a/>", "<a b='1' b='2'/>", "<a>\u{0}</a>", "<a>", "x"]
        {
            assert!(check(Format::Xml, text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lines_must_have_their_keys() {
        assert_eq!(check(Format::ColonLines, "# a\n\nsip proxy ip: 10.0.0.1\n!tr69: 1\n"), Ok(()));
        assert_eq!(fails(Format::ColonLines, "a: 1\nnonsense\n"), 2);
        assert_eq!(fails(Format::EqualsLines, "= 1"), 1);
    }

    #[test]
    fn spc_lines() {
        assert_eq!(
            check(Format::Spc, "Time_Zone \"GMT-07:00\" ; # options: x\nA[1] \"\" ! ;\nB ? \"1\" ;\n# c\n"),
            Ok(())
        );
        for text in ["A \"1\"", "A \"1;", "A 1 ;", "\"1\" ;", "A \"1\" ; B \"2\" ;", "A B \"1\" ;"] {
            assert!(check(Format::Spc, text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_are_checked() {
        assert_eq!(check(Format::GrandstreamBinary, "P271=1&P47=a%20b&gnkey=0b82"), Ok(()));
        for text in ["P1", "P 1=2", "P1=a b", "P1=a=b"] {
            assert!(check(Format::GrandstreamBinary, text).is_err(), "{text}");
        }
    }
}
