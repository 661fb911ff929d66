use crate::config::ClientCertificatePolicy;
use crate::identity::Access;
use crate::identity::url_token::UrlToken;
use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::render::Shown;

rule! {
    /// A phone that proves itself by the token in its URL is sent on without it.
    ///
    /// # What the phone does
    ///
    /// It takes the first profile, and asks for the next by a URL that opens nothing: a 404 each time, and it keeps what
    /// it has for good.
    ///
    /// # How to mend it
    ///
    /// Set `provisioning.url` to the server's `https://` URL, and let the pack's mapping make the rule that leads on: a
    /// URL that is written out in `[params]` can't hold the token.
    pub struct TokenDropped = "token-dropped", Error;
}

impl Rule for TokenDropped {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let access = Access::of(view.settings);
        // Another proof brings the phone on, token or not.
        let asks = view.deployment.listeners(true).any(|listener| {
            listener.tls.as_ref().is_some_and(|tls| tls.client_certificate != ClientCertificatePolicy::None)
        });
        let by_certificate = access.certificate && asks && view.pack.reads_certificates();
        let asks_passwords = view.deployment.config.listeners.iter().any(|listener| listener.passwords);
        if !access.token || by_certificate || access.credentials.is_some() && asks_passwords {
            return;
        }
        if !view.settings.text("provisioning.url").is_some_and(|url| url.starts_with("https://")) {
            let message = "a token is taken over TLS only, and provisioning.url is no https:// URL".to_owned();
            return findings.report(view.at_setting(message, "access.token"));
        }
        let Some(file) = view.files.iter().find(|file| file.entry.bootstrap) else {
            let message = format!("the pack {} has no file for the first contact with a token", view.pack.name);
            return findings.report(view.at_setting(message, "access.token"));
        };
        let Ok(token) = UrlToken::generate() else { return };
        let server = token.url("");
        let mut settings = view.settings.clone();
        settings.replace_text("provisioning.url", |url| token.url(url));
        let limit = view.deployment.config.limits.profile_bytes;
        let generation = view.deployment.generation;
        // What can't be rendered is another rule's.
        let Ok(rendered) = generation.render(view.device, file.entry, &settings, Shown::Masked, limit) else { return };
        if !String::from_utf8_lossy(&rendered.body).contains(server.trim_start_matches('/')) {
            let message = format!("{} sends the phone on without its token", file.path);
            findings.report(view.at_setting(message, "access.token").rendered(&file.path, None));
        }
    }
}
