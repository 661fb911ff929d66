use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::packs::Source;

rule! {
    /// A parameter is written with nothing in it.
    ///
    /// # What the phone does
    ///
    /// Makers disagree, and so do one maker's guides: some phones empty the parameter, and with it what the user or the
    /// factory had set; others leave it as it is.
    ///
    /// # How to mend it
    ///
    /// Leave the parameter out: an expression that renders nothing does so, and a template writes only what is in the
    /// list. Where emptying it is what you want, `[params] NAME = ""` says it; that is told of as a note.
    pub struct EmptyValue = "empty-value", Warning;
}

impl Rule for EmptyValue {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for (file, profile) in view.profiles() {
            let is_mapped = matches!(file.entry.source, Source::Template { mapping: Some(_), .. });
            for parameter in profile.parameters(view.pack).filter(|parameter| parameter.is_empty && is_mapped) {
                let message = format!("{} is written empty", parameter.name);
                let finding = view.at_parameter(message, file, &parameter);
                findings.report(if super::is_params(&parameter) { finding.note() } else { finding });
            }
        }
    }
}
