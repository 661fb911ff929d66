//! The one message of SIP that is sent, and what is read of its answers (RFC 3261, and RFC 6665 for NOTIFY). Texts in, texts out;
//! nothing here sends anything.

use std::fmt;
use std::net::SocketAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::policy::{ClaimError, Host, Place};
use crate::config::Transport;
use crate::model::Secret;

/// Longest answer that is read, in bytes. Proxies repeat what was sent, and add a `Via` or two.
pub const LONGEST: usize = 8 << 10;

/// The usual port (RFC 3261, section 19.1.2).
const PORT: u16 = 5060;

/// Most lines of an answer's head.
const LINES: usize = 128;

/// What the user of a SIP address holds as it is (RFC 3261, section 25.1).
const USER: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b',')
    .remove(b'/');

/// What every branch begins with (RFC 3261, section 8.1.1.7).
pub const BRANCH: &str = "z9hG4bK";

/// Where a phone is registered: its address of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    user: String,
    host: Host,
    /// None: the usual one.
    port: Option<u16>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it has no user: write user@host")]
    User,
    #[error("its host can't be used: {0}")]
    Host(ClaimError),
}

impl Address {
    /// Reads `user@host` or `user@host:port`, with `sip:` before it or not.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let text = text.strip_prefix("sip:").unwrap_or(text);
        let (user, host) = text.rsplit_once('@').ok_or(AddressError::User)?;
        Self::of(user, host)
    }

    /// The address of a line with this user and registrar. A port that is not SIP's own belongs to it: so phones name each other, too.
    ///
    /// # Errors
    /// When one of them is empty, or the registrar is no host.
    pub fn of(user: &str, registrar: &str) -> Result<Self, AddressError> {
        let user = user.trim();
        if user.is_empty() {
            return Err(AddressError::User);
        }
        let registrar = registrar.trim();
        let place = Place::parse(registrar).map_err(AddressError::Host)?;
        let behind_address = registrar.rsplit(']').next().unwrap_or_default();
        let is_written = behind_address.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty());
        let port = Some(place.port).filter(|port| is_written && *port != PORT);
        Ok(Self { user: utf8_percent_encode(user, USER).to_string(), host: place.host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(std::net::IpAddr::V6(address)) => write!(f, "sip:{}@[{address}]", self.user)?,
            Host::Address(address) => write!(f, "sip:{}@{address}", self.user)?,
            Host::Name(name) => write!(f, "sip:{}@{name}", self.user)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A NOTIFY that belongs to no subscription.
#[derive(Debug)]
pub struct Notify<'n> {
    pub to: &'n Address,
    /// Who sends it, as a SIP address; none: this machine's own.
    pub from: Option<&'n str>,
    /// Where it is sent from.
    pub own: SocketAddr,
    pub transport: Transport,
    /// The same in all attempts.
    pub tag: &'n str,
    pub call_id: &'n str,
    /// Another one for each attempt, but not for each copy.
    pub branch: &'n str,
    /// From 1.
    pub number: u32,
    /// The header Event.
    pub event: &'n str,
    /// The header that proves who this is, and its value.
    pub proof: Option<(&'n str, &'n Secret)>,
}

impl Notify<'_> {
    /// The message as it goes over the wire. Whatever goes into it holds no line ends: addresses are read strictly, and the others
    /// are made here or read by the configuration.
    pub fn write(&self) -> Secret {
        let Self { to, own, tag, call_id, branch, number, event, .. } = self;
        let (word, parameter) = match self.transport {
            Transport::Udp => ("UDP", ""),
            Transport::Tcp => ("TCP", ";transport=tcp"),
        };
        let host = host(*own);
        let here = format!("sip:resyncd@{host}");
        let from = self.from.unwrap_or(&here);
        let port = own.port();
        let mut text = format!(
            "NOTIFY {to} SIP/2.0\r\n\
             Via: SIP/2.0/{word} {host}:{port};branch={branch};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <{from}>;tag={tag}\r\n\
             To: <{to}>\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {number} NOTIFY\r\n\
             Contact: <sip:resyncd@{host}:{port}{parameter}>\r\n\
             Event: {event}\r\n\
             Subscription-State: terminated\r\n\
             User-Agent: resyncd/{}\r\n",
            env!("CARGO_PKG_VERSION"),
        )
        .into_bytes();
        if let Some((name, value)) = self.proof {
            text.extend(format!("{name}: ").as_bytes());
            text.extend(value.expose());
            text.extend(b"\r\n");
        }
        text.extend(b"Content-Length: 0\r\n\r\n");
        Secret::new(text)
    }
}

