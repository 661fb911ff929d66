//! The paths that phones ask for, as patterns with places for MAC, serial number and model.

use std::fmt;

use crate::model::{MacAddr, Secret, Serial};

/// The longest text that is looked at as the code of an invitation.
const MAX_CODE: usize = 64;

/// A path as a pack's manifest writes it: `/cisco/{mac}.xml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    written: String,
    pieces: Vec<Piece>,
    any_case: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Mac,
    Serial,
    Model,
    Code,
    /// Anything that is no `/`.
    Any,
}

/// What a path told about the phone it is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    pub mac: Option<MacAddr>,
    pub serial: Option<Serial>,
    /// Index of the model in its pack.
    pub model: Option<usize>,
    /// The code of an invitation, as the phone was given it.
    pub code: Option<Secret>,
}

/// Why a text is no path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    #[error("must begin with /")]
    Relative,
    #[error("\"{{{0}}}\" is no placeholder; there are {{mac}}, {{serial}}, {{model}}, {{code}} and {{any}}")]
    Placeholder(String),
    #[error("has a {{ without its }}")]
    Open,
    #[error("names {{{0}}} twice")]
    Twice(&'static str),
    #[error("holds a character that no path has: {0:?}")]
    Character(char),
}

impl PathPattern {
    pub fn parse(text: &str, any_case: bool) -> Result<Self, PathPatternError> {
        if !text.starts_with('/') {
            return Err(PathPatternError::Relative);
        }
        if let Some(character) = text.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '%' | '\\')) {
            return Err(PathPatternError::Character(character));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(PathPatternError::Open)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            let (piece, name) = match name {
                "mac" => (Piece::Mac, "mac"),
                "serial" => (Piece::Serial, "serial"),
                "model" => (Piece::Model, "model"),
                "code" => (Piece::Code, "code"),
                "any" => (Piece::Any, "any"),
                other => return Err(PathPatternError::Placeholder(other.to_owned())),
            };
            if pieces.contains(&piece) {
                return Err(PathPatternError::Twice(name));
            }
            pieces.push(piece);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self { written: text.to_owned(), pieces, any_case })
    }

    /// Whether the path says which phone it is for.
    pub fn names_device(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Mac | Piece::Serial | Piece::Code))
    }

    /// Whether phones come here with the code of an invitation.
    pub fn has_code(&self) -> bool {
        self.pieces.contains(&Piece::Code)
    }

    /// Whether a part of it may be anything, so that no one path can be given out.
    pub fn is_open(&self) -> bool {
        self.pieces.contains(&Piece::Any)
    }

    /// What the path tells, if it is of this form.
    pub fn matches<M: ModelNames + ?Sized>(&self, path: &str, models: &M) -> Option<Captures> {
        // Most patterns are not the one that is meant, and most of these end in something else.
        if let Some(Piece::Literal(end)) = self.pieces.last()
            && !path
                .len()
                .checked_sub(end.len())
                .is_some_and(|at| path.get(at..).is_some_and(|tail| self.same(tail, end)))
        {
            return None;
        }
        let mut captures = Captures::default();
        self.step(&self.pieces, path, models, &mut captures).then_some(captures)
    }

    fn same(&self, text: &str, literal: &str) -> bool {
        if self.any_case { text.eq_ignore_ascii_case(literal) } else { text == literal }
    }

    fn step<M: ModelNames + ?Sized>(&self, pieces: &[Piece], path: &str, models: &M, found: &mut Captures) -> bool {
        let Some((piece, rest)) = pieces.split_first() else { return path.is_empty() };
        match piece {
            Piece::Literal(literal) => {
                let Some((head, tail)) = path.split_at_checked(literal.len()) else { return false };
                self.same(head, literal) && self.step(rest, tail, models, found)
            }
            // 17 characters with separators, 14 in dotted groups of four, 12 bare.
            Piece::Mac => [17, 14, 12].into_iter().any(|length| {
                let Some((head, tail)) = path.split_at_checked(length) else { return false };
                let Ok(mac) = head.parse::<MacAddr>() else { return false };
                found.mac = Some(mac);
                self.step(rest, tail, models, found)
            }),
            Piece::Serial => {
                let longest = path.bytes().take(40).take_while(|byte| byte.is_ascii_alphanumeric()).count();
                (4..=longest).rev().any(|length| {
                    let Some((head, tail)) = path.split_at_checked(length) else { return false };
                    found.serial = head.parse().ok();
                    found.serial.is_some() && self.step(rest, tail, models, found)
                })
            }
            Piece::Code => {
                let is_code = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
                let length = path.bytes().take(MAX_CODE + 1).take_while(is_code).count();
                let Some((head, tail)) = path.split_at_checked(length).filter(|_| (1..=MAX_CODE).contains(&length))
                else {
                    return false;
                };
                found.code = Some(Secret::new(head));
                self.step(rest, tail, models, found)
            }
            Piece::Model => models.each_prefix(path, &mut |model, length| {
                let Some((_, tail)) = path.split_at_checked(length) else { return false };
                found.model = Some(model);
                self.step(rest, tail, models, found)
            }),
            Piece::Any => {
                let longest = path.find('/').unwrap_or(path.len());
                // The longest first; an end within a character is none.
                (1..=longest).rev().any(|length| {
                    path.split_at_checked(length).is_some_and(|(_, tail)| self.step(rest, tail, models, found))
                })
            }
        }
    }

    /// A path of this form.
    pub fn fill(&self, mac: Option<MacAddr>, serial: Option<&Serial>, model: &str) -> Option<String> {
        let mut path = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => path.push_str(literal),
                Piece::Mac => path.push_str(&mac?.to_string()),
                Piece::Serial => path.push_str(serial?.as_str()),
                Piece::Model => path.push_str(model),
                // Nobody knows one.
                Piece::Code | Piece::Any => return None,
            }
        }
        Some(path)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The names that `{model}` may stand for.
