//! Alias maps: names that a profile may use in place of the phone's own (`--alias`; SPA guide: "alias").

/// So many names can be mapped.
const LIMIT: usize = 30;

/// `/customer/number = /flat-profile/User_ID_1_ ; …`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AliasMap {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: Vec<String>,
    parameter: String,
}

/// Why a text is no alias map. Offsets are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    #[error("the alias at {at} is not /element/element = /flat-profile/Parameter")]
    Entry { at: usize },
    #[error("the alias at {at} is one too many: a phone takes {LIMIT}")]
    TooMany { at: usize },
}

impl AliasMap {
    /// Reads the content of a general purpose parameter; an empty one maps nothing.
    ///
    /// # Errors
    /// With the place of what is no alias.
    pub fn parse(text: &str) -> Result<Self, AliasError> {
        let mut entries = Vec::new();
        let mut offset = 0;
        for written in text.split(';') {
            let at = offset + (written.len() - written.trim_start().len());
            offset += written.len() + 1;
            if written.trim().is_empty() {
                continue;
            }
            let (path, parameter) = written.split_once('=').ok_or(AliasError::Entry { at })?;
            let path = names(path).ok_or(AliasError::Entry { at })?;
            let parameter = names(parameter).ok_or(AliasError::Entry { at })?;
            let [profile, parameter] = parameter.as_slice() else { return Err(AliasError::Entry { at }) };
            if profile != "flat-profile" {
                return Err(AliasError::Entry { at });
            }
            if entries.len() == LIMIT {
                return Err(AliasError::TooMany { at });
            }
            entries.push(Entry { path, parameter: parameter.clone() });
        }
        Ok(Self { entries })
    }

    /// The parameter that an element stands for: the one whose path ends as the alias has it. The first that fits.
    pub fn parameter(&self, path: &[&str]) -> Option<&str> {
        let fits = |entry: &&Entry| {
            let from = path.len().checked_sub(entry.path.len());
            from.and_then(|from| path.get(from..)).is_some_and(|end| end.iter().eq(entry.path.iter()))
        };
        self.entries.iter().find(fits).map(|entry| entry.parameter.as_str())
    }
}

/// `/a/b` as its names.
fn names(path: &str) -> Option<Vec<String>> {
    let names: Vec<String> = path.trim().strip_prefix('/')?.split('/').map(str::to_owned).collect();
    let plain = |name: &String| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '=');
    names.iter().all(plain).then_some(names)
}
