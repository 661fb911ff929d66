use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::certificate_expiry::server_certificates;
use crate::config::{Listener, TlsVersion};
use crate::lint::rule::rule;
use crate::lint::{About, Deployment, DeviceView, Finding, Findings, Rule};
use crate::phone::Maker;
use crate::phone::cisco::Family;
use crate::tls::certificates::{KeyKind, Report, inspect};

rule! {
    /// A listener's certificate that phones won't take, or a TLS version that they don't speak.
    ///
    /// # What the phone does
    ///
    /// It breaks off the handshake: it never asks for anything, and the server sees a connection that came to nothing.
    ///
    /// # How to mend it
    ///
    /// A certificate for phones has an RSA key of 2048 to 4096 bits, signed with SHA-256, the host name of
    /// `provisioning.url` as CN and among its alternative names, and its intermediates behind it. SPA phones of older
    /// firmware speak TLS 1.0 only: give them a listener of their own with `min_version = "1.0"` and `legacy = true`.
    pub struct CertificateUnfit { names: OnceLock<Option<BTreeSet<String>>> } = "certificate-unfit", Warning;
}

/// RSA keys above this are more than old phones can reckon with.
const LONGEST_KEY: u32 = 4096;

impl Rule for CertificateUnfit {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn deployment(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        for listener in &deployment.config.listeners {
            for (file, keys) in server_certificates(listener) {
                let mut report = |message: String| {
                    let finding = Finding::new(format!("{}: {message}", file.display()));
                    findings.report(deployment.in_configuration(finding, Some(listener), keys));
                };
                match inspect(&file) {
                    // The server makes development certificates when it first starts.
                    Err(_) if !file.exists() && file.parent().is_some_and(|folder| folder.ends_with("certs/dev")) => {}
                    Err(problem) => report(problem.message),
                    Ok(inspection) => {
                        if let Some(leaf) = inspection.certificates.first() {
                            weaknesses(leaf).into_iter().for_each(&mut report);
                        }
                    }
                }
            }
        }
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let Some(url) = view.settings.text("provisioning.url").filter(|url| url.starts_with("https://")) else {
            return;
        };
        let listeners: Vec<&Listener> = view.deployment.listeners(true).collect();
        let is_old = view.maker == Some(Maker::Cisco) && Family::of(&view.model.name) != Family::Mpp;
        let speaks_old =
            |listener: &&Listener| listener.tls.as_ref().is_some_and(|tls| tls.min_version == TlsVersion::Tls1_0);
        if is_old && !listeners.is_empty() && !listeners.iter().any(speaks_old) {
            let finding = Finding::new("no listener speaks TLS 1.0, and SPA phones may speak nothing else").note();
            let keys = ["tls", "min_version"];
            findings.report(view.deployment.in_configuration(finding, listeners.first().copied(), &keys));
        }
        let host = url.trim_start_matches("https://").split(['/', ':']).next().unwrap_or_default().to_lowercase();
        if let Some(names) = self.names.get_or_init(|| names(&listeners))
            && !names.iter().any(|name| covers(name, &host))
        {
            let message = format!("no listener has a certificate for {host}");
            findings.report(view.at_setting(message, "provisioning.url"));
        }
    }
}

/// The names in all certificates; none where one of them isn't there to be looked at.
fn names(listeners: &[&Listener]) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for (file, _) in listeners.iter().flat_map(|listener| server_certificates(listener)) {
        let leaf = inspect(&file).ok()?.certificates.into_iter().next()?;
        names.extend(leaf.names.iter().map(|name| name.to_lowercase()));
        names.extend(leaf.subject.only("CN").map(str::to_lowercase));
    }
    (!names.is_empty()).then_some(names)
}

/// Whether a certificate's name is that of the host; `*.` covers one label.
fn covers(name: &str, host: &str) -> bool {
    let by_star =
        || name.strip_prefix("*.").is_some_and(|rest| host.split_once('.').is_some_and(|(_, tail)| tail == rest));
    name == host || by_star()
}

fn weaknesses(leaf: &Report) -> Vec<String> {
    let mut found = Vec::new();
    if leaf.key == KeyKind::Rsa && leaf.key_bits > LONGEST_KEY {
        found.push(format!("a key of {} bits is more than old phones can reckon with", leaf.key_bits));
    }
    if leaf.key == KeyKind::Rsa && leaf.key_bits < 2048 {
        found.push(format!("a key of {} bits is less than newer phones take", leaf.key_bits));
    }
    if matches!(leaf.signature.as_str(), "MD5" | "SHA1") {
        found.push(format!("it is signed with {}, which newer phones refuse", leaf.signature));
    }
    if leaf.subject.only("CN").is_none() {
        found.push("it has no CN, which Cisco phones compare with their URL's host".to_owned());
    }
    if leaf.names.is_empty() {
        found.push("it has no alternative names, which newer phones look for".to_owned());
    }
    if !leaf.is_for_servers() {
        found.push("it is not made for a server".to_owned());
    }
    found
}
