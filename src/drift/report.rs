//! What phones tell of their parameters, read back.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::packs::Format;

/// Where the values of a report come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// What the phone holds, whoever set it.
    Held,
    /// Changes made on the phone itself.
    Local,
    /// What the phone's files told it, whatever was made of it.
    Served,
}

/// A report that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub time: OffsetDateTime,
    pub source: Source,
    /// Whether it says nothing of what it leaves out.
    pub partial: bool,
    /// Values by name; names as [`name`] writes them.
    pub parameters: BTreeMap<String, String>,
}

/// Why a report can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    #[error("it is no well-formed XML: {0}")]
    Xml(String),
    #[error("line {0} is no \"name: value\"")]
    Line(usize),
    #[error("it is neither XML nor \"name: value\" lines, which are all that is read")]
    Format,
}

/// Most elements of a report; the largest phones have some two thousand parameters.
const ELEMENTS: u32 = 100_000;

/// A parameter's name as reports of this format are compared by it: Aastra's phones don't heed its case.
pub fn name(format: Format, name: &str) -> String {
    if format == Format::ColonLines { name.trim().to_ascii_lowercase() } else { name.trim().to_owned() }
}

/// Reads the parameters of a report that is in the format of the phone's profiles: a `flat-profile` of Cisco's (SPA chapter,
/// "Report Rule"), or the lines of `local.cfg` and `server.cfg` (Aastra's TR-069 guide, "Configuration Backup and Restore").
pub fn read(format: Format, content: &[u8]) -> Result<BTreeMap<String, String>, ReportError> {
    // Old phones write Latin-1; a character that is lost makes a value differ, and nothing worse.
    let text = String::from_utf8_lossy(content);
    let text = text.trim_start_matches('\u{feff}');
    match format {
        Format::Xml => xml(text),
        Format::ColonLines => lines(text),
        _ => Err(ReportError::Format),
    }
}

fn xml(text: &str) -> Result<BTreeMap<String, String>, ReportError> {
    let options = roxmltree::ParsingOptions { allow_dtd: false, nodes_limit: ELEMENTS, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(text.trim(), options);
    let document = document.map_err(|error| ReportError::Xml(error.to_string()))?;
    let leaves = document.descendants().filter(|node| {
        // The root is no parameter, whatever is in it.
        node.is_element() && *node != document.root_element() && !node.children().any(|child| child.is_element())
    });
    Ok(leaves
        .map(|leaf| (leaf.tag_name().name().to_owned(), leaf.text().unwrap_or_default().trim().to_owned()))
        .collect())
}

fn lines(text: &str) -> Result<BTreeMap<String, String>, ReportError> {
    let mut found = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (own, value) = line.split_once(':').ok_or(ReportError::Line(index + 1))?;
        let value = value.trim();
        // Quotes keep a # from beginning a comment.
        let value = match value.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            Some((quoted, _)) => quoted,
            None => value.split_once(" #").map_or(value, |(value, _)| value).trim_end(),
        };
        found.insert(name(Format::ColonLines, own.trim_start_matches(['!', '^'])), value.to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(format: Format, text: &str) -> Vec<(String, String)> {
        read(format, text.as_bytes()).unwrap().into_iter().collect()
    }

    fn wanted(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_report_of_ciscos_is_read_with_and_without_its_frame() {
        let profile =
            "<flat-profile>\n<A ua=\"na\">R&amp;D &lt;b&gt;</A><!-- <P>x</P> -->\n<B/><C> c </C></flat-profile>";
        let values = wanted(&[("A", "R&D <b>"), ("B", ""), ("C", "c")]);
        assert_eq!(pairs(Format::Xml, profile), values);
        let framed = format!("\u{feff}<?xml version=\"1.0\"?>\n<device>\n{profile}\n</device>\n");
        assert_eq!(pairs(Format::Xml, &framed), values);
        assert_eq!(pairs(Format::Xml, "<flat-profile/>"), []);
    }

    #[test]
    fn local_cfg_is_read_whatever_its_case_and_marks() {
        let text =
            "# changes\r\n!Time Zone: FR-Paris\r\n^sip line1 user name: \"1#2\" # no\nempty:\nurl: http://a:1/#x\n";
        let values =
            [("empty", ""), ("sip line1 user name", "1#2"), ("time zone", "FR-Paris"), ("url", "http://a:1/#x")];
        assert_eq!(pairs(Format::ColonLines, text), wanted(&values));
    }

    #[test]
    fn what_is_no_report_says_why() {
        for hostile in ["", "<a>", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "not XML"] {
            assert!(matches!(read(Format::Xml, hostile.as_bytes()), Err(ReportError::Xml(_))), "{hostile}");
        }
        assert_eq!(read(Format::ColonLines, b"a: b\nnothing"), Err(ReportError::Line(2)));
        assert_eq!(read(Format::GrandstreamBinary, b""), Err(ReportError::Format));
        let deep = "<a>".repeat(200_000);
        assert!(read(Format::Xml, deep.as_bytes()).is_err());
    }
}
