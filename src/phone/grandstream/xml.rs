//! How the phone reads an XML file.
//!
//! `<gs_provision>` with an optional `<mac>`, which has to be the phone's own or be left out, and a `<config>`: of version 1
//! with an element for each P value, of version 2 with `<item name="…">`. An empty element empties the parameter; a
//! parameter named twice is what the last element says. Whether firmware looks at the version of `<gs_provision>` is not
//! public: it doesn't here.

use roxmltree::{Document, Node};

use crate::model::MacAddr;
use crate::phone::state::Parameters;

use super::binary::is_p_value;

/// Why it is no XML file for this phone. Never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("it is not in UTF-8")]
    NotUtf8,
    #[error("line {line} is no well-formed XML")]
    Malformed { line: u32 },
    #[error("the root element is <{0}>, not <gs_provision>")]
    Root(String),
    #[error("it is for the phone with the address \"{0}\"")]
    OtherMac(String),
    #[error("there is no <config> in it")]
    NoConfig,
    #[error("a <config> of version \"{0}\" is unknown")]
    Version(String),
}

/// What an XML file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    pub parameters: Parameters,
    /// Line and name of elements that are no parameters, and are passed over.
    pub passed_over: Vec<(u32, String)>,
}

/// Reads a whole file.
///
/// # Errors
/// When it is no XML, no profile, or another phone's.
pub fn read(body: &[u8], mac: MacAddr) -> Result<Profile, XmlError> {
    let text = std::str::from_utf8(body).map_err(|_| XmlError::NotUtf8)?;
    let text = text.trim_start_matches('\u{FEFF}');
    let document = Document::parse(text).map_err(|error| XmlError::Malformed { line: error.pos().row })?;
    let root = document.root_element();
    if !root.has_tag_name("gs_provision") {
        return Err(XmlError::Root(root.tag_name().name().to_owned()));
    }
    for element in root.children().filter(|node| node.has_tag_name("mac")) {
        let said = text_of(element);
        if said.trim().parse::<MacAddr>() != Ok(mac) {
            return Err(XmlError::OtherMac(said));
        }
    }
    let mut profile = Profile::default();
    let mut has_config = false;
    for config in root.children().filter(|node| node.has_tag_name("config")) {
        has_config = true;
        let version = config.attribute("version").unwrap_or("1");
        for element in config.children().filter(Node::is_element) {
            let name = match version {
                "1" => Some(element.tag_name().name()).filter(|name| is_p_value(name)),
                "2" => element.attribute("name").filter(|name| !name.is_empty() && element.has_tag_name("item")),
                other => return Err(XmlError::Version(other.to_owned())),
            };
            // Elements within a parameter: a form that isn't public.
            match name.filter(|_| !element.children().any(|child| child.is_element())) {
                Some(name) => {
                    profile.parameters.insert(name.to_owned(), text_of(element));
                }
                None => {
                    let line = document.text_pos_at(element.range().start).row;
                    profile.passed_over.push((line, element.tag_name().name().to_owned()));
                }
            }
        }
    }
    if has_config { Ok(profile) } else { Err(XmlError::NoConfig) }
}

/// All text of an element: a comment parts it.
fn text_of(element: Node<'_, '_>) -> String {
    element.children().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mac() -> MacAddr {
        "000b82a0001c".parse().unwrap()
    }

    fn values(inner: &str) -> Result<Vec<(String, String)>, XmlError> {
        let file = format!("<?xml version=\"1.0\"?><gs_provision version=\"1\">{inner}</gs_provision>");
        read(file.as_bytes(), mac()).map(|profile| profile.parameters.into_iter().collect())
    }

    fn one(name: &str, value: &str) -> Result<Vec<(String, String)>, XmlError> {
        Ok(vec![(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn both_versions_and_the_address() {
        for (inner, expected) in [
            ("<config version=\"1\"><P1>a &amp; b &#x41;<!-- c -->d</P1></config>", one("P1", "a & b Ad")),
            (
                "<config version=\"2\"><item name=\"users.admin.password\">x</item></config>",
                one("users.admin.password", "x"),
            ),
            ("<mac>00:0B:82:A0:00:1C</mac><config><P1/></config>", one("P1", "")),
            ("<config><P1>a</P1><P1><![CDATA[<b>]]></P1></config>", one("P1", "<b>")),
            ("<mac>000b82a0001d</mac><config/>", Err(XmlError::OtherMac("000b82a0001d".to_owned()))),
            ("<mac/><config/>", Err(XmlError::OtherMac(String::new()))),
            ("<config version=\"3\"><P1/></config>", Err(XmlError::Version("3".to_owned()))),
            ("", Err(XmlError::NoConfig)),
            ("<config>&unknown;</config>", Err(XmlError::Malformed { line: 1 })),
        ] {
            assert_eq!(values(inner), expected, "{inner}");
        }
        let passed_over =
            read(b"<gs_provision><config>\n<Foo/>\n<P1><a/></P1></config></gs_provision>", mac()).unwrap();
        assert_eq!(passed_over.passed_over, [(2, "Foo".to_owned()), (3, "P1".to_owned())]);
        assert_eq!(read(b"<html/>", mac()), Err(XmlError::Root("html".to_owned())));
        assert_eq!(read(b"\xff", mac()), Err(XmlError::NotUtf8));
        let entities = b"<!DOCTYPE a [<!ENTITY b \"c\">]><gs_provision><config><P1>&b;</P1></config></gs_provision>";
        assert!(matches!(read(entities, mac()), Err(XmlError::Malformed { .. })));
    }

    #[test]
    fn elements_within_elements_without_end_do_no_harm() {
        let deep = format!("<gs_provision><config>{}", "<a>".repeat(300_000));
        assert!(matches!(read(deep.as_bytes(), mac()), Err(XmlError::Malformed { .. })));
        let closed = format!("{deep}{}</config></gs_provision>", "</a>".repeat(300_000));
        let _ = read(closed.as_bytes(), mac());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(file: Vec<u8>) {
            let _ = read(&file, mac());
        }

        #[test]
        fn no_text_makes_it_panic(inner in "(<P1>|</P1>|<item name=\"a\">|</item>|<config version=\"2\">|</config>|&amp;|&#0;|[a<>&]){0,12}") {
            let _ = values(&inner);
        }
    }
}
