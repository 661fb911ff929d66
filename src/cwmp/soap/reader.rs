//! Elements one by one, within the limits. The messages are read with it: [`Reader::child`], then for each child [`Reader::text`],
//! [`Reader::list`], further children, or [`Reader::skip`].

use std::borrow::Cow;
use std::str::FromStr;

use quick_xml::NsReader;
use quick_xml::errors::IllFormedError;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::error::{Problem, ReadError};
use super::{CwmpNamespace, Limits};
use crate::cwmp::Moment;
use crate::cwmp::message::ValueKind;

type Result<T> = std::result::Result<T, ReadError>;

pub(in crate::cwmp) struct Reader<'a> {
    text: &'a str,
    /// Bytes of the byte order mark before the text.
    before: usize,
    xml: NsReader<&'a [u8]>,
    limits: &'a Limits,
    /// Local names of the open elements.
    open: Vec<&'a str>,
    elements: usize,
    /// The first namespace of CWMP that any element declared, whether it was used or not.
    pub declared: Option<CwmpNamespace>,
    /// What errors carry.
    pub id: Option<String>,
    pub namespace: Option<CwmpNamespace>,
    pub method: Option<&'a str>,
}

/// The start of an element. Its content has to be read, or skipped, before the next one is asked for.
#[derive(Debug)]
pub(in crate::cwmp) struct Element<'a> {
    /// Without prefix.
    pub name: &'a str,
    /// Its namespace, if it has one of CWMP's family: known, or the URI.
    pub namespace: Option<std::result::Result<CwmpNamespace, String>>,
    /// `xsi:type`, as far as it is known.
    pub kind: Option<ValueKind>,
    pub must_understand: bool,
}

