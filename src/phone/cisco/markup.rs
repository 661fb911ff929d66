//! The tolerant reader of open-format profiles: XML-like, not XML (guide: "Element Tag Properties", "String Formats").
//!
//! Tags must match, in case too; comments and `<?…?>` are passed over; attributes other than `ua` don't matter; a `&` that
//! begins no escape is itself. What the guide does not speak of, a document type or CDATA, makes the file corrupt: so it
//! is the author who is told, not the phone's user.

/// So deep may elements nest. The guide names no bound; a phone has one.
const DEPTH: usize = 64;

/// An element, once it is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'a> {
    /// Byte offset of its `<`.
    pub at: usize,
    /// The names of the elements around it, the outermost first, and its own.
    pub path: Vec<&'a str>,
    /// Every attribute as written, with its quotes.
    pub attributes: Vec<(&'a str, &'a str)>,
    /// What stands in it outside of other elements and comments: none for `<X/>`.
    pub content: Option<String>,
}

/// Why a file is corrupt. Offsets are in bytes; what stands there is not repeated, save for names of elements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkupError {
    #[error("byte {at} is not UTF-8: the file is binary, of another charset, or still encrypted")]
    NotUtf8 { at: usize },
    #[error("<{name}> at {at} is never closed")]
    NeverClosed { at: usize, name: String },
    #[error("</{close}> at {at} closes <{open}>: tags must match, in case too")]
    Mismatch { at: usize, open: String, close: String },
    #[error("</{name}> at {at} closes nothing")]
    NeverOpened { at: usize, name: String },
    #[error("the tag at {at} is no tag: names have no spaces, attributes are name=\"value\", and > ends it")]
    Tag { at: usize },
    #[error("the comment or declaration at {at} never ends")]
    Unended { at: usize },
    #[error("a document type or CDATA at {at}, which the guide doesn't have")]
    Declaration { at: usize },
    #[error("elements nest deeper than {DEPTH} at {at}")]
    TooDeep { at: usize },
}

struct Open<'a> {
    at: usize,
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    content: String,
}

/// Reads all of a file, and gives every element as it closes.
///
/// # Errors
/// With the place where the file stops making sense.
pub fn read<'a>(text: &'a str, mut each: impl FnMut(Element<'a>)) -> Result<(), MarkupError> {
    let mut open: Vec<Open<'a>> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if !rest.starts_with('<') {
            let end = rest.find('<').unwrap_or(rest.len());
            if let Some(parent) = open.last_mut() {
                parent.content.push_str(rest.get(..end).unwrap_or(rest));
            }
            at += end;
        } else if let Some(passed) = passed_over(rest, at)? {
            at += passed;
        } else if let Some(after) = rest.strip_prefix("</") {
            let (name, length) =
                after.split_once('>').map(|(name, _)| (name, name.len() + 3)).ok_or(MarkupError::Tag { at })?;
            let name = name.trim_end();
            let Some(element) = open.pop() else {
                return Err(MarkupError::NeverOpened { at, name: shortened(name) });
            };
            if element.name != name {
                return Err(MarkupError::Mismatch { at, open: shortened(element.name), close: shortened(name) });
            }
            each(closed(&open, element.at, element.name, element.attributes, Some(element.content)));
            at += length;
        } else {
            let tag = tag(rest).ok_or(MarkupError::Tag { at })?;
            if open.len() >= DEPTH {
                return Err(MarkupError::TooDeep { at });
            }
            if tag.is_empty {
                each(closed(&open, at, tag.name, tag.attributes, None));
            } else {
                open.push(Open { at, name: tag.name, attributes: tag.attributes, content: String::new() });
            }
            at += tag.length;
        }
    }
    match open.pop() {
        Some(element) => Err(MarkupError::NeverClosed { at: element.at, name: shortened(element.name) }),
        None => Ok(()),
    }
}

fn closed<'a>(
    open: &[Open<'a>],
    at: usize,
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    content: Option<String>,
) -> Element<'a> {
    let path = open.iter().map(|element| element.name).chain([name]).collect();
    Element { at, path, attributes, content }
}

/// The length of a comment or declaration that begins here, if one does.
fn passed_over(rest: &str, at: usize) -> Result<Option<usize>, MarkupError> {
    let ends_with = |begin: &str, end: &str| {
        let inner = rest.get(begin.len()..).unwrap_or_default();
        let length = inner.find(end).ok_or(MarkupError::Unended { at })?;
        Ok(Some(begin.len() + length + end.len()))
    };
    if rest.starts_with("<!--") {
        ends_with("<!--", "-->")
    } else if rest.starts_with("<?") {
        ends_with("<?", "?>")
    } else if rest.starts_with("<!") {
        Err(MarkupError::Declaration { at })
    } else {
        Ok(None)
    }
}

struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    is_empty: bool,
    length: usize,
}

fn tag(rest: &str) -> Option<Tag<'_>> {
    let mut scanner = Scanner { rest, at: 1 };
    let name = scanner.name()?;
    let mut attributes = Vec::new();
    loop {
        let spaced = scanner.space();
        match scanner.left().as_bytes() {
            [b'>', ..] => return Some(Tag { name, attributes, is_empty: false, length: scanner.at + 1 }),
            [b'/', b'>', ..] => return Some(Tag { name, attributes, is_empty: true, length: scanner.at + 2 }),
            _ if !spaced => return None,
            _ => attributes.push(scanner.attribute()?),
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn left(&self) -> &'a str {
        self.rest.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = self.rest.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        taken
    }

    fn space(&mut self) -> bool {
        let left = self.left();
        let space = left.len() - left.trim_start().len();
        self.at += space;
        space > 0
    }

    fn name(&mut self) -> Option<&'a str> {
        let left = self.left();
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '>' | '<' | '=' | '"' | '\'');
        let end = left.find(ends)?;
        left.starts_with(|c: char| c.is_alphabetic() || c == '_').then(|| self.take(end))
    }

    fn attribute(&mut self) -> Option<(&'a str, &'a str)> {
        let name = self.name()?;
        self.space();
        self.left().strip_prefix('=')?;
        self.at += 1;
        self.space();
        let left = self.left();
        let quote = left.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let inner = left.get(1..)?;
        let end = inner.find(quote)?;
        Some((name, self.take(end + 2)))
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

/// A value as the phone keeps it: white space around it goes, new lines become spaces, escapes become characters.
pub fn value(content: &str) -> String {
    let lines = content.trim().replace("\r\n", " ").replace(['\n', '\r'], " ");
    unescaped(&lines)
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        match escape(after) {
            Some((character, end)) => {
                plain.push(character);
                rest = after.get(end..).unwrap_or_default();
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The character that an escape stands for, and where the escape ends, counted from after its `&`.
fn escape(after: &str) -> Option<(char, usize)> {
    // The longest is &#x10FFFF; leading zeros aside.
    let end = after.bytes().take(12).position(|byte| byte == b';')?;
    let name = after.get(..end)?;
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let (digits, radix) = match number.strip_prefix(['x', 'X']) {
                Some(digits) => (digits, 16),
                None => (number, 10),
            };
            let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            let code = u32::from_str_radix(digits, radix).ok().filter(|code| plain && *code != 0)?;
            char::from_u32(code)?
        }
    };
    Some((character, end + 1))
}
