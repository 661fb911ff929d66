//! Connections: what bounds them, and what is said of those that come to nothing.

use super::*;

#[test]
fn what_is_no_handshake_is_reported_as_what_it_is() {
    let site = Site::new(ClientCertificatePolicy::None);
    let server = site.server();
    for (sent, error) in [
        (&b"GET /spa504g.cfg HTTP/1.0\r\n\r\n"[..], HandshakeError::PlainHttp),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09 garbage garbage", HandshakeError::NotTls),
        (b"SSH-2.0-OpenSSH_9.2\r\n", HandshakeError::NotTls),
        (b"", HandshakeError::Closed),
        (b"\x16\x03\x01\x02\x00\x01\x00", HandshakeError::Closed),
    ] {
        let mut stream = server.connect();
        stream.write_all(sent).unwrap();
        // It fails where the server was faster.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        assert_eq!(server.handshake_failure(), error, "{}", String::from_utf8_lossy(sent));
    }
    // Nothing of this keeps a phone from being served.
    site.client(SslVersion::TLS1_3).ask(&server);
}

#[test]
fn a_handshake_that_trickles_is_cut_off() {
    let site = Site::new(ClientCertificatePolicy::None);
    let server = Server::start(Some(site.acceptor_within(SOON)), limits());
    let mut stream = server.connect();
    stream.write_all(b"\x16\x03\x01\x02").unwrap();
    assert_eq!(server.handshake_failure(), HandshakeError::Timeout(SOON));
    assert_closed(&mut stream);
}

/// Reads until the server has closed.
#[track_caller]
pub(super) fn assert_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => rest,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_request_that_trickles_is_cut_off() {
    let server = Server::start(None, Limits { header_timeout: SOON, ..limits() });
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    assert_eq!(server.failure(), ConnectionError::Timeout(SOON));
    assert_closed(&mut stream);

    // So is a connection that idles after its request, but that is no failure.
    let server = Server::start(None, Limits { header_timeout: 10 * SOON, ..limits() });
    let mut stream = server.connect();
    assert_eq!(get_and_stay(&mut stream).1, "plain");
    assert_closed(&mut stream);
    assert!(server.failures.try_recv().is_err());
}

#[test]
fn what_is_no_request_is_reported_and_answered_without_a_banner() {
    let server = Server::start(None, limits());
    drop(server.connect());
    assert_eq!(server.failure(), ConnectionError::NoRequest);

    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(30));
    let long_header = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(20_000));
    for (sent, status) in [("\x16\x03\x01 what is this\r\n\r\n", "400"), (&many_headers, "431"), (&long_header, "431")]
    {
        let mut stream = server.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        let answer = String::from_utf8(assert_closed(&mut stream)).unwrap();
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(!answer.to_ascii_lowercase().contains("server:"), "{answer}");
        assert!(matches!(server.failure(), ConnectionError::Malformed(_)));
    }
}

#[test]
fn a_connection_is_good_for_so_many_requests() {
    let server = Server::start(None, Limits { requests_per_connection: 2, ..limits() });
    let mut stream = server.connect();
    assert!(!get_and_stay(&mut stream).0.contains("connection: close"));
    assert!(get_and_stay(&mut stream).0.contains("connection: close"));
    assert_closed(&mut stream);
}

#[test]
fn connections_beyond_the_cap_wait_for_their_turn() {
    let seen = Arc::<Mutex<Vec<u16>>>::default();
    let noting = seen.clone();
    let server = Server::with_handler(None, Limits { connections: 1, ..limits() }, move |connection, _| {
        noting.lock().unwrap().push(connection.peer.port());
        Box::pin(async { http::Response::new(Body::from("x")) })
    });
    let (mut first, mut second) = (server.connect(), server.connect());
    let ports = [&first, &second].map(|stream| stream.local_addr().unwrap().port());
    get_and_stay(&mut first);
    second.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    get_and_stay(&mut first);
    assert_eq!(server.bounds.open_connections(), 1);
    drop(first);
    read_answer(&mut second);
    assert_eq!(*seen.lock().unwrap(), [ports[0], ports[0], ports[1]]);
}

#[test]
fn a_phone_that_does_not_read_loses_its_place() {
    let site = Site::new(ClientCertificatePolicy::None);
    for acceptor in [None, Some(site.acceptor())] {
        let with_tls = acceptor.is_some();
        let limits = Limits { connections: 1, response_timeout: SOON, ..limits() };
        let answers = Arc::new(AtomicUsize::new(0));
        let server = Server::with_handler(acceptor, limits, move |_, _| {
            // More than the system's buffers take, then no more than they do.
            let size = if answers.fetch_add(1, Ordering::Relaxed) == 0 { 64 << 20 } else { 1 };
            Box::pin(async move { http::Response::new(Body::from(vec![b'x'; size])) })
        });
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        // Held open to the end, and never read.
        let mut streams: (Option<TcpStream>, Option<SslStream<TcpStream>>) = (None, None);
        if with_tls {
            let client = site.client(SslVersion::TLS1_3);
            streams.1.insert(client.connect(&server, None).unwrap().0).write_all(request).unwrap();
            assert_eq!(client.ask(&server).said, "x");
        } else {
            streams.0.insert(server.connect()).write_all(request).unwrap();
            assert_eq!(get(&mut server.connect()).unwrap(), "x");
        }
    }
}

#[test]
fn stopping_lets_a_request_finish() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handles = (begun.clone(), finish.clone());
    let mut server = Server::with_handler(None, limits(), move |_, _| {
        let (begun, finish) = handles.clone();
        Box::pin(async move {
            begun.notify_one();
            finish.notified().await;
            http::Response::new(Body::from("done"))
        })
    });
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    server.runtime.block_on(begun.notified());
    server.shutdown.send(true).unwrap();
    finish.notify_one();
    assert_eq!(read_answer(&mut stream).1, "done");
    assert_closed(&mut stream);
    let serving = server.serving.take().unwrap();
    server.runtime.block_on(serving).unwrap();
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn stopping_waits_no_longer_than_the_drain_time() {
    let mut server =
        Server::with_handler(None, Limits { drain_timeout: SOON, ..limits() }, |_, _| Box::pin(std::future::pending()));
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    server.shutdown.send(true).unwrap();
    let serving = server.serving.take().unwrap();
    server.runtime.block_on(serving).unwrap();
    assert_closed(&mut stream);
}

#[test]
fn both_families_come_to_one_socket() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _within = runtime.enter();
    let Ok(listener) = bind("[::]:0".parse().unwrap()) else {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    };
    let address = listener.local_addr().unwrap();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).is_ok());
    let taken = bind(address).unwrap_err().to_string();
    assert!(taken.contains(&address.to_string()) && taken.contains("another"), "{taken}");
}
