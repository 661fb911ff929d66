//! Macro expansion: `$NAME`, `$(NAME)`, `$(NAME:p)`, `$(NAME:p:q)` and `$$` (guide: "Macro Expansion", "Macro Expansion
//! Variables").
//!
//! Names are taken whole: after a bare `$` every letter, digit and underscore belongs to the name, which is why the guide
//! writes `$(MAU)config.cfg` where a letter follows. What is not a name of the table stays as it is written. What a
//! variable holds is [`Variables`]' to say; a value is never expanded again.

use std::fmt;

use super::options::Arguments;

/// A variable of the guide's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// `A` to `P`, or by the section "General Purpose Parameters" `GPP_A` to `GPP_P`.
    General(char),
    /// `SA` to `SD`; they hold keys and passwords, and are expanded in the arguments of `--key`, `--uid` and `--pwd` alone.
    Secret(char),
    MacLower,
    MacUpper,
    MacColons,
    ProductName,
    ProductSeries,
    Serial,
    Certificate,
    Address,
    ExternalAddress,
    Software,
    Hardware,
    /// Not of the table: the sample profile's `HTTP_User_Agent_Name` has it.
    Version,
    ProvisioningState,
    UpgradeState,
    UpgradeError,
    SinceResync,
    SinceUpgrade,
    /// `REGTMR1`, `REGTMR2`: seconds since that line lost its registration.
    SinceRegistration(u8),
    /// Legacy; the SPA guide has it expand to `true` always.
    UpgradeCondition,
    /// `SCHEME`, and the SPA guide's deprecated `METH`.
    Scheme,
    Server,
    ServerAddress,
    Port,
    Path,
    Error,
    /// `UIDn`: the user of line n.
    User(u8),
    /// Of the SPA guide: 1 in a unit that is customised, else 0.
    Customised,
    MobilityStatus,
    MobilityUser,
    MobilityPassword,
}

impl Name {
    /// The variable that is called so, in this very case.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = match text {
            "MA" => Self::MacLower,
            "MAU" => Self::MacUpper,
            "MAC" => Self::MacColons,
            "PN" => Self::ProductName,
            "PSN" => Self::ProductSeries,
            "SN" => Self::Serial,
            "CCERT" => Self::Certificate,
            "IP" => Self::Address,
            "EXTIP" => Self::ExternalAddress,
            "SWVER" => Self::Software,
            "HWVER" => Self::Hardware,
            "VERSION" => Self::Version,
            "PRVST" => Self::ProvisioningState,
            "UPGST" => Self::UpgradeState,
            "UPGERR" => Self::UpgradeError,
            "PRVTMR" => Self::SinceResync,
            "UPGTMR" => Self::SinceUpgrade,
            "UPGCOND" => Self::UpgradeCondition,
            "SCHEME" | "METH" => Self::Scheme,
            "SERV" => Self::Server,
            "SERVIP" => Self::ServerAddress,
            "PORT" => Self::Port,
            "PATH" => Self::Path,
            "ERR" => Self::Error,
            "ISCUST" => Self::Customised,
            "EMS" => Self::MobilityStatus,
            "MUID" => Self::MobilityUser,
            "MPWD" => Self::MobilityPassword,
            _ => return Self::numbered(text),
        };
        Some(plain)
    }

    fn numbered(text: &str) -> Option<Self> {
        let line = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
            digits.parse().ok().filter(|_| plain)
        };
        if let Some(digits) = text.strip_prefix("UID") {
            return line(digits).map(Self::User);
        }
        if let Some(digits) = text.strip_prefix("REGTMR") {
            return line(digits).map(Self::SinceRegistration);
        }
        let letters = text.strip_prefix("GPP_").unwrap_or(text);
        let mut characters = letters.chars();
        match (characters.next()?, characters.next(), characters.next()) {
            (letter @ 'A'..='P', None, _) => Some(Self::General(letter)),
            ('S', Some(letter @ 'A'..='D'), None) => Some(Self::Secret(letter)),
            _ => None,
        }
    }
}

/// What the variables hold at one moment.
pub trait Variables {
    fn value(&self, name: Name) -> String;
}

/// `$NAME` or `$(NAME:p:q)`, whether or not there is such a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Byte offset of the `$`.
    pub at: usize,
    /// All of it.
    pub written: &'a str,
    /// Between `$` or `$(` and the first `:`.
    pub name: &'a str,
    /// Offset and length of a substring, in characters.
    pub substring: Option<(usize, Option<usize>)>,
    /// What `name` names; none where nothing is called so, or the substring is no pair of numbers.
    pub variable: Option<Name>,
}

/// A part of a text with macros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    Text(&'a str),
    /// `$$`
    Dollar,
    Reference(Reference<'a>),
}

/// The parts of a text in their order. A `$` that begins nothing is text.
pub fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let token = token(rest, at);
        at += match token {
            Token::Text(text) => text.len(),
            Token::Dollar => 2,
            Token::Reference(reference) => reference.written.len(),
        };
        Some(token)
    })
}

