//! From a parameter of a rendered file back to the file and line that the operator can change.

use super::finding::{Finding, Mark};
use super::view::ParameterView;
use crate::packs::{FileEntry, Pack, Source, sources_of};
use crate::render::Made;
use crate::settings::{Effective, Key, Setting, Value};

/// Fills in the place of what set a parameter: `[params]`, a setting that the mapping's expression reads, the
/// expression itself, or the template.
pub fn place(
    finding: Finding,
    pack: &Pack,
    family: &str,
    file: &FileEntry,
    parameter: &ParameterView<'_>,
    settings: Option<&Effective>,
) -> Finding {
    let Source::Template { template, mapping } = &file.source else { return finding.key(parameter.name) };
    match parameter.made.map(|made| &made.made) {
        Some(Made::Params(origin)) => {
            // A span within the value, where the finding has one, stays.
            let mark = if finding.mark == Mark::Line { Mark::Value } else { finding.mark.clone() };
            finding.at(origin).key(Key::Param(parameter.name.into())).mark(mark)
        }
        Some(Made::Mapping { line, pattern, n }) => {
            let Some(mapping) = mapping.as_ref().and_then(|name| pack.mappings.get(name)) else { return finding };
            let expressions = mapping.of_family(family);
            let entry =
                expressions.and_then(|all| all.iter().find(|entry| entry.line == *line && entry.pattern == *pattern));
            let reads = entry.map(|entry| entry.reads.as_slice()).unwrap_or_default();
            let found = settings.and_then(|settings| behind(settings, reads, *n, parameter.value));
            match found {
                Some((key, setting)) => {
                    let is_whole = text(&setting.value).as_deref() == Some(parameter.value);
                    let mark = match &finding.mark {
                        Mark::Within(range) if is_whole => Mark::Within(range.clone()),
                        _ => Mark::Value,
                    };
                    finding.at(&setting.origin).key(key).mark(mark)
                }
                None => finding.in_line(mapping.source.clone(), *line).key(pattern).mark(Mark::Line),
            }
        }
        None => {
            let text = pack.templates.iter().find(|text| text.name == *template);
            let Some(text) = text else { return finding.key(parameter.name) };
            let line = text.text.lines().position(|line| line.contains(parameter.name));
            let line = line.and_then(|line| u32::try_from(line + 1).ok());
            let finding = finding.in_file(text.file.as_path()).key(parameter.name).mark(Mark::Line);
            Finding { line, ..finding }
        }
    }
}

/// The setting that a mapped value most likely comes from: the one whose text stands in the value, the longest first;
/// else the only one that the operator has set.
fn behind<'s>(settings: &'s Effective, reads: &[String], n: u16, value: &str) -> Option<(&'s Key, &'s Setting)> {
    let number = n.to_string();
    let reads: Vec<String> =
        reads.iter().flat_map(|read| sources_of(read)).map(|read| read.replace("{n}", &number)).collect();
    let is_read = |key: &Key| {
        let key = key.to_string();
        reads
            .iter()
            .any(|read| key.strip_prefix(read.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    let set: Vec<(&Key, &Setting)> = settings.iter().filter(|(key, _)| is_read(key)).collect();
    let held = set
        .iter()
        .filter_map(|(key, setting)| Some((text(&setting.value)?, *key, *setting)))
        .filter(|(text, ..)| !text.is_empty() && value.contains(text.as_str()))
        .max_by_key(|(text, ..)| text.len());
    match (held, set.as_slice()) {
        (Some((_, key, setting)), _) => Some((key, setting)),
        (None, [(key, setting)]) => Some((*key, *setting)),
        (None, _) => None,
    }
}

/// A value as templates write it; none for secrets and lists.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(_) | Value::List(_) | Value::Secret(_) => None,
    }
}
