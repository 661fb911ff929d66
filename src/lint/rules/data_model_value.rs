use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Mark, Rule};
use crate::packs::data_model::Refusal;

rule! {
    /// A TR-069 parameter's value is outside its type, size or range, or a notification is asked for that can't be had.
    ///
    /// # What the phone does
    ///
    /// It refuses the value (fault 9006 or 9007), and with it everything else that was to be set in the same message.
    ///
    /// # How to mend it
    ///
    /// Write a value that the pack's `tr069.toml` allows. Where a phone of yours does take it, the list is wrong: mend it
    /// there, or allow the finding by a comment.
    ///
    /// Secrets are not looked at: the check need not have them. Phones that nothing says an ACS manages (`[acs]`) are not
    /// looked at either.
    pub struct DataModelValue = "data-model-value", Error;
}

impl Rule for DataModelValue {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for refused in view.refused().iter().filter(|refused| matches!(refused.why, Refusal::Value(_))) {
            findings.report(view.at_refused(refused, Mark::Value));
        }
    }
}
