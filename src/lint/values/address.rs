//! Addresses and names of servers (guide: "IP", "FQDN", and RFC 1123 for what a name may hold).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Quoted, Wrong, span_of};

/// The guide's longest FQDN is 63 characters; that of DNS is 253, and providers have longer names than Cisco's. The phone
/// guides' own bound is a label's.
const LONGEST_NAME: usize = 253;

/// An IPv4 or IPv6 address: the guide's IP is IPv4 alone, newer firmware has a few parameters of either.
pub(super) fn ip(value: &str) -> Result<(), Wrong> {
    if value.parse::<Ipv4Addr>().is_ok() || value.parse::<Ipv6Addr>().is_ok() {
        return Ok(());
    }
    let wrong = Wrong::new(format!(
        "{} is no IP address: it must be like 10.1.2.100, each number from 0 to 255",
        Quoted(value)
    ));
    let bad = value.split('.').find(|part| part.parse::<u8>().is_err() || (part.len() > 1 && part.starts_with('0')));
    Err(match bad {
        Some(part) if value.contains('.') && !part.is_empty() => wrong.at(span_of(value, part)),
        _ => wrong,
    })
}

/// A name or address, with a port or without: the guide's examples of FQDN have one.
pub(super) fn fqdn(value: &str) -> Result<(), Wrong> {
    host_port(value)
}

/// `host`, `host:port`, `10.0.0.5:5060`, `[2001:db8::1]:5060`; what follows a `;`, as in `sip.example;lr`, is left to the
/// phone. Several stand side by side with commas, as `Voice > Ext > Proxy` has it.
pub(super) fn host_port(value: &str) -> Result<(), Wrong> {
    for part in value.split(',') {
        let start = span_of(value, part).start;
        let one = part.trim_matches(' ');
        let offset = start + span_of(part, one).start;
        single(one).map_err(|wrong| wrong.moved(offset))?;
    }
    Ok(())
}

fn single(value: &str) -> Result<(), Wrong> {
    if let Some((scheme, _)) = value.split_once("://") {
        return Err(Wrong::new(format!("{} must be a server's name or address, without a scheme", Quoted(value)))
            .help("leave out everything up to the ://")
            .at(0..scheme.len() + 3));
    }
    if let Some(scheme) = ["sip:", "sips:"].into_iter().find(|scheme| value.starts_with(scheme)) {
        return Err(Wrong::new(format!("{} must be a server's name or address, without a scheme", Quoted(value)))
            .help(format!("leave out the {scheme}"))
            .at(0..scheme.len()));
    }
    let server = value.split_once(';').map_or(value, |(server, _)| server);
    if server.parse::<Ipv6Addr>().is_ok() {
        return Ok(());
    }
    if let Some(inner) = server.strip_prefix('[') {
        let Some((address, rest)) = inner.split_once(']').filter(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
        else {
            return Err(Wrong::new(format!("{} holds no IPv6 address between [ and ]", Quoted(value))));
        };
        let Some(port) = rest.strip_prefix(':') else {
            return if rest.is_empty() { Ok(()) } else { Err(after_address(value, address.len() + 2)) };
        };
        return port_number(value, port);
    }
    let (host, port) = match server.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (server, None),
    };
    name(value, host)?;
    port.map_or(Ok(()), |port| port_number(value, port))
}

fn after_address(value: &str, at: usize) -> Wrong {
    Wrong::new(format!("only :port may follow the address of {}", Quoted(value))).at(at..value.len())
}

fn name(value: &str, host: &str) -> Result<(), Wrong> {
    if host.is_empty() {
        return Err(Wrong::new(format!(
            "{} names no server: it must be like sip.example.com or 10.1.2.100",
            Quoted(value)
        )));
    }
    // Underscores are no part of a host's name, but of names that SRV records are asked for by.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if let Some((at, c)) = host.char_indices().find(|(_, c)| !plain(*c)) {
        return Err(Wrong::new(format!("a server's name cannot hold {}", Quoted(c.encode_utf8(&mut [0; 4]))))
            .at(at..at + c.len_utf8()));
    }
    if host.len() > LONGEST_NAME {
        return Err(Wrong::new(format!(
            "a server's name has at most {LONGEST_NAME} characters, this one {}",
            host.len()
        )));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if let Some(label) = host
        .split('.')
        .find(|label| label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-'))
    {
        let message = format!(
            "{} is no part of a server's name: each has 1 to 63 letters, digits and inner hyphens",
            Quoted(label)
        );
        return Err(Wrong::new(message).at(span_of(value, label)));
    }
    // Four numbers are meant as an address; and a name whose last part is a number is none (RFC 1123, 2.1).
    let numeric = host.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric && host.contains('.') {
        ip(host).map_err(|wrong| wrong.moved(span_of(value, host).start))
    } else {
        Ok(())
    }
}

fn port_number(value: &str, port: &str) -> Result<(), Wrong> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if digits && port.parse::<u16>().is_ok() {
        return Ok(());
    }
    Err(Wrong::new(format!("{} is no port: it must be a number from 0 to 65535", Quoted(port)))
        .at(span_of(value, port)))
}
