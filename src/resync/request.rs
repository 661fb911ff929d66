//! A request and its answer as the pipeline sees them: plain values, nothing of the HTTP or TLS library.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::identity::Subject;
use crate::model::{MacAddr, Secret};

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
    Verified {
        subject: Subject,
        dates_waived: bool,
        purpose_waived: bool,
        /// The name of the root that vouches for it; none for one that may vouch for any phone.
        root: Option<Arc<str>>,
        /// SHA-256 of the certificate.
        fingerprint: [u8; 32],
    },
    /// It proves nothing; `reason` says why, in OpenSSL's words.
    Unverified { subject: Subject, reason: String },
}

impl ClientCertificate {
    /// One that verifies, by a root that may vouch for any phone: for what is played or tried without a connection.
    pub fn verified(subject: Subject) -> Self {
        Self::Verified { subject, dates_waived: false, purpose_waived: false, root: None, fingerprint: [0; 32] }
    }

    /// The name of the root that vouches for it.
    pub fn root(&self) -> Option<&str> {
        if let Self::Verified { root, .. } = self { root.as_deref() } else { None }
    }

    /// SHA-256 of a certificate that verifies.
    pub fn fingerprint(&self) -> Option<&[u8; 32]> {
        if let Self::Verified { fingerprint, .. } = self { Some(fingerprint) } else { None }
    }
}

/// A phone's request for a file.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    pub connection: &'r Connection,
    /// When its headers had been read.
    pub time: OffsetDateTime,
    pub started: Instant,
    /// As it was sent.
    pub method: &'r str,
    /// Path and query as they were sent.
    pub target: &'r str,
    pub user_agent: Option<&'r str>,
    /// The `If-None-Match` header.
    pub if_none_match: Option<&'r str>,
    /// The `Authorization` header; an empty one where there are several.
    pub authorization: Option<&'r Secret>,
    /// Of a phone that comes with the ticket of a task.
    pub vouched: Option<&'r Vouched>,
}

/// Whose phone it is that comes with the ticket of a task: the session in which it was given vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    pub device: MacAddr,
    /// What it asked for, as it may be told. [`Request::target`] is what it gets.
    pub told: String,
}

/// What is answered. Every refusal is [`Answer::refused`]: the same for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub content_encoding: Option<&'static str>,
    /// As it stands in the header, quotes and all.
    pub etag: Option<String>,
    /// Empty for HEAD too; `length` is what GET would send.
    pub body: Bytes,
    pub length: u64,
    /// Methods that would be answered, where the one sent was not.
    pub allow: bool,
    /// Seconds after which to ask again.
    pub retry_after: Option<u16>,
    /// It is to the phone of the device that it is about: one that has proved itself asks for what there isn't.
    pub is_proven: bool,
    /// It brings the token that follows the one it was asked for with ([`super::Bearer::next`]).
    pub brings_token: bool,
    /// What the phone may prove itself by: the values of `WWW-Authenticate`.
    pub challenges: Vec<String>,
}

/// Long enough for a database that is started again, short beside the hours between resyncs.
const RETRY_AFTER: u16 = 30;

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            content_encoding: None,
            etag: None,
            body: Bytes::new(),
            length: 0,
            allow: false,
            retry_after: None,
            is_proven: false,
            brings_token: false,
            challenges: Vec::new(),
        }
    }

    /// Not found, forbidden and unknown alike. 404 rather than 403 because a phone that tries several file names goes on
    /// to the next, and both make it try again after `Resync_Error_Retry_Delay`.
    pub fn refused() -> Self {
        Self::empty(404)
    }

    /// The refusal on a listener that asks for passwords, in the place of [`Answer::refused`].
    pub fn challenged(challenges: Vec<String>) -> Self {
        Self { challenges, ..Self::empty(401) }
    }

    /// The answer can't be told for now. Phones come back after `Resync_Error_Retry_Delay`, or as the header says.
    pub fn try_later() -> Self {
        Self { retry_after: Some(RETRY_AFTER), ..Self::empty(503) }
    }

    /// A method other than GET and HEAD, whatever the path.
    pub fn wrong_method() -> Self {
        Self { allow: true, ..Self::empty(405) }
    }
}
