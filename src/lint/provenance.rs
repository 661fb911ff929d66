//! From a parameter of a rendered file back to the file and line that the operator can change.

use super::finding::{Finding, Mark};
use super::view::ParameterView;
use crate::packs::{FileEntry, Pack, Source};
use crate::render::{Made, behind, text};
use crate::settings::{Effective, Key};

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
