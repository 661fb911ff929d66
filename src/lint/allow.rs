//! Findings that the operator has decided to live with: `# resyncd: allow(rule-id) reason`, in the setting's line or
//! on a line of its own before it; in a template `{# resyncd: allow(rule-id) reason #}`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::finding::Finding;

/// What every such comment begins with.
const MARKER: &str = "resyncd: allow(";

/// One comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// The line of the comment, counted from 1.
    pub line: u32,
    /// The last line that it speaks of: its own, or the next that is neither empty nor a comment.
    pub until: u32,
    /// Nothing but comments stands before it: it speaks of the file as a whole, too.
    pub is_at_top: bool,
    pub rule: String,
    pub reason: String,
    is_used: bool,
}

/// All comments of all files.
#[derive(Debug, Default)]
pub struct Allows(HashMap<Arc<Path>, Vec<Allow>>);

impl Allows {
    /// Looks through files. One that can't be read is somebody else's finding.
    pub fn read(files: &[Arc<Path>]) -> Self {
        let found = files.par_iter().filter_map(|file| {
            let text = std::fs::read_to_string(file).ok().filter(|text| text.contains(MARKER))?;
            let is_template = file.extension().is_some_and(|extension| extension == "tera");
            let allows = if is_template { in_template(&text) } else { in_toml(&text) };
            (!allows.is_empty()).then(|| (file.clone(), allows))
        });
        Self(found.collect())
    }

    /// Whether a comment speaks of the finding; it then counts as used.
    pub fn covers(&mut self, finding: &Finding) -> bool {
        let Some(allows) = finding.file.as_ref().and_then(|file| self.0.get_mut(file)) else { return false };
        let speaks_of = |allow: &&mut Allow| {
            allow.rule == finding.rule
                && finding.line.map_or(allow.is_at_top, |line| (allow.line..=allow.until).contains(&line))
        };
        let mut found = false;
        for allow in allows.iter_mut().filter(speaks_of) {
            allow.is_used = true;
            found = true;
        }
        found
    }

    /// Every comment with its file, files in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<Path>, &Allow)> {
        let mut files: Vec<_> = self.0.iter().collect();
        files.sort_by_key(|(file, _)| (*file).clone());
        files.into_iter().flat_map(|(file, allows)| allows.iter().map(move |allow| (file, allow)))
    }
}

impl Allow {
    /// Whether it has kept a finding away.
    pub fn is_used(&self) -> bool {
        self.is_used
    }
}

/// The files of a folder that may hold such comments.
pub fn files_of(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_read = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml" || extension == "tera");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_read).collect();
    files.sort();
    files
}

/// The rules and the reason of a comment's text.
fn parse(comment: &str) -> Option<(Vec<String>, String)> {
    let (_, after) = comment.split_once(MARKER)?;
    let (rules, reason) = after.split_once(')')?;
    let rules = rules.split(',').map(|rule| rule.trim().to_owned()).collect();
    Some((rules, reason.trim().trim_start_matches([':', '-']).trim().to_owned()))
}

fn in_toml(text: &str) -> Vec<Allow> {
    let comments = comments(text);
    let has_content = |line: usize| comments.get(line).is_some_and(|(before, _)| *before);
    let mut allows = Vec::new();
    for (index, (before, comment)) in comments.iter().enumerate() {
        let Some((rules, reason)) = comment.and_then(parse) else { continue };
        let until =
            if *before { index } else { (index + 1..comments.len()).find(|line| has_content(*line)).unwrap_or(index) };
        let is_at_top = !(0..=index).any(has_content);
        push(&mut allows, rules, &reason, index, until, is_at_top);
    }
    allows
}

/// A template's comment speaks of its own line and the next.
fn in_template(text: &str) -> Vec<Allow> {
    let mut allows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let comment = line.split_once("{#").and_then(|(_, after)| after.split_once("#}")).map(|(comment, _)| comment);
        let Some((rules, reason)) = comment.map(|comment| comment.trim_end_matches('-')).and_then(parse) else {
            continue;
        };
        push(&mut allows, rules, &reason, index, index + 1, index == 0);
    }
    allows
}

