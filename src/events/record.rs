//! What is recorded of one request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::model::MacAddr;

/// The record of one request, or of one connection that never came to a request. Holds no body and no secret.
#[derive(Debug, Clone)]
pub struct Event {
    pub time: OffsetDateTime,
    pub kind: Kind,
    /// The listener's name.
    pub listener: Arc<str>,
    pub peer: SocketAddr,
    /// Empty for a connection that sent no request.
    pub method: String,
    /// Path and query as they were sent, cut at [`TEXT_LIMIT`].
    pub target: String,
    /// The status answered; 0 where no answer was sent.
    pub status: u16,
    /// Bytes of the answer's body; of an upload, those that the phone sent.
    pub bytes: u64,
    pub duration: Duration,
    /// `TLSv1.3`, none over plain HTTP.
    pub tls_version: Option<&'static str>,
    pub tls_cipher: Option<String>,
    /// The client certificate's subject, `OU=…, L=…, ST=…`; also of one that did not verify.
    pub certificate: Option<String>,
    /// As it was sent, cut at [`TEXT_LIMIT`].
    pub user_agent: Option<String>,
    /// What the packs read from the User-Agent, and from the certificate where that is silent.
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    /// The device whose file was asked for, if there is one.
    pub device: Option<MacAddr>,
    /// The MAC that was asked for, whether there is such a device or not.
    pub asked_mac: Option<MacAddr>,
    /// `pack/file`, or `static` for a folder.
    pub file: Option<String>,
    /// The generation that answered, counted from 1.
    pub generation: u64,
    /// `gzip`, `aes-256-cbc`, `gzip+aes128gcm`, …; none for a plain body.
    pub encoding: Option<&'static str>,
    pub outcome: Outcome,
    /// Why it was refused or failed, in words for the operator. Never sent to the phone.
    pub reason: Option<String>,
    /// Things worth a look in a request that was served: a User-Agent that contradicts the record, an expired certificate.
    pub flags: Vec<Flag>,
}

/// Longest raw text of the outside that an event keeps, in bytes.
pub const TEXT_LIMIT: usize = 512;

/// Raw text of the outside, cut to [`TEXT_LIMIT`].
pub fn cut(text: &str) -> String {
    let end = (0..=TEXT_LIMIT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Resync,
    /// A phone sent a file.
    Upload,
    /// A request for a folder of static files.
    Static,
    /// Many phones asked for in vain.
    Scan,
    /// A phone had a session of CWMP, or wanted one.
    Session,
    /// A connection that ended before any request: a failed handshake, a timeout, garbage.
    Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Served,
    /// The phone asked conditionally and has it already.
    NotModified,
    /// What the phone sent is kept.
    Stored,
    Refused(Refusal),
    /// The profile could not be made, or what was sent not kept: an empty body.
    Failed,
    /// The connection ended before the answer was written, or before a request came.
    Aborted,
}

/// Why a request was refused. All look the same from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No pack and no folder answers to the path.
    UnknownPath,
    /// Nothing is done with this method at this path.
    Method,
    UnknownDevice,
    /// The device's pack has no such file, or not for its model.
    NotForModel,
    /// None of the device's access rules held.
    NoProof,
    /// No user and password were sent.
    Challenged,
    /// An `Authorization` header that can't be read, or that answers another request.
    BadCredentials,
    WrongPassword,
    /// A right digest by a nonce that is too old.
    StaleNonce,
    /// A right digest that came before.
    ReplayedNonce,
    /// Basic without TLS.
    ClearPassword,
    /// A valid certificate of another phone.
    WrongCertificate,
    /// A token of another phone's URL.
    WrongToken,
    /// A record that nothing can be made of.
    BrokenRecord,
    /// The code of an invitation that is good for nothing to this phone.
    Invitation,
    /// A record that is not known here while the database does not answer.
    DatabaseAway,
    /// The static file is not there.
    NoFile,
    /// The request itself is malformed.
    BadRequest,
    /// Too much at a time.
    Overload,
    /// An upload beyond its bounds, packed or unpacked.
    TooLarge,
    /// An upload that only its encryption could prove, and that doesn't open.
    WrongKey,
    /// An upload that doesn't end in time.
    TooSlow,
    /// The TLS handshake failed.
    Handshake,
    /// Many phones asked for in vain.
    Scan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// The User-Agent names another model than the record.
    ModelDiffers,
    /// The User-Agent or certificate names another MAC than the one asked for.
    MacDiffers,
    /// The User-Agent or certificate names another serial number than the record.
    SerialDiffers,
    /// The client certificate is expired or not yet valid, and the listener allows that.
    CertificateDates,
    /// The client certificate is not made for client authentication, and the listener allows that.
    CertificatePurpose,
    /// The client certificate was seen for another MAC, or from another network, not long ago.
    CertificateShared,
    DatabaseAway,
    /// Proved by user and password.
    Password,
    /// Proved by the password before.
    PreviousPassword,
    /// The refusal was delayed, or became a 503.
    Braked,
    /// An upload is encrypted, and the device's key does not open it.
    Sealed,
}