fn token(rest: &str, at: usize) -> Token<'_> {
    let Some(after) = rest.strip_prefix('$') else {
        let end = rest.find('$').unwrap_or(rest.len());
        return Token::Text(rest.get(..end).unwrap_or(rest));
    };
    if after.starts_with('$') {
        return Token::Dollar;
    }
    let (inner, length) = match after.strip_prefix('(').and_then(bracketed) {
        Some(inner) => (inner, inner.len() + 3),
        None => {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            (after.get(..end).unwrap_or_default(), end + 1)
        }
    };
    if inner.is_empty() {
        return Token::Text(rest.get(..length).unwrap_or(rest));
    }
    let (name, range) = match inner.split_once(':') {
        Some((name, range)) => (name, Some(range)),
        None => (inner, None),
    };
    let substring = range.map(substring);
    let variable = if substring == Some(None) { None } else { Name::parse(name) };
    let written = rest.get(..length).unwrap_or(rest);
    Token::Reference(Reference { at, written, name, substring: substring.flatten(), variable })
}

/// What stands before the `)`, if one comes soon enough for a name and two numbers.
fn bracketed(after: &str) -> Option<&str> {
    let end = after.bytes().take(64).position(|byte| matches!(byte, b')' | b'(' | b'$'))?;
    after.get(end..)?.starts_with(')').then(|| after.get(..end)).flatten()
}

/// `p` or `p:q`.
fn substring(range: &str) -> Option<(usize, Option<usize>)> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // More than a number can hold is more than a text can hold.
        plain.then(|| digits.parse().unwrap_or(usize::MAX))
    };
    match range.split_once(':') {
        None => Some((number(range)?, None)),
        Some((offset, length)) => Some((number(offset)?, Some(number(length)?))),
    }
}

impl Reference<'_> {
    /// What stands in its place after expansion, were secrets allowed here; none where it stays as written.
    fn expanded(&self, variables: &impl Variables) -> Option<String> {
        let value = variables.value(self.variable?);
        Some(match self.substring {
            None => value,
            Some((offset, length)) => value.chars().skip(offset).take(length.unwrap_or(usize::MAX)).collect(),
        })
    }
}

/// Expands a text that is no rule: a message, a trigger, a body.
pub fn expand(text: &str, variables: &impl Variables) -> String {
    expand_where(text, variables, |_| false)
}

/// Expands a profile, upgrade or report rule: there `$SA` to `$SD` are expanded as well, in the arguments of `--key`,
/// `--uid` and `--pwd`.
pub fn expand_rule(text: &str, variables: &impl Variables) -> String {
    let mut arguments = Arguments::default();
    let mut read = 0;
    expand_where(text, variables, move |expanded| {
        expanded.get(read..).unwrap_or_default().chars().for_each(|character| arguments.read(character));
        read = expanded.len();
        arguments.is_secret()
    })
}

fn expand_where(text: &str, variables: &impl Variables, mut secrets_here: impl FnMut(&str) -> bool) -> String {
    let mut expanded = String::with_capacity(text.len());
    for token in tokens(text) {
        match token {
            Token::Text(text) => expanded.push_str(text),
            Token::Dollar => expanded.push('$'),
            Token::Reference(reference) => {
                let refused = matches!(reference.variable, Some(Name::Secret(_))) && !secrets_here(&expanded);
                let value = if refused { None } else { reference.expanded(variables) };
                expanded.push_str(value.as_deref().unwrap_or(reference.written));
            }
        }
    }
    expanded
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every variable holds its own name, in the Debug form.
    struct Names;

    impl Variables for Names {
        fn value(&self, name: Name) -> String {
            match name {
                Name::General('A') => "ABCDEF".to_owned(),
                Name::General('B') => "$MA".to_owned(),
                Name::Secret('A') => "s3cret".to_owned(),
                Name::Secret('B') => "two words".to_owned(),
                Name::MacLower => "000e08abcdef".to_owned(),
                other => format!("{other:?}"),
            }
        }
    }

    #[test]
    fn secrets_are_expanded_in_their_options_alone() {
        for (rule, expected) in [
            ("[--key $SA] http://h/$SA", "[--key s3cret] http://h/$SA"),
            ("[--uid $SA --pwd \"$SB\" --post a] /x", "[--uid s3cret --pwd \"two words\" --post a] /x"),
            ("[--alias a --key x$(SA:1:2)y] /x", "[--alias a --key x3cy] /x"),
            ("[--post $SA] /x", "[--post $SA] /x"),
            ("[--key \"$SB\" $SA] /x", "[--key \"two words\" $SA] /x"),
            ("(\"[--key \" eq \"$SA\")? /x", "(\"[--key \" eq \"$SA\")? /x"),
            ("[ --key secret ] /$SA", "[ --key secret ] /$SA"),
        ] {
            assert_eq!(expand_rule(rule, &Names), expected);
        }
        assert_eq!(expand("[--key $SA]", &Names), "[--key $SA]");
    }

    #[test]
    fn a_reference_knows_its_place() {
        let found: Vec<Token> = tokens("a$$b$(A:1)$").collect();
        let [Token::Text("a"), Token::Dollar, Token::Text("b"), Token::Reference(reference), Token::Text("$")] =
            found[..]
        else {
            panic!("{found:?}")
        };
        assert_eq!((reference.at, reference.written, reference.substring), (4, "$(A:1)", Some((1, None))));
        assert_eq!(reference.variable, Some(Name::General('A')));
    }

    #[test]
    fn names_are_of_the_table_or_unknown() {
        for name in ["A", "P", "SA", "SD", "GPP_A", "GPP_SD", "UID1", "UID16", "REGTMR2", "METH", "VERSION"] {
            assert!(Name::parse(name).is_some(), "{name}");
        }
        for name in ["", "Q", "SE", "ma", "UID", "UID0", "UID01", "UID+1", "REGTMR", "GPP_", "GPP_Q", "GPP_MA", "AB"] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
