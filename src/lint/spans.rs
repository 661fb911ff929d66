//! The columns that a finding means, looked up in the line that it names; and that line as people may see it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use regex::{Captures, Regex};

use super::finding::{Finding, Mark, Source};
use crate::packs::Packs;
use crate::settings::schema::{Kind, SECTIONS};

/// The names whose values no line may show.
#[derive(Debug, Clone, Default)]
pub struct SecretNames(HashSet<String>);

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static WRITTEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z0-9_.-]+|"[^"]*")(\s*=\s*)('''.*|\"\"\".*|"(?:[^"\\]|\\.)*"|'[^']*'|[0-9][^\s,}#]*)"#)
        .unwrap()
});

impl SecretNames {
    /// Those of settings, of the configuration, and of every pack's parameters.
    pub fn new(packs: &Packs) -> Self {
        let settings = SECTIONS.iter().flat_map(|section| section.settings);
        let settings = settings.filter(|setting| setting.kind == Kind::Secret).map(|setting| setting.name.to_owned());
        let lists = packs.iter().map(|pack| &pack.parameters);
        let parameters =
            lists.flat_map(|list| list.names().filter(|name| list.get(name).is_some_and(|one| one.secret)));
        let forms = ["master_key", "hex", "base64url"].map(str::to_owned);
        Self(settings.chain(parameters.map(str::to_owned)).chain(forms).collect())
    }

    fn holds(&self, name: &str) -> bool {
        let last = name.trim_matches('"').rsplit('.').next().unwrap_or_default();
        self.0.contains(last) || self.0.contains(name.trim_matches('"'))
    }

    /// A line of TOML without the values that no one may see.
    fn mask(&self, line: &str) -> String {
        let masked = WRITTEN.replace_all(line, |found: &Captures<'_>| {
            let part = |group: usize| found.get(group).map_or("", |part| part.as_str());
            let value = if self.holds(part(1)) { "\"***\"" } else { part(3) };
            format!("{}{}{value}", part(1), part(2))
        });
        masked.into_owned()
    }
}

/// The lines of the file that was read last: findings come sorted by file.
#[derive(Default)]
pub struct Lines {
    file: Option<Arc<Path>>,
    lines: Vec<String>,
}

impl Lines {
    /// A line of a file, counted from 1; none where it can't be read.
    pub fn get(&mut self, file: &Arc<Path>, line: u32) -> Option<&str> {
        if self.file.as_ref() != Some(file) {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            self.lines = text.lines().map(str::to_owned).collect();
            self.file = Some(file.clone());
        }
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        self.lines.get(index).map(String::as_str)
    }
}

/// Fills in the columns and lines of findings, which are sorted by file.
pub fn fill(findings: &mut [Finding], secrets: &SecretNames) {
    let mut lines = Lines::default();
    for finding in findings {
        let (Some(file), Some(line)) = (&finding.file, finding.line) else { continue };
        let Some(text) = lines.get(file, line) else { continue };
        if let Some((start, end)) = span(text, finding.key.as_deref(), &finding.mark) {
            let column = |at: usize| text.get(..at).and_then(|before| u32::try_from(before.chars().count() + 1).ok());
            (finding.column, finding.end_column) = (column(start), column(end));
        }
        let is_toml = file.extension().is_some_and(|extension| extension == "toml");
        let text = if is_toml { secrets.mask(text) } else { text.to_owned() };
        let span = span(&text, finding.key.as_deref(), &finding.mark);
        finding.source = span.map(|(start, end)| Source { text, span: start..end });
    }
}

/// The bytes of a line that are meant: the value of the key, a part of it, or the name.
fn span(line: &str, key: Option<&str>, mark: &Mark) -> Option<(usize, usize)> {
    let indent = line.len() - line.trim_start().len();
    let whole = (indent, line.trim_end().len());
    if *mark == Mark::Line || key.is_none() {
        return (whole.0 < whole.1).then_some(whole);
    }
    let name = key.and_then(|key| key.rsplit('.').next()).unwrap_or_default().trim_matches('"');
    let at = line.find(name)?;
    if *mark == Mark::Name {
        return Some((at, at + name.len()));
    }
    let equals = at + line.get(at..)?.find('=')? + 1;
    let rest = line.get(equals..)?;
    let start = equals + (rest.len() - rest.trim_start().len());
    let value = line.get(start..)?;
    let length = value_length(value);
    match mark {
        Mark::Within(range) => {
            let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let inner = value.get(1..length.checked_sub(1)?)?;
            // What is escaped has other bytes than the value; then the whole of it is marked.
            if quote == '"' && inner.contains('\\') || range.end > inner.len() {
                return Some((start, start + length));
            }
            let end = range.end.max(range.start + 1).min(inner.len().max(1));
            Some((start + 1 + range.start, start + 1 + end))
        }
        _ => Some((start, start + length)),
    }
}

/// How many bytes a value takes, without the comment after it.
fn value_length(value: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in value.char_indices() {
        match (quote, character) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), character) if open == character && !escaped => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '#') => return value.get(..at).unwrap_or_default().trim_end().len(),
            _ => {}
        }
        escaped = false;
    }
    value.trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked<'l>(line: &'l str, key: &str, mark: &Mark) -> &'l str {
        let (start, end) = span(line, Some(key), mark).unwrap();
        &line[start..end]
    }

    #[test]
    fn a_line_shows_no_secret() {
        let secrets = SecretNames(["password", "key", "hex", "P2"].map(str::to_owned).into());
        for (line, masked) in [
            ("password = \"a\\\"b\" # c", "password = \"***\" # c"),
            ("1 = { user = 'u', password = 'p' }", "1 = { user = 'u', password = \"***\" }"),
            ("key = { hex = \"00ff\" }", "key = { hex = \"***\" }"),
            ("\"P2\"=1234", "\"P2\"=\"***\""),
            ("delivery.key = \"\"\"abc", "delivery.key = \"***\""),
            ("user = \"u\"", "user = \"u\""),
        ] {
            assert_eq!(secrets.mask(line), masked);
        }
    }

    #[test]
    fn a_value_is_found_in_its_line() {
        let line = "  Time_Zone = \"GMT # 5\"   # why";
        assert_eq!(marked(line, "params.Time_Zone", &Mark::Value), "\"GMT # 5\"");
        assert_eq!(marked(line, "params.Time_Zone", &Mark::Within(4..5)), "#");
        assert_eq!(marked(line, "params.Time_Zone", &Mark::Name), "Time_Zone");
        assert_eq!(marked(line, "params.Time_Zone", &Mark::Line), "Time_Zone = \"GMT # 5\"   # why");
        assert_eq!(marked("user = 'a'", "lines.1.user", &Mark::Within(0..0)), "a");
        assert_eq!(marked("k = \"a\\\"b\" # c", "k", &Mark::Within(2..3)), "\"a\\\"b\"");
        assert_eq!(marked("interval = 5", "provisioning.interval", &Mark::Value), "5");
    }
}
