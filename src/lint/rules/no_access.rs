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
    /// `access.token` for phones without one; `access.encrypted` together with `delivery.encryption`; or the staging network in `access.networks`.
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
        let opens = access.certificate && asks && can_show
            || access.token && view.deployment.listeners(true).next().is_some()
            || access.encrypted && is_encrypted
            || !access.networks.is_empty();
        if !opens {
            let (message, setting) = if access.certificate && !can_show {
                (format!("phones of {} have no certificate that names them", view.pack.name), "access.certificate")
            } else if access.certificate {
                ("no listener asks for the certificate that would open its files".to_owned(), "access.certificate")
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
