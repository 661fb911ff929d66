use crate::config::Listener;
use crate::identity::Access;
use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};

rule! {
    /// A device's profile with secrets in it goes over plain HTTP, unencrypted.
    ///
    /// # What the phone does
    ///
    /// It fetches its passwords in clear: whoever is on the way reads them, and can change them.
    ///
    /// # How to mend it
    ///
    /// Let the phone come by HTTPS (`provisioning.url`), or encrypt its profile (`[delivery]`). Where the network on
    /// the way is yours alone, say so in a comment.
    ///
    /// Where `provisioning.url` is HTTPS, but a plain listener would serve the profile too, this is a note.
    pub struct ClearOverHttp = "clear-over-http", Warning;
}

impl Rule for ClearOverHttp {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        // Over plain HTTP nothing but the network and the password can open a clear file. Digest protects the password, and
        // nothing of what it opens.
        let access = Access::of(view.settings);
        let by_network = !access.networks.is_empty();
        let by_password = |listener: &&Listener| listener.passwords && access.credentials.is_some();
        let mut plain = view.deployment.listeners(false);
        let Some(listener) = plain.find(|listener| by_network || by_password(listener)) else { return };
        // A first profile that brings the key is never encrypted; the staging network that it needs is what opens it.
        if super::delivery_mismatch::is_encrypted(view) {
            return;
        }
        let is_by_http = view.settings.text("provisioning.url").is_some_and(|url| url.starts_with("http://"));
        let Some((file, _)) = view.own() else { return };
        let holds_secret = view.profiles().any(|(_, profile)| profile.made.iter().any(|parameter| parameter.secret));
        if !holds_secret {
            return;
        }
        let message = format!(
            "{} goes out in clear by the listener \"{}\"",
            file.entry.paths.first().map(ToString::to_string).unwrap_or_default(),
            listener.name
        );
        let finding = if is_by_http {
            view.at_setting(message, "provisioning.url")
        } else {
            let setting = if by_network { "access.networks" } else { "access.password" };
            view.at_setting(message, setting).note()
        };
        findings.report(finding.rendered(&file.path, None));
    }
}
