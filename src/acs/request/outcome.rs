//! What came of asking a phone to connect.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::http::Heard;
use super::policy::{ClaimError, Forbidden};
use crate::store::StoreError;

/// How a phone is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Http,
    /// Behind NAT, by a signed datagram.
    Udp,
}

impl Way {
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Udp => "udp",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its Inform came, with `6 CONNECTION REQUEST`. Nothing else is a success.
    Informed,
    /// It said that it would come, or a datagram was sent, and it did not within the time that was waited.
    Awaited(Way),
    Heard(Heard),
    /// It never had a session here, or tells no address.
    NoAddress,
    BadUrl(ClaimError),
    BadUdpAddress(ClaimError),
    /// Its name leads nowhere.
    NotFound(String),
    NotAllowed(Forbidden),
    /// Phones of its model hear none over HTTP, and there is no way by UDP.
    NotHeard,
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
            Self::Awaited(Way::Udp) => "sent",
            Self::Heard(Heard::Refused | Heard::Unanswerable) => "refused",
            Self::Heard(Heard::NoCredentials) | Self::NoCredentials => "no-credentials",
            Self::Heard(Heard::Busy) => "busy",
            Self::Heard(Heard::Status(_)) => "status",
            Self::Heard(Heard::Unreachable(_)) | Self::NotFound(_) => "unreachable",
            Self::Heard(Heard::Silent) => "no-answer",
            Self::NoAddress => "no-address",
            Self::BadUrl(_) | Self::BadUdpAddress(_) => "bad-address",
            Self::NotAllowed(_) => "not-allowed",
            Self::NotHeard => "not-heard",
            Self::Failed(_) => "failed",
            Self::Stopping => "stopping",
        }
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
            Self::NotHeard => f.write_str("phones of its model hear no connection requests over HTTP"),
            Self::Failed(why) => f.write_str(why),
            Self::Stopping => f.write_str("the server stops"),
        }
    }
}

/// What came of it, by which way and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub outcome: Outcome,
    /// None: nothing was sent, or could be.
    pub to: Option<(Way, SocketAddr)>,
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
