use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};

rule! {
    /// Settings of a programmable key that the model doesn't have.
    ///
    /// # What the phone does
    ///
    /// Nothing: it is never told of the key.
    ///
    /// # How to mend it
    ///
    /// Remove the key, or correct the model; `resyncd packs NAME` lists how many keys each has. Keys of expansion
    /// modules are set in `[params]`.
    pub struct TooManyKeys = "too-many-keys", Warning;
}

impl Rule for TooManyKeys {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        super::too_many_lines::beyond(view, "keys", view.model.keys, findings);
    }
}
