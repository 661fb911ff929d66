//! Phones that come through a proxy: the PROXY protocol, `Forwarded`, `X-Forwarded-For`, and certificates that are forwarded.

use resyncd::config::{Proxy, ProxyProtocol};
use resyncd::tls::{ForwardedError, ProxyError};

use super::*;

pub(super) fn proxy(protocol: ProxyProtocol, networks: &str, certificate_header: Option<&str>) -> Proxy {
    let certificate_header = certificate_header.map(str::to_owned);
    Proxy { networks: vec![networks.parse().unwrap()], protocol, certificate_header }
}

/// A server behind this proxy, which answers with the phone's address and what is known of its connection.
pub(super) fn behind(proxy: Proxy, acceptor: Option<Acceptor>, limits: Limits) -> Server {
    let handler = |connection: Connection, _: hyper::Request<hyper::body::Incoming>| -> Answer {
        let said = format!("{} {}", connection.peer.ip(), describe(&connection));
        Box::pin(async move { http::Response::new(Body::from(said)) })
    };
    Server::listening(acceptor, limits, handler, |listening| Listening { proxy: Some(Arc::new(proxy)), ..listening })
}

fn by_protocol() -> Server {
    behind(proxy(ProxyProtocol::Proxy, "127.0.0.0/8", None), None, limits())
}

/// Version 2 of the header, with a body.
fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

const IPV4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 5, 0x9c, 0x40, 0x01, 0xbb];

fn ipv6() -> Vec<u8> {
    let mut body = vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    body.extend([0; 16]);
    body.extend([0x9c, 0x40, 0x01, 0xbb]);
    body
}

