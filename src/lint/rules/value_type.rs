use crate::lint::rule::rule;
use crate::lint::values::{self, Wrong};
use crate::lint::{About, DeviceView, FileView, Finding, Findings, Mark, ParameterView, Rule};

rule! {
    /// A parameter's value is outside what its type allows: no number, out of range, none of the words.
    ///
    /// # What the phone does
    ///
    /// It passes over the value and keeps the one that it has, or takes it for something else.
    ///
    /// # How to mend it
    ///
    /// Write a value of the type that the pack's `parameters.toml` gives the parameter. Where a phone of yours does
    /// take it, the list is wrong: mend it there, or allow the finding by a comment.
    ///
    /// Secrets are not looked at: the check need not have them.
    pub struct ValueType = "value-type", Error;
}

impl Rule for ValueType {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for (file, profile) in view.profiles() {
            for parameter in profile.parameters(view.pack).filter(|parameter| !parameter.is_empty) {
                let Some(known) = parameter.known.filter(|_| !parameter.is_secret()) else { continue };
                if super::profile_rule::TYPES.contains(&known.kind) {
                    continue;
                }
                if let Err(wrong) = values::check(&view.pack.parameters, known, parameter.value) {
                    report(view, file, &parameter, wrong, findings);
                }
            }
        }
    }
}

/// Reports a wrong value where it was set, the part of it that is meant where the operator wrote it so.
pub fn report(
    view: &DeviceView<'_>,
    file: &FileView<'_>,
    parameter: &ParameterView<'_>,
    wrong: Wrong,
    findings: &mut Findings,
) {
    let mark = wrong.span.map_or(Mark::Line, Mark::Within);
    let message = format!("{}: {}", parameter.name, wrong.message);
    let finding = view.at_marked_parameter(message, file, parameter, mark);
    let help = wrong.help.map(|help| crate::lint::spans::without_passwords(&help));
    findings.report(Finding { help, ..finding });
}
