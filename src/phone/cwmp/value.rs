//! Types of values, and what a phone says of one that it can't take.

/// A type of TR-106, as far as these phones have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    Int,
    UnsignedInt,
    Boolean,
    DateTime,
}

/// Which values of its type a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    None,
    /// Characters.
    Length(usize),
    Range(i64, i64),
    Words(Vec<String>),
}

impl Kind {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "string" => Self::String,
            "int" => Self::Int,
            "unsignedInt" => Self::UnsignedInt,
            "boolean" => Self::Boolean,
            "dateTime" => Self::DateTime,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::UnsignedInt => "unsignedInt",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
        }
    }

    /// What a parameter of the type holds that nobody set.
    pub fn factory(self) -> &'static str {
        match self {
            Self::String => "",
            Self::Int | Self::UnsignedInt | Self::Boolean => "0",
            Self::DateTime => "0001-01-01T00:00:00Z",
        }
    }

    /// A value as the phone keeps it: booleans as `1` and `0`. None: it is none of this type, or beyond the limit.
    pub fn take(self, text: &str, limit: &Limit) -> Option<String> {
        let kept = match self {
            Self::String => text.to_owned(),
            Self::Int => text.trim().parse::<i32>().ok()?.to_string(),
            Self::UnsignedInt => text.trim().parse::<u32>().ok()?.to_string(),
            Self::Boolean => match text.trim() {
                "1" | "true" => "1".to_owned(),
                "0" | "false" => "0".to_owned(),
                _ => return None,
            },
            Self::DateTime => is_date_time(text.trim()).then(|| text.trim().to_owned())?,
        };
        let fits = match limit {
            Limit::None => true,
            Limit::Length(most) => kept.chars().count() <= *most,
            Limit::Range(from, to) => kept.parse::<i64>().is_ok_and(|number| (*from..=*to).contains(&number)),
            Limit::Words(words) => words.contains(&kept),
        };
        fits.then_some(kept)
    }
}

impl Limit {
    /// As tables write it: `-`, `64`, `0-65535`, `Disabled|Enabled`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "-" {
            return Some(Self::None);
        }
        if text.contains('|') {
            return Some(Self::Words(text.split('|').map(str::to_owned).collect()));
        }
        match text.split_once('-') {
            Some((from, to)) => Some(Self::Range(from.parse().ok()?, to.parse().ok()?)),
            None => text.parse().ok().map(Self::Length),
        }
    }
}

/// `2026-01-31T12:00:00`, with a fraction and a zone or without.
fn is_date_time(text: &str) -> bool {
    let shape: String = text.chars().take(19).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let rest = text.get(19..).unwrap_or_default();
    let rest = rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let is_zone = matches!(rest, "" | "Z") || rest.len() == 6 && rest.starts_with(['+', '-']);
    shape == "0000-00-00T00:00:00" && is_zone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_within_their_type_and_limit() {
        for (kind, limit, text, kept) in [
            (Kind::Boolean, Limit::None, "true", Some("1")),
            (Kind::Boolean, Limit::None, "yes", None),
            (Kind::Int, Limit::Range(0, 63), "63", Some("63")),
            (Kind::Int, Limit::Range(0, 63), "64", None),
            (Kind::UnsignedInt, Limit::None, "-1", None),
            (Kind::String, Limit::Length(3), "äöü", Some("äöü")),
            (Kind::String, Limit::Length(3), "abcd", None),
            (Kind::String, Limit::parse("A|B").unwrap(), "B", Some("B")),
            (Kind::String, Limit::parse("A|B").unwrap(), "C", None),
            (Kind::DateTime, Limit::None, "2026-01-31T12:00:00.5Z", Some("2026-01-31T12:00:00.5Z")),
            (Kind::DateTime, Limit::None, "tomorrow", None),
        ] {
            assert_eq!(kind.take(text, &limit).as_deref(), kept, "{text}");
        }
    }
}
