//! Forms with files in them (`multipart/form-data`, RFC 7578), read as they come, in parts of any size.
//!
//! Nothing of a file is held but what may be the beginning of a delimiter, and nothing else is held without bound.

use std::fmt;

/// Longest head of a part, in bytes.
const HEAD_LIMIT: usize = 8 << 10;

/// Most parts of a form.
const PARTS: usize = 64;

/// Longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY_LIMIT: usize = 70;

/// Blanks that may follow a delimiter: transport padding, of which nobody sends more.
const PADDING: usize = 16;

/// Why a form can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    #[error("the Content-Type names no boundary of 1 to {BOUNDARY_LIMIT} characters")]
    Boundary,
    #[error("the form is cut off")]
    Truncated,
    #[error("the head of part {0} has no end within {HEAD_LIMIT} bytes")]
    LongHead(usize),
    #[error("the form has more than {PARTS} parts")]
    ManyParts,
    #[error("what follows the delimiter before part {0} is neither a line end nor the form's end")]
    Delimiter(usize),
    #[error("part {0} has no name: its Content-Disposition is not form-data with a name")]
    NoName(usize),
}

/// What a part says of itself, in the phone's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    pub name: String,
    pub file_name: Option<String>,
    pub content_type: Option<String>,
}

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A part begins.
    Part(PartHead),
    /// The next bytes of the part that began last.
    Data(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first delimiter, or within a part: up to the next one. True within a part.
    Content(bool),
    AfterDelimiter,
    Head,
    Epilogue,
}

/// Reads one form.
pub struct Multipart {
    /// Line end, two hyphens, and the boundary.
    delimiter: Vec<u8>,
    state: State,
    held: Vec<u8>,
    parts: usize,
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart").field("state", &self.state).field("parts", &self.parts).finish_non_exhaustive()
    }
}

/// Whether a Content-Type is that of a form with files.
pub fn is_multipart(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("multipart/form-data")
}

impl Multipart {
    /// By the boundary that the Content-Type names.
    pub fn new(content_type: &str) -> Result<Self, MultipartError> {
        let boundary = parameter(content_type, "boundary").ok_or(MultipartError::Boundary)?;
        let fits = (1..=BOUNDARY_LIMIT).contains(&boundary.len()) && boundary.bytes().all(|byte| byte >= b' ');
        if !fits {
            return Err(MultipartError::Boundary);
        }
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter has no line end before it where the form begins with it.
        Ok(Self { delimiter, state: State::Content(false), held: b"\r\n".to_vec(), parts: 0 })
    }

    /// Takes the next bytes, and gives what they bring.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, MultipartError> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while self.step(&mut pieces)? {}
        Ok(pieces)
    }

    /// To be called when all has come.
    pub fn finish(&self) -> Result<(), MultipartError> {
        if self.state == State::Epilogue { Ok(()) } else { Err(MultipartError::Truncated) }
    }

    /// Whether there may be more to do with what is held.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> Result<bool, MultipartError> {
        match self.state {
            State::Content(in_part) => {
                let found = find(&self.held, &self.delimiter);
                // The end of what is held may be the beginning of a delimiter.
                let certain = found.unwrap_or_else(|| self.held.len().saturating_sub(self.delimiter.len() - 1));
                let data: Vec<u8> = self.held.drain(..certain).collect();
                if in_part && !data.is_empty() {
                    pieces.push(Piece::Data(data));
                }
                if found.is_some() {
                    self.held.drain(..self.delimiter.len());
                    self.state = State::AfterDelimiter;
                }
                Ok(found.is_some())
            }
            State::AfterDelimiter => {
                let blanks = self.held.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                let rest = self.held.get(blanks..).unwrap_or_default();
                let is_line_end = rest.starts_with(b"\r\n");
                if blanks > PADDING {
                    return Err(MultipartError::Delimiter(self.parts + 1));
                } else if blanks == 0 && rest.starts_with(b"--") {
                    self.state = State::Epilogue;
                } else if is_line_end {
                    // The line end stays: a part without any header has but an empty line.
                    self.held.drain(..blanks);
                    self.state = State::Head;
                } else if rest.len() >= 2 {
                    return Err(MultipartError::Delimiter(self.parts + 1));
                } else {
                    return Ok(false);
                }
                Ok(true)
            }
            State::Head => {
                let Some(end) = find(&self.held, b"\r\n\r\n") else {
                    // Its end may have begun to come.
                    if self.held.len() >= HEAD_LIMIT + 4 {
                        return Err(MultipartError::LongHead(self.parts + 1));
                    }
                    return Ok(false);
                };
                if end > HEAD_LIMIT {
                    return Err(MultipartError::LongHead(self.parts + 1));
                }
                self.parts += 1;
                if self.parts > PARTS {
                    return Err(MultipartError::ManyParts);
                }
                let text: Vec<u8> = self.held.drain(..end + 2).collect();
                let head = head(&String::from_utf8_lossy(&text)).ok_or(MultipartError::NoName(self.parts))?;
                pieces.push(Piece::Part(head));
                self.held.drain(..2);
                self.state = State::Content(true);
                Ok(true)
            }
            State::Epilogue => {
                self.held.clear();
                Ok(false)
            }
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|byte| *byte == first) {
        let at = from + at;
        if text.get(at..)?.starts_with(part) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn head(text: &str) -> Option<PartHead> {
    let header = |name: &str| {
        text.split("\r\n").find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let disposition = header("content-disposition")?;
    let essence = disposition.split(';').next().unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    Some(PartHead {
        name: parameter(disposition, "name")?,
        file_name: parameter(disposition, "filename"),
        content_type: header("content-type").map(str::to_owned),
    })
}

/// A parameter of a header's value, `; name="value"` or `; name=value`.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (own, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (found, next) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                let (found, next) = after.split_at_checked(end)?;
                (found.trim().to_owned(), next)
            }
        };
        if own.trim().eq_ignore_ascii_case(name) {
            return Some(found);
        }
        rest = next.split_once(';')?.1;
    }
}

