//! Events of quick-xml made tokens: what is never read is refused here, and so is what is too deep, too long or too much.

use std::borrow::Cow;

use quick_xml::errors::IllFormedError;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::{Element, Reader, Result, is_xml, read_boolean};
use crate::cwmp::message::ValueKind;
use crate::cwmp::soap::CwmpNamespace;
use crate::cwmp::soap::error::{Problem, ReadError};

const ATTRIBUTE: &str = "an attribute is not written as name=\"value\", or stands twice";

pub(super) enum Token<'a> {
    Open(Element<'a>),
    Close,
    Text(Cow<'a, str>),
    End,
}

impl<'a> Reader<'a> {
    /// The next token. The path of open elements is kept here.
    pub(super) fn advance(&mut self) -> Result<Token<'a>> {
        loop {
            let start = self.position();
            let event = self.xml.read_event().map_err(|error| self.malformed(&error))?;
            return match event {
                Event::Start(tag) => self.open(start, &tag).map(Token::Open),
                // Nothing comes empty, since those are expanded.
                Event::End(_) | Event::Empty(_) => {
                    self.open.pop();
                    Ok(Token::Close)
                }
                Event::Text(text) => Ok(Token::Text(text.xml10_content())),
                Event::CData(text) => Ok(Token::Text(text.xml10_content())),
                Event::GeneralRef(reference) => self.resolve(&reference),
                Event::Comment(_) => continue,
                Event::Decl(declaration) if start == 0 => {
                    match declaration.encoding() {
                        Some(Ok(encoding)) if !is_utf8(&encoding) => {
                            Err(self.error(Problem::Encoding(cut(&encoding))))?
                        }
                        Some(Err(_)) => Err(self.error(Problem::Malformed(ATTRIBUTE)))?,
                        _ => {}
                    }
                    continue;
                }
                Event::Decl(_) | Event::PI(_) => Err(self.error(Problem::ProcessingInstruction)),
                Event::DocType(_) => Err(self.error(Problem::DocumentType)),
                Event::Eof if self.open.is_empty() => Ok(Token::End),
                Event::Eof => Err(self.error(Problem::Truncated)),
            };
        }
    }

    fn malformed(&self, error: &quick_xml::Error) -> ReadError {
        // Not in its own words: they repeat what was sent.
        let problem = match error {
            quick_xml::Error::Syntax(_) | quick_xml::Error::IllFormed(IllFormedError::MissingEndTag(_)) => {
                Problem::Truncated
            }
            quick_xml::Error::IllFormed(ill) => Problem::Malformed(match ill {
                IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_) => {
                    "an end tag closes what isn't open"
                }
                IllFormedError::UnclosedReference => "an & begins no reference",
                IllFormedError::MissingDoctypeName => "a document type without a name",
                IllFormedError::DoubleHyphenInComment => "a comment with two hyphens in it",
                _ => "its declaration",
            }),
            quick_xml::Error::InvalidAttr(_) => Problem::Malformed(ATTRIBUTE),
            quick_xml::Error::Namespace(_) => Problem::Malformed("a prefix is declared wrongly, or too many are"),
            _ => Problem::Malformed("markup that can't be read"),
        };
        let error = self.error(problem);
        // Where the markup begins, if quick-xml says so.
        match usize::try_from(self.xml.error_position()) {
            Ok(at) if at > 0 => ReadError { at: at.min(self.text.len()) + self.before, ..error },
            _ => error,
        }
    }

    fn open(&mut self, start: usize, tag: &BytesStart<'_>) -> Result<Element<'a>> {
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(self.error(Problem::TooManyElements { limit: self.limits.elements }));
        }
        if self.open.len() >= self.limits.depth {
            return Err(self.error(Problem::TooDeep { limit: self.limits.depth }));
        }
        let length = tag.name().into_inner().len();
        if length > self.limits.name {
            return Err(self.error(Problem::ElementName { limit: self.limits.name }));
        }
        // The name as it stands in the text, behind the `<`, so that it needn't be copied.
        let name = self.text.get(start + 1..start + 1 + length).unwrap_or_default();
        let name = name.rsplit_once(':').map_or(name, |(_, local)| local);
        if name.is_empty() {
            return Err(self.error(Problem::Malformed("an element has no name")));
        }
        let mut element = Element { name, namespace: None, kind: None, must_understand: false };
        for (index, attribute) in tag.attributes().enumerate() {
            if index >= self.limits.attributes {
                return Err(self.error(Problem::TooManyAttributes { limit: self.limits.attributes }));
            }
            let attribute = attribute.map_err(|_| self.error(Problem::Malformed(ATTRIBUTE)))?;
            let value = quick_xml::escape::unescape(&attribute.value).map_err(|_| self.error(Problem::Entity))?;
            if attribute.key.as_namespace_binding().is_some() {
                self.declared = self.declared.or(CwmpNamespace::from_uri(&value));
            }
            match attribute.key.local_name().into_inner() {
                "type" => element.kind = ValueKind::from_xsi_type(&value),
                "mustUnderstand" => element.must_understand = read_boolean(&value) == Some(true),
                _ => {}
            }
        }
        let resolved = self.xml.resolver().resolve_element(tag.name()).0;
        if let ResolveResult::Bound(namespace) = resolved {
            let uri = namespace.into_inner();
            element.namespace = match CwmpNamespace::from_uri(uri) {
                Some(known) => Some(Ok(known)),
                None => uri.starts_with(CwmpNamespace::FAMILY).then(|| Err(cut(uri))),
            };
        }
        self.open.push(name);
        Ok(element)
    }

    fn resolve(&self, reference: &BytesRef<'_>) -> Result<Token<'a>> {
        let character = match &**reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference.resolve_char_ref().ok().flatten().filter(|character| is_xml(*character)),
        };
        match character {
            Some(character) => Ok(Token::Text(Cow::Owned(character.into()))),
            None => Err(self.error(Problem::Entity)),
        }
    }
}

/// As much of what was sent as a message shows.
fn cut(text: &str) -> String {
    text.chars().take(128).collect()
}

/// The encodings that are UTF-8, or part of it.
fn is_utf8(name: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The encoding that a declaration names, where it is another one, of a text that is no UTF-8.
pub(super) fn declared_encoding(content: &[u8]) -> Option<String> {
    let declaration = content.strip_prefix(b"<?xml")?;
    let end = declaration.iter().take(200).position(|byte| *byte == b'>')?;
    let declaration = String::from_utf8_lossy(declaration.get(..end)?).into_owned();
    let (_, value) = declaration.split_once("encoding")?;
    let name = value.trim_start().strip_prefix('=')?.trim_start();
    let name = name.get(1..)?.split(['"', '\'']).next()?;
    (!is_utf8(name)).then(|| cut(name))
}
