use crate::identity::Access;
use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};

rule! {
    /// A device's password may go over plain HTTP in clear.
    ///
    /// # What the phone does
    ///
    /// Where a listener without TLS takes Basic, a phone that prefers it sends its password for everybody on the way to
    /// read, with each request.
    ///
    /// # How to mend it
    ///
    /// Let the phone come by HTTPS; or remove `basic_without_tls` from the listener, so that it asks for Digest alone.
    /// Where the network on the way is yours alone, say so in a comment.
    pub struct ClearPassword = "clear-password", Warning;
}

impl Rule for ClearPassword {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        if Access::of(view.settings).credentials.is_none() {
            return;
        }
        let mut plain = view.deployment.listeners(false);
        if let Some(listener) = plain.find(|listener| listener.passwords && listener.basic_without_tls) {
            let message = format!("the listener \"{}\" takes the device's password in clear", listener.name);
            findings.report(view.at_setting(message, "access.password"));
        }
    }
}
