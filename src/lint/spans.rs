//! The columns that a finding means, looked up in the line that it names; and that line as people may see it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use regex::{Captures, Regex};

use super::finding::{Finding, Mark, Source};
use crate::config::reference::{self, TABLES};
use crate::packs::Packs;
use crate::packs::data_model::DataModel;
use crate::settings::schema::{Kind, SECTIONS, TOP};

/// Which values no line may show.
#[derive(Debug, Clone, Default)]
pub struct SecretNames {
    names: HashSet<String>,
    /// Names whose values may be shown, where nothing else may: what couldn't be loaded may have a secret under a
    /// misspelt name.
    harmless: Option<HashSet<String>>,
}

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static WRITTEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z0-9_.-]+|"[^"]*")(\s*=\s*)('''.*|\"\"\".*|"(?:[^"\\]|\\.)*"|'[^']*'|[0-9][^\s,}#]*)"#)
        .unwrap()
});

impl SecretNames {
    /// Those of settings, of the configuration, and of every pack's parameters.
    pub fn new(packs: &Packs) -> Self {
        let lists = packs.iter().map(|pack| &pack.parameters);
        let parameters =
            lists.flat_map(|list| list.names().filter(|name| list.get(name).is_some_and(|one| one.secret)));
        // A data-model path ends with the parameter's own name.
        let paths = packs.iter().filter_map(|pack| pack.data_model.as_ref()).flat_map(DataModel::parameters);
        let paths =
            paths.filter(|parameter| parameter.secret).filter_map(|parameter| parameter.path.rsplit('.').next());
        let names = Self::of_settings().chain(parameters.chain(paths).map(str::to_owned)).collect();
        Self { names, harmless: None }
    }

    /// Those of a deployment that couldn't be loaded.
    pub fn of_anything() -> Self {
        let settings = SECTIONS.iter().flat_map(|section| section.settings).chain(TOP);
        let settings = settings.filter(|setting| setting.kind != Kind::Secret).map(|setting| setting.name);
        let keys = TABLES.iter().flat_map(|table| table.keys);
        let keys = keys
            .filter(|key| !matches!(key.kind, reference::Kind::Secret | reference::Kind::Secrets))
            .map(|key| key.name);
        // Of a device and of a listener: the name of a file, and of where a secret stands.
        let harmless = settings.chain(keys).filter(|name| *name != "key").chain(["env", "file", "mac"]);
        Self { names: Self::of_settings().collect(), harmless: Some(harmless.map(str::to_owned).collect()) }
    }

    fn of_settings() -> impl Iterator<Item = String> {
        let settings = SECTIONS.iter().flat_map(|section| section.settings);
        let settings = settings.filter(|setting| setting.kind == Kind::Secret).map(|setting| setting.name);
        settings.chain(["master_key", "read_keys", "hex", "base64url"]).map(str::to_owned)
    }

    /// Whether what is called so may not be shown.
    pub fn holds(&self, name: &str) -> bool {
        let whole = name.trim_matches('"');
        let last = whole.rsplit('.').next().unwrap_or_default();
        if let Some(harmless) = &self.harmless {
            return !harmless.contains(last);
        }
        let lower = last.to_lowercase();
        let sounds_so =
            ["passw", "pasw", "passphrase", "pwd", "secret", "token", "psk"].iter().any(|part| lower.contains(part));
        self.names.contains(last)
            || self.names.contains(whole)
            || sounds_so
            || lower == "pin"
            || lower.ends_with("_pin")
    }

    /// A line of TOML without the values that no one may see.
    fn mask(&self, line: &str) -> String {
        let masked = WRITTEN.replace_all(line, |found: &Captures<'_>| {
            let part = |group: usize| found.get(group).map_or("", |part| part.as_str());
            let value = if self.holds(part(1)) { "\"***\"" } else { part(3) };
            format!("{}{}{value}", part(1), part(2))
        });
        without_passwords(&masked)
    }
}

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static PASSWORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(://[^\s/:@]*:)[^\s/@]+@").unwrap());

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static ARGUMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(--(?:key|pwd)\s+)(?:\\"[^"]*"|"[^"]*"|'[^']*'|[^\s\]$][^\s\]]*)"#).unwrap());

/// A text whose URLs and whose phones' rules show no password.
pub fn without_passwords(text: &str) -> String {
    let text = PASSWORD.replace_all(text, "${1}***@");
    ARGUMENT.replace_all(&text, "${1}***").into_owned()
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
        // What a pack says is the same for everyone, and no place for secrets.
        let is_packs = file.file_name().is_some_and(|name| name == "pack.toml" || name == "mapping.toml");
        let is_shown = is_packs && secrets.harmless.is_some();
        let is_toml = !is_shown && file.extension().is_some_and(|extension| extension == "toml");
        let text = if is_toml { secrets.mask(text) } else { without_passwords(text) };
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
        let names = ["password", "key", "hex", "P2"].map(str::to_owned).into();
        let secrets = SecretNames { names, harmless: None };
        for (line, masked) in [
            ("password = \"a\\\"b\" # c", "password = \"***\" # c"),
            ("1 = { user = 'u', password = 'p' }", "1 = { user = 'u', password = \"***\" }"),
            ("key = { hex = \"00ff\" }", "key = { hex = \"***\" }"),
            ("\"P2\"=1234", "\"P2\"=\"***\""),
            ("delivery.key = \"\"\"abc", "delivery.key = \"***\""),
            ("user = \"u\"", "user = \"u\""),
            ("R = \"[--key abc --uid x --pwd $SB] /\"", "R = \"[--key *** --uid x --pwd $SB] /\""),
            ("R = '[--key \"a b\"] /'", "R = '[--key ***] /'"),
            ("url = \"https://u:p@h/\"", "url = \"https://u:***@h/\""),
        ] {
            assert_eq!(secrets.mask(line), masked);
        }
        let unloaded = SecretNames::of_anything();
        assert_eq!(unloaded.mask("pasword = 'x' # c"), "pasword = \"***\" # c");
        assert_eq!(unloaded.mask("password = { env = \"X\" }"), "password = { env = \"X\" }");
        assert_eq!(unloaded.mask("key = 'x'\t"), "key = \"***\"\t");
        assert_eq!(unloaded.mask("transport = 'tpc'"), "transport = 'tpc'");
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
