//! Version numbers of software and hardware, and their order (guide: "Version Numbers").

use std::cmp::Ordering;
use std::fmt;

/// A version number in one of the two formats. Numbers of different formats don't compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// `sip68xx.11-0-1MPP-376`: multiplatform phones.
    Load(Vec<Part>),
    /// `7.5.2b`, `2.0.6(b)`, `1.4.1(SR5)`: SPA phones, and hardware. The letters have their parentheses taken off.
    Dotted(Vec<Part>),
}

/// Digits are compared first, then the letters after them in alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    number: u64,
    letters: String,
}

impl Version {
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("sip") { load(text).map(Self::Load) } else { dotted(text).map(Self::Dotted) }
    }

    /// The version in the name of a firmware file: `sip68xx.11-0-1MPP-376.loads`, `spa50x-30x-7-5-2b.bin`. None where
    /// the name tells nothing, as `spa.bin`.
    pub fn of_file(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some(name) = name.strip_suffix(".loads") {
            return load(name).map(Self::Load);
        }
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        // Its last three numbers in a row; those before them may be models.
        let words: Vec<&str> = stem.split(['-', '_']).collect();
        words.windows(3).rev().find_map(|window| dotted(&window.join("."))).map(Self::Dotted)
    }

    /// None where the formats differ. Where one has fewer parts and is the same so far, it is the lower: without its
    /// build number, `sip68xx.11-0-1MPP` comes before `sip68xx.11-0-1MPP-376`.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Load(left), Self::Load(right)) | (Self::Dotted(left), Self::Dotted(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    /// Whether the two are one version as far as both are told.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Load(left), Self::Load(right)) | (Self::Dotted(left), Self::Dotted(right)) => {
                left.iter().zip(right).all(|(left, right)| left == right)
            }
            _ => false,
        }
    }
}

/// `sip<series>.<v1>-<v2>-<v3>MPP[-<build>]`. The series is not compared. Numbers begin with a digit; the build may be
/// the guide's own placeholder `BN`.
fn load(text: &str) -> Option<Vec<Part>> {
    let (series, version) = text.split_once('.')?;
    let named = series.len() > 3 && series.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let parts: Vec<Part> = version
        .split('-')
        .enumerate()
        .map(|(index, text)| {
            let part = part(text)?;
            (text.starts_with(|c: char| c.is_ascii_digit()) || index >= 3).then_some(part)
        })
        .collect::<Option<_>>()?;
    // The letters M… are the phone's kind of firmware: MPP, MSR1.
    let marked = parts.get(2).is_some_and(|part| part.letters.starts_with('M'));
    (named && marked && parts.len() <= 5).then_some(parts)
}

/// Three numbers and perhaps letters, in parentheses or not.
fn dotted(text: &str) -> Option<Vec<Part>> {
    let (numbers, bracketed) = match text.split_once('(') {
        Some((numbers, rest)) => (numbers, rest.strip_suffix(')').filter(|letters| !letters.is_empty())?),
        None => (text, ""),
    };
    let mut parts: Vec<Part> = numbers.split('.').map(part).collect::<Option<_>>()?;
    let alphanumeric = bracketed.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (last, before) = parts.split_last_mut()?;
    let numbers_first = before.len() == 2 && before.iter().all(|part| part.letters.is_empty());
    let begin_with_digits = numbers.split('.').all(|text| text.starts_with(|c: char| c.is_ascii_digit()));
    last.letters.push_str(bracketed);
    (alphanumeric && numbers_first && begin_with_digits).then_some(parts)
}

fn part(text: &str) -> Option<Part> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, letters) = text.split_at_checked(end)?;
    let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let plain = !text.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| Part { number, letters: letters.to_owned() })
}

impl fmt::Display for Version {
    /// A dotted one as SPA phones write it; of a load the numbers alone, as the series is not kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, separator) = match self {
            Self::Load(parts) => (parts, '-'),
            Self::Dotted(parts) => (parts, '.'),
        };
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                write!(f, "{separator}")?;
            }
            write!(f, "{}{}", part.number, part.letters)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_order() {
        let ordered = [
            &["sip68xx.11-0-0MPP-BN", "sip68xx.11-0-1MPP", "sip68xx.11-0-1MPP-9", "sip88xx.11-0-1MPP-10"][..],
            &["sip88xx.11-2-3MPP-1", "sip88xx.11-2-3MSR1-1", "sip88xx.11-2-4MPP-1", "sip88xx.12-0-0MPP-1"],
            &["1.0.31(b)", "1.0.33", "2.0.3(0412s)", "2.0.3(G)", "7.4.9c", "7.5.2", "7.5.2b", "7.5.10"],
        ];
        for versions in ordered {
            for pair in versions.windows(2) {
                let [low, high] = pair else { panic!() };
                let low = Version::parse(low).unwrap_or_else(|| panic!("{low}"));
                let high = Version::parse(high).unwrap_or_else(|| panic!("{high}"));
                assert_eq!(low.compare(&high), Some(Ordering::Less), "{pair:?}");
            }
        }
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in
            ["", "11", "11.0", "11.0.0.0", "sip68xx", "sip68xx.11-0-1", "sip.11-0-1MPP", "sip68xx.a-0-1MPP", "7.5.2()"]
        {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        assert_eq!(Version::parse("11.0.0").unwrap().compare(&Version::parse("sip68xx.11-0-0MPP").unwrap()), None);
    }

    #[test]
    fn a_file_name_tells_its_version() {
        let dotted = |text| Version::parse(text);
        assert_eq!(Version::of_file("/fw/sip68xx.11-0-1MPP-376.loads"), dotted("sip68xx.11-0-1MPP-376"));
        assert_eq!(Version::of_file("/spa50x-30x-7-5-2b.bin"), dotted("7.5.2b"));
        assert_eq!(Version::of_file("/spa.bin"), None);
    }
}
