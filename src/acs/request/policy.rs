//! Where a connection request may go. What a phone reports is a claim: without this, whoever has a phone could have the server ask
//! whatever the server reaches. Nothing here asks anybody; a name is judged by the addresses that it was resolved to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config;

/// Longest URL that is read, in bytes: `ConnectionRequestURL` has 256.
const LONGEST: usize = 256;

/// The port of a URL that names none, and of a `UDPConnectionRequestAddress` (TR-069, Annex G).
const USUAL_PORT: u16 = 80;

/// A kind of address that is asked only where the configuration says so; some never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    Unspecified,
    Loopback,
    LinkLocal,
    Multicast,
    Broadcast,
    Documentation,
    Reserved,
    /// Where clouds tell machines their secrets.
    Metadata,
    /// An address of this machine.
    Own,
}

impl Special {
    fn is_never_asked(self) -> bool {
        matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation",
            Self::Reserved => "reserved",
            Self::Metadata => "metadata",
            Self::Own => "own-address",
        }
    }
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "no address of anybody",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Documentation => "an address for documentation",
            Self::Reserved => "a reserved address",
            Self::Metadata => "where clouds tell machines their secrets",
            Self::Own => "this server's own address",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(segments: [u16; 8], prefix: u8) -> IpNet {
    let [a, b, c, d, e, f, g, h] = segments;
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix))
}

/// IANA's registries of special addresses, as far as no phone can be there. Private networks are no part of it: phones are.
const SPECIAL: [(Special, IpNet); 24] = [
    (Special::Unspecified, v4(0, 0, 0, 0, 8)),
    (Special::Unspecified, v6([0; 8], 128)),
    (Special::Loopback, v4(127, 0, 0, 0, 8)),
    (Special::Loopback, v6([0, 0, 0, 0, 0, 0, 0, 1], 128)),
    (Special::LinkLocal, v4(169, 254, 0, 0, 16)),
    (Special::LinkLocal, v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)),
    (Special::Multicast, v4(224, 0, 0, 0, 4)),
    (Special::Multicast, v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8)),
    (Special::Broadcast, v4(255, 255, 255, 255, 32)),
    (Special::Documentation, v4(192, 0, 2, 0, 24)),
    (Special::Documentation, v4(198, 51, 100, 0, 24)),
    (Special::Documentation, v4(203, 0, 113, 0, 24)),
    (Special::Documentation, v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32)),
    (Special::Documentation, v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20)),
    (Special::Metadata, v4(100, 100, 100, 200, 32)),
    (Special::Metadata, v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128)),
    (Special::Reserved, v4(192, 0, 0, 0, 24)),
    (Special::Reserved, v4(192, 88, 99, 0, 24)),
    (Special::Reserved, v4(198, 18, 0, 0, 15)),
    (Special::Reserved, v4(240, 0, 0, 0, 4)),
    (Special::Reserved, v6([0; 8], 96)),
    (Special::Reserved, v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48)),
    (Special::Reserved, v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64)),
    (Special::Reserved, v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23)),
];

fn special(address: IpAddr) -> Option<Special> {
    SPECIAL.iter().find(|(_, network)| network.contains(&address)).map(|(special, _)| *special)
}

/// The IPv4 address that an IPv6 one leads to: NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> Option<IpAddr> {
    const NAT64: IpNet = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
    const SIX_TO_FOUR: IpNet = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
    let IpAddr::V6(v6) = address else { return None };
    let shift = if NAT64.contains(&address) {
        0
    } else if SIX_TO_FOUR.contains(&address) {
        80
    } else {
        return None;
    };
    let bits = u32::try_from(v6.to_bits() >> shift & u128::from(u32::MAX)).ok()?;
    Some(Ipv4Addr::from_bits(bits).into())
}

