//! Revocation lists (RFC 5280, section 5), looked at on every connection: a session may have been begun before its phone was
//! stolen.
//!
//! A list is used for the certificates of its issuer, once that one's signature on it has been checked; whatever it names is
//! revoked. Certificates of an issuer without a list are taken. Indirect lists, signed by somebody other than the issuer,
//! are not understood, and no list is fetched from anywhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::x509::{CrlStatus, X509, X509Crl, X509CrlRef, X509NameRef, X509Ref, X509VerifyResult};
use time::OffsetDateTime;

use super::pem;
use super::trust::{Root, fingerprint};
use crate::document::{Problem, Problems};
use crate::identity::Subject;

const PEM_BEGIN: &str = "-----BEGIN X509 CRL-----";

/// Signatures that are remembered: lists times issuing CAs, of which there are a handful.
const MOST_REMEMBERED: usize = 1024;

/// The lists of a listener.
pub(super) struct Revocations {
    lists: Vec<List>,
    allow_expired: bool,
    /// By the issuer's fingerprint and the list's place: whether its signature is that issuer's.
    signed: Mutex<HashMap<([u8; 32], usize), bool>>,
}

struct List {
    file: PathBuf,
    crl: X509Crl,
}

impl Revocations {
    /// Reads the files, and looks at what they are worth with these roots.
    pub(super) fn read(
        files: &[PathBuf],
        allow_expired: bool,
        roots: &[Root],
        problems: &mut Problems,
        warnings: &mut Problems,
    ) -> Self {
        let mut lists = Vec::new();
        for file in files {
            match read_file(file) {
                Ok(found) => lists.extend(found.into_iter().map(|crl| List { file: file.clone(), crl })),
                Err(problem) => problems.push(problem),
            }
        }
        let revocations = Self { lists, allow_expired, signed: Mutex::default() };
        for (place, list) in revocations.lists.iter().enumerate() {
            let name = Subject::from_name(list.crl.issuer_name());
            let mut issuers = roots.iter().filter(|root| same(root.certificate.subject_name(), list.crl.issuer_name()));
            let tell = |message: String| Problem::file(list.file.clone(), message);
            if issuers.clone().next().is_none() {
                warnings.push(tell(format!("the list's issuer is none of the roots: {name}")).help(
                    "it is used for phones whose chain has that CA; put the CA's certificate into the roots to have it \
                     checked here",
                ));
            } else if !issuers.any(|root| revocations.is_signed(place, list, &root.certificate)) {
                problems.push(tell(format!("the list is not signed by the root that it names, {name}")));
            }
            warnings.extend(list.stale());
        }
        revocations
    }

    /// Why one of a chain's certificates is worth nothing, if it is: leaf first, the root at the end.
    pub(super) fn refuse(&self, chain: &[X509], roots: &[Root], now: &Asn1TimeRef) -> Option<String> {
        if self.lists.is_empty() {
            return None;
        }
        chain.iter().enumerate().find_map(|(place, certificate)| {
            // What is trusted by itself may have been issued by another root.
            let above = roots.iter().map(|root| &root.certificate).find(|root| {
                root.issued(certificate) == X509VerifyResult::OK && fingerprint(root) != fingerprint(certificate)
            });
            let issuer = chain.get(place + 1).or(above)?;
            let reason = self.refuse_one(certificate, issuer, now)?;
            Some(if place == 0 { reason } else { format!("a CA of its chain: {reason}") })
        })
    }

    fn refuse_one(&self, certificate: &X509, issuer: &X509Ref, now: &Asn1TimeRef) -> Option<String> {
        self.lists.iter().enumerate().find_map(|(place, list)| {
            if !same(list.crl.issuer_name(), certificate.issuer_name()) || !self.is_signed(place, list, issuer) {
                return None;
            }
            if let CrlStatus::Revoked(entry) = list.crl.get_by_cert(certificate) {
                return Some(format!("certificate revoked on {}", entry.revocation_date()));
            }
            let end = list.crl.next_update().filter(|end| *end < now && !self.allow_expired)?;
            Some(format!("the revocation list of its issuer expired on {end}"))
        })
    }

    fn is_signed(&self, place: usize, list: &List, issuer: &X509Ref) -> bool {
        let key = (fingerprint(issuer), place);
        let known = self.signed.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        known.unwrap_or_else(|| {
            let signed = issuer.public_key().is_ok_and(|public| list.crl.verify(&public).unwrap_or_default());
            // A signature that doesn't fit leaves its error behind.
            super::verify::forget_errors();
            let mut all = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() < MOST_REMEMBERED {
                all.insert(key, signed);
            }
            signed
        })
    }

    /// Each list, and until when it is good.
    pub(super) fn ends(&self) -> impl Iterator<Item = (&Path, String, OffsetDateTime)> {
        self.lists.iter().filter_map(|list| {
            let name = Subject::from_name(list.crl.issuer_name()).to_string();
            Some((list.file.as_path(), name, pem::moment(list.crl.next_update()?)?))
        })
    }
}

impl List {
    fn stale(&self) -> Option<Problem> {
        let now = Asn1Time::days_from_now(0).ok()?;
        let end = self.crl.next_update();
        if let Some(end) = end.filter(|end| *end < now) {
            let message = format!("the revocation list expired on {end}: what was revoked since is not known");
            return Some(Problem::file(self.file.clone(), message).help("fetch a new one from the CA, and reload"));
        }
        (self.crl.last_update() > now).then(|| {
            let message = format!("the revocation list is of {}, which is yet to come", self.crl.last_update());
            Problem::file(self.file.clone(), message).help("look at the clock of this machine")
        })
    }
}

/// Names are compared as RFC 5280 has it: without regard to case and doubled spaces.
fn same(one: &X509NameRef, other: &X509NameRef) -> bool {
    one.try_cmp(other).is_ok_and(|order| order.is_eq())
}

/// Every list of a file, which may be PEM, with several, or DER.
pub(super) fn read_file(path: &Path) -> Result<Vec<X509Crl>, Problem> {
    let bytes = pem::read(path)?;
    let broken = |error: &openssl::error::ErrorStack| {
        Problem::file(path, format!("holds no revocation list that can be read: {}", pem::reason(error)))
    };
    let text = String::from_utf8_lossy(&bytes);
    if !text.contains("-----BEGIN ") {
        return X509Crl::from_der(&bytes).map(|crl| vec![crl]).map_err(|error| broken(&error));
    }
    let lists: Result<Vec<_>, _> = text
        .match_indices(PEM_BEGIN)
        .map(|(at, _)| X509Crl::from_pem(text.get(at..).unwrap_or_default().as_bytes()))
        .collect();
    match lists {
        Ok(lists) if lists.is_empty() => {
            Err(Problem::file(path, "holds no revocation list").help(format!("it has to be DER, or PEM: {PEM_BEGIN}")))
        }
        Ok(lists) => Ok(lists),
        Err(error) => Err(broken(&error)),
    }
}

/// The lists of a file, for a check that serves nothing: the issuer of each, and until when it is good.
///
/// # Errors
///
/// The file can't be read, or holds no list.
pub fn revocation_lists(path: &Path) -> Result<Vec<(String, Option<OffsetDateTime>)>, Problem> {
    let about =
        |crl: &X509CrlRef| (Subject::from_name(crl.issuer_name()).to_string(), crl.next_update().and_then(pem::moment));
    Ok(read_file(path)?.iter().map(|crl| about(crl)).collect())
}
