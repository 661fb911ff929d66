//! The parameters of a rendered text with the lines that they stand in, read by the text's format. The text has
//! passed the format's own check, so what can't be read here is left out.

use crate::packs::Format;

/// One parameter as the text has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// By the name that parameter lists have.
    pub name: String,
    /// As a phone reads it.
    pub value: String,
    /// Counted from 1.
    pub line: u32,
    /// An element without content: `<X/>` or `<X></X>`; a line without a value.
    pub is_empty: bool,
}

/// All parameters, in the order of the text.
pub fn read(format: Format, body: &[u8]) -> Vec<Written> {
    match format {
        Format::GrandstreamBinary => pairs(body),
        Format::Binary | Format::Text => Vec::new(),
        Format::Xml => std::str::from_utf8(body).map(elements).unwrap_or_default(),
        Format::ColonLines => lines(body, |line| line.split_once(':'), str::to_owned),
        Format::EqualsLines => lines(body, |line| line.split_once('='), str::to_owned),
        Format::Spc => lines(body, spc, plain),
    }
}

fn lines(body: &[u8], split: impl Fn(&str) -> Option<(&str, &str)>, name_of: impl Fn(&str) -> String) -> Vec<Written> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = split(line) else { continue };
        // `!` locks a parameter, `^` forces it.
        let name = name.trim().trim_start_matches(['!', '^']);
        let value = value.trim();
        found.push(Written {
            name: name_of(name),
            value: value.to_owned(),
            line: number,
            is_empty: value.is_empty() || value == "\"\"",
        });
    }
    found
}

fn spc(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once('"')?;
    let (value, _) = rest.split_once('"')?;
    Some((name.trim_end().trim_end_matches(['!', '?']), value))
}

/// The compiler's `Proxy[1]` and `Resync_At_(HHmm)` as parameter lists have them.
fn plain(name: &str) -> String {
    name.replace(['[', ']', '(', ')', '/'], "_")
}

/// URL-encoded pairs behind the binary frame, or without it.
fn pairs(body: &[u8]) -> Vec<Written> {
    let start = body.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    let text = body.get(start..).and_then(|pairs| std::str::from_utf8(pairs).ok()).unwrap_or_default();
    text.trim_end_matches('\0')
        .split('&')
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name != "gnkey")
        .map(|(name, value)| Written {
            name: name.to_owned(),
            value: percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned(),
            line: 1,
            is_empty: value.is_empty(),
        })
        .collect()
}

/// Every element without elements in it, save for the `<mac>` of a Grandstream file; `<item name="X">` is called X.
fn elements(text: &str) -> Vec<Written> {
    let mut found: Vec<Written> = Vec::new();
    // The innermost open element: its name, where its content begins, and whether it has had an element in it.
    let mut open: Vec<(String, usize, u32, bool)> = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(next) = text.get(at..).and_then(|rest| rest.find('<')) {
        line += newlines(text, at, at + next);
        at += next;
        let rest = text.get(at..).unwrap_or_default();
        let length = tag_length(rest);
        let tag = rest.get(..length).unwrap_or(rest);
        if tag.starts_with("<?") || tag.starts_with("<!") {
            // A declaration, a comment or characters without meaning: no element.
        } else if tag.starts_with("</") {
            if let Some((name, start, begun, false)) = open.pop() {
                let content = text.get(start..at).unwrap_or_default();
                push(&mut found, name, content, begun);
            }
        } else {
            if let Some((.., has_elements)) = open.last_mut() {
                *has_elements = true;
            }
            let name = name_of(tag);
            if tag.ends_with("/>") {
                push(&mut found, name, "", line);
            } else {
                open.push((name, at + length, line, false));
            }
        }
        line += newlines(text, at, at + length);
        at += length;
    }
    found
}

fn push(found: &mut Vec<Written>, name: String, content: &str, line: u32) {
    if name != "mac" {
        found.push(Written { name, value: decoded(content), line, is_empty: content.is_empty() });
    }
}