fn host(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// An answer, as far as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 100 to 699.
    pub status: u16,
    /// `WWW-Authenticate` of a 401, `Proxy-Authenticate` of a 407.
    pub challenges: Vec<String>,
    /// Bytes of its body.
    pub length: usize,
}

impl Answer {
    /// Reads the head of an answer to the request with this branch and number. None where it is none, or the answer to another.
    pub fn read(head: &[u8], branch: &str, number: u32) -> Option<Self> {
        let head = std::str::from_utf8(head.get(..head.len().min(LONGEST))?).ok()?;
        let mut lines = unfolded(head)?.into_iter();
        let first = lines.next()?;
        let (digits, _) = first.strip_prefix("SIP/2.0 ")?.split_at_checked(3)?;
        let status = digits.parse().ok().filter(|status| (100..700).contains(status))?;
        let (mut via, mut sequence, mut length, mut challenges) = (None, None, 0, Vec::new());
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let (name, value) = (name.trim(), value.trim());
            let is = |names: &[&str]| names.iter().any(|one| one.eq_ignore_ascii_case(name));
            if is(&["Via", "v"]) {
                via = via.or_else(|| Some(value.split(',').next().unwrap_or_default().to_owned()));
            } else if is(&["CSeq"]) {
                sequence = Some(value.to_owned());
            } else if is(&["Content-Length", "l"]) {
                length = value.parse().ok()?;
            } else if is(&[if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" }]) {
                challenges.push(value.to_owned());
            }
        }
        let via = via?;
        let mut parameters = via.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        let is_ours =
            parameters.any(|(name, value)| name.trim().eq_ignore_ascii_case("branch") && value.trim() == branch);
        let sequence = sequence?;
        let (digits, method) = sequence.split_once([' ', '\t'])?;
        let is_same = digits.parse() == Ok(number) && method.trim() == "NOTIFY";
        (is_ours && is_same).then_some(Self { status, challenges, length })
    }

    /// Whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        self.status >= 200
    }
}

