//! The options before a URL, `[--key … --uid … --pwd … --post … --alias … --delta --status]` (guide: "Optional Resync
//! Arguments"; SPA guide: post, alias; SPA chapter: Report Rule).

use std::fmt;

use crate::model::Secret;

/// The options of one alternative.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    pub key: Option<Secret>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// The general purpose parameter that holds the template of a POST's body, as a capital letter.
    pub post: Option<char>,
    /// The general purpose parameter that holds an alias map, as a capital letter.
    pub alias: Option<char>,
    /// Report what changed since the last resync alone.
    pub delta: bool,
    /// Report the status, not the configuration.
    pub status: bool,
}

/// An option's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionName {
    Key,
    Uid,
    Pwd,
    Post,
    Alias,
    Delta,
    Status,
}

/// Why a text holds no options. Offsets are in bytes; values are not repeated, as they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    #[error("the string that begins at {at} is never closed")]
    Unclosed { at: usize },
    #[error("what stands at {at} is no option: there are --key, --uid, --pwd, --post, --alias, --delta and --status")]
    Unknown { at: usize },
    #[error("--{name} at {at} has no value")]
    NoValue { at: usize, name: OptionName },
    #[error("--{name} at {at} takes one letter from a to p, for GPP_A to GPP_P")]
    Letter { at: usize, name: OptionName },
    #[error("--{name} is given again at {at}")]
    Again { at: usize, name: OptionName },
}

impl OptionError {
    pub fn at(&self) -> usize {
        match self {
            Self::Unclosed { at }
            | Self::Unknown { at }
            | Self::NoValue { at, .. }
            | Self::Letter { at, .. }
            | Self::Again { at, .. } => *at,
        }
    }
}

impl OptionName {
    pub const ALL: [Self; 7] = [Self::Key, Self::Uid, Self::Pwd, Self::Post, Self::Alias, Self::Delta, Self::Status];
}

impl Options {
    /// Reads what stands between the brackets, expanded; `start` is where that begins in the rule.
    ///
    /// # Errors
    /// With the place of the first thing that is no option.
    pub fn parse(text: &str, start: usize) -> Result<(Self, Vec<(usize, OptionName)>), OptionError> {
        let mut options = Self::default();
        let mut given: Vec<(usize, OptionName)> = Vec::new();
        let mut words = Words { text, at: 0, start };
        while let Some((at, word, quoted)) = words.next()? {
            let named = |known: &OptionName| !quoted && word.strip_prefix("--") == Some(known.to_string().as_str());
            let name = OptionName::ALL.into_iter().find(named).ok_or(OptionError::Unknown { at })?;
            if given.iter().any(|(_, before)| *before == name) {
                return Err(OptionError::Again { at, name });
            }
            given.push((at, name));
            if matches!(name, OptionName::Delta | OptionName::Status) {
                options.delta |= name == OptionName::Delta;
                options.status |= name == OptionName::Status;
                continue;
            }
            let (_, value, _) = words
                .next()?
                .filter(|(_, value, quoted)| *quoted || !value.starts_with("--"))
                .filter(|(_, value, _)| !value.is_empty())
                .ok_or(OptionError::NoValue { at, name })?;
            match name {
                OptionName::Key => options.key = Some(Secret::new(value)),
                OptionName::Uid => options.user = Some(value.to_owned()),
                OptionName::Pwd => options.password = Some(Secret::new(value)),
                OptionName::Post => options.post = Some(letter(value).ok_or(OptionError::Letter { at, name })?),
                OptionName::Alias => options.alias = Some(letter(value).ok_or(OptionError::Letter { at, name })?),
                OptionName::Delta | OptionName::Status => {}
            }
        }
        Ok((options, given))
    }
}

fn letter(value: &str) -> Option<char> {
    let mut characters = value.chars();
    match (characters.next()?, characters.next()) {
        (letter @ 'a'..='p', None) => Some(letter.to_ascii_uppercase()),
        _ => None,
    }
}

struct Words<'a> {
    text: &'a str,
    at: usize,
    start: usize,
}

impl<'a> Words<'a> {
    /// Place, text without quotes, and whether it had quotes.
    fn next(&mut self) -> Result<Option<(usize, &'a str, bool)>, OptionError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        let at = self.start + self.at;
        if trimmed.is_empty() {
            return Ok(None);
        }
        if let Some(inner) = trimmed.strip_prefix('"') {
            let (inner, _) = inner.split_once('"').ok_or(OptionError::Unclosed { at })?;
            self.at += inner.len() + 2;
            return Ok(Some((at, inner, true)));
        }
        let end = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        self.at += end;
        Ok(Some((at, trimmed.get(..end).unwrap_or(trimmed), false)))
    }
}

/// Follows a rule character by character, and knows when an argument of `--key`, `--uid` or `--pwd` is being read: there
/// secrets are expanded, and from there they are not shown. It works on any text, well-formed or not.
#[derive(Debug, Default)]
pub struct Arguments {
    in_brackets: bool,
    in_quotes: bool,
    word: String,
    option: Option<OptionName>,
}

impl Arguments {
    pub fn read(&mut self, character: char) {
        match character {
            '"' => {
                if self.in_quotes {
                    self.option = None;
                } else {
                    self.end_word();
                }
                self.in_quotes = !self.in_quotes;
            }
            _ if self.in_quotes => {}
            '[' if !self.in_brackets => *self = Self { in_brackets: true, ..Self::default() },
            ']' => *self = Self::default(),
            _ if character.is_whitespace() => self.end_word(),
            // No option's name is longer.
            _ if self.in_brackets && self.word.len() <= 8 => self.word.push(character),
            _ => {}
        }
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        self.option = match self.word.as_str() {
            "--key" => Some(OptionName::Key),
            "--uid" => Some(OptionName::Uid),
            "--pwd" => Some(OptionName::Pwd),
            _ => None,
        };
        self.word.clear();
    }

    /// Whether the next character belongs to such an argument.
    pub fn is_secret(&self) -> bool {
        self.in_brackets && self.option.is_some()
    }

    /// The rule with `***` for the arguments of `--key` and `--pwd`.
    pub fn masked(rule: &str) -> String {
        let mut arguments = Self::default();
        let mut shown = String::with_capacity(rule.len());
        let mut hidden = false;
        for character in rule.chars() {
            let before = arguments.is_secret() && arguments.option != Some(OptionName::Uid);
            let in_quotes = arguments.in_quotes;
            arguments.read(character);
            let mark = character == ']' || character == '"' || (character.is_whitespace() && !in_quotes);
            if !before || (mark && (character != ']' || !in_quotes)) {
                hidden = false;
                shown.push(character);
            } else if !hidden {
                hidden = true;
                shown.push_str("***");
            }
        }
        shown
    }
}

impl fmt::Display for OptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Uid => "uid",
            Self::Pwd => "pwd",
            Self::Post => "post",
            Self::Alias => "alias",
            Self::Delta => "delta",
            Self::Status => "status",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_masked_wherever_it_stands() {
        for (rule, expected) in [
            ("[--key abc] http://h/x", "[--key ***] http://h/x"),
            ("[ --uid me --pwd \"a b]c\" --post a ] /x", "[ --uid me --pwd \"***\" --post a ] /x"),
            ("[--key \"never closed /x", "[--key \"*** "),
            ("[--key a--key] [--pwd b", "[--key ***] [--pwd ***"),
            ("(\"$A\" eq \"[--key x\")? /y", "(\"$A\" eq \"[--key x\")? /y"),
        ] {
            assert_eq!(Arguments::masked(rule).trim_end(), expected.trim_end(), "{rule}");
        }
    }
}