pub trait ModelNames {
    /// Calls `accept` with each model one of whose names `text` begins with, and the name's length, the longest names
    /// first, until it accepts. True if it did.
    fn each_prefix(&self, text: &str, accept: &mut dyn FnMut(usize, usize) -> bool) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Names(&'static [&'static str]);

    impl ModelNames for Names {
        fn each_prefix(&self, text: &str, accept: &mut dyn FnMut(usize, usize) -> bool) -> bool {
            self.0.iter().enumerate().any(|(index, name)| {
                text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) && accept(index, name.len())
            })
        }
    }

    fn captures(pattern: &str, path: &str) -> Option<Captures> {
        PathPattern::parse(pattern, false).unwrap().matches(path, &Names(&["6757iCT", "6757i"]))
    }

    #[test]
    fn a_mac_stands_in_any_spelling() {
        for spelling in ["000e08abcdef", "000E08ABCDEF", "00:0e:08:ab:cd:ef", "00-0E-08-AB-CD-EF", "000e.08ab.cdef"] {
            let found = captures("/cfg{mac}.xml", &format!("/cfg{spelling}.xml")).unwrap();
            assert_eq!(found.mac.unwrap().to_string(), "000e08abcdef");
        }
        assert_eq!(captures("/cfg{mac}.xml", "/cfg000e08abcde.xml"), None);
        assert_eq!(captures("/cfg{mac}.xml", "/cfg000e08abcdef0.xml"), None);
        assert_eq!(captures("/cfg{mac}.xml", "/cfg000e08abcdef.xmlx"), None);
        assert_eq!(captures("/cfg{mac}.xml", "/cfgé0e08abcdef.xml"), None);
    }

    #[test]
    fn models_and_serials() {
        assert_eq!(captures("/{model}.cfg", "/6757I.cfg").unwrap().model, Some(1));
        assert_eq!(captures("/{model}.cfg", "/6757ict.cfg").unwrap().model, Some(0));
        assert_eq!(captures("/{model}.cfg", "/6758i.cfg"), None);
        let found = captures("/s/{serial}.cfg", "/s/ccq162306ea.cfg").unwrap();
        assert_eq!(found.serial.unwrap().as_str(), "CCQ162306EA");
    }

    #[test]
    fn anything_stands_within_one_folder() {
        let crash = "/{mac}_{any}_crash.log";
        let found = captures(crash, "/00085D1A9870_2014-05-01_10:00_é_crash.log").unwrap();
        assert_eq!(found.mac.unwrap().to_string(), "00085d1a9870");
        for path in ["/00085D1A9870__crash.log", "/00085D1A9870_a/b_crash.log", "/00085D1A9870_crash.log"] {
            assert_eq!(captures(crash, path), None, "{path}");
        }
        let pattern = PathPattern::parse(crash, false).unwrap();
        assert!(pattern.is_open() && pattern.names_device());
        assert_eq!(pattern.fill(found.mac, None, ""), None);
    }

    #[test]
    fn literal_parts_keep_their_case_unless_told() {
        assert_eq!(captures("/init.cfg", "/INIT.cfg"), None);
        assert!(PathPattern::parse("/init.cfg", true).unwrap().matches("/INIT.cfg", &Names(&[])).is_some());
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let error = |text| PathPattern::parse(text, false).unwrap_err();
        assert_eq!(error("cfg"), PathPatternError::Relative);
        assert_eq!(error("/{mca}"), PathPatternError::Placeholder("mca".to_owned()));
        assert_eq!(error("/{mac"), PathPatternError::Open);
        assert_eq!(error("/{mac}{mac}"), PathPatternError::Twice("mac"));
        assert_eq!(error("/a b"), PathPatternError::Character(' '));
    }
}
