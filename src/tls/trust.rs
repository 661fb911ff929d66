//! The roots of a listener: which of them vouches for a certificate, and what a certificate is worth that no handshake of
//! this moment has verified: one of a resumed session, or one that a proxy forwards.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::sha::Sha256;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext, X509VerifyResult};
use quick_cache::sync::Cache;

use super::pem;
use super::revocation::Revocations;
use super::verify::{INVALID_PURPOSE, Waivers, forget_errors};
use crate::config::{ClientCertificatePolicy, Tls};
use crate::document::{Problem, Problems};
use crate::identity::Subject;
use crate::resync::ClientCertificate;

/// Longest chain from a phone's certificate to its root, in intermediate certificates.
pub(super) const VERIFY_DEPTH: u32 = 8;

/// Security level 2: 2048-bit RSA and SHA-256, which is what factory certificates have had for ten years. Level 0: all that
/// OpenSSL can do; SHA-1 chains, 1024-bit keys, TLS 1.0 and 1.1 need it.
pub(super) fn security_level(tls: &Tls) -> u32 {
    if tls.legacy { 0 } else { 2 }
}

/// A root, and the name that packs know it by.
pub(super) struct Root {
    pub certificate: X509,
    pub name: Option<Arc<str>>,
    file: PathBuf,
    fingerprint: [u8; 32],
}

/// The roots of a listener, and how they are asked for.
pub(super) struct Trust {
    pub roots: Vec<Root>,
    /// Puts chains together, whatever the certificate is made for.
    any: X509Store,
    /// The same, for certificates that are made for clients.
    clients: X509Store,
    /// What was put together already: the certificates above one, by its fingerprint and whether it had to be made for
    /// clients. Phones resume their sessions for weeks, and the signatures stay what they are. The certificates are those of
    /// the stores, and shared.
    proven: Cache<([u8; 32], bool), Arc<[X509]>>,
    revocations: Revocations,
    /// A hash of roots, policy and waivers. Sessions of another one can't be resumed.
    pub id: [u8; 32],
}

/// Certificates whose chains are kept, at about 200 bytes each. Of more phones than that, those that come most are.
const MOST_PROVEN: usize = 65_536;

/// Reads every file of roots. All that is wrong is added to `problems`, what will soon be to `warnings`.
pub(super) fn read_roots(tls: &Tls, problems: &mut Problems, warnings: &mut Problems) -> Vec<Root> {
    let mut roots: Vec<Root> = Vec::new();
    let unnamed = tls.client_ca.iter().map(|file| (None, file));
    let named = tls.client_roots.iter().flat_map(|root| {
        let name: Arc<str> = root.name.as_str().into();
        root.files.iter().map(move |file| (Some(name.clone()), file))
    });
    for (name, file) in unnamed.chain(named) {
        for certificate in pem::read_roots(file, problems, warnings) {
            let fingerprint = fingerprint(&certificate);
            match roots.iter().find(|root| root.fingerprint == fingerprint) {
                Some(other) if other.name == name => {}
                Some(other) => {
                    let subject = Subject::from_x509(&certificate);
                    let message = format!("the root {subject} is in {} too, by another name", other.file.display());
                    problems.push(
                        Problem::file(file.clone(), message)
                            .help("a root has one name: client_ca takes those that may vouch for any phone"),
                    );
                }
                None => {
                    roots.push(Root { certificate, name: name.clone(), file: file.clone(), fingerprint });
                }
            }
        }
    }
    roots
}

/// No certificate's.
const NO_FINGERPRINT: [u8; 32] = [0; 32];

/// SHA-256 of a certificate; [`NO_FINGERPRINT`] where memory is out.
pub(super) fn fingerprint(certificate: &X509Ref) -> [u8; 32] {
    let digest = certificate.digest(MessageDigest::sha256());
    digest.ok().and_then(|digest| digest.as_ref().try_into().ok()).unwrap_or(NO_FINGERPRINT)
}

impl Trust {
    pub(super) fn new(tls: &Tls, roots: Vec<Root>, revocations: Revocations) -> Result<Self, ErrorStack> {
        let mut hash = Sha256::new();
        let policy = match tls.client_certificate {
            ClientCertificatePolicy::None => 0,
            ClientCertificatePolicy::Optional => 1,
            ClientCertificatePolicy::Required => 2,
        };
        hash.update(&[policy, u8::from(tls.allow_expired), u8::from(tls.allow_any_purpose), u8::from(tls.legacy)]);
        for root in &roots {
            hash.update(&root.certificate.to_der()?);
        }
        let (any, clients) = (store(tls, &roots, None)?, store(tls, &roots, Some(X509PurposeId::SSL_CLIENT))?);
        Ok(Self { any, clients, proven: Cache::new(MOST_PROVEN), roots, revocations, id: hash.finish() })
    }

    /// The roots alone, as a handshake looks at them.
    pub(super) fn handshake_store(&self) -> Result<X509Store, ErrorStack> {
        let mut store = X509StoreBuilder::new()?;
        for root in &self.roots {
            store.add_cert(root.certificate.clone())?;
        }
        Ok(store.build())
    }

    /// The revocation lists in use.
    pub(super) fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The chain from a certificate to its root, whatever its dates and purpose.
    pub(super) fn chain(&self, leaf: &X509Ref, known: &Intermediates) -> Result<Vec<X509>, X509VerifyResult> {
        self.kept_chain(leaf, known, false)
    }

    fn kept_chain(
        &self,
        leaf: &X509Ref,
        known: &Intermediates,
        for_clients: bool,
    ) -> Result<Vec<X509>, X509VerifyResult> {
        let key = (fingerprint(leaf), for_clients);
        if let Some(above) = self.proven.get(&key) {
            return Ok(std::iter::once(leaf.to_owned()).chain(above.iter().cloned()).collect());
        }
        let chain = chain_by(if for_clients { &self.clients } else { &self.any }, leaf, known)?;
        if key.0 != NO_FINGERPRINT {
            self.proven.insert(key, chain.iter().skip(1).cloned().collect());
        }
        Ok(chain)
    }

