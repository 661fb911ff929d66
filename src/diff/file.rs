//! One rendered file on both sides: by parameter, and by line where it has none or where they say all the same.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Side;
use super::cause::{Differing, among, reads};
use super::change::{Change, Source, Subject};
use super::lines;
use crate::packs::{FileEntry, Mapping, Pack, Source as Body};
use crate::render::{MASK, Made, Parameter, Rendered};

/// A file on one side, and the tokens in it, each with the setting that it stands for.
pub struct Shape<'s> {
    pub rendered: &'s Rendered,
    pub tokens: &'s [(String, String)],
}

/// What is known of both sides' file; each pair is the old and the new.
pub struct Sides<'s> {
    pub old: &'s Side<'s>,
    pub new: &'s Side<'s>,
    pub packs: (&'s Pack, &'s Pack),
    pub files: (&'s FileEntry, &'s FileEntry),
    pub families: (&'s str, &'s str),
    pub differing: &'s [Differing],
    /// Whether the device's model, group or serial number is another: templates may look at these.
    pub is_moved: bool,
}

impl Shape<'_> {
    /// A text with its tokens masked, and whether there were any.
    fn masked(&self, text: &str) -> (String, bool) {
        let mut masked = text.to_owned();
        for (_, token) in self.tokens {
            if masked.contains(token.as_str()) {
                masked = masked.replace(token.as_str(), MASK);
            }
        }
        let is_masked = masked != text;
        (masked, is_masked)
    }

    /// The value of a parameter as it may be shown, and whether it holds a secret.
    fn told(&self, parameter: &Parameter, reads: &[String]) -> (String, bool) {
        if parameter.secret {
            return (MASK.to_owned(), true);
        }
        let (masked, is_masked) = self.masked(&parameter.value);
        // What an expression makes of a secret, its digest or its first letters, is as secret.
        if !is_masked && self.tokens.iter().any(|(name, _)| reads.contains(name)) {
            return (MASK.to_owned(), true);
        }
        (masked, is_masked)
    }
}

fn by_name(rendered: &Rendered) -> HashMap<&str, &Parameter> {
    rendered.parameters.iter().map(|parameter| (&*parameter.name, parameter)).collect()
}

fn mapping<'p>(pack: &'p Pack, file: &FileEntry) -> Option<&'p Mapping> {
    match &file.source {
        Body::Template { mapping: Some(name), .. } => pack.mappings.get(name),
        _ => None,
    }
}

/// Every parameter that differs between the two, in the order of the new one; what is gone comes last.
pub fn differences(old: &Shape<'_>, new: &Shape<'_>, sides: &Sides<'_>) -> Vec<Change> {
    let (in_old, in_new) = (by_name(old.rendered), by_name(new.rendered));
    let mut changes = Vec::new();
    for parameter in &new.rendered.parameters {
        let before = in_old.get(&*parameter.name).copied();
        if before.is_none_or(|before| before.value != parameter.value) {
            changes.push(sides.parameter((old, before), (new, Some(parameter)), parameter));
        }
        if let Some(before) = before.filter(|before| before.access != parameter.access) {
            changes.push(sides.access(before, parameter));
        }
    }
    for parameter in old.rendered.parameters.iter().filter(|parameter| !in_new.contains_key(&*parameter.name)) {
        changes.push(sides.parameter((old, Some(parameter)), (new, None), parameter));
    }
    changes
}

