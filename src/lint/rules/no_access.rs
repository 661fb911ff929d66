use crate::config::ClientCertificatePolicy;
use crate::identity::Access;
use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};

rule! {
    /// A device whose files nobody can fetch, or everybody can.
    ///
    /// # What the phone does
    ///
    /// Where nothing opens its files it gets a 404, as if it were unknown, and keeps what it has. Where every network
    /// does, so does everybody: MAC addresses are easily guessed.
    ///
    /// # How to mend it
    ///
    /// Set `access.certificate` for phones with a certificate of their maker, on a listener that asks for it;
    /// `access.token` for phones without one, or `access.password` with `credentials` of its own (`resyncd device credentials
    /// MAC --rotate` makes them), on a listener with `passwords = true`; `access.encrypted` together with
    /// `delivery.encryption`; or the staging network in `access.networks`.
    pub struct NoAccess = "no-access", Error;
}

impl Rule for NoAccess {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let access = Access::of(view.settings);
        let is_encrypted =
            super::delivery_mismatch::is_encrypted(view) && view.settings.named("delivery.key").is_some();
        let asks = view.deployment.listeners(true).any(|listener| {
            listener.tls.as_ref().is_some_and(|tls| tls.client_certificate != ClientCertificatePolicy::None)
        });
        let can_show = view.pack.reads_certificates();
        let asks_passwords = view.deployment.config.listeners.iter().any(|listener| listener.passwords);
        let by_password = access.credentials.is_some() && asks_passwords;
        let opens = access.certificate && asks && can_show
            || by_password
            || access.token && view.deployment.listeners(true).next().is_some()
            || access.encrypted && is_encrypted
            || !access.networks.is_empty();
        if access.password && access.credentials.is_none() {
            let message = "access.password is set, and the device has no user and password to show";
            findings.report(view.at_setting(message.to_owned(), "access.password"));
        } else if let Some(credentials) = access.credentials.as_ref().filter(|own| own.user().contains(':')) {
            // RFC 7617: it parts user from password.
            let message = format!("the user {} has a colon, which Basic can't carry", credentials.user());
            findings.report(view.at_setting(message, "credentials.user"));
        } else if !opens {
            let (message, setting) = if access.certificate && !can_show {
                (format!("phones of {} have no certificate that names them", view.pack.name), "access.certificate")
            } else if access.certificate {
                ("no listener asks for the certificate that would open its files".to_owned(), "access.certificate")
            } else if access.password {
                ("no listener asks for the password that would open its files".to_owned(), "access.password")
            } else if access.encrypted {
                ("its files are open if they are encrypted, and they are not".to_owned(), "access.encrypted")
            } else {
                ("nothing opens the files of the device".to_owned(), "access")
            };
            findings.report(view.at_setting(message, setting));
        }
        let everyone = access.networks.iter().find(|network| network.prefix_len() == 0);
        if let Some(network) = everyone.filter(|_| !is_encrypted) {
            let message = format!("{network} is everybody, and the profile is not encrypted");
            findings.report(view.at_setting(message, "access.networks"));
        }
    }
}