/// Why an address is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("{0} is in {1}, which connection_requests.deny names")]
    Denied(IpAddr, IpNet),
    #[error("{0} is {1}, which is never asked")]
    Never(IpAddr, Special),
    #[error("{0} is {1}, which is asked only if connection_requests.allow names it")]
    Special(IpAddr, Special),
    #[error("{0} is in {1}, a network of this server's own, which is asked only if connection_requests.allow names it")]
    OwnNetwork(IpAddr, IpNet),
    #[error("port {0} is below connection_requests.lowest_port, {1}")]
    Port(u16, u16),
}

impl Forbidden {
    /// The rule in a word, for programs.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Denied(..) => "denied",
            Self::Never(_, special) | Self::Special(_, special) => special.word(),
            Self::OwnNetwork(..) => "own-network",
            Self::Port(..) => "port",
        }
    }
}

/// Where this machine is itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    pub addresses: Vec<IpAddr>,
    pub networks: Vec<IpNet>,
}

/// The operator's word on it.
#[derive(Debug, Clone)]
pub struct Policy {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    lowest_port: u16,
}

impl Policy {
    pub fn new(config: &config::ConnectionRequests) -> Self {
        Self { allow: config.allow.clone(), deny: config.deny.clone(), lowest_port: config.lowest_port }
    }

    /// Whether a connection request may go there.
    ///
    /// # Errors
    /// The rule that is against it.
    pub fn judge(&self, to: SocketAddr, own: &Own) -> Result<(), Forbidden> {
        if to.port() < self.lowest_port {
            return Err(Forbidden::Port(to.port(), self.lowest_port));
        }
        self.judge_address(to.ip().to_canonical(), own)
    }

    fn judge_address(&self, address: IpAddr, own: &Own) -> Result<(), Forbidden> {
        let kind = special(address);
        if let Some(kind) = kind.filter(|kind| kind.is_never_asked()) {
            return Err(Forbidden::Never(address, kind));
        }
        // The narrower network decides, so that a hole can be made in either list; of two that are as narrow, the one that denies.
        let narrowest = |list: &[IpNet]| {
            list.iter().filter(|network| network.contains(&address)).max_by_key(|network| network.prefix_len()).copied()
        };
        let (allowed, denied) = (narrowest(&self.allow), narrowest(&self.deny));
        match (allowed, denied) {
            (Some(allowed), Some(denied)) if denied.prefix_len() >= allowed.prefix_len() => {
                return Err(Forbidden::Denied(address, denied));
            }
            (None, Some(denied)) => return Err(Forbidden::Denied(address, denied)),
            (Some(_), _) => return Ok(()),
            (None, None) => {}
        }
        if let Some(kind) = kind {
            return Err(Forbidden::Special(address, kind));
        }
        if own.addresses.contains(&address) {
            return Err(Forbidden::Special(address, Special::Own));
        }
        if let Some(network) = own.networks.iter().find(|network| network.contains(&address)) {
            return Err(Forbidden::OwnNetwork(address, network.trunc()));
        }
        embedded(address).map_or(Ok(()), |address| self.judge_address(address, own))
    }
}

/// Who is to be asked: a name has to be resolved, and what it comes to be judged, before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    Name(String),
}

/// Host and port, as a phone claims them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub host: Host,
    pub port: u16,
}

/// A URL that a phone claims to hear connection requests at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub place: Place,
    /// Path and query.
    pub target: String,
}

/// Why a claim can't be used. What the phone wrote is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("it has more than {LONGEST} bytes")]
    TooLong,
    #[error("it does not begin with http://")]
    Scheme,
    #[error("it holds a user name, which none may")]
    User,
    #[error("it names no host")]
    Host,
    #[error("its port is none")]
    Port,
    #[error("its path holds what no path may")]
    Path,
}

