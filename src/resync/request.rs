//! A request as the pipeline sees it: plain values, nothing of the HTTP or TLS library.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::identity::Subject;

/// What is known of the connection that a request came over.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The listener's name.
    pub listener: Arc<str>,
    pub peer: SocketAddr,
    /// None over plain HTTP.
    pub tls: Option<TlsSession>,
}

#[derive(Debug, Clone)]
pub struct TlsSession {
    /// `TLSv1.3`, as OpenSSL names it.
    pub version: &'static str,
    pub cipher: String,
    pub certificate: ClientCertificate,
}

/// The client certificate of a connection, and what its verification came to.
#[derive(Debug, Clone)]
pub enum ClientCertificate {
    /// The phone showed none, or was not asked.
    None,
    /// It verifies against the listener's roots, save for what the listener allows.
    Verified { subject: Subject, dates_waived: bool, purpose_waived: bool },
    /// It proves nothing; `reason` says why, in OpenSSL's words.
    Unverified { subject: Subject, reason: String },
}
