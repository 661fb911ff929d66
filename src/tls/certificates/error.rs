use std::io;
use std::path::PathBuf;

use openssl::error::ErrorStack;

use crate::document::Problem;
use crate::tls::pem;

/// Why no certificate was made. Nothing was written then.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{} there already: nothing is overwritten without --force", are(.0))]
    Exists(Vec<PathBuf>),
    #[error("{} is there, but {} is not: put it back, or remove both", .present.display(), .missing.display())]
    HalfAPair { present: PathBuf, missing: PathBuf },
    #[error("{} is not there, and has to sign: `resyncd cert init` makes it", .0.display())]
    NoAuthority(PathBuf),
    #[error(transparent)]
    Unreadable(#[from] UnreadableFile),
    #[error("{} can't be written: {source}", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the certificate for {subject} can't be made: {reason}")]
    Refused { subject: String, reason: String },
}

/// A file that should hold a certificate or key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableFile(pub(super) Problem);

impl CertificateError {
    pub(super) fn refused(subject: impl Into<String>) -> impl FnOnce(ErrorStack) -> Self {
        let subject = subject.into();
        move |error| Self::Refused { subject, reason: pem::reason(&error) }
    }
}

impl From<Problem> for CertificateError {
    fn from(problem: Problem) -> Self {
        Self::Unreadable(UnreadableFile(problem))
    }
}

fn are(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}
