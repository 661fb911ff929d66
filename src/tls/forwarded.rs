//! What a proxy that speaks HTTP says in headers about the phone it speaks for: its address, and its certificate.
//!
//! Only of configured peers, and only in the header that is configured: a proxy that writes one of them passes the other on
//! as the phone sent it.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::FORWARDED;
use openssl::x509::X509;
use percent_encoding::percent_decode_str;

use super::acceptor::Acceptor;
use crate::config::{Proxy, ProxyProtocol};
use crate::resync::{ClientCertificate, Connection};

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Why a request from a proxy is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardedError {
    #[error("the proxy doesn't say for whom it speaks: have it set {0}")]
    Missing(&'static str),
    #[error("{0} has \"{1}\" where the phone's address should be")]
    NoAddress(&'static str, String),
    #[error("{0} occurs more than once: the proxy has to replace what phones send in it")]
    Twice(String),
    #[error("{0} holds no certificate that can be read")]
    NoCertificate(String),
    #[error("the listener requires a client certificate, and the proxy forwards none that verifies: {0}")]
    Required(String),
}

/// Whether this peer speaks for others.
pub(super) fn speaks(proxy: &Proxy, peer: IpAddr) -> bool {
    proxy.networks.iter().any(|network| network.contains(&peer))
}

/// The phone's connection, as the proxy at the other end tells of it in a request.
///
/// # Errors
///
/// It doesn't, or not so that it can be understood. Its own address must not be taken for the phone's: rules about networks
/// would.
pub fn phone_behind(
    proxy: &Proxy,
    connection: &Connection,
    headers: &HeaderMap,
    acceptor: Option<&Acceptor>,
) -> Result<Connection, ForwardedError> {
    let peer = address(proxy, headers)?;
    let mut phone = Connection { peer, ..connection.clone() };
    let Some(tls) = &mut phone.tls else { return Ok(phone) };
    // What was shown in the handshake is the proxy's own.
    tls.certificate = ClientCertificate::None;
    let (Some(header), Some(acceptor)) = (&proxy.certificate_header, acceptor) else { return Ok(phone) };
    if let Some(certificate) = certificate(header, headers)? {
        tls.certificate = acceptor.judge(&certificate);
    }
    match &tls.certificate {
        ClientCertificate::Verified { .. } => {}
        _ if !acceptor.requires_certificate() => {}
        ClientCertificate::None => return Err(ForwardedError::Required("there is none".to_owned())),
        ClientCertificate::Unverified { reason, .. } => return Err(ForwardedError::Required(reason.clone())),
    }
    Ok(phone)
}

/// The right-most address that is no proxy's: what stands left of it is the phone's word.
fn address(proxy: &Proxy, headers: &HeaderMap) -> Result<SocketAddr, ForwardedError> {
    let (name, header) = match proxy.protocol {
        ProxyProtocol::Forwarded => ("Forwarded", FORWARDED.as_str()),
        ProxyProtocol::XForwardedFor | ProxyProtocol::Proxy => ("X-Forwarded-For", X_FORWARDED_FOR),
    };
    let lines: Vec<_> = headers.get_all(header).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let mut found = None;
    for element in lines.iter().rev().flat_map(|line| elements(proxy, line)) {
        let node = match proxy.protocol {
            ProxyProtocol::Forwarded => for_of(element).unwrap_or_default(),
            ProxyProtocol::XForwardedFor | ProxyProtocol::Proxy => element.trim().to_owned(),
        };
        let Some(address) = node_address(&node) else {
            return Err(ForwardedError::NoAddress(name, node.chars().take(64).collect()));
        };
        found = Some(address);
        if !speaks(proxy, address.ip()) {
            break;
        }
    }
    found.ok_or(ForwardedError::Missing(name))
}

/// The elements of a header's line, from the right.
fn elements<'l>(proxy: &Proxy, line: &'l str) -> Vec<&'l str> {
    let mut elements = match proxy.protocol {
        ProxyProtocol::Forwarded => split(line, ',').0,
        ProxyProtocol::XForwardedFor | ProxyProtocol::Proxy => line.split(',').collect(),
    };
    elements.reverse();
    elements
}

/// The parts of a text between separators that stand outside quotes, and whether a quote is left open at the end.
fn split(text: &str, separator: char) -> (Vec<&str>, bool) {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|character: char| {
        let ends = character == separator && !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        ends
    });
    (parts.collect(), quoted)
}

