//! How the phone reads a `.cfg` file.
//!
//! One `name: value` a line; `#` begins a comment, at the start of a line or after a value, but not within the quotes
//! around a value. `!` before a name locks the parameter, `^` takes back what the user made of it (guide 41-001343-02, pages
//! 2-15 and 2-16). Names have no case (appendix A of the same). A parameter named twice is what the last line says.
//!
//! The guides are silent on the rest; so decided: white space around names and values falls away and stays within; both
//! marks may stand together; quotes fall away only where they are around the whole value, and what else has quotes in it is
//! taken as it stands; a line that is none of this is passed over, as in every phone seen. What holds control
//! characters is no such file: a compressed or encrypted one.

use std::collections::BTreeMap;

/// What a `.cfg` file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// By name in lower case.
    pub parameters: BTreeMap<String, Parameter>,
    /// Lines that were passed over.
    pub passed_over: Vec<GrammarError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// As the file spells it.
    pub name: String,
    pub value: String,
    pub mark: Mark,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// `!`: the user can't change the parameter.
    pub locked: bool,
    /// `^`: a change of the user's is taken back.
    pub forced: bool,
}

/// Why a file or a line of it isn't taken. Never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    #[error("a control character in line {line}: this is no text, but perhaps a compressed or encrypted file")]
    NotText { line: u32 },
    #[error("it was encrypted by the vendor's tool, which only a real phone can undo")]
    Encrypted,
    #[error("line {line} has no colon")]
    NoColon { line: u32 },
    #[error("line {line} has no name before its colon")]
    NoName { line: u32 },
    #[error("there is no parameter in it")]
    Nothing,
}

impl GrammarError {
    /// Counted from 1; 0 where it is about the whole file.
    pub fn line(&self) -> u32 {
        match self {
            Self::NotText { line } | Self::NoColon { line } | Self::NoName { line } => *line,
            Self::Encrypted | Self::Nothing => 0,
        }
    }
}

/// Whether phones of this firmware know `!`: from release 2.4 on. To those before it, it is a letter of the name.
pub fn knows_locks(firmware: &str) -> bool {
    let mut numbers = firmware.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= (2, 4),
        // A firmware that doesn't say which it is, is a new one.
        _ => true,
    }
}

/// Reads a file, in UTF-8 or else in Latin-1.
///
/// # Errors
/// When it is no text, or says nothing although it isn't empty.
pub fn read(body: &[u8], knows_locks: bool) -> Result<Profile, GrammarError> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text.to_owned(),
        Err(_) => body.iter().copied().map(char::from).collect(),
    };
    let mut profile = Profile::default();
    let mut says_something = false;
    for (line, number) in text.lines().zip(1_u32..) {
        if line.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\r')) {
            return Err(GrammarError::NotText { line: number });
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        says_something = true;
        match parameter(line, number, knows_locks) {
            Ok(parameter) => {
                profile.parameters.insert(folded(&parameter.name), parameter);
            }
            Err(error) => profile.passed_over.push(error),
        }
    }
    // A page of a captive portal or of an error, say.
    if profile.parameters.is_empty() && says_something { Err(GrammarError::Nothing) } else { Ok(profile) }
}

/// A name as names are compared.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

fn parameter(line: &str, number: u32, knows_locks: bool) -> Result<Parameter, GrammarError> {
    let (name, rest) = line.split_once(':').ok_or(GrammarError::NoColon { line: number })?;
    let mut mark = Mark::default();
    let mut name = name.trim();
    loop {
        if let Some(after) = name.strip_prefix('!').filter(|_| knows_locks) {
            mark.locked = true;
            name = after.trim_start();
        } else if let Some(after) = name.strip_prefix('^') {
            mark.forced = true;
            name = after.trim_start();
        } else {
            break;
        }
    }
    // `sip # name: x` is a comment after something that is no parameter.
    if name.contains('#') {
        return Err(GrammarError::NoColon { line: number });
    }
    if name.is_empty() {
        return Err(GrammarError::NoName { line: number });
    }
    Ok(Parameter { name: name.to_owned(), value: value(rest.trim()), mark })
}

fn value(text: &str) -> String {
    if let Some((quoted, after)) = text.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        let after = after.trim_start();
        if after.is_empty() || after.starts_with('#') {
            return quoted.to_owned();
        }
    }
    text.split('#').next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<(String, String, bool, bool)> {
        let profile = read(text.as_bytes(), true).unwrap();
        let all = profile.parameters.into_values();
        all.map(|one| (one.name, one.value, one.mark.locked, one.mark.forced)).collect()
    }

    fn one(text: &str) -> (String, bool, bool) {
        let (_, value, locked, forced) = values(text).remove(0);
        (value, locked, forced)
    }

    #[test]
    fn marks_quotes_and_comments() {
        for (line, expected) in [
            ("a:b", ("b", false, false)),
            (" a b : c d ", ("c d", false, false)),
            ("a: b # c", ("b", false, false)),
            ("a: \"b # c\" # d", ("b # c", false, false)),
            ("a: \"b\"", ("b", false, false)),
            ("a: \"b\" & \"c\"", ("\"b\" & \"c\"", false, false)),
            ("a: Tom \"b\"", ("Tom \"b\"", false, false)),
            ("a: \"b", ("\"b", false, false)),
            ("a: http://x:1/y", ("http://x:1/y", false, false)),
            ("a:", ("", false, false)),
            ("!a: b", ("b", true, false)),
            ("^a: b", ("b", false, true)),
            ("^!a: b", ("b", true, true)),
            ("! ^ a: b", ("b", true, true)),
            ("a: 1\r\nA: 2\r\n", ("2", false, false)),
        ] {
            let (value, locked, forced) = one(line);
            assert_eq!((value.as_str(), locked, forced), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_parameter_is_passed_over() {
        let profile = read(b"a: 1\nnothing\n: 2\n# c: 3\n\nb # c: 4\n", true).unwrap();
        assert_eq!(profile.parameters.len(), 1);
        let passed_over =
            [GrammarError::NoColon { line: 2 }, GrammarError::NoName { line: 3 }, GrammarError::NoColon { line: 6 }];
        assert_eq!(profile.passed_over, passed_over);
        assert_eq!(read(b"<html>\n", true), Err(GrammarError::Nothing));
        assert_eq!(read(b"", true), Ok(Profile::default()));
        assert_eq!(read(b"a: 1\n\x1f\x8b\x08\0", true), Err(GrammarError::NotText { line: 2 }));
        assert_eq!(read(b"a: caf\xe9", true).unwrap().parameters["a"].value, "café");
    }

    #[test]
    fn firmware_before_2_4_knows_no_locks() {
        for (firmware, knows) in
            [("2.3.1", false), ("2.4.0.80-SIP", true), ("3.2.0.70-SIP", true), ("6.4", true), ("x", true)]
        {
            assert_eq!(knows_locks(firmware), knows, "{firmware}");
        }
        assert!(read(b"!a: 1", false).unwrap().parameters.contains_key("!a"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = read(&body, true);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[ab!^:#\" \r\n\t]{0,60}") {
            if let Ok(profile) = read(text.as_bytes(), true) {
                for parameter in profile.parameters.values() {
                    prop_assert!(!parameter.name.is_empty());
                    prop_assert!(!parameter.value.contains('\n'));
                }
            }
        }
    }
}
