//! Text with macros (guide: "Macro Expansion", "Macro Expansion Variables").

use std::ops::Range;

use super::{Quoted, Wrong, nearest, text};
use crate::packs::{Dialect, Parameter};
use crate::phone::cisco::macros::{Name, Reference, Token, Variables, tokens};
use crate::phone::cisco::options::Arguments;

/// What is near enough to a variable to be a slip. Single letters are near to everything and left out.
const NAMES: [&str; 27] = [
    "MA", "MAU", "MAC", "PN", "PSN", "SN", "CCERT", "IP", "EXTIP", "SWVER", "HWVER", "VERSION", "PRVST", "UPGST",
    "UPGERR", "PRVTMR", "UPGTMR", "SCHEME", "SERV", "SERVIP", "PORT", "PATH", "ERR", "EMS", "MUID", "MPWD", "UPGCOND",
];

/// Names that stand in for something in a few parameters alone, and are no variables of the table (both samples).
const PLACES: [&str; 4] = ["NOTIFY", "PROXY", "USER", "REGISTER"];

/// Text whose macros all have a name that the table knows.
pub(super) fn macro_text(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    text::text(parameter, value)?;
    unknown(value)
}

/// The first macro that is none. The phone leaves it as it is written: most likely a slip. In the arguments of `--key`,
/// `--uid` and `--pwd` it may as well be a part of the key, which is nobody's to read.
pub(super) fn unknown(value: &str) -> Result<(), Wrong> {
    let mut arguments = Arguments::default();
    for token in tokens(value) {
        match token {
            Token::Text(text) => text.chars().for_each(|character| arguments.read(character)),
            Token::Dollar => arguments.read('$'),
            Token::Reference(reference) => {
                let known = reference.variable.is_some() || PLACES.contains(&reference.name);
                if !known && !arguments.is_secret() {
                    return Err(unknown_name(value, &reference));
                }
                arguments.read('$');
            }
        }
    }
    Ok(())
}

fn unknown_name(value: &str, reference: &Reference<'_>) -> Wrong {
    let span = reference.at..reference.at + reference.written.len();
    if Name::parse(reference.name).is_some() {
        let message = format!("{} must be like $(MA:3) or $(MA:3:4), offset and length", Quoted(reference.written));
        return Wrong::new(message).at(span);
    }
    let upper = reference.name.to_ascii_uppercase();
    let meant = if reference.name.len() <= 16 && Name::parse(&upper).is_some() {
        Some(upper)
    } else {
        // A name runs into the letters after it: $MAUconfig is $(MAU)config.
        let into = NAMES.iter().filter(|name| reference.name.starts_with(**name)).max_by_key(|name| name.len());
        let bare = !reference.written.starts_with("$(");
        match into.filter(|_| bare) {
            Some(name) => Some(format!("({name}){}", reference.name.get(name.len()..).unwrap_or_default())),
            None => nearest(reference.name, NAMES).map(str::to_owned),
        }
    };
    let help = meant.filter(|name| name.len() <= 64).map(|name| match value.get(span.start..span.start + 2) {
        Some("$(") => format!("write $({name})"),
        _ => format!("write ${name}"),
    });
    Wrong::new(format!("{} is no macro: the phone leaves it as it is written", Quoted(reference.written)))
        .helped(help)
        .at(span)
}

/// A value as it reads with its macros expanded, and where in the value each part was written.
pub(super) struct Expanded {
    pub text: String,
    /// Where a part begins in the text, where in the value, and whether it is the same there.
    parts: Vec<(usize, usize, bool)>,
}

/// What a general purpose parameter may hold where it is compared: nothing tells which.
#[derive(Clone, Copy)]
enum Operand {
    Integer,
    Version,
    Load,
}

impl Expanded {
    /// The ways in which a value may read. What general purpose parameters hold is the operator's: they are taken to be
    /// what fits their place, and where that is a comparison, each kind of operand is tried.
    pub(super) fn readings(dialect: Dialect, value: &str, condition: bool) -> impl Iterator<Item = Self> {
        let general = tokens(value).any(|token| {
            matches!(
                token,
                Token::Reference(Reference { variable: Some(Name::General(_) | Name::Version | Name::Hardware), .. })
            )
        });
        let kinds: &[Operand] =
            if general { &[Operand::Integer, Operand::Version, Operand::Load] } else { &[Operand::Integer] };
        kinds.iter().map(move |operand| Self::of(dialect, value, *operand, condition))
    }

    fn of(dialect: Dialect, value: &str, operand: Operand, condition: bool) -> Self {
        let mut expanded = Self { text: String::with_capacity(value.len()), parts: Vec::new() };
        // A trigger is a condition without the parentheses.
        let mut place = Place { parentheses: usize::from(condition), ..Place::default() };
        let mut at = 0;
        for token in tokens(value) {
            let (length, same) = match token {
                Token::Text(text) => {
                    expanded.parts.push((expanded.text.len(), at, true));
                    expanded.text.push_str(text);
                    (text.len(), true)
                }
                Token::Dollar => {
                    expanded.parts.push((expanded.text.len(), at, false));
                    expanded.text.push('$');
                    (2, false)
                }
                Token::Reference(reference) => {
                    expanded.parts.push((expanded.text.len(), at, false));
                    let sample = Sample { dialect, operand, place };
                    match reference.variable {
                        None => expanded.text.push_str(reference.written),
                        Some(name) => expanded.text.push_str(&sample.value(name)),
                    }
                    (reference.written.len(), false)
                }
            };
            let written = value.get(at..at + length).unwrap_or_default();
            place.read(if same { written } else { "x" });
            at += length;
        }
        expanded
    }