fn newlines(text: &str, from: usize, to: usize) -> u32 {
    let count = text.get(from..to).unwrap_or_default().bytes().filter(|byte| *byte == b'\n').count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// To the end of a tag, a comment or the like. Within quotes a `>` ends nothing.
fn tag_length(rest: &str) -> usize {
    for (start, end) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
        if rest.starts_with(start) {
            return rest.find(end).map_or(rest.len(), |at| at + end.len());
        }
    }
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    rest.len()
}

fn name_of(tag: &str) -> String {
    let inner = tag.trim_start_matches('<').trim_end_matches(['>', '/']);
    let name = inner.split(char::is_whitespace).next().unwrap_or_default();
    let item = inner.strip_prefix("item").and_then(|rest| rest.split_once("name="));
    let named = item.and_then(|(_, rest)| rest.get(1..)).and_then(|rest| rest.split(['"', '\'']).next());
    named.unwrap_or(name).to_owned()
}

/// Text without its entities, comments and CDATA marks.
fn decoded(content: &str) -> String {
    if !content.contains(['&', '<']) {
        return content.to_owned();
    }
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find(['&', '<']) {
        text.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let length = if rest.starts_with('<') {
            let length = tag_length(rest);
            let cdata = rest.get(..length).and_then(|tag| tag.strip_prefix("<![CDATA[")?.strip_suffix("]]>"));
            text.push_str(cdata.unwrap_or_default());
            length
        } else {
            let length = rest.find(';').map_or(rest.len(), |end| end + 1);
            text.push_str(&entity(rest.get(..length).unwrap_or(rest)));
            length
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

fn entity(written: &str) -> String {
    let name = written.trim_start_matches('&').trim_end_matches(';');
    let number = name.strip_prefix("#x").map(|hex| u32::from_str_radix(hex, 16));
    let number = number.or_else(|| name.strip_prefix('#').map(str::parse));
    match (name, number) {
        ("amp", _) => "&".to_owned(),
        ("lt", _) => "<".to_owned(),
        ("gt", _) => ">".to_owned(),
        ("quot", _) => "\"".to_owned(),
        ("apos", _) => "'".to_owned(),
        (_, Some(Ok(number))) => char::from_u32(number).map(String::from).unwrap_or_default(),
        _ => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(format: Format, text: &str) -> Vec<String> {
        let shown = |one: Written| format!("{}:{}={}", one.line, one.name, if one.is_empty { "∅" } else { &one.value });
        read(format, text.as_bytes()).into_iter().map(shown).collect()
    }

    #[test]
    fn elements_are_read_with_their_lines() {
        let text = "<?xml version=\"1.0\"?>\n<flat-profile>\n<!-- <No>1</No>\n -->\n<A ua=\"n>a\">1 &amp; &#x32;</A>\n<B/><C></C>\n<D>\n x</D></flat-profile>\n";
        assert_eq!(told(Format::Xml, text), ["5:A=1 & 2", "6:B=∅", "6:C=∅", "7:D=\n x"]);
        let text = "<gs_provision><mac>0</mac><config version=\"2\"><item name=\"a.b\">1</item><P2><![CDATA[<&]]></P2></config></gs_provision>";
        assert_eq!(told(Format::Xml, text), ["1:a.b=1", "1:P2=<&"]);
    }

    #[test]
    fn lines_are_read_with_their_names_made_plain() {
        assert_eq!(told(Format::ColonLines, "# c\n\n!a b: 1:2\n^c:\n"), ["3:a b=1:2", "4:c=∅"]);
        assert_eq!(
            told(Format::Spc, "Proxy[1] ! \"x\" ;\nResync_At_(HHmm) \"\" ;\n"),
            ["1:Proxy_1_=x", "2:Resync_At__HHmm_=∅"]
        );
        assert_eq!(told(Format::GrandstreamBinary, "abc\r\n\r\nP1=a%20b&P2=&gnkey=0b82\0"), ["1:P1=a b", "1:P2=∅"]);
    }
}
