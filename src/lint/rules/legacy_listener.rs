use crate::identity::Access;
use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};

rule! {
    /// A device's profile goes unencrypted, and for being in a network alone, over a listener for old phones.
    ///
    /// # What the phone does
    ///
    /// It fetches its passwords over a TLS that can be broken: whoever is on the way may read them, and can change them.
    ///
    /// # How to mend it
    ///
    /// Encrypt the profile (`[delivery]`) and open it by `access.encrypted`, or have the phone prove who it is by its
    /// certificate alone. Where the network on the way is yours, say so in a comment.
    pub struct LegacyListener = "legacy-listener", Warning;
}

impl Rule for LegacyListener {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let is_legacy = |listener: &&crate::config::Listener| listener.tls.as_ref().is_some_and(|tls| tls.legacy);
        let Some(listener) = view.deployment.listeners(true).find(is_legacy) else { return };
        // What a network opens needs no other proof; what nothing but a proof opens is not handed to whoever comes.
        if Access::of(view.settings).networks.is_empty() || super::delivery_mismatch::is_encrypted(view) {
            return;
        }
        let message = format!(
            "the listener \"{}\" for old phones serves it, neither encrypted nor for any proof but its network",
            listener.name
        );
        findings.report(view.at_setting(message, "access.networks"));
    }
}