/// The `for` of one element of `Forwarded`; none where it has none, or two. None too where a quote is left open: that is how
/// a phone would have what the proxy adds read as part of what it sent itself.
fn for_of(element: &str) -> Option<String> {
    let (pairs, is_open) = split(element, ';');
    if is_open {
        return None;
    }
    let mut nodes = pairs.into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    let Some(quoted) = node.strip_prefix('"') else { return Some(node.to_owned()) };
    Some(quoted.strip_suffix('"')?.replace('\\', ""))
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:4711`. Not `unknown`, nor a name that hides
/// the address.
fn node_address(node: &str) -> Option<SocketAddr> {
    let address = node.parse::<SocketAddr>().ok().or_else(|| {
        let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
        bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0))
    })?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// The certificate of a header; none where it is empty or not there.
fn certificate(name: &str, headers: &HeaderMap) -> Result<Option<X509>, ForwardedError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ForwardedError::Twice(name.to_owned()));
    }
    let unreadable = || ForwardedError::NoCertificate(name.to_owned());
    let text = value.to_str().map_err(|_| unreadable())?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let decoded: Vec<u8> = percent_decode_str(text).collect();
    let certificate = if decoded.starts_with(b"-----BEGIN ") {
        X509::from_pem(&decoded).ok()
    } else {
        // RFC 9440 has it between colons.
        let base64 = text.strip_prefix(':').and_then(|text| text.strip_suffix(':')).unwrap_or(text);
        let der = STANDARD.decode(base64).map_err(|_| unreadable())?;
        // OpenSSL passes over what follows.
        X509::from_der(&der).ok().filter(|certificate| certificate.to_der().is_ok_and(|whole| whole == der))
    };
    super::verify::forget_errors();
    certificate.map(Some).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(protocol: ProxyProtocol) -> Proxy {
        Proxy { networks: vec!["10.0.0.0/24".parse().unwrap()], protocol, certificate_header: None }
    }

    fn found(protocol: ProxyProtocol, lines: &[(&'static str, &str)]) -> Result<String, ForwardedError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        address(&proxy(protocol), &headers).map(|address| address.to_string())
    }

    #[test]
    fn the_right_most_address_that_is_no_proxys_counts() {
        let found = |lines: &[(&'static str, &str)]| found(ProxyProtocol::XForwardedFor, lines).unwrap();
        assert_eq!(found(&[("x-forwarded-for", "192.0.2.7")]), "192.0.2.7:0");
        assert_eq!(found(&[("x-forwarded-for", "198.51.100.1, 192.0.2.7, 10.0.0.9")]), "192.0.2.7:0");
        assert_eq!(found(&[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "10.0.0.9")]), "192.0.2.7:0");
        assert_eq!(found(&[("x-forwarded-for", "made up, 192.0.2.7:4711")]), "192.0.2.7:4711");
        assert_eq!(found(&[("x-forwarded-for", "::ffff:192.0.2.7")]), "192.0.2.7:0");
        assert_eq!(found(&[("x-forwarded-for", "10.0.0.8, 10.0.0.9")]), "10.0.0.8:0");
        assert_eq!(found(&[("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "2001:db8::7")]), "[2001:db8::7]:0");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        let found = |value: &str| found(ProxyProtocol::Forwarded, &[("forwarded", value)]);
        for (value, address) in [
            ("for=192.0.2.7", "192.0.2.7:0"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60:0"),
            ("for=\"198.51.100.1, for=192.0.2.9\" , by=x;for=192.0.2.7,for=10.0.0.2", "192.0.2.7:0"),
            ("for=198.51.100.1;x=\"a\\\",for=192.0.2.1\", for=192.0.2.7", "192.0.2.7:0"),
        ] {
            assert_eq!(found(value).as_deref(), Ok(address), "{value}");
        }
        for value in [
            "for=unknown",
            "for=_hidden",
            "for=192.0.2.7, by=10.0.0.2",
            "for=192.0.2.1;for=192.0.2.7",
            "for=198.51.100.1;a=\", for=192.0.2.7",
            "for=198.51.100.1;a=\", for=\"[2001:db8::7]:1\"",
            "for=198.51.100.1;a=\"\\, for=192.0.2.7",
            "",
            "for=\"192.0.2.7",
        ] {
            assert!(matches!(found(value), Err(ForwardedError::NoAddress("Forwarded", _))), "{value}");
        }
    }

    #[test]
    fn a_proxy_that_says_nothing_is_not_the_phone() {
        assert_eq!(found(ProxyProtocol::Forwarded, &[]), Err(ForwardedError::Missing("Forwarded")));
        let other = [("forwarded", "for=192.0.2.7")];
        assert_eq!(found(ProxyProtocol::XForwardedFor, &other), Err(ForwardedError::Missing("X-Forwarded-For")));
    }
}