    /// The macro that a byte of the expanded text comes from.
    pub(super) fn macro_at<'v>(&self, value: &'v str, at: usize) -> Option<&'v str> {
        let written = self.written(at);
        let expanded = self.parts.iter().any(|(_, start, same)| *start == written && !same);
        let token = value.get(written..).filter(|_| expanded).and_then(|rest| tokens(rest).next())?;
        if let Token::Reference(reference) = token { Some(reference.written) } else { None }
    }

    /// The word in the value that a byte of the expanded text belongs to, from there on.
    pub(super) fn word(&self, value: &str, at: usize) -> Range<usize> {
        let start = self.written(at);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')' | '[' | ']' | '|');
        let rest = value.get(start..).unwrap_or_default();
        let length = match tokens(rest).next() {
            Some(Token::Reference(reference)) => reference.written.len(),
            _ => rest.find(ends).unwrap_or(rest.len()),
        };
        start..start + length
    }

    /// Where in the value a byte of the expanded text was written.
    pub(super) fn written(&self, at: usize) -> usize {
        let part = self.parts.partition_point(|(start, ..)| *start <= at).saturating_sub(1);
        match self.parts.get(part) {
            Some((start, written, true)) => written + (at - start),
            Some((_, written, false)) => *written,
            None => 0,
        }
    }
}

/// Where in a rule a macro stands, as far as it tells what the macro can hold.
#[derive(Clone, Copy, Default)]
struct Place {
    parentheses: usize,
    brackets: bool,
    quoted: bool,
    /// Nothing but white space since a rule's part began.
    inner: bool,
    after_slash: bool,
    after_colon: bool,
}

impl Place {
    fn read(&mut self, text: &str) {
        for character in text.chars() {
            let url = !self.quoted && !self.brackets && self.parentheses == 0;
            match character {
                '"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                '(' => self.parentheses += 1,
                ')' => self.parentheses = self.parentheses.saturating_sub(1),
                '[' if self.parentheses == 0 => self.brackets = true,
                ']' => self.brackets = false,
                _ => {}
            }
            let begins = character.is_whitespace() || matches!(character, '?' | '|' | ']' | '!');
            self.inner = if url && !begins { true } else { !begins && self.inner };
            self.after_slash = character == '/';
            self.after_colon = character == ':';
        }
    }
}

/// A phone that nobody has: each variable holds what it could.
struct Sample {
    dialect: Dialect,
    operand: Operand,
    place: Place,
}

impl Sample {
    fn operand(&self) -> &'static str {
        match self.operand {
            Operand::Integer => "1",
            Operand::Version => "1.2.3",
            Operand::Load => "sip68xx.11-0-1MPP-376",
        }
    }

    fn general(&self) -> &'static str {
        let Place { parentheses, brackets, quoted, inner, after_slash, after_colon } = self.place;
        match () {
            () if quoted || brackets => "a",
            () if parentheses > 0 => self.operand(),
            () if !inner => "https://prov.example/a",
            () if after_colon => "1/a",
            () if after_slash => "a/a",
            () => "a",
        }
    }
}

impl Variables for Sample {
    fn value(&self, name: Name) -> String {
        let spa = self.dialect == Dialect::CiscoSpa;
        match name {
            Name::General(_) => self.general(),
            Name::Secret(_) => "a",
            Name::MacLower => "000e08abcdef",
            Name::MacUpper => "000E08ABCDEF",
            Name::MacColons => "00:0e:08:ab:cd:ef",
            Name::ProductName => {
                if spa {
                    "SPA504G"
                } else {
                    "CP-6841-3PCC"
                }
            }
            Name::ProductSeries => {
                if spa {
                    "504G"
                } else {
                    "6841-3PCC"
                }
            }
            Name::Serial => "88012BA01234",
            Name::Certificate => "Installed",
            Name::Address | Name::ExternalAddress | Name::ServerAddress => "192.0.2.1",
            Name::Software => {
                if spa {
                    "7.5.2b"
                } else {
                    "sip68xx.11-0-1MPP-376"
                }
            }
            Name::Hardware | Name::Version if self.place.parentheses > 0 && !self.place.quoted => self.operand(),
            Name::Hardware => "1.0.0",
            Name::Version => "11.0",
            Name::ProvisioningState | Name::Customised => "0",
            Name::UpgradeState | Name::SinceResync | Name::SinceUpgrade | Name::SinceRegistration(_) => "1",
            Name::UpgradeError | Name::Error => "",
            Name::UpgradeCondition => "true",
            Name::Scheme => "https",
            Name::Server => "prov.example",
            Name::Port => "443",
            Name::Path => "/a",
            Name::User(_) => "1001",
            Name::MobilityStatus | Name::MobilityUser | Name::MobilityPassword => "a",
        }
        .to_owned()
    }
}
