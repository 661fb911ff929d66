//! A vendor's data model as XML, in the form that some ACSs want before a phone may connect (Aastra's TR-069 guide,
//! appendix B): a tree of objects with their parameters, each `write="W"` or not.
//!
//! The form has no place for types and ranges; an export puts them into the descriptions, where an import finds them again.

use std::fmt::Write as _;

use roxmltree::{Document, Node, ParsingOptions};

use super::{Access, DataModel, Kind};
use crate::model::data_path as path;
use crate::packs::manifest::Model;

/// Largest file that is read, in bytes: a model of ten thousand parameters has two million.
pub const LARGEST: usize = 4 << 20;

/// Most elements and texts of a file.
const NODES: u32 = 400_000;

/// How deep objects may lie in each other; TR-098 has nine.
const DEEPEST: usize = 32;

/// Why a file is no data model. Quotes names of the file, shortened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("has {0} bytes, and no data model is larger than {LARGEST}")]
    Large(usize),
    #[error("has a DTD, which no data model needs")]
    Dtd,
    #[error("has more elements than a data model can have")]
    Many,
    #[error("is not well-formed XML, at line {line}")]
    Malformed { line: u32 },
    #[error("line {line}: {message}")]
    Wrong { line: u32, message: String },
}

/// A parameter as a vendor's file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub path: String,
    pub access: Access,
    /// None where the file doesn't tell.
    pub kind: Option<Kind>,
    pub size: Option<u32>,
    pub min: Option<i64>,
    pub max: Option<i64>,
}

/// Writes a data model; with a model, only what that has.
pub fn export(data_model: &DataModel, model: Option<&Model>) -> String {
    let mut tree = Object::default();
    for parameter in data_model.parameters() {
        // Nobody asks for an instance beyond those of the model here.
        if model.is_some_and(|model| !parameter.is_of(model, &[])) {
            continue;
        }
        let mut told = format!("type={}", parameter.kind);
        let mut tell = |name: &str, value: Option<i64>| {
            if let Some(value) = value {
                let _ = write!(told, " {name}={value}");
            }
        };
        tell("size", parameter.size.map(i64::from));
        tell("min", parameter.min);
        tell("max", parameter.max);
        if parameter.access == Access::WriteOnly {
            told.push_str(" access=write-only");
        }
        let mut parts: Vec<&str> = parameter.path.split('.').collect();
        let Some(name) = parts.pop() else { continue };
        let object = parts.into_iter().fold(&mut tree, |object, part| object.child(part));
        object.parameters.push((name.to_owned(), parameter.access.is_writable(), told));
    }
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
         <xsi:tr69model xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n",
    );
    for (name, object) in &tree.children {
        object.write(name, "entry xsi:type=\"tr69Object\"", 1, &mut out);
    }
    out.push_str("</xsi:tr69model>\n");
    out
}

/// An object of the tree, what lies in it in the order in which it came.
#[derive(Default)]
struct Object {
    parameters: Vec<(String, bool, String)>,
    children: Vec<(String, Object)>,
}

