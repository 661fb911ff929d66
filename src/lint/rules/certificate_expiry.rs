use std::path::{Path, PathBuf};

use crate::config::Listener;
use crate::lint::rule::rule;
use crate::lint::{About, Deployment, Finding, Findings, Rule};
use crate::tls::certificates::{Report, inspect};

rule! {
    /// A certificate of a listener, or a root that signs phones, has expired or soon will.
    ///
    /// # What the phone does
    ///
    /// It refuses a server whose certificate has expired, and keeps what it has; phones that an expired root signed are
    /// refused by the server.
    ///
    /// # How to mend it
    ///
    /// Put a new certificate in its place; the running server takes it at the next reload. `lint.certificate_expiry`
    /// says how long before the end this begins to be told. Roots of makers do expire: `allow_expired = true` takes
    /// their phones all the same, and is told of as a note here.
    pub struct CertificateExpiry = "certificate-expiry", Error;
}

impl Rule for CertificateExpiry {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn deployment(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        for listener in &deployment.config.listeners {
            let Some(tls) = &listener.tls else { continue };
            for (file, keys) in server_certificates(listener) {
                let first = reports(&file).into_iter().enumerate();
                for (number, report) in first {
                    if let Some(finding) = expiry(deployment, &report, number, &file) {
                        findings.report(deployment.in_configuration(finding, Some(listener), keys));
                    }
                }
            }
            let named = tls.client_roots.iter().flat_map(|root| &root.files).map(|file| (file, "client_root"));
            for (file, key) in tls.client_ca.iter().map(|file| (file, "client_ca")).chain(named) {
                for (number, report) in reports(file).into_iter().enumerate() {
                    let Some(finding) = expiry(deployment, &report, number, file) else { continue };
                    let finding = if tls.allow_expired { finding.note() } else { finding };
                    findings.report(deployment.in_configuration(finding, Some(listener), &["tls", key]));
                }
            }
        }
    }
}

/// The certificate files of a listener, and the keys that name them.
pub fn server_certificates(listener: &Listener) -> Vec<(PathBuf, &'static [&'static str])> {
    let Some(tls) = &listener.tls else { return Vec::new() };
    let mut files: Vec<(PathBuf, &'static [&'static str])> =
        vec![(tls.certificate.certificate.clone(), &["tls", "certificate"])];
    files.extend(tls.names.iter().map(|name| (name.pair.certificate.clone(), &["tls", "name"] as &[_])));
    files
}

/// What the file's certificates are; one that can't be read is [`super::certificate_unfit`]'s to tell.
fn reports(file: &Path) -> Vec<Report> {
    inspect(file).map(|inspection| inspection.certificates).unwrap_or_default()
}

fn expiry(deployment: &Deployment<'_>, report: &Report, number: usize, file: &Path) -> Option<Finding> {
    let end = report.not_after?;
    let limit = time::Duration::try_from(deployment.config.lint.certificate_expiry).ok()?;
    if end - deployment.now > limit {
        return None;
    }
    let which = format!("certificate {} of {}, {}", number + 1, file.display(), report.subject);
    let finding = |what: &str| Finding::new(format!("{which}, {what} on {}", end.date()));
    // There is time to mend it yet.
    Some(if end < deployment.now { finding("has expired") } else { finding("expires").warning() })
}
