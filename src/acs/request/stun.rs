//! STUN as phones behind NAT speak it (TR-111 part 2, TR-069 Annex G): the Binding of RFC 3489, with two attributes of the
//! Broadband Forum. Bytes in, bytes out; nothing here sends anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::model::Secret;

/// Longest message that is read, in bytes: what passes anywhere in one packet (RFC 3489, section 8.1).
pub const LONGEST: usize = 548;

/// Longest answer to somebody who has shown no password, where the question is shorter, in bytes: header and an IPv6 address.
pub const LONGEST_ANSWER: usize = HEADER + 4 + 20;

const HEADER: usize = 20;
const INTEGRITY: usize = 20;

/// Longest user name, in bytes: `STUNUsername` has 256.
const USER: usize = 256;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_RESPONSE: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const RESPONSE_ADDRESS: u16 = 0x0002;
const CHANGE_REQUEST: u16 = 0x0003;
const SOURCE_ADDRESS: u16 = 0x0004;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const CONNECTION_REQUEST_BINDING: u16 = 0xc001;
const BINDING_CHANGE: u16 = 0xc002;

/// Attributes from here on need not be understood.
const OPTIONAL: u16 = 0x8000;

/// The value of CONNECTION-REQUEST-BINDING; some phones leave out the space at its end.
const TR_111: &[u8] = b"dslforum.org/TR-111 ";

type Signature = Hmac<Sha1>;

/// A Binding Request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'m> {
    whole: &'m [u8],
    transaction: [u8; 16],
    /// Without what fills it up.
    pub user: Option<&'m [u8]>,
    /// Connection requests may come the same way back.
    pub for_connection_requests: bool,
    /// Its address has changed, the phone says.
    pub has_changed: bool,
    /// The answer is to go there.
    pub answer_to: Option<SocketAddr>,
    /// An attribute that has to be understood, and isn't.
    pub unknown: Option<u16>,
    /// Where MESSAGE-INTEGRITY begins.
    signed: Option<usize>,
}

/// Why a datagram is no Binding Request. Nobody is answered that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("it is too short or too long for a message")]
    Size,
    #[error("it is no Binding Request")]
    Kind,
    #[error("its length is another than it says")]
    Length,
    #[error("its attributes don't come out")]
    Attributes,
}

/// How a message is signed: RFC 3489 fills it up to a multiple of 64 bytes, RFC 5389 doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    Rfc3489,
    Rfc5389,
}

/// What is wrong with a request, as STUN tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// 400: the answer can't go where it is to.
    BadRequest,
    /// 401: it has to be signed.
    Unauthorized,
    /// 420: an attribute has to be understood, and isn't.
    UnknownAttribute(u16),
    /// 431: it is signed with another password, or the user is not known.
    IntegrityCheckFailure,
    /// 432: it is signed by nobody.
    MissingUsername,
}

