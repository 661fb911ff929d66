use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Mark, Rule};
use crate::packs::data_model::Refusal;

rule! {
    /// A TR-069 parameter is to be set that the phone lets nobody set.
    ///
    /// # What the phone does
    ///
    /// It refuses the parameter (fault 9008), and with it everything else that was to be set in the same message.
    ///
    /// # How to mend it
    ///
    /// Take it out of `[acs.params]`. If the phone does let it be set, its access in the pack's `tr069.toml` is wrong.
    pub struct DataModelReadOnly = "data-model-read-only", Error;
}

impl Rule for DataModelReadOnly {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for refused in view.refused().iter().filter(|refused| refused.why == Refusal::ReadOnly) {
            findings.report(view.at_refused(refused, Mark::Name));
        }
    }
}
