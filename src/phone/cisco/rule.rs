//! Rules: alternatives of a condition, assignments, options and a URL (guide: "Profile Rules", "Upgrade Rule"; SPA chapter:
//! "Report Rule"). Read after macro expansion; offsets are in bytes of the expanded text.

use super::condition::{Condition, ConditionError};
use super::options::{OptionError, OptionName, Options};
use super::target::{Target, TargetError};

/// Which parameter a rule stands in: they take different options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Profile,
    Upgrade,
    Report,
}

/// A rule: the first alternative whose condition holds is taken; of a report rule, each. No alternatives make an empty
/// rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub kind: Kind,
    pub alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// Where it begins.
    pub at: usize,
    pub condition: Option<Condition>,
    /// The condition as it is written, without its parentheses.
    pub condition_text: String,
    pub assignments: Vec<Assignment>,
    pub options: Options,
    pub target: Option<Target>,
}

/// `Name = "value";`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub at: usize,
    pub name: String,
    pub value: String,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("the ( at {at} is never closed")]
    Unclosed { at: usize },
    #[error("the [ at {at} is never closed")]
    UnclosedOptions { at: usize },
    #[error("( … ) must be followed by ? for a condition or ! for assignments, at {at}")]
    NoMark { at: usize },
    #[error("at {at}: a condition, then assignments, then options and URL, and each at most once")]
    Order { at: usize },
    #[error(transparent)]
    Condition(ConditionError),
    #[error("an assignment is Name = \"value\"; which fails at {at}")]
    Assignment { at: usize },
    #[error(transparent)]
    Option(OptionError),
    #[error("--{name} at {at} is no option of {where_}")]
    OptionNotHere { at: usize, name: OptionName, where_: &'static str },
    #[error("--post at {at} needs an http or https URL")]
    PostByTftp { at: usize },
    #[error("the options at {at} have no URL after them")]
    NoTarget { at: usize },
    #[error(transparent)]
    Target(TargetError),
    #[error("an upgrade rule must name its server, at {at}")]
    NoServer { at: usize },
    #[error("nothing stands between two | at {at}")]
    EmptyAlternative { at: usize },
}

impl RuleError {
    /// Byte offset in the expanded text.
    pub fn at(&self) -> usize {
        match self {
            Self::Unclosed { at }
            | Self::UnclosedOptions { at }
            | Self::NoMark { at }
            | Self::Order { at }
            | Self::Assignment { at }
            | Self::OptionNotHere { at, .. }
            | Self::PostByTftp { at }
            | Self::NoTarget { at }
            | Self::NoServer { at }
            | Self::EmptyAlternative { at } => *at,
            Self::Condition(error) => error.at(),
            Self::Option(error) => error.at(),
            Self::Target(error) => error.at(),
        }
    }
}