fn push(allows: &mut Vec<Allow>, rules: Vec<String>, reason: &str, line: usize, until: usize, is_at_top: bool) {
    let counted = |index: usize| u32::try_from(index + 1).unwrap_or(u32::MAX);
    allows.extend(rules.into_iter().map(|rule| Allow {
        line: counted(line),
        until: counted(until),
        is_at_top,
        rule,
        reason: reason.to_owned(),
        is_used: false,
    }));
}

/// Where in a TOML text a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    /// A string that may span lines; its delimiter.
    Lines(&'static str),
}

/// For each line whether something else than a comment is on it, and its comment without the `#`.
fn comments(text: &str) -> Vec<(bool, Option<&str>)> {
    let mut within = Within::Nothing;
    text.lines()
        .map(|line| {
            let began_within = within != Within::Nothing;
            let at = comment_start(line, &mut within);
            let (before, comment) = line.split_at(at.unwrap_or(line.len()));
            (began_within || !before.trim().is_empty(), comment.strip_prefix('#'))
        })
        .collect()
}

/// The byte at which the line's comment begins. `within` is what the line begins in, and then what the next one does.
fn comment_start(line: &str, within: &mut Within) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = line.get(at..)?;
        if let Within::Lines(delimiter) = *within {
            let end = string_end(rest, delimiter)?;
            *within = Within::Nothing;
            at += end;
            continue;
        }
        let next = rest.find(['#', '"', '\''])?;
        let found = rest.get(next..)?;
        at += next;
        if found.starts_with('#') {
            return Some(at);
        }
        let delimiter = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|delimiter| found.starts_with(delimiter))?;
        at += delimiter.len();
        match line.get(at..).and_then(|rest| string_end(rest, delimiter)) {
            Some(end) => at += end,
            None if delimiter.len() == 3 => *within = Within::Lines(delimiter),
            // No TOML, which was told elsewhere.
            None => return None,
        }
        if *within != Within::Nothing {
            return None;
        }
    }
}

/// The byte after the delimiter that ends a string.
fn string_end(text: &str, delimiter: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with('\\') && delimiter.starts_with('"') {
            let escaped = rest.chars().nth(1).map_or(0, char::len_utf8);
            at += 1 + escaped;
        } else if rest.starts_with(delimiter) {
            return Some(at + delimiter.len());
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let shown = |allow: &Allow| format!("{}-{} {}: {}", allow.line, allow.until, allow.rule, allow.reason);
        in_toml(text).iter().map(shown).collect()
    }

    #[test]
    fn a_comment_speaks_of_its_line_or_the_next_setting() {
        assert_eq!(told("a = 1 # resyncd: allow(weak-key) a demo\n"), ["1-1 weak-key: a demo"]);
        assert_eq!(
            told("# resyncd: allow(a, b): old phones\n# more\n\n[x]\nk = 1\n"),
            ["1-4 a: old phones", "1-4 b: old phones"]
        );
        assert_eq!(told("# resyncd: allow(a)\n"), ["1-1 a: "]);
    }

    #[test]
    fn what_stands_in_a_string_is_no_comment() {
        assert_eq!(
            told("a = \"# resyncd: allow(x) no\"\nb = '''\n# resyncd: allow(x) no\n''' # resyncd: allow(y) yes\n"),
            ["4-4 y: yes"]
        );
        assert_eq!(told("a = \"\\\"# resyncd: allow(x) no\" # resyncd: allow(y) yes\n"), ["1-1 y: yes"]);
    }

    #[test]
    fn only_what_nothing_precedes_speaks_of_the_whole_file() {
        let tops = |text| in_toml(text).iter().map(|allow| allow.is_at_top).collect::<Vec<_>>();
        assert_eq!(tops("# title\n# resyncd: allow(a) b\n\nx = 1\n# resyncd: allow(a) b\ny = 1\n"), [true, false]);
        assert!(in_template("{#- resyncd: allow(a) b -#}\n").first().unwrap().is_at_top);
    }
}