/// The lines of a head, up to the empty one, those put together that were folded. None where there are too many, or control
/// characters in them.
fn unfolded(head: &str) -> Option<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for line in head.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            break;
        }
        // It may go into a header of ours.
        if line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return None;
        }
        let is_full = lines.len() == LINES;
        match lines.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
            Some(last) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            None if is_full => return None,
            None => lines.push(line.to_owned()),
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notify_is_written_as_rfc_3261_has_it() {
        let to = Address::of("1001", "sip.example.com:5060").unwrap();
        let secret = Secret::new("Digest x");
        let mut notify = Notify {
            to: &to,
            from: None,
            own: "192.0.2.1:40001".parse().unwrap(),
            transport: Transport::Udp,
            tag: "t1",
            call_id: "c1",
            branch: "z9hG4bKb1",
            number: 1,
            event: "check-sync",
            proof: None,
        };
        let text = |notify: &Notify<'_>| notify.write().expose_text().unwrap().to_owned();
        assert_eq!(
            text(&notify),
            format!(
                "NOTIFY sip:1001@sip.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:40001;branch=z9hG4bKb1;rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:resyncd@192.0.2.1>;tag=t1\r\nTo: <sip:1001@sip.example.com>\r\n\
                 Call-ID: c1\r\nCSeq: 1 NOTIFY\r\nContact: <sip:resyncd@192.0.2.1:40001>\r\nEvent: check-sync\r\n\
                 Subscription-State: terminated\r\nUser-Agent: resyncd/{}\r\nContent-Length: 0\r\n\r\n",
                env!("CARGO_PKG_VERSION")
            )
        );
        notify.own = "[2001:db8::1]:40001".parse().unwrap();
        (notify.transport, notify.number) = (Transport::Tcp, 2);
        notify.proof = Some(("Proxy-Authorization", &secret));
        notify.from = Some("sip:provisioning@example.com");
        let text = text(&notify);
        for part in [
            "Via: SIP/2.0/TCP [2001:db8::1]:40001;branch=z9hG4bKb1;rport\r\n",
            "From: <sip:provisioning@example.com>;tag=t1\r\n",
            "Contact: <sip:resyncd@[2001:db8::1]:40001;transport=tcp>\r\n",
            "CSeq: 2 NOTIFY\r\n",
            "Proxy-Authorization: Digest x\r\nContent-Length: 0\r\n\r\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_a_setting_says_is_one_address_and_nothing_more() {
        for (text, address) in [
            ("1001@sip.example.com", "sip:1001@sip.example.com"),
            ("1001@sip.example.com:", "sip:1001@sip.example.com"),
            ("1001@sip.example.com:5080", "sip:1001@sip.example.com:5080"),
            (" sip:1001@sip.example.com:5060 ", "sip:1001@sip.example.com"),
            ("a b\r\nX: y@192.0.2.1", "sip:a%20b%0D%0AX%3A%20y@192.0.2.1"),
            ("+43;x=<1>@[2001:db8::1]:5060", "sip:+43%3Bx=%3C1%3E@[2001:db8::1]"),
            ("1001@[2001:db8::1]:80", "sip:1001@[2001:db8::1]:80"),
            ("1001@192.0.2.1:80", "sip:1001@192.0.2.1:80"),
            ("a@b@example.com", "sip:a%40b@example.com"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), address);
        }
        for text in ["", "1001", "@sip.example.com", "1001@", "1001@a b", "1001@a\r\nX: y", "1001@a;b", "1001@a:x"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    const ANSWER: &str = "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 192.0.2.1:40001;rport=40001;received=192.0.2.1\r\n \
         ;branch=z9hG4bKb1, SIP/2.0/UDP 192.0.2.9\r\nv: SIP/2.0/UDP other;branch=no\r\nCSeq: 2  NOTIFY\r\n\
         www-authenticate: Digest realm=\"a\",\r\n\tnonce=\"b\"\r\nProxy-Authenticate: Digest realm=\"c\"\r\nl: 4\r\n\r\nbody";

    #[test]
    fn answers_are_read_whatever_they_look_like() {
        let read = Answer::read(ANSWER.as_bytes(), "z9hG4bKb1", 2).unwrap();
        assert_eq!((read.status, read.length, read.is_final()), (401, 4, true));
        assert_eq!(read.challenges, ["Digest realm=\"a\", nonce=\"b\""]);
        let read = Answer::read(ANSWER.replace("401", "407").as_bytes(), "z9hG4bKb1", 2).unwrap();
        assert_eq!(read.challenges, ["Digest realm=\"c\""]);
        let trying = "SIP/2.0 100 Trying\nv:SIP/2.0/UDP h;branch=z9hG4bKb1\ncseq:1 NOTIFY\n\n";
        assert!(!Answer::read(trying.as_bytes(), "z9hG4bKb1", 1).unwrap().is_final());
    }

    #[test]
    fn the_answer_to_another_request_is_none() {
        assert_eq!(Answer::read(ANSWER.as_bytes(), "z9hG4bKb2", 2), None);
        assert_eq!(Answer::read(ANSWER.as_bytes(), "z9hG4bKb1", 1), None);
        for (from, to) in [
            ("SIP/2.0 401", "SIP/2.0 9999"),
            ("SIP/2.0 401", "HTTP/1.1 401"),
            ("NOTIFY", "INVITE"),
            ("CSeq", "Sequence"),
            ("l: 4", "l: four"),
            ("l: 4", "no header"),
            ("Via", "Vias"),
            ("realm=\"a\"", "realm=\"a\rX: y\""),
        ] {
            let answer = ANSWER.replacen(from, to, 1);
            assert_eq!(Answer::read(answer.as_bytes(), "z9hG4bKb1", 2), None, "{to}");
        }
        for bytes in [&b""[..], b"\r\n\r\n", b"SIP/2.0", b"SIP/2.0 \xff\xff\xff", b"SIP/2.0 200"] {
            assert_eq!(Answer::read(bytes, "z9hG4bKb1", 2), None);
        }
        let endless = format!("SIP/2.0 200 OK\r\n{}", "a: b\r\n".repeat(LINES));
        assert_eq!(Answer::read(endless.as_bytes(), "z9hG4bKb1", 2), None);
    }
}
