//! PEM files of certificates and keys, read so that every mistake names its file.

use std::path::Path;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use time::OffsetDateTime;

use crate::config::KeyPair;
use crate::document::{Problem, Problems};
use crate::identity::Subject;

/// A certificate chain, leaf first, and the leaf's key.
pub(super) struct Chain {
    pub leaf: X509,
    /// What follows the leaf in the file.
    pub issuers: Vec<X509>,
    pub key: PKey<Private>,
}

/// The first thing that OpenSSL complains of, without the places in its source.
pub(super) fn reason(errors: &ErrorStack) -> String {
    let mut reasons = errors.errors().iter().filter_map(openssl::error::Error::reason);
    reasons.next_back().map_or_else(|| "unknown error".to_owned(), str::to_owned)
}

/// Reads a certificate file and its key. All that is wrong with either is added to `problems`, and what will soon be to
/// `warnings`.
pub(super) fn read_pair(pair: &KeyPair, problems: &mut Problems, warnings: &mut Problems) -> Option<Chain> {
    let certificates = note(read_certificates(&pair.certificate), problems);
    let key = note(read_key(&pair.key), problems);
    let (mut certificates, key) = (certificates?.into_iter(), key?);
    let leaf = certificates.next()?;
    let issuers: Vec<X509> = certificates.collect();
    let belongs = |certificate: &X509| certificate.public_key().is_ok_and(|public| public.public_eq(&key));
    if !belongs(&leaf) {
        let problem = Problem::file(&*pair.key, format!("is not the key of {}", pair.certificate.display()));
        problems.push(match issuers.iter().position(belongs) {
            Some(index) => problem.help(format!(
                "it belongs to certificate {} of that file: the server's own certificate has to come first",
                index + 2
            )),
            None => problem.help("give the certificate and the key that were made together"),
        });
        return None;
    }
    warn_of_dates(&pair.certificate, std::iter::once(&leaf).chain(&issuers), warnings);
    warn_of_readers(&pair.key, warnings);
    Some(Chain { leaf, issuers, key })
}

/// Reads every certificate of a file, as roots to trust.
pub(super) fn read_roots(file: &Path, problems: &mut Problems, warnings: &mut Problems) -> Vec<X509> {
    let certificates = note(read_certificates(file), problems).unwrap_or_default();
    warn_of_dates(file, &certificates, warnings);
    certificates
}

/// OpenSSL's time as everybody else's.
pub(super) fn moment(time: &Asn1TimeRef) -> Option<OffsetDateTime> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

/// Every certificate of a PEM file; at least one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<X509>, Problem> {
    match X509::stack_from_pem(&read(path)?) {
        Ok(certificates) if certificates.is_empty() => {
            Err(Problem::file(path, "holds no certificate").help("it has to be PEM: -----BEGIN CERTIFICATE-----"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Problem::file(path, format!("holds a broken certificate: {}", reason(&error)))),
    }
}

/// The private key of a PEM file.
pub(super) fn read_key(path: &Path) -> Result<PKey<Private>, Problem> {
    let mut asked = false;
    // Without a callback OpenSSL would ask for a passphrase on the terminal, and a server would wait for ever.
    let key = PKey::private_key_from_pem_callback(&read(path)?, |_| {
        asked = true;
        Ok(0)
    });
    key.map_err(|error| {
        if asked {
            Problem::file(path, "is encrypted with a passphrase")
                .help("a server has nobody to ask; write it out with: openssl pkey -in FILE -out NEWFILE")
        } else if error.errors().iter().any(|error| error.reason() == Some("unsupported")) {
            Problem::file(path, "holds no private key").help("it has to be PEM: -----BEGIN PRIVATE KEY-----")
        } else {
            Problem::file(path, format!("holds no private key that can be read: {}", reason(&error)))
        }
    })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| Problem::file(path, format!("can't be read: {error}")))
}

fn note<T>(result: Result<T, Problem>, problems: &mut Problems) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// Expired is no reason not to start: many phones don't look, and those that do are no worse off than with no server.
fn warn_of_dates<'a>(path: &Path, certificates: impl IntoIterator<Item = &'a X509>, warnings: &mut Problems) {
    let Ok(now) = Asn1Time::days_from_now(0) else { return };
    for certificate in certificates {
        let subject = Subject::from_x509(certificate);
        if certificate.not_after() < now {
            warnings.push(Problem::file(path, format!("{subject} expired on {}", certificate.not_after())));
        } else if certificate.not_before() > now {
            warnings.push(Problem::file(path, format!("{subject} is not valid before {}", certificate.not_before())));
        }
    }
}

/// A key that every user of the machine may read is worth a word, but is the operator's to decide on.
fn warn_of_readers(path: &Path, warnings: &mut Problems) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
            warnings.push(
                Problem::file(path, "every user of this machine may read this private key").help("chmod 0600 FILE"),
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (path, warnings);
}