impl ErrorCode {
    pub fn number(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::UnknownAttribute(_) => 420,
            Self::IntegrityCheckFailure => 431,
            Self::MissingUsername => 432,
        }
    }
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'m> Request<'m> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// When it is no Binding Request, or not whole.
    pub fn read(datagram: &'m [u8]) -> Result<Self, ReadError> {
        if !(HEADER..=LONGEST).contains(&datagram.len()) {
            return Err(ReadError::Size);
        }
        if two(datagram, 0) != Some(BINDING_REQUEST) {
            return Err(ReadError::Kind);
        }
        if two(datagram, 2).map(usize::from) != Some(datagram.len() - HEADER) {
            return Err(ReadError::Length);
        }
        // Values are filled up to a multiple of 4 bytes (RFC 5389), or come in such lengths only (RFC 3489). A phone that sends 19
        // bytes of CONNECTION-REQUEST-BINDING may do neither.
        Self::attributes(datagram, true).or_else(|| Self::attributes(datagram, false)).ok_or(ReadError::Attributes)
    }

    fn attributes(whole: &'m [u8], is_filled: bool) -> Option<Self> {
        let transaction = *whole.get(4..)?.first_chunk()?;
        let mut request = Request {
            whole,
            transaction,
            user: None,
            for_connection_requests: false,
            has_changed: false,
            answer_to: None,
            unknown: None,
            signed: None,
        };
        let mut at = HEADER;
        while at < whole.len() {
            let (kind, length) = (two(whole, at)?, usize::from(two(whole, at + 2)?));
            let value = whole.get(at + 4..at + 4 + length)?;
            match kind {
                USERNAME if length <= USER => request.user = Some(trimmed(value)).filter(|user| !user.is_empty()),
                CONNECTION_REQUEST_BINDING => {
                    request.for_connection_requests = trimmed(value) == TR_111.trim_ascii_end();
                }
                BINDING_CHANGE => request.has_changed = true,
                RESPONSE_ADDRESS => request.answer_to = Some(address(value)?),
                // That the answer come from another address or port, which there is none of; without a flag it says nothing.
                CHANGE_REQUEST if value.iter().all(|byte| *byte == 0) => {}
                MESSAGE_INTEGRITY if length == INTEGRITY => {
                    request.signed = Some(at);
                    // What follows is not signed.
                    return Some(request);
                }
                USERNAME | MESSAGE_INTEGRITY => return None,
                other if other < OPTIONAL => request.unknown = request.unknown.or(Some(other)),
                _ => {}
            }
            at += 4 + if is_filled { length.next_multiple_of(4) } else { length };
        }
        (at == whole.len()).then_some(request)
    }

    pub fn is_signed(&self) -> bool {
        self.signed.is_some()
    }

    /// In which way it is signed with a password; none if it isn't.
    pub fn signed_with(&self, password: &Secret) -> Option<Signing> {
        let (text, rest) = self.whole.split_at_checked(self.signed?)?;
        let code = rest.get(4..4 + INTEGRITY)?;
        [Signing::Rfc3489, Signing::Rfc5389].into_iter().find(|way| {
            let signature = signature(*way, text, password);
            signature.is_some_and(|signature| signature.verify_slice(code).is_ok())
        })
    }

    /// The answer: where the request came from, and, if there is room in as many bytes as it had, where the answer does.
    pub fn answer(&self, mapped: SocketAddr, source: Option<SocketAddr>, sign: Option<(Signing, &Secret)>) -> Vec<u8> {
        let mut answer = Answer::new(BINDING_RESPONSE, self.transaction);
        answer.address(MAPPED_ADDRESS, mapped);
        let signature = if sign.is_some() { 4 + INTEGRITY } else { 0 };
        if let Some(source) = source {
            let length = answer.0.len() + signature + 8 + if source.is_ipv6() { 16 } else { 4 };
            if length <= self.whole.len() {
                answer.address(SOURCE_ADDRESS, source);
            }
        }
        answer.finish(sign)
    }

    /// The refusal.
    pub fn refusal(&self, code: ErrorCode) -> Vec<u8> {
        let mut answer = Answer::new(BINDING_ERROR, self.transaction);
        let (class, number) = (code.number() / 100, code.number() % 100);
        answer.attribute(ERROR_CODE, &[0, 0, class.to_be_bytes()[1], number.to_be_bytes()[1]]);
        if let ErrorCode::UnknownAttribute(unknown) = code {
            // An even number of them, by naming one twice (RFC 3489, section 11.2.10).
            let [a, b] = unknown.to_be_bytes();
            answer.attribute(UNKNOWN_ATTRIBUTES, &[a, b, a, b]);
        }
        answer.finish(None)
    }
}

/// A text without the zeros and spaces that fill it up.
fn trimmed(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    value.get(..end).unwrap_or_default()
}

fn address(value: &[u8]) -> Option<SocketAddr> {
    let port = two(value, 2)?;
    let ip: IpAddr = match (value.get(1)?, value.len()) {
        (1, 8) => Ipv4Addr::from(*value.last_chunk::<4>()?).into(),
        (2, 20) => Ipv6Addr::from(*value.last_chunk::<16>()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The HMAC of all that stands before MESSAGE-INTEGRITY, the length in its header being that of a message that ends with it.
fn signature(way: Signing, text: &[u8], password: &Secret) -> Option<Signature> {
    let mut signature = Signature::new_from_slice(password.expose()).ok()?;
    let length = u16::try_from((text.len() + 4 + INTEGRITY).checked_sub(HEADER)?).ok()?;
    signature.update(text.get(..2)?);
    signature.update(&length.to_be_bytes());
    signature.update(text.get(4..)?);
    if way == Signing::Rfc3489 {
        let zeros = text.len().next_multiple_of(64) - text.len();
        signature.update([0; 64].get(..zeros)?);
    }
    Some(signature)
}

/// A message that is being written.
struct Answer(Vec<u8>);

impl Answer {
    fn new(kind: u16, transaction: [u8; 16]) -> Self {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(transaction);
        Self(bytes)
    }

    /// Values are multiples of 4 bytes.
    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(kind.to_be_bytes());
        self.0.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        self.0.extend(value);
    }

    fn address(&mut self, kind: u16, address: SocketAddr) {
        let port = address.port().to_be_bytes();
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => self.attribute(kind, &[&[0, 1], &port[..], &ip.octets()].concat()),
            IpAddr::V6(ip) => self.attribute(kind, &[&[0, 2], &port[..], &ip.octets()].concat()),
        }
    }

    fn finish(mut self, sign: Option<(Signing, &Secret)>) -> Vec<u8> {
        if let Some(signature) = sign.and_then(|(way, password)| signature(way, &self.0, password)) {
            self.attribute(MESSAGE_INTEGRITY, &signature.finalize().into_bytes());
        }
        let length = u16::try_from(self.0.len().saturating_sub(HEADER)).unwrap_or_default();
        if let Some(place) = self.0.get_mut(2..4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        self.0
    }
}

#[cfg(test)]
mod tests;