impl Place {
    /// Reads `host`, `host:port` or `[address]:port`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, ClaimError> {
        if text.len() > LONGEST {
            return Err(ClaimError::TooLong);
        }
        if text.contains('@') {
            return Err(ClaimError::User);
        }
        let (host, rest) = match text.strip_prefix('[') {
            Some(inner) => {
                let (address, rest) = inner.split_once(']').ok_or(ClaimError::Host)?;
                (Host::Address(IpAddr::V6(address.parse().map_err(|_| ClaimError::Host)?)), rest)
            }
            None => {
                let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
                (host(name)?, rest)
            }
        };
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => USUAL_PORT,
            None => return Err(ClaimError::Host),
            Some("") => USUAL_PORT,
            Some(digits) => {
                let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
                digits.parse().ok().filter(|port| is_number && *port > 0).ok_or(ClaimError::Port)?
            }
        };
        Ok(Self { host, port })
    }
}

fn host(name: &str) -> Result<Host, ClaimError> {
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    let is_name = (1..=253).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    // `0x7f000001` and `127.1` are addresses to some resolvers: no name ends in a number.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    if is_name && !is_number { Ok(Host::Name(name.to_owned())) } else { Err(ClaimError::Host) }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl Claim {
    /// Reads a `ConnectionRequestURL`.
    ///
    /// # Errors
    /// When it is no plain `http://` URL.
    pub fn parse(url: &str) -> Result<Self, ClaimError> {
        if url.len() > LONGEST {
            return Err(ClaimError::TooLong);
        }
        let rest = match url.trim().split_at_checked(7) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http://") => rest,
            _ => return Err(ClaimError::Scheme),
        };
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let place = Place::parse(authority)?;
        let target = target.split('#').next().unwrap_or_default();
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(ClaimError::Path);
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { place, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], deny: &[&str]) -> Policy {
        let networks = |list: &[&str]| list.iter().map(|network| network.parse().unwrap()).collect();
        Policy { allow: networks(allow), deny: networks(deny), lowest_port: 1024 }
    }

    fn judged(policy: &Policy, address: &str) -> &'static str {
        let own = Own {
            addresses: vec!["10.1.0.5".parse().unwrap()],
            networks: vec!["10.1.0.0/24".parse().unwrap(), "2a00:1:2:3::/64".parse().unwrap()],
        };
        let to = SocketAddr::new(address.parse().unwrap(), 7547);
        policy.judge(to, &own).map_or_else(|rule| rule.rule(), |()| "allowed")
    }

    #[test]
    fn a_connection_request_goes_where_a_phone_can_be_and_nowhere_else() {
        let usual = policy(&[], &[]);
        for (address, rule) in [
            ("8.8.8.8", "allowed"),
            ("10.2.0.1", "allowed"),
            ("172.16.4.5", "allowed"),
            ("192.168.1.20", "allowed"),
            ("100.64.0.9", "allowed"),
            ("2a00:1:2:4::1", "allowed"),
            ("fd12:3456::1", "allowed"),
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("::", "unspecified"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::127.0.0.1", "reserved"),
            ("64:ff9b::127.0.0.1", "loopback"),
            ("64:ff9b::8.8.8.8", "allowed"),
            ("64:ff9b::10.1.0.77", "own-network"),
            ("2002:7f00:1::", "loopback"),
            ("169.254.169.254", "link-local"),
            ("fe80::1", "link-local"),
            ("224.0.0.1", "multicast"),
            ("ff02::1", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("192.0.2.1", "documentation"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("2001:db8::1", "documentation"),
            ("100.100.100.200", "metadata"),
            ("fd00:ec2::254", "metadata"),
            ("192.0.0.1", "reserved"),
            ("198.18.0.1", "reserved"),
            ("240.0.0.1", "reserved"),
            ("2001::1", "reserved"),
            ("10.1.0.5", "own-address"),
            ("10.1.0.77", "own-network"),
            ("::ffff:10.1.0.77", "own-network"),
            ("2a00:1:2:3::9", "own-network"),
        ] {
            assert_eq!(judged(&usual, address), rule, "{address}");
        }
    }

    #[test]
    fn what_is_allowed_opens_what_is_denied_closes_and_the_narrower_wins() {
        let open = policy(&["127.0.0.0/8", "10.1.0.0/24", "0.0.0.0/0", "ff00::/8"], &[]);
        for (address, rule) in [
            ("127.0.0.1", "allowed"),
            ("10.1.0.5", "allowed"),
            ("192.0.2.1", "allowed"),
            // Nobody is asked who is many, or none.
            ("255.255.255.255", "broadcast"),
            ("224.0.0.1", "multicast"),
            ("0.0.0.0", "unspecified"),
            ("ff02::1", "multicast"),
            ("::1", "loopback"),
        ] {
            assert_eq!(judged(&open, address), rule, "{address}");
        }
        let only = policy(&["10.0.0.0/8", "172.16.0.0/12"], &["0.0.0.0/0", "::/0", "10.9.0.0/16", "172.16.0.0/12"]);
        for (address, rule) in [
            ("10.2.0.1", "allowed"),
            ("10.1.0.5", "allowed"),
            ("10.9.0.1", "denied"),
            ("172.16.0.1", "denied"),
            ("8.8.8.8", "denied"),
            ("2a00::1", "denied"),
        ] {
            assert_eq!(judged(&only, address), rule, "{address}");
        }
        let to = |port| only.judge(SocketAddr::new([10, 2, 0, 1].into(), port), &Own::default());
        assert_eq!(to(22).unwrap_err().to_string(), "port 22 is below connection_requests.lowest_port, 1024");
        assert_eq!(to(1024), Ok(()));
    }

    #[test]
    fn a_url_is_read_as_nothing_else_could_read_it_otherwise() {
        let claim = Claim::parse("http://192.0.2.7:7547/a1b2?x=1#top").unwrap();
        assert_eq!((claim.place.to_string().as_str(), claim.target.as_str()), ("192.0.2.7:7547", "/a1b2?x=1"));
        assert_eq!(Claim::parse("HTTP://[2001:db8::7]:12345").unwrap().place.to_string(), "[2001:db8::7]:12345");
        let named = Claim::parse("http://phone-1.example.com?x").unwrap();
        assert_eq!((named.place.to_string().as_str(), named.target.as_str()), ("phone-1.example.com:80", "/?x"));
        for (url, error) in [
            ("", ClaimError::Scheme),
            ("https://192.0.2.7/", ClaimError::Scheme),
            ("file:///etc/passwd", ClaimError::Scheme),
            ("gopher://192.0.2.7:7547/", ClaimError::Scheme),
            ("http://user:secret@192.0.2.7/", ClaimError::User),
            ("http://192.0.2.7@127.0.0.1/", ClaimError::User),
            ("http://", ClaimError::Host),
            ("http:///path", ClaimError::Host),
            ("http://2130706433/", ClaimError::Host),
            ("http://0x7f000001/", ClaimError::Host),
            ("http://0x7f.1/", ClaimError::Host),
            ("http://127.1/", ClaimError::Host),
            ("http://0177.0.0.1/", ClaimError::Host),
            ("http://localhost.1./", ClaimError::Host),
            ("http://[fe80::1%25eth0]/", ClaimError::Host),
            ("http://[::1", ClaimError::Host),
            ("http://[::1]x:80/", ClaimError::Host),
            ("http://a b/", ClaimError::Host),
            ("http://a\\b/", ClaimError::Host),
            ("http://192.0.2.7:0/", ClaimError::Port),
            ("http://192.0.2.7:65536/", ClaimError::Port),
            ("http://192.0.2.7:+80/", ClaimError::Port),
            ("http://192.0.2.7:80:80/", ClaimError::Port),
            ("http://192.0.2.7/a b", ClaimError::Path),
            ("http://192.0.2.7/a\r\nX: 1", ClaimError::Path),
            ("http://192.0.2.7/ä", ClaimError::Path),
        ] {
            assert_eq!(Claim::parse(url), Err(error), "{url}");
        }
        assert_eq!(Claim::parse(&format!("http://192.0.2.7/{}", "a".repeat(256))), Err(ClaimError::TooLong));
    }
}
