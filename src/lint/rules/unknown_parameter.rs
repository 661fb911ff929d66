use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::document::nearest;
use crate::lint::rule::rule;
use crate::lint::{About, Deployment, DeviceView, Finding, Findings, Mark, ParameterView, Rule};
use crate::packs::{FileEntry, Pack, Source};

rule! {
    /// A parameter that the phone's pack doesn't list.
    ///
    /// # What the phone does
    ///
    /// It passes over a parameter that it doesn't know, without a word: what was meant doesn't happen.
    ///
    /// # How to mend it
    ///
    /// Correct the name. If the phone does know it, add it to the pack's `parameters.toml`.
    ///
    /// Where the pack says that its list is incomplete (`open = true`) this is a note, and only told where a listed
    /// name is near.
    pub struct UnknownParameter { told: Mutex<HashMap<(String, String), Option<Told>>> } = "unknown-parameter", Error;
}

impl Rule for UnknownParameter {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn deployment(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        for file in deployment.public.iter().filter(|file| has_parameters(file.entry)) {
            let Ok(profile) = &file.outcome else { continue };
            for parameter in profile.parameters(file.pack) {
                if let Some(told) = self.unknown(&parameter, file.pack) {
                    findings.report(told.finish(file.at_parameter(told.message.clone(), &parameter)));
                }
            }
        }
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for (file, profile) in view.profiles().filter(|(file, _)| has_parameters(file.entry)) {
            for parameter in profile.parameters(view.pack) {
                if let Some(told) = self.unknown(&parameter, view.pack) {
                    findings.report(told.finish(view.at_parameter(told.message.clone(), file, &parameter)));
                }
            }
        }
    }
}

/// A template without a mapping may write anything: a directory, a bootstrap in a grammar of its own.
fn has_parameters(file: &FileEntry) -> bool {
    matches!(file.source, Source::Template { mapping: Some(_), .. })
}

#[derive(Clone)]
struct Told {
    message: String,
    help: Option<String>,
    is_note: bool,
}

impl Told {
    fn finish(&self, finding: Finding) -> Finding {
        let finding = finding.mark(Mark::Name);
        let finding = if self.is_note { finding.note() } else { finding };
        Finding { help: self.help.clone(), ..finding }
    }
}

impl UnknownParameter {
    /// What is told of a parameter, if it is unknown. The nearest of a thousand names takes its time, and a hundred
    /// thousand devices may have the same slip in them.
    fn unknown(&self, parameter: &ParameterView<'_>, pack: &Pack) -> Option<Told> {
        if parameter.known.is_some() {
            return None;
        }
        let key = (pack.name.clone(), parameter.name.to_owned());
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key).or_insert_with(|| unknown(parameter.name, pack)).clone()
    }
}

fn unknown(name: &str, pack: &Pack) -> Option<Told> {
    let near = nearest(name, pack.parameters.names());
    let is_note = pack.parameters.open;
    // P values are alike by their nature: a number that is near says nothing.
    let is_number = name.trim_start_matches('P').bytes().all(|byte| byte.is_ascii_digit());
    if is_note && (near.is_none() || is_number) {
        return None;
    }
    let help = near.map(|near| format!("did you mean {near}?"));
    Some(Told { message: format!("{} knows no parameter {name}", pack.name), help, is_note })
}