impl Rule {
    /// Reads an expanded rule.
    ///
    /// All of it is read, though a phone would not come to an alternative after one that holds: what is wrong in any of
    /// them is wrong with the rule.
    ///
    /// # Errors
    /// With the place of the first thing that is no rule.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, RuleError> {
        let mut reader = Reader { text, at: 0, kind };
        let mut alternatives = Vec::new();
        reader.skip_space();
        if reader.rest().is_empty() {
            return Ok(Self { kind, alternatives });
        }
        loop {
            alternatives.push(reader.alternative()?);
            reader.skip_space();
            if reader.rest().is_empty() {
                return Ok(Self { kind, alternatives });
            }
            // Reports are a list, separated by ; (SPA) or white space alone (multiplatform phones).
            if reader.rest().starts_with('|') || (kind == Kind::Report && reader.rest().starts_with(';')) {
                reader.at += 1;
                reader.skip_space();
                if kind == Kind::Report && reader.rest().is_empty() {
                    return Ok(Self { kind, alternatives });
                }
            }
        }
    }

    /// The alternative that is taken: the first whose condition holds, or that has none.
    pub fn choose(&self) -> Option<&Alternative> {
        self.alternatives.iter().find(|alternative| alternative.condition.as_ref().is_none_or(Condition::holds))
    }

    /// Where the first alternative begins that is never come to: all before the last must have a condition.
    pub fn unreachable(&self) -> Option<usize> {
        if self.kind == Kind::Report {
            return None;
        }
        let unconditional = self.alternatives.iter().position(|alternative| alternative.condition.is_none())?;
        self.alternatives.get(unconditional + 1).map(|alternative| alternative.at)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    kind: Kind,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn alternative(&mut self) -> Result<Alternative, RuleError> {
        self.skip_space();
        let at = self.at;
        let mut condition = None;
        let mut condition_text = String::new();
        let mut assignments = None;
        while self.rest().starts_with('(') {
            let opened = self.at;
            let inner = self.parenthesized()?;
            self.skip_space();
            match self.rest().as_bytes().first() {
                Some(b'?') if condition.is_none() && assignments.is_none() => {
                    let parsed = Condition::parse(inner);
                    condition = Some(parsed.map_err(|error| RuleError::Condition(error.moved(opened + 1)))?);
                    condition_text = inner.trim().to_owned();
                }
                Some(b'!') if assignments.is_none() => assignments = Some(assigned(inner, opened + 1)?),
                Some(b'?' | b'!') => return Err(RuleError::Order { at: opened }),
                _ => return Err(RuleError::NoMark { at: self.at }),
            }
            self.at += 1;
            self.skip_space();
        }
        let (options, target) = self.options_and_target()?;
        if condition.is_none() && assignments.is_none() && target.is_none() {
            return Err(RuleError::EmptyAlternative { at });
        }
        let assignments = assignments.unwrap_or_default();
        Ok(Alternative { at, condition, condition_text, assignments, options, target })
    }

    /// What stands in a pair of parentheses. Within it quotes hide everything, and pairs nest: the SPA's version numbers
    /// have parentheses of their own.
    fn parenthesized(&mut self) -> Result<&'a str, RuleError> {
        let opened = self.at;
        let (mut depth, mut quoted) = (0_usize, false);
        for (at, byte) in self.rest().bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'(' if !quoted => depth += 1,
                b')' if !quoted => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let inner = self.rest().get(1..at).unwrap_or_default();
                self.at += at + 1;
                return Ok(inner);
            }
        }
        Err(RuleError::Unclosed { at: opened })
    }

    fn options_and_target(&mut self) -> Result<(Options, Option<Target>), RuleError> {
        let mut options = Options::default();
        let mut given = Vec::new();
        let opened = self.at;
        let has_options = self.rest().starts_with('[');
        if has_options {
            let mut quoted = false;
            let closing = self.rest().bytes().position(|byte| {
                quoted ^= byte == b'"';
                byte == b']' && !quoted
            });
            let closing = closing.ok_or(RuleError::UnclosedOptions { at: opened })?;
            let inner = self.rest().get(1..closing).unwrap_or_default();
            (options, given) = Options::parse(inner, opened + 1).map_err(RuleError::Option)?;
            self.at += closing + 1;
            self.skip_space();
        }
        let url = self.url();
        for (at, name) in &given {
            self.kind.takes(*name).map_err(|where_| RuleError::OptionNotHere { at: *at, name: *name, where_ })?;
        }
        if url.is_empty() {
            return if has_options { Err(RuleError::NoTarget { at: opened }) } else { Ok((options, None)) };
        }
        let target = Target::parse(url, self.at).map_err(RuleError::Target)?;
        if self.kind == Kind::Upgrade && !target.names_server() {
            return Err(RuleError::NoServer { at: self.at });
        }
        if let Some((at, _)) = given.iter().find(|(_, name)| *name == OptionName::Post && target.is_tftp()) {
            // Without a server it may yet be HTTP, when DHCP gives a URL.
            if target.names_server() {
                return Err(RuleError::PostByTftp { at: *at });
            }
        }
        self.at += url.len();
        Ok((options, Some(target)))
    }

    fn url(&self) -> &'a str {
        let rest = self.rest();
        let report = self.kind == Kind::Report;
        let ends = |c: char| c == '|' || (report && (c == ';' || c.is_whitespace()));
        let end = rest.find(ends).unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest).trim_end()
    }
}

impl Kind {
    fn takes(self, option: OptionName) -> Result<(), &'static str> {
        use OptionName as O;
        match (self, option) {
            (Self::Profile, O::Key | O::Uid | O::Pwd | O::Post | O::Alias)
            | (Self::Report, O::Key | O::Uid | O::Pwd | O::Delta | O::Status) => Ok(()),
            (Self::Profile, _) => Err("a profile rule"),
            (Self::Report, _) => Err("a report rule"),
            (Self::Upgrade, _) => Err("an upgrade rule, which takes none"),
        }
    }
}

/// `Name = "value"; …`; the last `;` may be missing.
fn assigned(text: &str, start: usize) -> Result<Vec<Assignment>, RuleError> {
    let mut assignments = Vec::new();
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let at = start + (text.len() - trimmed.len());
        let fails = RuleError::Assignment { at };
        if trimmed.is_empty() {
            return if assignments.is_empty() { Err(fails) } else { Ok(assignments) };
        }
        let Some((name, after)) = trimmed.split_once('=') else { return Err(fails) };
        let name = name.trim_end();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let Some(after) = after.trim_start().strip_prefix('"').filter(|_| !name.is_empty()) else { return Err(fails) };
        let Some((value, after)) = after.split_once('"').filter(|_| name.chars().all(plain)) else { return Err(fails) };
        assignments.push(Assignment { at, name: name.to_owned(), value: value.to_owned() });
        let after = after.trim_start();
        rest = match after.strip_prefix(';') {
            Some(rest) => rest,
            None if after.is_empty() => after,
            None => return Err(RuleError::Assignment { at: start + (text.len() - after.len()) }),
        };
    }
}