enum Token<'a> {
    Open(Element<'a>),
    Close,
    Text(Cow<'a, str>),
    End,
}

/// Whether XML 1.0 can hold a character at all (production `Char`).
pub(super) fn is_xml(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

impl<'a> Reader<'a> {
    /// # Errors
    /// When the bytes are too many, or no UTF-8 text of characters that XML can hold.
    pub fn new(bytes: &'a [u8], limits: &'a Limits) -> Result<Self> {
        let refused =
            |problem, at| Err(ReadError { problem, at, path: String::new(), id: None, namespace: None, method: None });
        if bytes.len() > limits.bytes {
            return refused(Problem::TooLarge { limit: limits.bytes }, limits.bytes);
        }
        if bytes.starts_with(&[0xfe, 0xff])
            || bytes.starts_with(&[0xff, 0xfe])
            || bytes.starts_with(b"<\0")
            || bytes.starts_with(b"\0<")
        {
            return refused(Problem::Encoding("UTF-16".to_owned()), 0);
        }
        let content = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let before = bytes.len() - content.len();
        let text = match std::str::from_utf8(content) {
            Ok(text) => text,
            Err(error) => {
                return match declared_encoding(content) {
                    // Latin-1 that says so: the encoding is the mistake.
                    Some(encoding) => refused(Problem::Encoding(encoding), before),
                    None => refused(Problem::NotUtf8, before + error.valid_up_to()),
                };
            }
        };
        if let Some((at, character)) = text.char_indices().find(|(_, character)| !is_xml(*character)) {
            return refused(Problem::Character(character), before + at);
        }
        let mut xml = NsReader::from_str(text);
        xml.config_mut().expand_empty_elements = true;
        let mut reader = Self {
            text,
            before,
            xml,
            limits,
            open: Vec::new(),
            elements: 0,
            declared: None,
            id: None,
            namespace: None,
            method: None,
        };
        // Each attribute may declare a prefix, on each level.
        reader.xml.resolver_mut().set_max_namespace_bindings(limits.attributes.saturating_mul(4));
        Ok(reader)
    }

    pub fn error(&self, problem: Problem) -> ReadError {
        ReadError {
            problem,
            at: self.position() + self.before,
            path: self.open.join("/"),
            id: self.id.clone(),
            namespace: self.namespace.or(self.declared),
            method: self.method.map(str::to_owned),
        }
    }

    fn position(&self) -> usize {
        usize::try_from(self.xml.buffer_position()).unwrap_or(usize::MAX).min(self.text.len())
    }

    /// The next child of the element that is open, or `None` once that is closed. Text between children is passed over.
    pub fn child(&mut self) -> Result<Option<Element<'a>>> {
        loop {
            match self.advance()? {
                Token::Open(element) => return Ok(Some(element)),
                Token::Close => return Ok(None),
                Token::Text(_) => {}
                Token::End => return Err(self.error(Problem::Truncated)),
            }
        }
    }

    /// Passes over everything within the element that is open, and its end.
    pub fn skip(&mut self) -> Result<()> {
        let within = self.open.len();
        while self.open.len() >= within {
            if let Token::End = self.advance()? {
                return Err(self.error(Problem::Truncated));
            }
        }
        Ok(())
    }

    /// The text of the element that is open, as it stands there, up to its end. Children are passed over.
    pub fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            match self.advance()? {
                Token::Text(piece) => {
                    if text.len() + piece.len() > self.limits.text {
                        return Err(self.error(Problem::TextTooLong { limit: self.limits.text }));
                    }
                    text.push_str(&piece);
                }
                Token::Open(_) => self.skip()?,
                Token::Close => return Ok(text),
                Token::End => return Err(self.error(Problem::Truncated)),
            }
        }
    }

    /// The text of the element that is open, without the white space around it.
    pub fn word(&mut self) -> Result<String> {
        let text = self.text()?;
        let trimmed = text.trim();
        Ok(if trimmed.len() == text.len() { text } else { trimmed.to_owned() })
    }

    /// The name of a parameter or object.
    pub fn name(&mut self) -> Result<String> {
        let name = self.word()?;
        if name.chars().nth(self.limits.name).is_some() {
            return Err(self.error(Problem::NameTooLong { limit: self.limits.name }));
        }
        Ok(name)
    }

    /// A number of the element that is open.
    pub fn number<T: FromStr>(&mut self) -> Result<T> {
        self.word()?.parse().map_err(|_| self.error(Problem::Value("a number in its range")))
    }

    /// `0`, `1`, `true` or `false`, in any case.
    pub fn boolean(&mut self) -> Result<bool> {
        read_boolean(&self.word()?).ok_or_else(|| self.error(Problem::Value("a boolean: 0, 1, true or false")))
    }

    /// A time that only informs: one that can't be read is unknown.
    pub fn moment(&mut self) -> Result<Moment> {
        Ok(Moment::parse(&self.text()?).unwrap_or_default())
    }

    /// The items of the list that is open: its children of that name. Others are passed over, and so is what it says of their count.
    pub fn list<T>(&mut self, name: &str, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while let Some(child) = self.child()? {
            if child.name != name {
                self.skip()?;
                continue;
            }
            let each = item(self)?;
            self.push(&mut items, each)?;
        }
        Ok(items)
    }

    /// One more item of a list.
    pub fn push<T>(&self, items: &mut Vec<T>, item: T) -> Result<()> {
        if items.len() >= self.limits.items {
            return Err(self.error(Problem::TooManyItems { limit: self.limits.items }));
        }
        items.push(item);
        Ok(())
    }

    /// The outermost element.
    pub fn root(&mut self) -> Result<Element<'a>> {
        loop {
            match self.advance()? {
                Token::Open(element) => return Ok(element),
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) => return Err(self.error(Problem::Malformed("text stands before the first element"))),
                Token::Close | Token::End => return Err(self.error(Problem::Truncated)),
            }
        }
    }

    /// What follows the outermost element: nothing but white space and comments.
    pub fn finish(&mut self) -> Result<()> {
        loop {
            match self.advance()? {
                Token::End => return Ok(()),
                Token::Text(text) if text.trim().is_empty() => {}
                _ => return Err(self.error(Problem::Trailing)),
            }
        }
    }

    fn advance(&mut self) -> Result<Token<'a>> {
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
                        Some(Err(error)) => Err(self.malformed(&error.into()))?,
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
            quick_xml::Error::InvalidAttr(_) => {
                Problem::Malformed("an attribute is not written as name=\"value\", or stands twice")
            }
            quick_xml::Error::Namespace(_) => Problem::Malformed("a prefix is declared wrongly, or too many are"),
            _ => Problem::Malformed("markup that can't be read"),
        };
        let at = usize::try_from(self.xml.error_position()).unwrap_or(usize::MAX).min(self.text.len());
        ReadError { at: at + self.before, ..self.error(problem) }
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
            let attribute = attribute.map_err(|error| self.malformed(&error.into()))?;
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

/// What XML Schema calls a boolean, in any case.
pub(in crate::cwmp) fn read_boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" => Some(true),
        "0" => Some(false),
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The encodings that are UTF-8, or part of it.
fn is_utf8(name: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The encoding that a declaration names, where it is another one, of a text that is no UTF-8.
fn declared_encoding(content: &[u8]) -> Option<String> {
    let declaration = content.strip_prefix(b"<?xml")?;
    let end = declaration.iter().take(200).position(|byte| *byte == b'>')?;
    let declaration = String::from_utf8_lossy(declaration.get(..end)?).into_owned();
    let (_, value) = declaration.split_once("encoding")?;
    let name = value.trim_start().strip_prefix('=')?.trim_start();
    let name = name.get(1..)?.split(['"', '\'']).next()?;
    (!is_utf8(name)).then(|| cut(name))
}
