//! What came of asking a phone to connect.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::http::Heard;
use super::jobs::Job;
use super::notify::Told;
use super::policy::{ClaimError, Forbidden};
use super::sip::AddressError;
use crate::store::StoreError;

/// How a phone is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Http,
    /// Behind NAT, by a signed datagram.
    Udp,
    /// By the operator's SIP proxy.
    Notify,
}

impl Way {
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Udp => "udp",
            Self::Notify => "notify",
        }
    }
}

/// Why there is no way to ask a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    #[error("phones of its model hear no connection requests over HTTP")]
    Http,
    #[error("there is no STUN server here (stun.address)")]
    Stun,
    #[error("no SIP proxy is configured (connection_requests.notify.proxy)")]
    Proxy,
    #[error("the name of connection_requests.notify.proxy is not found")]
    NoSuchProxy,
    #[error(
        "phones of its model don't come for a SIP NOTIFY, as far as their pack knows (quirks.notify of tr069.toml)"
    )]
    Model,
    #[error(
        "acs.check_sync of the device is neither \"inform\" nor \"inform-and-call\": a NOTIFY would have the phone look for new files, and perhaps start anew"
    )]
    CheckSync,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its Inform came, with `6 CONNECTION REQUEST`. Nothing else is a success.
    Informed,
    /// It said that it would come, or a datagram was sent, and it did not within the time that was waited.
    Awaited(Way),
    Heard(Heard),
    /// What the SIP proxy answered, or the phone through it.
    Told(Told),
    /// It never had a session here, or tells no address.
    NoAddress,
    BadUrl(ClaimError),
    BadUdpAddress(ClaimError),
    /// The settings tell no address of its line 1.
    BadSipAddress(AddressError),
    /// Its name leads nowhere.
    NotFound(String),
    NotAllowed(Forbidden),
    NoWay(NoWay),
    /// A datagram has to be signed.
    NoCredentials,
    /// The operating system did not send it, or doesn't tell which networks are its own.
    Failed(String),
    /// The server stops.
    Stopping,
}

