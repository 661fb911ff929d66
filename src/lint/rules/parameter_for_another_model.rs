use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Mark, Rule};

rule! {
    /// A parameter that other models of the family have, and this one has not.
    ///
    /// # What the phone does
    ///
    /// It passes over it.
    ///
    /// # How to mend it
    ///
    /// Move it to the layer of the models that have it: `profiles/models/<model>.toml`.
    pub struct ParameterForAnotherModel = "parameter-for-another-model", Warning;
}

impl Rule for ParameterForAnotherModel {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for (file, profile) in view.profiles() {
            for parameter in profile.parameters(view.pack) {
                let models = parameter.known.map(|known| known.models.as_slice()).unwrap_or_default();
                let has_it = |name: &String| view.model.is_called(name) || view.model.family == *name;
                if models.is_empty() || models.iter().any(has_it) {
                    continue;
                }
                let message = format!("{} has no parameter {}", view.model.name, parameter.name);
                let finding = view.at_parameter(message, file, &parameter).mark(Mark::Name);
                findings.report(finding.help(format!("only these have it: {}", models.join(", "))));
            }
        }
    }
}
