//! STUN as TR-111 part 2 uses it: the classic one of RFC 3489, by which a phone learns its address beyond a NAT, and keeps the way back
//! to itself open.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_RESPONSE: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const CONNECTION_REQUEST_BINDING: u16 = 0xC001;
const BINDING_CHANGE: u16 = 0xC002;

/// Type, length, and 16 bytes that name the question.
const HEADER: usize = 20;

/// "A space character is the last character of this string so that its length is a multiple of four".
const LISTENS_HERE: &[u8] = b"dslforum.org/TR-111 ";

/// A Binding Request from the socket that hears connection requests.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    pub id: [u8; 16],
    /// `STUNUsername`; empty: none.
    pub user: &'q str,
    /// `STUNPassword`, where the server wants the message signed.
    pub password: Option<&'q [u8]>,
    /// The address is another than before.
    pub is_changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Mapped(SocketAddr),
    /// A Binding Error Response with its code: 401 wants a signature.
    Refused(u16),
}

impl Question<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let mut attributes = Vec::new();
        attribute(&mut attributes, CONNECTION_REQUEST_BINDING, LISTENS_HERE);
        if self.is_changed {
            attribute(&mut attributes, BINDING_CHANGE, &[]);
        }
        if !self.user.is_empty() {
            // RFC 3489: "Its length MUST be a multiple of 4".
            let mut user = self.user.as_bytes().to_vec();
            user.resize(user.len().next_multiple_of(4), b' ');
            attribute(&mut attributes, USERNAME, &user);
        }
        // The length counts the signature, which is 24 bytes long and comes last.
        let length = attributes.len() + if self.password.is_some() { 24 } else { 0 };
        let mut bytes = BINDING_REQUEST.to_be_bytes().to_vec();
        bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(self.id);
        bytes.extend(attributes);
        if let Some(password) = self.password {
            let signature = signature(&bytes, password);
            attribute(&mut bytes, MESSAGE_INTEGRITY, &signature);
        }
        bytes
    }
}

/// "That text is then padded with zeroes so as to be a multiple of 64 bytes."
fn signature(text: &[u8], password: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    text.resize(text.len().next_multiple_of(64), 0);
    hmac_sha1(password, &text)
}

pub fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(value);
}

/// Reads the answer to one question; none: it is no answer, or one to another question.
pub fn read(bytes: &[u8], id: [u8; 16]) -> Option<Answer> {
    let (header, mut rest) = bytes.split_at_checked(HEADER)?;
    let (kind, length) = (number(header, 0)?, usize::from(number(header, 2)?));
    if header.get(4..) != Some(&id[..]) || length != rest.len() {
        return None;
    }
    while !rest.is_empty() {
        let (attribute, length) = (number(rest, 0)?, usize::from(number(rest, 2)?));
        let value = rest.get(4..4 + length)?;
        match (kind, attribute) {
            (BINDING_RESPONSE, MAPPED_ADDRESS) => return address(value).map(Answer::Mapped),
            (BINDING_ERROR, ERROR_CODE) => {
                let (class, number) = (u16::from(*value.get(2)?), u16::from(*value.get(3)?));
                return Some(Answer::Refused((class & 7) * 100 + number));
            }
            _ => rest = rest.get(4 + length..)?,
        }
    }
    None
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// Of IPv4: RFC 3489 knows no other.
fn address(value: &[u8]) -> Option<SocketAddr> {
    let ip: [u8; 4] = value.get(4..8)?.try_into().ok()?;
    (value.get(1) == Some(&1)).then_some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), number(value, 2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_says_that_connection_requests_are_heard_and_who_asks() {
        let question = Question { id: [7; 16], user: "abcde", password: None, is_changed: true };
        let mut expected = vec![0, 1, 0, 40];
        expected.extend([7; 16]);
        expected.extend([0xC0, 1, 0, 20]);
        expected.extend(b"dslforum.org/TR-111 ");
        expected.extend([0xC0, 2, 0, 0]);
        expected.extend([0, 6, 0, 8]);
        expected.extend(b"abcde   ");
        assert_eq!(question.bytes(), expected);
        let signed = Question { password: Some(b"not-a-real-password"), ..question }.bytes();
        // The same but for its length, and the signature of that, filled up to 64 bytes.
        assert_eq!(signed[2..4], [0, 64]);
        let mut text = signed[..60].to_vec();
        text.resize(64, 0);
        assert_eq!(signed[60..64], [0, 8, 0, 20]);
        assert_eq!(signed[64..], hmac_sha1(b"not-a-real-password", &text));
        // RFC 2202, test case 2.
        let known = hmac_sha1(b"Jefe", b"what do ya want for nothing?");
        assert!(known.starts_with(&[0xEF, 0xFC, 0xDF, 0x6A]), "{known:x?}");
    }

    #[test]
    fn answers_are_read_and_what_is_none_is_left() {
        let answer = |kind: u16, attributes: &[u8]| {
            let mut bytes = kind.to_be_bytes().to_vec();
            bytes.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
            bytes.extend([7; 16]);
            bytes.extend(attributes);
            bytes
        };
        // SOURCE-ADDRESS first, then MAPPED-ADDRESS.
        let mapped = answer(0x0101, &[0, 4, 0, 8, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 8, 0, 1, 0x12, 0x34, 192, 0, 2, 9]);
        assert_eq!(read(&mapped, [7; 16]), Some(Answer::Mapped("192.0.2.9:4660".parse().unwrap())));
        assert_eq!(read(&mapped, [8; 16]), None);
        let refused = answer(0x0111, &[0, 9, 0, 8, 0, 0, 4, 1, b'U', b'n', b'a', b'u']);
        assert_eq!(read(&refused, [7; 16]), Some(Answer::Refused(401)));
        for cut in 0..mapped.len() {
            assert_eq!(read(&mapped[..cut], [7; 16]), None);
        }
        assert_eq!(read(&answer(0x0101, &[0, 1, 0, 200, 1]), [7; 16]), None);
    }
}
