//! Elements one by one, within the limits. The messages are read with it: [`Reader::child`], then for each child [`Reader::text`],
//! [`Reader::list`], further children, or [`Reader::skip`].

mod tokens;

use std::str::FromStr;

use quick_xml::NsReader;

use self::tokens::{Token, declared_encoding};
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

/// Whether XML 1.0 can hold a character at all (production `Char`).
pub(in crate::cwmp::soap) fn is_xml(character: char) -> bool {
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
