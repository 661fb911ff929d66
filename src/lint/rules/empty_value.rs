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
    /// Leave the parameter out (`unset = ["params.NAME"]`). Where emptying it is what you want, say so in a comment:
    /// `# resyncd: allow(empty-value) reason`.
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
                findings.report(view.at_parameter(message, file, &parameter));
            }
        }
    }
}