impl Object {
    #[expect(clippy::indexing_slicing, reason = "the place was found in this very list, or made just now")]
    fn child(&mut self, name: &str) -> &mut Self {
        let at = self.children.iter().position(|(own, _)| own == name).unwrap_or_else(|| {
            self.children.push((name.to_owned(), Self::default()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    /// Names are checked when tr069.toml is read: none has a character that XML would take for something else.
    fn write(&self, name: &str, element: &str, depth: usize, out: &mut String) {
        let blanks = "  ".repeat(depth);
        let _ = write!(out, "{blanks}<{element} write=\"\" mode=\"1\">\n{blanks}  <name>{name}.</name>\n");
        let _ = writeln!(out, "{blanks}  <description></description>");
        for (parameter, is_writable, told) in &self.parameters {
            let write = if *is_writable { "W" } else { "" };
            let _ = writeln!(out, "{blanks}  <parameter write=\"{write}\" mode=\"1\">");
            let _ = writeln!(out, "{blanks}    <name>{parameter}</name>");
            let _ = writeln!(out, "{blanks}    <description>{told}</description>");
            let _ = writeln!(out, "{blanks}  </parameter>");
        }
        for (child, object) in &self.children {
            object.write(child, "child", depth + 1, out);
        }
        let closing = element.split(' ').next().unwrap_or_default();
        let _ = writeln!(out, "{blanks}</{closing}>");
    }
}

/// Reads a vendor's data model: every parameter, in the order of the file.
///
/// # Errors
/// When it is none: too large, with a DTD, not well-formed, or with a name that is none.
pub fn import(text: &str) -> Result<Vec<Imported>, XmlError> {
    if text.len() > LARGEST {
        return Err(XmlError::Large(text.len()));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text.trim_start_matches('\u{feff}'), options).map_err(|error| match error {
            roxmltree::Error::DtdDetected => XmlError::Dtd,
            roxmltree::Error::NodesLimitReached => XmlError::Many,
            other => XmlError::Malformed { line: other.pos().row },
        })?;
    let root = document.root_element();
    if root.tag_name().name() != "tr69model" {
        let message = format!("begins with <{}>, not with <tr69model>", short(root.tag_name().name()));
        return Err(wrong(root, message));
    }
    let mut found = Vec::new();
    for entry in elements(root) {
        if entry.tag_name().name() != "entry" {
            return Err(unexpected(entry));
        }
        object(entry, "", 0, &mut found)?;
    }
    let mut known = std::collections::HashSet::new();
    if let Some(twice) = found.iter().find(|parameter: &&Imported| !known.insert(parameter.path.clone())) {
        return Err(wrong(root, format!("{} stands there twice", twice.path)));
    }
    Ok(found)
}

fn object(node: Node<'_, '_>, before: &str, depth: usize, found: &mut Vec<Imported>) -> Result<(), XmlError> {
    if depth > DEEPEST {
        return Err(wrong(node, format!("objects lie in each other more than {DEEPEST} deep")));
    }
    let name = name_of(node)?;
    let Some(name) = name.strip_suffix('.') else {
        return Err(wrong(node, format!("the object's name \"{}\" doesn't end with a dot", short(&name))));
    };
    // Appendix C writes i for an instance number.
    let name = if name == "i" { "{i}" } else { name };
    let own = format!("{before}{name}.");
    for child in elements(node) {
        match child.tag_name().name() {
            "name" | "description" => {}
            "child" => object(child, &own, depth + 1, found)?,
            "parameter" => found.push(parameter(child, &own)?),
            _ => return Err(unexpected(child)),
        }
    }
    Ok(())
}

fn parameter(node: Node<'_, '_>, object: &str) -> Result<Imported, XmlError> {
    let path = format!("{object}{}", name_of(node)?);
    let root = path.split('.').next().unwrap_or_default().to_owned();
    if !path::ROOTS.contains(&root.as_str()) {
        return Err(wrong(node, format!("\"{}\" begins with neither {}", short(&path), path::ROOTS.join(". nor "))));
    }
    path::check_pattern(&path, &root).map_err(|error| wrong(node, format!("\"{}\" {error}", short(&path))))?;
    let access = match node.attribute("write").unwrap_or_default() {
        "" => Access::ReadOnly,
        "W" | "w" => Access::ReadWrite,
        other => return Err(wrong(node, format!("write=\"{}\" is neither empty nor W", short(other)))),
    };
    let mut imported = Imported { path, access, kind: None, size: None, min: None, max: None };
    let told = elements(node).find(|child| child.tag_name().name() == "description").and_then(|node| node.text());
    for (name, value) in told.unwrap_or_default().split_whitespace().filter_map(|word| word.split_once('=')) {
        match name {
            "type" => imported.kind = value.parse().ok(),
            "size" => imported.size = value.parse().ok(),
            "min" => imported.min = value.parse().ok(),
            "max" => imported.max = value.parse().ok(),
            "access" if value == "write-only" && access.is_writable() => imported.access = Access::WriteOnly,
            _ => {}
        }
    }
    Ok(imported)
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn name_of(node: Node<'_, '_>) -> Result<String, XmlError> {
    let name = elements(node).find(|child| child.tag_name().name() == "name").and_then(|name| name.text());
    match name.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => Ok(name.to_owned()),
        None => Err(wrong(node, format!("a <{}> has no <name>", short(node.tag_name().name())))),
    }
}

fn unexpected(node: Node<'_, '_>) -> XmlError {
    wrong(node, format!("<{}> has no place there", short(node.tag_name().name())))
}

fn wrong(node: Node<'_, '_>, message: String) -> XmlError {
    XmlError::Wrong { line: node.document().text_pos_at(node.range().start).row, message }
}

fn short(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(60).collect()
}

/// The entries of `[parameters]` in tr069.toml. A parameter whose type the file doesn't tell is a string, and said to be
/// one by guess.
pub fn as_toml(parameters: &[Imported]) -> String {
    let mut out = String::from("[parameters]\n");
    for parameter in parameters {
        let kind = parameter.kind.unwrap_or(Kind::String);
        let access = parameter.access.word();
        let _ = write!(out, "\"{}\" = {{ type = \"{kind}\", access = \"{access}\"", parameter.path);
        if let Some(size) = parameter.size {
            let _ = write!(out, ", size = {size}");
        }
        for (name, value) in [("min", parameter.min), ("max", parameter.max)] {
            if let Some(value) = value {
                let _ = write!(out, ", {name} = {value}");
            }
        }
        out.push_str(if parameter.kind.is_none() { " } # the type is a guess\n" } else { " }\n" });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(inner: &str) -> String {
        format!("<x:tr69model xmlns:x=\"http://www.w3.org/2001/XMLSchema-instance\">{inner}</x:tr69model>")
    }

    #[test]
    fn appendix_b_is_read() {
        let text = wrapped(
            "<entry x:type=\"tr69Object\" write=\"\" mode=\"1\"><name>Device.</name><description></description>\n\
             <parameter write=\"\" mode=\"1\"><name>DeviceSummary</name><description></description></parameter>\
             <child write=\"\" mode=\"1\"><name>LAN.</name><description/>\
             <parameter write=\"W\" mode=\"1\"><name>DNSServers</name><description>any text</description></parameter>\
             <child write=\"\"><name>i.</name><parameter write=\"W\"><name>N</name>\
             <description>type=int min=-1 max=7</description></parameter></child></child></entry>",
        );
        let found = import(&text).unwrap();
        let told: Vec<_> = found.iter().map(|one| (one.path.as_str(), one.access, one.kind)).collect();
        assert_eq!(
            told,
            [
                ("Device.DeviceSummary", Access::ReadOnly, None),
                ("Device.LAN.DNSServers", Access::ReadWrite, None),
                ("Device.LAN.{i}.N", Access::ReadWrite, Some(Kind::Int)),
            ]
        );
        let toml = as_toml(&found);
        assert!(
            toml.contains("\"Device.LAN.{i}.N\" = { type = \"int\", access = \"read-write\", min = -1, max = 7 }\n")
        );
        assert!(toml.contains("DNSServers\" = { type = \"string\", access = \"read-write\" } # the type is a guess\n"));
        toml.parse::<toml::Table>().unwrap();
    }

    #[test]
    fn hostile_files_are_refused() {
        let deep = |depth: usize| {
            let open = "<child><name>A.</name>".repeat(depth);
            wrapped(&format!("<entry><name>Device.</name>{open}{}</entry>", "</child>".repeat(depth)))
        };
        assert!(import(&deep(30)).is_ok());
        assert!(matches!(import(&deep(40)), Err(XmlError::Wrong { .. })));
        assert!(import(&deep(60_000)).is_err());
        let entity = "<!DOCTYPE a [<!ENTITY b \"c\">]><tr69model>&b;</tr69model>";
        assert_eq!(import(entity), Err(XmlError::Dtd));
        assert_eq!(import(&"a".repeat(LARGEST + 1)), Err(XmlError::Large(LARGEST + 1)));
        assert!(matches!(import("<tr69model><entry>"), Err(XmlError::Malformed { line: 1 })));
        assert!(matches!(import(""), Err(XmlError::Malformed { .. })));
        let parameter = |inner: &str| wrapped(&format!("<entry><name>Device.</name>{inner}</entry>"));
        for wrong in [
            "<html/>".to_owned(),
            wrapped("<child/>"),
            wrapped("<entry/>"),
            wrapped("<entry><name>Device</name></entry>"),
            wrapped("<entry><name>Devise.</name><parameter><name>A</name></parameter></entry>"),
            parameter("<parameter/>"),
            parameter("<parameter><name>A\" = 1</name></parameter>"),
            parameter("<parameter write=\"X\"><name>A</name></parameter>"),
            parameter("<parameter><name>A</name></parameter><parameter><name>A</name></parameter>"),
            parameter("<script/>"),
        ] {
            assert!(matches!(import(&wrong), Err(XmlError::Wrong { line: 1, .. })), "{wrong}");
        }
    }
}