impl Outcome {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Informed => "informed",
            Self::Awaited(Way::Http) | Self::Heard(Heard::Accepted) => "accepted",
            Self::Awaited(Way::Udp | Way::Notify) | Self::Told(Told::Taken) => "sent",
            Self::Heard(Heard::Refused | Heard::Unanswerable) | Self::Told(Told::Refused | Told::Unanswerable) => {
                "refused"
            }
            Self::Heard(Heard::NoCredentials) | Self::Told(Told::NoCredentials) | Self::NoCredentials => {
                "no-credentials"
            }
            Self::Heard(Heard::Busy) => "busy",
            Self::Heard(Heard::Status(_)) | Self::Told(Told::Status(_)) => "status",
            Self::Told(Told::NotRegistered) => "not-registered",
            Self::Heard(Heard::Unreachable(_)) | Self::Told(Told::Unreachable(_)) | Self::NotFound(_) => "unreachable",
            Self::NoWay(NoWay::NoSuchProxy) => "unreachable",
            Self::Heard(Heard::Silent) | Self::Told(Told::Silent) => "no-answer",
            Self::NoAddress => "no-address",
            Self::BadUrl(_) | Self::BadUdpAddress(_) | Self::BadSipAddress(_) => "bad-address",
            Self::NotAllowed(_) => "not-allowed",
            Self::NoWay(NoWay::Http | NoWay::Model | NoWay::CheckSync) => "not-heard",
            Self::NoWay(NoWay::Stun | NoWay::Proxy) => "not-configured",
            Self::Failed(_) => "failed",
            Self::Stopping => "stopping",
        }
    }

    /// Whether the phone may yet come, although it has not: it was asked, and nothing speaks against it.
    pub fn may_come(&self) -> bool {
        matches!(self, Self::Awaited(_) | Self::Heard(Heard::Silent) | Self::Told(Told::Silent))
    }

    /// The rule that is against the phone's address, for programs.
    pub fn rule(&self) -> Option<&'static str> {
        match self {
            Self::NotAllowed(forbidden) => Some(forbidden.rule()),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Informed => f.write_str("the phone came"),
            Self::Awaited(Way::Http) | Self::Heard(Heard::Accepted) => {
                f.write_str("the phone accepted it, and did not come in the time that was waited")
            }
            Self::Awaited(Way::Udp) => {
                f.write_str("it was sent through the phone's NAT, and the phone did not come in the time that was waited")
            }
            Self::Awaited(Way::Notify) | Self::Told(Told::Taken) => {
                f.write_str("the SIP proxy took the NOTIFY, and the phone did not come in the time that was waited")
            }
            Self::Told(Told::Refused) => f.write_str(
                "the SIP proxy does not take it from this server: see connection_requests.notify.user, password and from",
            ),
            Self::Told(Told::NoCredentials) => f.write_str(
                "the SIP proxy asks who this is: connection_requests.notify.user and password are needed",
            ),
            Self::Told(Told::Unanswerable) => {
                f.write_str("the SIP proxy asks who this is in a way that is not answered: by Digest with MD5 or SHA-256 it is")
            }
            Self::Told(Told::NotRegistered) => f.write_str("the SIP proxy does not know where the phone is: its line 1 is not registered"),
            Self::Told(Told::Status(status @ 300..=399)) => {
                write!(f, "the SIP proxy answers {status}, and redirects are not followed")
            }
            Self::Told(Told::Status(status)) => write!(f, "the SIP proxy, or the phone by it, answers {status}"),
            Self::Told(Told::Unreachable(why)) => write!(f, "the SIP proxy can't be reached: {why}"),
            Self::Told(Told::Silent) => f.write_str("there was no answer to the NOTIFY, and the phone did not come"),
            Self::Heard(Heard::Refused) => f.write_str(
                "the phone knows this server by another user or password than acs.connection_user and acs.connection_password",
            ),
            Self::Heard(Heard::Unanswerable) => {
                f.write_str("the phone asks who this is in a way that is not answered: Basic only where its model is known to")
            }
            Self::Heard(Heard::NoCredentials) | Self::NoCredentials => {
                f.write_str("acs.connection_user and acs.connection_password are needed, and not set for the device")
            }
            Self::Heard(Heard::Busy) => f.write_str("the phone is busy: it has a session, or other things to do"),
            Self::Heard(Heard::Status(status @ 300..=399)) => {
                write!(f, "the phone answers {status}, and redirects are not followed")
            }
            Self::Heard(Heard::Status(status)) => write!(f, "the phone answers {status}"),
            Self::Heard(Heard::Unreachable(why)) => write!(f, "the phone can't be reached: {why}"),
            Self::Heard(Heard::Silent) => f.write_str("the phone did not answer, nor come"),
            Self::NoAddress => f.write_str("the phone has told no address yet: it does in its sessions"),
            Self::BadUrl(error) => write!(f, "the phone's ConnectionRequestURL can't be used: {error}"),
            Self::BadUdpAddress(error) => write!(f, "the phone's UDPConnectionRequestAddress can't be used: {error}"),
            Self::NotFound(why) => write!(f, "the name that the phone has told is not found: {why}"),
            Self::NotAllowed(forbidden) => forbidden.fmt(f),
            Self::BadSipAddress(error) => write!(
                f,
                "there is no SIP address to send a NOTIFY to, of lines.1.user and lines.1.proxy or acs.notify_to: {error}"
            ),
            Self::NoWay(why) => why.fmt(f),
            Self::Failed(why) => f.write_str(why),
            Self::Stopping => f.write_str("the server stops"),
        }
    }
}

/// What came of it, by which way and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub outcome: Outcome,
    /// None: nothing was sent, or could be. By SIP it is the proxy's address.
    pub to: Option<(Way, SocketAddr)>,
    /// What the phone tells when it asks for its action URI; none where it was told none.
    pub job: Option<Job>,
}

/// Why a phone was not asked now.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    #[error("the phone is being asked to come already")]
    UnderWay,
    #[error("the phone was asked to come just now (connection_requests.pace)")]
    TooSoon(Duration),
    #[error("as many phones are being asked to come as may be (connection_requests.at_once)")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}
