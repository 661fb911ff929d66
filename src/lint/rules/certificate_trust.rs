use crate::config::{Listener, Tls};
use crate::lint::rule::rule;
use crate::lint::{About, Deployment, Finding, Findings, Rule};
use crate::tls::revocation_lists;

rule! {
    /// A root that vouches for no phone, or a revocation list that does not do what it is for.
    ///
    /// # What the phone does
    ///
    /// A phone whose certificate nobody vouches for is served as one that has none: it gets a 404 for its files. One that
    /// was stolen after the list ran out is served as before.
    ///
    /// # How to mend it
    ///
    /// Name a `client_root` as the packs of its phones do (`roots` in pack.toml; `resyncd packs` lists the packs), or put
    /// the file into `client_ca` if it may vouch for any phone. Fetch revocation lists from the CA more often than they
    /// run out; the running server takes them at the next reload.
    pub struct CertificateTrust = "certificate-trust", Error;
}

impl Rule for CertificateTrust {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn deployment(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        for listener in &deployment.config.listeners {
            let Some(tls) = &listener.tls else { continue };
            for root in &tls.client_roots {
                if !deployment.generation.packs.iter().any(|pack| pack.takes_root(Some(&root.name))) {
                    let message = format!("no pack lists the root \"{}\", so it vouches for no phone", root.name);
                    let finding = Finding::new(message);
                    findings.report(deployment.in_configuration(finding, Some(listener), &["tls", "client_root"]));
                }
            }
            look_at_lists(deployment, listener, tls, findings);
        }
    }
}

fn look_at_lists(deployment: &Deployment<'_>, listener: &Listener, tls: &Tls, findings: &mut Findings) {
    for file in &tls.crl {
        let mut report = |finding: Finding| {
            findings.report(deployment.in_configuration(finding, Some(listener), &["tls", "crl"]));
        };
        let lists = match revocation_lists(file) {
            Ok(lists) => lists,
            Err(problem) => {
                report(Finding::new(format!("{}: {}", file.display(), problem.message)));
                continue;
            }
        };
        for (issuer, end) in lists {
            let Some(end) = end.filter(|end| *end < deployment.now) else { continue };
            let message = format!("{}: the list of {issuer} expired on {}", file.display(), end.date());
            let finding = Finding::new(message);
            // Where it still names who was revoked before, phones are served.
            report(if tls.allow_expired_crl { finding.warning() } else { finding });
        }
    }
}