#[test]
fn the_proxy_protocol_tells_the_phones_address() {
    let server = by_protocol();
    let mut with_more = IPV4.to_vec();
    // What a proxy adds: here the server name that the phone asked for.
    with_more.extend(b"\x02\x00\x10prov.example.com");
    for (header, peer) in [
        (b"PROXY TCP4 192.0.2.7 10.0.0.5 40000 443\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::5 40000 443\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.5 40000 443\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(), "127.0.0.1"),
        (binary(0x21, 0x11, &IPV4), "192.0.2.7"),
        (binary(0x21, 0x11, &with_more), "192.0.2.7"),
        (binary(0x21, 0x21, &ipv6()), "2001:db8::7"),
        (binary(0x20, 0x00, &[]), "127.0.0.1"),
        (binary(0x20, 0x11, &IPV4), "127.0.0.1"),
        (binary(0x21, 0x00, &[]), "127.0.0.1"),
        (binary(0x21, 0x31, &[0; 216]), "127.0.0.1"),
    ] {
        let mut stream = server.connect();
        stream.write_all(&header).unwrap();
        assert_eq!(get(&mut stream).unwrap(), format!("{peer} plain"), "{}", String::from_utf8_lossy(&header));
    }
}

#[test]
fn a_proxy_has_to_speak_the_protocol_and_nothing_but_it() {
    let server = by_protocol();
    let long_line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    let mut endless = binary(0x21, 0x11, &IPV4);
    endless[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
    for header in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
        b"PROXY TCP4 192.0.2.7 10.0.0.5 40000\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.5 40000 443 1\r\n",
        b"PROXY TCP4  192.0.2.7 10.0.0.5 40000 443\r\n",
        b"PROXY TCP4 2001:db8::7 10.0.0.5 40000 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.5 +4000 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.5 70000 443\r\n",
        b"PROXY TCP5 192.0.2.7 10.0.0.5 40000 443\r\n",
        b"PROXY \xff\xfe 192.0.2.7 10.0.0.5 40000 443\r\n",
        long_line.as_bytes(),
        &binary(0x31, 0x11, &IPV4),
        &binary(0x22, 0x11, &IPV4),
        &binary(0x21, 0x12, &IPV4),
        &binary(0x21, 0x11, &IPV4[..11]),
        &binary(0x21, 0x21, &IPV4),
        &endless,
        b"PROXY TCP4 192.0.2.7",
        b"PRO",
        b"",
    ] {
        let mut stream = server.connect();
        stream.write_all(header).unwrap();
        // It fails where the server was faster.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let failure = server.failure();
        assert!(matches!(failure, ConnectionError::Proxy(_)), "{failure} of {}", String::from_utf8_lossy(header));
        assert_eq!(connections::assert_closed(&mut stream), b"");
    }
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert_eq!(server.failure(), ConnectionError::Proxy(ProxyError::Missing));
}

#[test]
fn a_header_that_trickles_is_cut_off() {
    let limits = Limits { handshake_timeout: SOON, ..limits() };
    let server = behind(proxy(ProxyProtocol::Proxy, "127.0.0.0/8", None), None, limits);
    let mut stream = server.connect();
    stream.write_all(b"PROXY TCP4 192").unwrap();
    assert_eq!(server.failure(), ConnectionError::Timeout(SOON));
    connections::assert_closed(&mut stream);
}

#[test]
fn nobody_else_may_speak_for_others() {
    let site = Site::new(ClientCertificatePolicy::None);
    for (protocol, plain) in [(ProxyProtocol::Proxy, true), (ProxyProtocol::Proxy, false)] {
        let acceptor = (!plain).then(|| site.acceptor());
        let server = behind(proxy(protocol, "192.0.2.0/24", None), acceptor, limits());
        let mut stream = server.connect();
        stream.write_all(b"PROXY TCP4 192.0.2.7 10.0.0.5 40000 443\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let expected = if plain { "no HTTP request" } else { "not TLS" };
        assert!(server.failure().to_string().contains(expected));
    }
    for (protocol, header) in [
        (ProxyProtocol::Forwarded, "Forwarded: for=192.0.2.7"),
        (ProxyProtocol::XForwardedFor, "X-Forwarded-For: 192.0.2.7"),
    ] {
        let server = behind(proxy(protocol, "192.0.2.0/24", None), None, limits());
        assert_eq!(ask_with(&mut server.connect(), header), (200, "127.0.0.1 plain".to_owned()));
    }
}

/// One request with one more header: status and body.
fn ask_with(stream: &mut (impl Read + Write), header: &str) -> (u16, String) {
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n").as_bytes()).unwrap();
    let (head, body) = read_answer(stream);
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

#[test]
fn each_request_of_a_proxy_tells_for_whom_it_is() {
    for (protocol, name, value) in [
        (ProxyProtocol::Forwarded, "Forwarded", "for=198.51.100.1, for=192.0.2."),
        (ProxyProtocol::XForwardedFor, "X-Forwarded-For", "198.51.100.1, 192.0.2."),
    ] {
        let server = behind(proxy(protocol, "127.0.0.0/8", None), None, limits());
        let mut stream = server.connect();
        for last in [7, 8, 9] {
            let asked = ask_with(&mut stream, &format!("{name}: {value}{last}"));
            assert_eq!(asked, (200, format!("192.0.2.{last} plain")));
        }
        for (header, error) in [
            ("Via: x".to_owned(), ForwardedError::Missing(name)),
            (format!("{name}: for=unknown"), ForwardedError::NoAddress(name, "unknown".to_owned())),
        ] {
            let (status, body) = ask_with(&mut stream, &header);
            assert_eq!((status, body.as_str()), (400, ""));
            match (server.failure(), error) {
                (ConnectionError::Forwarded(ForwardedError::NoAddress(..)), ForwardedError::NoAddress(..)) => {}
                (ConnectionError::Forwarded(found), expected) => assert_eq!(found, expected),
                (other, _) => panic!("{other}"),
            }
        }
        // One that says nothing costs the others nothing.
        assert_eq!(ask_with(&mut stream, &format!("{name}: {value}7")).0, 200);
    }
}

pub(super) fn base64_of(pair: &Pair) -> String {
    openssl::base64::encode_block(&pair.certificate.to_der().unwrap())
}

fn escaped(pair: &Pair) -> String {
    let pem = String::from_utf8(pair.certificate.to_pem().unwrap()).unwrap();
    percent_encoding::utf8_percent_encode(&pem, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn a_forwarded_certificate_is_verified_here() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let maker = authority("maker");
    let files = vec![maker.write_certificate(site.path(), "maker")];
    site.tls.client_roots = vec![resyncd::config::ClientRoot { name: "maker".to_owned(), files }];
    let stolen = site.phone(|_| {});
    let list = site.path().join("phones.crl");
    std::fs::write(&list, site.phone_ca.revoke(&[&stolen], 1).to_pem().unwrap()).unwrap();
    site.tls.crl = vec![list];
    let trusting = || proxy(ProxyProtocol::XForwardedFor, "127.0.0.0/8", Some("x-client-certificate"));
    let server = behind(trusting(), Some(site.acceptor()), limits());
    // What the proxy itself shows is not the phone's.
    let client = site.client(SslVersion::TLS1_3).showing(&site.phone(|_| {}));
    let (mut stream, _) = client.connect(&server, None).unwrap();
    let mut ask = |certificate: &str| {
        ask_with(&mut stream, &format!("X-Forwarded-For: 192.0.2.7\r\nX-Client-Certificate: {certificate}"))
    };
    let good = site.phone(|_| {});
    for value in [base64_of(&good), format!(":{}:", base64_of(&good)), escaped(&good)] {
        assert_eq!(ask(&value), (200, format!("192.0.2.7 TLSv1.3 {VERIFIED}")));
    }
    assert_eq!(ask(&escaped(&phone_of(&maker, |_| {}))).1, format!("192.0.2.7 TLSv1.3 {VERIFIED} by maker"));
    assert_eq!(ask(""), (200, "192.0.2.7 TLSv1.3 none".to_owned()));
    for (certificate, reason) in [
        (phone_of(&authority("another ca"), |_| {}), "unable to get local issuer certificate"),
        (phone_of(&authority("phone ca"), |_| {}), "certificate signature failure"),
        (site.phone(|leaf| leaf.days = (-9, -1)), "certificate has expired"),
        (site.phone(|leaf| leaf.purpose = Purpose::Server), "unsuitable certificate purpose"),
        (stolen, "certificate revoked on"),
    ] {
        let (status, said) = ask(&base64_of(&certificate));
        assert!(status == 200 && said.contains(&format!("{UNVERIFIED}{reason}")), "{reason}: {said}");
    }
    let mut with_more = good.certificate.to_der().unwrap();
    with_more.push(0);
    let with_more = openssl::base64::encode_block(&with_more);
    let cut = base64_of(&good)[..100].to_owned();
    for broken in ["nonsense".to_owned(), "-----BEGIN CERTIFICATE-----".to_owned(), with_more, cut] {
        assert_eq!(ask(&broken).0, 400, "{broken}");
        assert!(matches!(server.failure(), ConnectionError::Forwarded(ForwardedError::NoCertificate(_))));
    }
    let twice = format!("{0}\r\nX-Client-Certificate: {0}", base64_of(&good));
    assert_eq!(ask(&twice).0, 400);
    assert!(matches!(server.failure(), ConnectionError::Forwarded(ForwardedError::Twice(_))));

    // Not configured in so many words: it counts for nothing, nor does the proxy's own.
    let server = behind(proxy(ProxyProtocol::XForwardedFor, "127.0.0.0/8", None), Some(site.acceptor()), limits());
    let (mut stream, _) = client.connect(&server, None).unwrap();
    let header = format!("X-Forwarded-For: 192.0.2.7\r\nX-Client-Certificate: {}", base64_of(&good));
    assert_eq!(ask_with(&mut stream, &header), (200, "192.0.2.7 TLSv1.3 none".to_owned()));
    // Nor from a peer that is no proxy: there, only what it shows itself does.
    let server = behind(
        proxy(ProxyProtocol::XForwardedFor, "192.0.2.0/24", Some("x-client-certificate")),
        Some(site.acceptor()),
        limits(),
    );
    let (mut stream, _) = site.client(SslVersion::TLS1_3).connect(&server, None).unwrap();
    assert_eq!(ask_with(&mut stream, &header), (200, "127.0.0.1 TLSv1.3 none".to_owned()));
}

#[test]
fn where_certificates_are_required_a_proxy_has_to_forward_one() {
    let site = Site::new(ClientCertificatePolicy::Required);
    let trusting = proxy(ProxyProtocol::XForwardedFor, "127.0.0.0/8", Some("x-client-certificate"));
    let server = behind(trusting, Some(site.acceptor()), limits());
    let client = site.client(SslVersion::TLS1_3).showing(&site.phone(|_| {}));
    let (mut stream, _) = client.connect(&server, None).unwrap();
    let foreign = base64_of(&phone_of(&authority("another ca"), |_| {}));
    for header in ["".to_owned(), format!("\r\nX-Client-Certificate: {foreign}")] {
        assert_eq!(ask_with(&mut stream, &format!("X-Forwarded-For: 192.0.2.7{header}")).0, 400);
        assert!(matches!(server.failure(), ConnectionError::Forwarded(ForwardedError::Required(_))));
    }
    let good = format!("X-Forwarded-For: 192.0.2.7\r\nX-Client-Certificate: {}", base64_of(&site.phone(|_| {})));
    assert_eq!(ask_with(&mut stream, &good), (200, format!("192.0.2.7 TLSv1.3 {VERIFIED}")));
}