impl Sides<'_> {
    fn reads(&self, parameter: &Parameter, is_new: bool) -> Vec<String> {
        let (pack, file, family) = if is_new {
            (self.packs.1, self.files.1, self.families.1)
        } else {
            (self.packs.0, self.files.0, self.families.0)
        };
        reads(parameter, mapping(pack, file), family)
    }

    fn parameter(
        &self,
        (old, before): (&Shape<'_>, Option<&Parameter>),
        (new, after): (&Shape<'_>, Option<&Parameter>),
        parameter: &Parameter,
    ) -> Change {
        let reads_old = before.map(|before| self.reads(before, false)).unwrap_or_default();
        let reads_new = after.map(|after| self.reads(after, true)).unwrap_or_default();
        let told_old = before.map(|before| old.told(before, &reads_old));
        let told_new = after.map(|after| new.told(after, &reads_new));
        let secret = [&told_old, &told_new].into_iter().flatten().any(|(_, secret)| *secret);
        // What the operator set by the phone's own name wins, and what won before may be gone.
        let own = [format!("params.{}", parameter.name)];
        let cause = among(self.differing, &own)
            .or_else(|| among(self.differing, &reads_new))
            .or_else(|| among(self.differing, &reads_old))
            .or_else(|| self.by_value(before, after));
        let (source, line) = match cause {
            Some(cause) => (cause.source.clone(), cause.line),
            None if self.is_same_making(before, after) => self.layout(),
            None => self.unsettled(before, after),
        };
        // Where a secret stands is no secret, and that it stands elsewhere is the change.
        let place = |told: Option<(String, bool)>, value: Option<&String>| {
            let place = value.filter(|_| cause.is_some_and(|cause| cause.secret)).cloned();
            told.map(|(text, secret)| if secret && text == MASK { place.unwrap_or(text) } else { text })
        };
        let known = |pack: &Pack| pack.parameters.get(&parameter.name).map(|known| known.effects);
        Change {
            subject: Subject::Parameter(parameter.name.clone()),
            old: place(told_old, cause.and_then(|cause| cause.old.as_ref())),
            new: place(told_new, cause.and_then(|cause| cause.new.as_ref())),
            secret,
            effects: known(self.packs.1).unwrap_or_default().and(known(self.packs.0).unwrap_or_default()),
            setting: cause.map(|cause| cause.name.clone()),
            source,
            line,
        }
    }

    /// Expressions that look at all lines don't say which setting they take; one that has become the very value is it.
    fn by_value(&self, before: Option<&Parameter>, after: Option<&Parameter>) -> Option<&Differing> {
        let is = |shown: &Option<String>, parameter: Option<&Parameter>| match (shown, parameter) {
            (Some(shown), Some(parameter)) => *shown == format!("{:?}", parameter.value),
            (None, None) => true,
            _ => false,
        };
        let mut plain = self.differing.iter().filter(|setting| !setting.secret);
        plain.find(|setting| is(&setting.new, after) && (after.is_some() || is(&setting.old, before)))
    }

    /// Whether both sides make the parameter by the same expression, so that settings must have changed it.
    fn is_same_making(&self, before: Option<&Parameter>, after: Option<&Parameter>) -> bool {
        if self.differing.is_empty() {
            return false;
        }
        if self.packs.0.fingerprint == self.packs.1.fingerprint {
            return true;
        }
        let expression = |parameter: &Parameter, mapping: Option<&Mapping>, family: &str| match &parameter.made {
            Made::Mapping { pattern, .. } => mapping?
                .of_family(family)?
                .iter()
                .find(|entry| entry.pattern == *pattern)
                .map(|entry| entry.expression.clone()),
            Made::Params(_) => None,
        };
        let old = before.and_then(|p| expression(p, mapping(self.packs.0, self.files.0), self.families.0));
        let new = after.and_then(|p| expression(p, mapping(self.packs.1, self.files.1), self.families.1));
        old.is_some() && old == new
    }

    fn access(&self, before: &Parameter, after: &Parameter) -> Change {
        let text = |parameter: &Parameter| parameter.access.as_ref().map(ToString::to_string);
        let cause = among(self.differing, &[format!("params.{}.access", after.name)]);
        let (source, line) = match (cause, self.packs.1.parameters.get(&after.name)) {
            (Some(cause), _) => (cause.source.clone(), cause.line),
            (None, Some(known)) => (self.pack_file("parameters.toml"), Some(known.line)),
            (None, None) => (Source::Unknown, None),
        };
        Change {
            setting: cause.map(|cause| cause.name.clone()),
            ..Change::new(Subject::Access(after.name.clone()), text(before), text(after), source, line)
        }
    }

    /// What changed a parameter that no changed setting explains.
    fn unsettled(&self, before: Option<&Parameter>, after: Option<&Parameter>) -> (Source, Option<u32>) {
        if self.is_moved {
            return (Source::Own, None);
        }
        match (before.map(|before| &before.made), after.map(|after| &after.made)) {
            (_, Some(Made::Mapping { line, .. })) => match mapping(self.packs.1, self.files.1) {
                Some(mapping) => (self.new.file(&mapping.source), Some(*line)),
                None => (Source::Unknown, None),
            },
            (_, Some(Made::Params(origin))) => (self.new.file(&origin.source), Some(origin.line)),
            // The expression is gone: its line is the old file's.
            (Some(Made::Mapping { .. }), None) => match mapping(self.packs.0, self.files.0) {
                Some(mapping) => (self.old.file(&mapping.source), None),
                None => (Source::Unknown, None),
            },
            _ => (Source::Unknown, None),
        }
    }

    fn pack_file(&self, name: &str) -> Source {
        self.new.file(&self.packs.1.folder.join(name))
    }

    /// The file that laid the text out, or the one layer that changed.
    fn layout(&self) -> (Source, Option<u32>) {
        let mut sources = self.differing.iter().map(|setting| (&setting.source, setting.line));
        if let Some((first, line)) = sources.next() {
            let (mut is_one, mut line) = (true, line);
            for (source, other) in sources {
                is_one &= source == first;
                line = line.filter(|line| Some(*line) == other);
            }
            return if is_one { (first.clone(), line) } else { (Source::Unknown, None) };
        }
        if self.is_moved {
            return (Source::Own, None);
        }
        let Body::Template { template, .. } = &self.files.1.source else { return (Source::Unknown, None) };
        let file: Option<&PathBuf> =
            self.packs.1.templates.iter().find(|text| text.name == *template).map(|text| &text.file);
        file.map_or((Source::Unknown, None), |file| (self.new.file(file), None))
    }

    /// The lines that differ, of two texts with secrets masked; where they don't, a secret or the layout does.
    pub fn by_line(&self, old: &Rendered, new: &Rendered) -> Vec<Change> {
        let (source, at) = self.layout();
        let change = |subject, before: Option<&str>, after: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Change::new(subject, owned(before), owned(after), source.clone(), at)
        };
        let texts = (std::str::from_utf8(&old.body), std::str::from_utf8(&new.body));
        let (Ok(before), Ok(after)) = texts else { return vec![change(Subject::Layout, None, None)] };
        let [gone, come] = lines::differing(before, after);
        if gone.is_empty() && come.is_empty() {
            return vec![Change { secret: old == new, ..change(Subject::Layout, None, None) }];
        }
        let gone = gone.into_iter().map(|line| change(Subject::Line, Some(line), None));
        gone.chain(come.into_iter().map(|line| change(Subject::Line, None, Some(line)))).collect()
    }
}
