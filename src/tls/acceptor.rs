//! A listener's TLS: makes sessions of connections, and takes new certificates without a restart.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use openssl::ssl::SslRef;
use openssl::x509::X509;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use super::context::{self, Contexts};
use super::handshake::HandshakeError;
use super::legacy;
use super::pem;
use super::trust::{Intermediates, Trust};
use super::verify::{self, Waivers};
use crate::config::{ClientCertificatePolicy, Tls};
use crate::document::Problems;
use crate::resync::{ClientCertificate, TlsSession};

/// Until when something is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub file: PathBuf,
    /// The subject of a certificate, the issuer of a list.
    pub name: String,
    pub at: OffsetDateTime,
    /// One of the server's own; otherwise a revocation list.
    pub is_certificate: bool,
}

/// The TLS of one listener.
pub struct Acceptor {
    /// Names the configuration file in problems.
    config: PathBuf,
    tls: Tls,
    handshake_timeout: Duration,
    contexts: ArcSwap<Contexts>,
    intermediates: Intermediates,
}

impl Acceptor {
    /// Reads the files that `tls` names. `config` is the file that it was read from; a handshake has `handshake_timeout` to be
    /// finished.
    ///
    /// # Errors
    ///
    /// All that is wrong with any of the files.
    pub fn new(config: &Path, tls: &Tls, handshake_timeout: Duration) -> Result<Self, Problems> {
        let contexts = context::load(config, tls, None)?;
        Ok(Self {
            config: config.to_owned(),
            tls: tls.clone(),
            handshake_timeout,
            contexts: ArcSwap::from_pointee(contexts),
            intermediates: Intermediates::default(),
        })
    }

    /// What the files in use are not wrong for, but worth a word: expired certificates, keys that anyone may read.
    pub fn warnings(&self) -> Problems {
        self.contexts.load().warnings.clone()
    }

    /// What the listener gives up for old phones, for the log; none for one that gives up nothing.
    pub fn gives_up(&self) -> Option<String> {
        legacy::gives_up(&self.tls)
    }

    /// Names of roots that packs have to list.
    pub fn root_names(&self) -> impl Iterator<Item = &str> {
        self.tls.client_roots.iter().map(|root| root.name.as_str())
    }

    /// The server's own certificates and the revocation lists in use, with the end of each.
    pub fn ends(&self) -> Vec<End> {
        let contexts = self.contexts.load();
        let own = contexts.own.iter().map(|(file, subject, at)| (file.as_path(), subject.clone(), *at, true));
        let lists = contexts.trust.revocations().ends().map(|(file, issuer, at)| (file, issuer, at, false));
        let end = |(file, name, at, is_certificate): (&Path, String, OffsetDateTime, bool)| End {
            file: file.to_owned(),
            name,
            at,
            is_certificate,
        };
        own.chain(lists).map(end).collect()
    }

    pub(super) fn requires_certificate(&self) -> bool {
        self.tls.client_certificate == ClientCertificatePolicy::Required
    }

    /// What a certificate is worth that a proxy forwards.
    pub(super) fn judge(&self, certificate: &X509) -> ClientCertificate {
        self.contexts.load().trust.judge(certificate, Waivers::of(&self.tls), &self.intermediates)
    }

    /// Reads the files again. New handshakes use them; open connections go on as they are, and sessions can be resumed unless
    /// the roots that they were verified by have changed.
    ///
    /// # Errors
    ///
    /// All that is wrong with any of the files. Then nothing changes.
    pub fn reload(&self) -> Result<(), Problems> {
        let contexts = context::load(&self.config, &self.tls, Some(&self.contexts.load()))?;
        self.contexts.store(Arc::new(contexts));
        Ok(())
    }

    /// Makes the handshake.
    pub async fn accept<S>(&self, stream: S) -> Result<(SslStream<S>, TlsSession), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Held until the handshake is over: OpenSSL calls into the closures of these contexts, and takes no share in those
        // of the one that it is leaving when the server name is chosen.
        let contexts = self.contexts.load_full();
        let ssl = context::connection(&contexts).map_err(|error| HandshakeError::Other(pem::reason(&error)))?;
        let mut stream = SslStream::new(ssl, stream).map_err(|error| HandshakeError::Other(pem::reason(&error)))?;
        match tokio::time::timeout(self.handshake_timeout, Pin::new(&mut stream).accept()).await {
            Ok(Ok(())) => verify::forget_errors(),
            Ok(Err(error)) => return Err(self.failure(&error, stream.ssl())),
            Err(_) => return Err(HandshakeError::Timeout(self.handshake_timeout)),
        }
        let session = self.session(stream.ssl(), &contexts.trust)?;
        Ok((stream, session))
    }

    fn failure(&self, error: &openssl::ssl::Error, ssl: &SslRef) -> HandshakeError {
        let observed = verify::slot().ok().and_then(|slot| verify::observed(ssl, slot));
        HandshakeError::from_openssl(error, ssl, observed.as_deref(), &self.tls)
    }

    /// What the handshake came to.
    fn session(&self, ssl: &SslRef, trust: &Trust) -> Result<TlsSession, HandshakeError> {
        let certificate = match verify::slot() {
            _ if self.tls.client_certificate == ClientCertificatePolicy::None => ClientCertificate::None,
            Ok(slot) => verify::verdict(ssl, Waivers::of(&self.tls), slot, trust, &self.intermediates),
            Err(error) => return Err(HandshakeError::Other(pem::reason(&error))),
        };
        // OpenSSL saw to it in a full handshake. A resumed session's certificate may have expired or been revoked since.
        if self.tls.client_certificate == ClientCertificatePolicy::Required {
            match certificate {
                ClientCertificate::Verified { .. } => {}
                ClientCertificate::None => return Err(HandshakeError::NoCertificate),
                ClientCertificate::Unverified { subject, reason } => {
                    return Err(HandshakeError::Certificate { subject, reason });
                }
            }
        }
        let cipher = ssl.current_cipher().map_or("", |cipher| cipher.name()).to_owned();
        Ok(TlsSession { version: ssl.version_str(), cipher, certificate })
    }
}