    /// What a certificate is worth that no handshake has verified.
    pub(super) fn judge(&self, leaf: &X509Ref, waivers: Waivers, known: &Intermediates) -> ClientCertificate {
        let chain = match self.kept_chain(leaf, known, true) {
            Err(error) if error.as_raw() == INVALID_PURPOSE && waivers.purpose => {
                self.chain(leaf, known).map(|chain| (chain, true))
            }
            chain => chain.map(|chain| (chain, false)),
        };
        match chain {
            Ok((chain, purpose_waived)) => self.worth(leaf, &chain, waivers, purpose_waived),
            Err(error) => unverified(leaf, error.error_string()),
        }
    }

    /// What is still to be looked at of a chain that its signatures hold together: dates, revocation, and whose root it is.
    pub(super) fn worth(
        &self,
        leaf: &X509Ref,
        chain: &[X509],
        waivers: Waivers,
        purpose_waived: bool,
    ) -> ClientCertificate {
        let Ok(now) = Asn1Time::days_from_now(0) else { return unverified(leaf, "the time is not known") };
        let dates = chain.iter().find_map(|certificate| out_of_date(certificate, &now));
        if let Some(reason) = dates.filter(|_| !waivers.dates) {
            return unverified(leaf, reason);
        }
        if let Some(reason) = self.revocations.refuse(chain, &self.roots, &now) {
            return unverified(leaf, &reason);
        }
        let root = chain.last().and_then(|anchor| self.roots.iter().find(|root| root.certificate == *anchor));
        let Some(root) = root else { return unverified(leaf, "its root is not known any more") };
        ClientCertificate::Verified {
            subject: Subject::from_x509(leaf),
            dates_waived: dates.is_some(),
            purpose_waived,
            root: root.name.clone(),
            fingerprint: fingerprint(leaf),
        }
    }
}

pub(super) fn unverified(leaf: &X509Ref, reason: &str) -> ClientCertificate {
    ClientCertificate::Unverified { subject: Subject::from_x509(leaf), reason: reason.to_owned() }
}

/// Dates are looked at by [`Trust::worth`], which can tell them apart from the rest.
fn store(tls: &Tls, roots: &[Root], purpose: Option<X509PurposeId>) -> Result<X509Store, ErrorStack> {
    let mut parameters = X509VerifyParam::new()?;
    parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME)?;
    parameters.set_depth(i32::try_from(VERIFY_DEPTH).unwrap_or(i32::MAX));
    parameters.set_auth_level(i32::try_from(security_level(tls)).unwrap_or(i32::MAX));
    if let Some(purpose) = purpose {
        parameters.set_purpose(purpose)?;
    }
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&parameters)?;
    for root in roots {
        store.add_cert(root.certificate.clone())?;
    }
    Ok(store.build())
}

fn chain_by(store: &X509Store, leaf: &X509Ref, known: &Intermediates) -> Result<Vec<X509>, X509VerifyResult> {
    let verify = || {
        let intermediates = known.stack()?;
        X509StoreContext::new()?.init(store, leaf, &intermediates, |context| {
            if !context.verify_cert()? {
                return Ok(Err(context.error()));
            }
            Ok(Ok(context.chain().map(|chain| chain.iter().map(ToOwned::to_owned).collect()).unwrap_or_default()))
        })
    };
    let result = verify().unwrap_or(Err(X509VerifyResult::APPLICATION_VERIFICATION));
    // A verification that fails leaves its errors behind, and the next read of any connection would take them for its own.
    forget_errors();
    result
}

/// What is wrong with a certificate's dates, in OpenSSL's words.
fn out_of_date(certificate: &X509Ref, now: &Asn1TimeRef) -> Option<&'static str> {
    if certificate.not_after() < now {
        Some("certificate has expired")
    } else if certificate.not_before() > now {
        Some("certificate is not yet valid")
    } else {
        None
    }
}

/// Certificates between phones and roots that handshakes have shown and verified. A session that is resumed holds the
/// phone's own only, and a proxy forwards no more; makers have a handful of issuing CAs.
#[derive(Default)]
pub(super) struct Intermediates(Mutex<Vec<X509>>);

/// More than all makers of phones together have.
const MOST_INTERMEDIATES: usize = 256;

impl Intermediates {
    /// Remembers those of a chain that has verified.
    pub(super) fn learn(&self, chain: &[X509]) {
        let Some((_, [.., _])) = chain.split_first() else { return };
        let between = chain.iter().skip(1).take(chain.len().saturating_sub(2));
        for certificate in between {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() < MOST_INTERMEDIATES && !known.contains(certificate) {
                known.push(certificate.clone());
            }
        }
    }

    fn stack(&self) -> Result<Stack<X509>, ErrorStack> {
        let mut stack = Stack::new()?;
        for certificate in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            stack.push(certificate.clone())?;
        }
        Ok(stack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_good_between_its_dates() {
        let at = |time: i64| Asn1Time::from_unix(time).unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_not_before(&at(1_000)).unwrap();
        builder.set_not_after(&at(2_000)).unwrap();
        let certificate = builder.build();
        assert_eq!(out_of_date(&certificate, &at(999)), Some("certificate is not yet valid"));
        assert_eq!(out_of_date(&certificate, &at(1_000)), None);
        assert_eq!(out_of_date(&certificate, &at(2_000)), None);
        assert_eq!(out_of_date(&certificate, &at(2_001)), Some("certificate has expired"));
    }
}
