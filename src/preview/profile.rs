//! One rendered file as a page shows it: its lines, highlighted, and beneath each what its values come from.

use std::collections::HashSet;

use serde::Serialize;

use super::highlight::{Highlighter, Token};
use crate::lint::{ParameterView, Profile};
use crate::packs::{FileEntry, Format, Mapping, Pack, Source};
use crate::resync::{Explained, Provenance};
use crate::settings::Step;

/// Texts are told as one and its differences where not more than one line in so many differs.
const FEW: usize = 5;

/// One line of a rendered text.
#[derive(Debug, Serialize)]
pub struct Line<'t> {
    /// Counted from 1.
    number: usize,
    tokens: Vec<Token<'t>>,
    /// The values that stand in it; mostly one or none.
    values: Vec<Made>,
}

/// How one value came about.
#[derive(Debug, Serialize)]
struct Made {
    name: String,
    /// File and line of the expression or setting that made it; the template that wrote it.
    by: String,
    expression: Option<String>,
    settings: Vec<Setting>,
    unset: Vec<String>,
}

/// A setting, and which layers had a say.
#[derive(Debug, Serialize)]
pub struct Setting {
    key: String,
    /// None: a layer took it away.
    value: Option<String>,
    place: String,
    earlier: Vec<Earlier>,
}

/// What a weaker layer said.
#[derive(Debug, Serialize)]
struct Earlier {
    /// None: it took the setting away.
    value: Option<String>,
    place: String,
}

/// A rendered text as lines. Grandstream's binary frame is left out, and its pairs stand in a line each.
pub fn text(format: Format, body: &[u8]) -> String {
    if format == Format::GrandstreamBinary {
        let start = body.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
        let pairs = String::from_utf8_lossy(body.get(start..).unwrap_or_default());
        return pairs.trim_end_matches('\0').replace('&', "\n");
    }
    String::from_utf8_lossy(body).into_owned()
}

/// The lines of `text`, which is the profile's. A file for anyone has no device, and its values no layers of one.
pub fn lines<'t>(
    text: &'t str,
    profile: &Profile,
    pack: &Pack,
    entry: &FileEntry,
    provenance: Option<&Provenance<'_>>,
) -> Vec<Line<'t>> {
    let Source::Template { template, mapping } = &entry.source else { return Vec::new() };
    let template = pack.templates.iter().find(|text| text.name == *template);
    let template = template.map_or_else(String::new, |text| text.file.display().to_string());
    let mapping = mapping.as_ref().and_then(|name| pack.mappings.get(name));
    let mut highlighter = Highlighter::new(entry.format);
    let mut lines: Vec<Line<'t>> = text
        .lines()
        .zip(1..)
        .map(|(line, number)| Line { number, tokens: highlighter.line(line), values: Vec::new() })
        .collect();
    let mut at = 0;
    for parameter in profile.parameters(pack) {
        if entry.format == Format::GrandstreamBinary {
            // All pairs were one line; here they come in the same order.
            let rest = lines.get(at..).unwrap_or_default();
            at += rest.iter().position(|line| line.is_pair_of(parameter.name)).unwrap_or_default();
        } else {
            at = usize::try_from(parameter.line).unwrap_or_default().saturating_sub(1);
        }
        if let Some(line) = lines.get_mut(at) {
            line.values.push(made(&parameter, mapping, &template, provenance));
        }
    }
    lines
}

/// Which lines of a text another has not: a phone's first profile is its later one but for a rule or two, and a page that
/// shows both in full would be twice as long for it. None where they have less in common, or the other has lines that
/// this one hasn't beside those that are another.
pub fn differing(text: &str, other: &str) -> Option<HashSet<usize>> {
    let known: HashSet<&str> = other.lines().collect();
    let own: HashSet<usize> =
        text.lines().zip(1..).filter(|(line, _)| !known.contains(line)).map(|(_, number)| number).collect();
    let (count, others) = (text.lines().count(), other.lines().count());
    (own.len() * FEW <= count && count == others).then_some(own)
}

impl Line<'_> {
    pub fn number(&self) -> usize {
        self.number
    }

    fn is_pair_of(&self, name: &str) -> bool {
        self.tokens.first().is_some_and(|token| token.text == name)
    }
}

fn made(
    parameter: &ParameterView<'_>,
    mapping: Option<&Mapping>,
    template: &str,
    provenance: Option<&Provenance<'_>>,
) -> Made {
    let name = parameter.name.to_owned();
    let traced = parameter.made.zip(provenance).map(|(made, provenance)| provenance.of_parameter(mapping, made));
    match (traced, parameter.made) {
        (Some(trace), _) => Made {
            name,
            by: trace.made_by,
            expression: trace.expression.map(|expression| expression.trim().to_owned()),
            settings: trace.settings.iter().map(setting).collect(),
            unset: trace.unset,
        },
        (None, made) => {
            let by = match (made.map(|made| &made.made), mapping) {
                (Some(crate::render::Made::Params(origin)), _) => origin.to_string(),
                (Some(crate::render::Made::Mapping { line, .. }), Some(mapping)) => {
                    format!("{}:{line}", mapping.source.display())
                }
                _ => template.to_owned(),
            };
            Made { name, by, expression: None, settings: Vec::new(), unset: Vec::new() }
        }
    }
}

/// A setting as it holds, and what it came to hold by.
pub fn setting(explained: &Explained) -> Setting {
    let key = explained.key.to_string();
    let mut steps = explained.steps.iter().rev().map(|step| match step {
        Step::Set(setting) => {
            Earlier { value: Some(explained.shown(setting).to_string()), place: setting.origin.to_string() }
        }
        Step::Unset(origin, _) => Earlier { value: None, place: origin.to_string() },
    });
    let (value, place) = steps.next().map_or((None, String::new()), |last| (last.value, last.place));
    Setting { key, value, place, earlier: steps.collect() }
}
