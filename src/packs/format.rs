//! The grammars of files. What each means for escaping and checking is in [`crate::render`].

use std::fmt;
use std::str::FromStr;

/// The grammar of a file: decides how values are escaped, how the result is checked, and its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Well-formed XML without a DTD.
    Xml,
    /// `key: value` lines, as Aastra and Mitel phones read them.
    ColonLines,
    /// `key = value` lines.
    EqualsLines,
    /// `Name "value" ;`, the input of Cisco's SPA profile compiler.
    Spc,
    /// URL-encoded pairs within Grandstream's binary frame.
    GrandstreamBinary,
    /// Text without control characters.
    Text,
    /// Any bytes; only for files that are not rendered.
    Binary,
}

impl Format {
    pub const ALL: [Self; 7] =
        [Self::Xml, Self::ColonLines, Self::EqualsLines, Self::Spc, Self::GrandstreamBinary, Self::Text, Self::Binary];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xml => "xml",
            Self::ColonLines => "colon-lines",
            Self::EqualsLines => "equals-lines",
            Self::Spc => "spc",
            Self::GrandstreamBinary => "grandstream-binary",
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }

    /// The content type of files that are sent as they are, and that name no other.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Xml => "text/xml; charset=utf-8",
            Self::ColonLines | Self::EqualsLines | Self::Spc | Self::Text => "text/plain; charset=utf-8",
            Self::GrandstreamBinary | Self::Binary => "application/octet-stream",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|format| format.as_str()).collect();
            format!("must be one of {}, not \"{text}\"", names.join(", "))
        })
    }
}
