use super::shared_key::Seen;
use crate::identity::Access;
use crate::lint::rule::rule;
use crate::lint::{About, Deployment, DeviceView, Findings, Rule};

rule! {
    /// Several devices have the same password for their files.
    ///
    /// # What the phone does
    ///
    /// It can fetch the others' files, and so can everybody who takes the password out of one phone.
    ///
    /// # How to mend it
    ///
    /// Give each device a password of its own, in its own layer: `resyncd device credentials MAC --rotate`.
    ///
    /// Passwords in an environment or in files count as the same where they have the same name, if they can't be read here.
    pub struct SharedPassword { seen: Seen } = "shared-password", Warning;
}

impl Rule for SharedPassword {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, _: &mut Findings) {
        if Access::of(view.settings).credentials.is_some() {
            self.seen.add(view, "credentials.password");
        }
    }

    fn finish(&self, _: &Deployment<'_>, findings: &mut Findings) {
        self.seen.report("credentials.password", "password", findings);
    }
}
