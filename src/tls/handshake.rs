//! Why a TLS handshake failed, in words that an operator can act on.

use std::time::Duration;

use openssl::ssl::{self, SslRef, SslVersion};

use super::pem;
use super::verify::Observed;
use crate::config::{Tls, TlsVersion};
use crate::identity::Subject;

// Reason codes of OpenSSL's sslerr.h; the crate names none of them, and they are part of OpenSSL's stable interface.
const LIBRARY_SSL: i32 = 20;
const CERTIFICATE_VERIFY_FAILED: i32 = 134;
const HTTPS_PROXY_REQUEST: i32 = 155;
const HTTP_REQUEST: i32 = 156;
const VERSION_TOO_HIGH: i32 = 166;
const NO_PROTOCOLS_AVAILABLE: i32 = 191;
const NO_SHARED_CIPHER: i32 = 193;
const PACKET_LENGTH_TOO_LONG: i32 = 198;
const PEER_DID_NOT_RETURN_A_CERTIFICATE: i32 = 199;
const RECORD_LENGTH_MISMATCH: i32 = 213;
const UNEXPECTED_MESSAGE: i32 = 244;
const UNKNOWN_PROTOCOL: i32 = 252;
const UNSUPPORTED_PROTOCOL: i32 = 258;
const WRONG_SSL_VERSION: i32 = 266;
const WRONG_VERSION_NUMBER: i32 = 267;
const UNEXPECTED_EOF: i32 = 294;
const INVALID_RECORD: i32 = 317;
const VERSION_TOO_LOW: i32 = 396;
/// Alerts that the peer sent are this plus the alert's number.
const ALERTS: std::ops::Range<i32> = 1000..1256;

/// Why a connection never came to a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    #[error("the TLS handshake was not finished within {0:?}")]
    Timeout(Duration),
    /// Over `limits.handshakes`, for as long as a handshake may take.
    #[error("too many made their handshake for {0:?} (limits.handshakes)")]
    Crowded(Duration),
    #[error("the peer closed the connection in the middle of the TLS handshake")]
    Closed,
    #[error("plain HTTP came to a TLS listener: the URL has to begin with https://")]
    PlainHttp,
    #[error("what came is not TLS")]
    NotTls,
    #[error("no TLS version in common: the phone says {offered}, the listener takes {min} to {max}")]
    Version { offered: &'static str, min: &'static str, max: &'static str },
    #[error("no cipher in common: an old phone needs a listener with legacy = true, or one with its ciphers named")]
    NoSharedCipher,
    #[error("the listener requires a client certificate, and the phone showed none")]
    NoCertificate,
    #[error("the client certificate of {subject} doesn't verify: {reason}")]
    Certificate { subject: Subject, reason: String },
    /// Most often: the phone doesn't know the root that signed the server's certificate.
    #[error("the phone ended the TLS handshake: {0}")]
    Alert(String),
    /// In OpenSSL's words.
    #[error("the TLS handshake failed: {0}")]
    Other(String),
}

impl HandshakeError {
    /// What OpenSSL's error means for this listener.
    pub(super) fn from_openssl(error: &ssl::Error, ssl: &SslRef, observed: Option<&Observed>, tls: &Tls) -> Self {
        let Some(errors) = error.ssl_error().filter(|errors| !errors.errors().is_empty()) else {
            return match error.io_error() {
                Some(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    Self::Other("the peer doesn't read what it is sent".to_owned())
                }
                _ => Self::Closed,
            };
        };
        // The first is the cause, and what follows its consequence; errors of other libraries are details of either.
        let cause = errors.errors().iter().find(|error| error.library_code() == LIBRARY_SSL);
        let Some(cause) = cause else { return Self::Other(pem::reason(errors)) };
        match cause.reason_code() {
            HTTP_REQUEST | HTTPS_PROXY_REQUEST => Self::PlainHttp,
            WRONG_VERSION_NUMBER
            | PACKET_LENGTH_TOO_LONG
            | RECORD_LENGTH_MISMATCH
            | UNKNOWN_PROTOCOL
            | INVALID_RECORD => Self::NotTls,
            UNEXPECTED_MESSAGE if observed.is_none_or(|observed| observed.offered.is_none()) => Self::NotTls,
            UNSUPPORTED_PROTOCOL | VERSION_TOO_LOW | VERSION_TOO_HIGH | WRONG_SSL_VERSION | NO_PROTOCOLS_AVAILABLE => {
                Self::Version {
                    offered: observed.and_then(|observed| observed.offered).map_or("nothing known", version_name),
                    min: configured_name(tls.min_version),
                    max: configured_name(tls.max_version),
                }
            }
            NO_SHARED_CIPHER => Self::NoSharedCipher,
            PEER_DID_NOT_RETURN_A_CERTIFICATE => Self::NoCertificate,
            CERTIFICATE_VERIFY_FAILED => Self::Certificate {
                subject: observed.and_then(Observed::subject).unwrap_or_default(),
                reason: observed
                    .and_then(Observed::reason)
                    .unwrap_or_else(|| ssl.verify_result().error_string())
                    .to_owned(),
            },
            UNEXPECTED_EOF => Self::Closed,
            code if ALERTS.contains(&code) => Self::Alert(pem::reason(errors)),
            _ => Self::Other(pem::reason(errors)),
        }
    }
}

fn version_name(version: SslVersion) -> &'static str {
    match version {
        SslVersion::SSL3 => "SSLv3",
        SslVersion::TLS1 => "TLSv1",
        SslVersion::TLS1_1 => "TLSv1.1",
        SslVersion::TLS1_2 => "TLSv1.2 or later",
        _ => "a version unheard of",
    }
}

fn configured_name(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::Tls1_0 => "TLSv1",
        TlsVersion::Tls1_1 => "TLSv1.1",
        TlsVersion::Tls1_2 => "TLSv1.2",
        TlsVersion::Tls1_3 => "TLSv1.3",
    }
}