/// A text up to its closing quote, and what follows. Browsers and phones write a backslash as itself, and a quote as `\"` or
/// `%22`; so only before a quote it stands for nothing.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        match before.strip_suffix('\\') {
            Some(before) => {
                found.push_str(before);
                found.push('"');
            }
            None => {
                found.push_str(before);
                return Some((found, after));
            }
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=AaB03x";

    /// Name, file name and content.
    type Part = (String, Option<String>, Vec<u8>);

    fn read(body: &[u8], step: usize) -> Result<Vec<Part>, MultipartError> {
        let mut form = Multipart::new(TYPE)?;
        let mut parts: Vec<Part> = Vec::new();
        for bytes in body.chunks(step) {
            for piece in form.push(bytes)? {
                match piece {
                    Piece::Part(head) => parts.push((head.name, head.file_name, Vec::new())),
                    Piece::Data(data) => parts.last_mut().unwrap().2.extend(data),
                }
            }
            assert!(form.held.len() <= HEAD_LIMIT + step + 80, "{}", form.held.len());
        }
        form.finish()?;
        Ok(parts)
    }

    #[test]
    fn a_form_reads_the_same_however_it_is_cut() {
        let body = b"preamble\r\n--AaB03x\r\nContent-Disposition: form-data; name=\"devicename\"\r\n\r\nSEP\r\n--AaB03x  \r\n\
            content-disposition:form-data;filename=\"a;\\\"b\\c.tar.gz\"; name=prt_file\r\nContent-Type: application/gzip\r\n\r\n\
            \x1f\x8b\r\n--AaB03\r\n-- \r\n\r\n--AaB03x\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--AaB03x--\r\nepilogue";
        let wanted = [
            ("devicename".to_owned(), None, b"SEP".to_vec()),
            ("prt_file".to_owned(), Some("a;\"b\\c.tar.gz".to_owned()), b"\x1f\x8b\r\n--AaB03\r\n-- \r\n".to_vec()),
            ("empty".to_owned(), None, Vec::new()),
        ];
        for step in [1, 2, 3, 7, 64, body.len()] {
            assert_eq!(read(body, step).unwrap(), wanted, "{step}");
        }
    }

    #[test]
    fn what_is_no_form_says_why() {
        let error = |body: &[u8]| read(body, 5).unwrap_err();
        let head = "--AaB03x\r\nContent-Disposition: form-data; name=a\r\n";
        assert_eq!(error(b"nothing"), MultipartError::Truncated);
        assert_eq!(error(format!("{head}\r\nno end").as_bytes()), MultipartError::Truncated);
        assert_eq!(error(b"--AaB03xyz\r\n"), MultipartError::Delimiter(1));
        assert_eq!(error(b"--AaB03x\r\nContent-Type: text/plain\r\n\r\n"), MultipartError::NoName(1));
        assert_eq!(error(b"--AaB03x\r\nContent-Disposition: attachment; name=a\r\n\r\n"), MultipartError::NoName(1));
        let long = format!("{head}X: {}", "x".repeat(2 * HEAD_LIMIT));
        assert_eq!(error(long.as_bytes()), MultipartError::LongHead(1));
        assert_eq!(error(format!("{head}\r\n\r\n").repeat(PARTS + 1).as_bytes()), MultipartError::ManyParts);
        for wrong in
            ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\u{1}\""]
        {
            assert!(is_multipart(wrong));
            assert_eq!(Multipart::new(wrong).unwrap_err(), MultipartError::Boundary, "{wrong}");
        }
        assert!(!is_multipart("multipart/mixed; boundary=a"));
    }
}
