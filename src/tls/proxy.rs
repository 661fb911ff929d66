//! The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): what a proxy says before anything else about the
//! connection that it passes on. Read from configured peers only; it is not encrypted and proves nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What version 2 begins with: no text, and no TLS.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, its end included.
const LINE: usize = 107;

/// What may follow the head of version 2: addresses, and what the proxy adds (a server name, its own TLS), which is passed
/// over. The format has room for 64 KiB.
const BODY: usize = 4096;

/// Why a connection from a proxy is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("it has to begin with the PROXY protocol, and doesn't: switch it on there (HAProxy: send-proxy-v2)")]
    Missing,
    #[error("the connection ended within the PROXY header")]
    Closed,
    #[error("the PROXY header is malformed: {0}")]
    Malformed(&'static str),
}

/// Reads the header and not a byte more. None where the proxy speaks for itself, as health checks do, or says that it
/// doesn't know.
///
/// # Errors
///
/// There is no header, or none that can be understood.
pub async fn read_proxy_header<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, ProxyError> {
    let mut begin = [0; SIGNATURE.len()];
    fill(stream, &mut begin).await?;
    if begin == SIGNATURE {
        let mut head = [0; 4];
        fill(stream, &mut head).await?;
        let [version, family, high, low] = head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > BODY {
            return Err(ProxyError::Malformed("it is longer than 4096 bytes"));
        }
        let mut body = vec![0; length];
        fill(stream, &mut body).await?;
        return binary(version, family, &body);
    }
    if !begin.starts_with(b"PROXY ") {
        return Err(ProxyError::Missing);
    }
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE {
            return Err(ProxyError::Malformed("its line is longer than 107 bytes"));
        }
        // What follows is somebody else's, so that nothing can be read ahead.
        let mut next = [0];
        fill(stream, &mut next).await?;
        line.extend(next);
    }
    let line = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
    text(line.ok_or(ProxyError::Malformed("it is no text"))?)
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut [u8]) -> Result<(), ProxyError> {
    stream.read_exact(buffer).await.map(drop).map_err(|_| ProxyError::Closed)
}

/// Version 1: `PROXY TCP4 192.0.2.7 10.0.0.5 40000 443`.
fn text(line: &str) -> Result<Option<SocketAddr>, ProxyError> {
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let (source, _, port, _) = match (words.next(), words.next(), words.next(), words.next(), words.next()) {
        (Some(source), Some(target), Some(port), Some(target_port), None) => (source, target, port, target_port),
        _ => return Err(ProxyError::Malformed("it has to have two addresses and two ports")),
    };
    let address = match family {
        Some("TCP4") => source.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        Some("TCP6") => source.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        _ => return Err(ProxyError::Malformed("it is about neither TCP4, TCP6 nor UNKNOWN")),
    };
    let address = address.ok_or(ProxyError::Malformed("its source is no address of that family"))?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits).ok_or(ProxyError::Malformed("its port is none"))?;
    Ok(Some(SocketAddr::new(address.to_canonical(), port)))
}

/// Version 2, behind its signature.
fn binary(version: u8, family: u8, body: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    match version {
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err(ProxyError::Malformed("it is of neither version, or no command that there is")),
    }
    let short = ProxyError::Malformed("it is too short for its addresses");
    let port = |at: usize| body.get(at..at + 2).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
    let (address, port) = match family {
        // TCP over IPv4: two addresses, two ports.
        0x11 => (body.get(..4).and_then(|ip| <[u8; 4]>::try_from(ip).ok()).map(IpAddr::from), port(8)),
        0x21 => (body.get(..16).and_then(|ip| <[u8; 16]>::try_from(ip).ok()).map(IpAddr::from), port(32)),
        // Unspecified, and sockets of the proxy's own machine.
        0x00 | 0x31 => return Ok(None),
        _ => return Err(ProxyError::Malformed("it is not about TCP")),
    };
    let complete = body.len() >= if family == 0x11 { 12 } else { 36 };
    match (address, port) {
        (Some(address), Some(port)) if complete => Ok(Some(SocketAddr::new(address.to_canonical(), port))),
        _ => Err(short),
    }
}
