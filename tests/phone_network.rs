//! The emulated phone's network against servers that behave, and against those that don't.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::store::X509StoreBuilder;
use resyncd::phone::network::{
    ClientCertificate, HttpVersion, Keep, Network, Options, Resolver, Roots, Stack, TlsOptions, TlsSetupError,
    TlsVersion,
};
use resyncd::phone::{Fetch, FetchError, Method, Request, Response};
use tempfile::TempDir;

use crate::support::certificates::{self, Leaf, Pair, Purpose, authority};
use crate::support::server::{ScriptedServer, Step};

const HOST: &str = "config.example.com";
const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A server's CA in a file, and what the server shows.
struct World {
    folder: TempDir,
    ca: Pair,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), ca: authority("Server CA") };
        world.ca.write_certificate(world.folder.path(), "ca");
        world
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn server(&self) -> Leaf<'static> {
        Leaf { names: &[HOST], purpose: Purpose::Server, ..Leaf::of(&[("CN", "phones")]) }
    }

    fn acceptor(&self, leaf: &Leaf<'_>) -> SslAcceptor {
        acceptor(&self.ca.sign(leaf), None)
    }

    fn tls(&self) -> TlsOptions {
        TlsOptions { roots: Roots::File(self.ca_file()), ..TlsOptions::default() }
    }

    fn options(&self, server: &ScriptedServer) -> Options {
        Options { tls: self.tls(), ..options(server) }
    }
}

/// A server's TLS: any version, its certificate, and the CA of phones, whose certificates are then required.
fn acceptor(pair: &Pair, phones: Option<&Pair>) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.clear_options(openssl::ssl::SslOptions::NO_TLSV1 | openssl::ssl::SslOptions::NO_TLSV1_1);
    builder.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    builder.set_certificate(&pair.certificate).unwrap();
    builder.set_private_key(&pair.key).unwrap();
    builder.set_session_id_context(b"test").unwrap();
    if let Some(phones) = phones {
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(phones.certificate.clone()).unwrap();
        builder.set_verify_cert_store(store.build()).unwrap();
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    builder.build()
}

fn options(server: &ScriptedServer) -> Options {
    Options { resolver: Resolver::Fixed(vec![server.address]), ..Options::default() }
}

fn phone(options: Options) -> Network {
    Network::new(Arc::new(Stack::new(options).unwrap()), None)
}

fn get(url: impl Into<String>) -> Request {
    Request {
        method: Method::Get,
        url: url.into(),
        user_agent: "Cisco-CP-6841-3PCC/11.0 (000e08abcdef)".to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        content_type: None,
    }
}

fn https() -> Request {
    get(format!("https://{HOST}/cisco/000e08abcdef.xml"))
}

fn http() -> Request {
    get(format!("http://{HOST}/cisco/000e08abcdef.xml"))
}

/// What a phone makes of a server that answers this and closes.
async fn answered(bytes: &[u8]) -> Result<Response, FetchError> {
    let server = ScriptedServer::start(None, vec![Step::Send(bytes.to_vec())]).await;
    phone(options(&server)).fetch(http()).await
}

/// What a phone with small bounds makes of a server that doesn't stop.
async fn bounded(script: Vec<Step>, options: impl FnOnce(Options) -> Options) -> FetchError {
    let server = ScriptedServer::start(None, script).await;
    phone(options(self::options(&server))).fetch(http()).await.unwrap_err()
}

#[tokio::test]
async fn a_request_is_written_as_phones_write_it() {
    let server = ScriptedServer::start(None, vec![Step::Send(HELLO.to_vec())]).await;
    let response = phone(options(&server)).fetch(http()).await.unwrap();
    assert_eq!((response.status, &response.body[..], response.tls_version), (200, &b"hello"[..], None));
    let expected = "GET /cisco/000e08abcdef.xml HTTP/1.1\r\nHost: config.example.com\r\n\
                    User-Agent: Cisco-CP-6841-3PCC/11.0 (000e08abcdef)\r\nConnection: close\r\n\r\n";
    assert_eq!(server.seen()[0].head, expected);

    let old = Options { http_version: HttpVersion::V1_0, ..options(&server) };
    let request = Request {
        method: Method::Post,
        headers: vec![("Authorization".to_owned(), "Basic eA==".to_owned())],
        body: Bytes::from_static(b"report"),
        content_type: Some("text/xml".to_owned()),
        ..http()
    };
    phone(old).fetch(request).await.unwrap();
    let head = &server.seen()[1].head;
    assert!(head.starts_with("POST /cisco/000e08abcdef.xml HTTP/1.0\r\n"), "{head}");
    for line in ["Content-Type: text/xml\r\n", "Content-Length: 6\r\n", "Authorization: Basic eA==\r\n"] {
        assert!(head.contains(line), "{head}");
    }
}

#[tokio::test]
async fn an_answer_is_handed_on_as_it_came() {
    let moved =
        answered(b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n");
    let moved = moved.await.unwrap();
    assert_eq!((moved.status, moved.header("location")), (302, Some("http://other/")));
    let names: Vec<&str> = moved.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["location", "x-a", "x-a", "content-length"]);

    let zipped = answered(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\0")
        .await
        .unwrap();
    assert_eq!(&zipped.body[..], b"\x1f\x8b\x08\0");
    let chunked = answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(&chunked.body[..], b"abcde");
    // HTTP/1.0 has the end of the connection for the end of the body.
    assert_eq!(&answered(b"HTTP/1.0 200 OK\r\n\r\nold").await.unwrap().body[..], b"old");
}

#[tokio::test]
async fn a_lie_about_the_length_is_found_out() {
    let short = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    assert!(matches!(short, Err(FetchError::Broken(_))), "{short:?}");
    // What follows the length is not the body's.
    assert_eq!(&answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello").await.unwrap().body[..], b"he");
    let chunk = answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc").await;
    assert!(matches!(chunk, Err(FetchError::Broken(_))), "{chunk:?}");
    let two = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(matches!(two, Err(FetchError::Malformed(_))), "{two:?}");
}

#[tokio::test]
async fn a_server_that_breaks_off_or_speaks_no_http_is_told_apart() {
    for cut in [&b""[..], b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Le"] {
        let result = answered(cut).await;
        assert!(matches!(result, Err(FetchError::Broken(_))), "{cut:?}: {result:?}");
    }
    for nonsense in
        [&b"\x15\x03\x01\x00\x02\x02\x46\0\0\0\0\0\0\0\0\0\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2p1 here\r\n\r\n"]
    {
        let result = answered(nonsense).await;
        assert!(matches!(result, Err(FetchError::Malformed(_))), "{nonsense:?}: {result:?}");
    }
    let size = answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc").await;
    assert!(matches!(size, Err(FetchError::Malformed(_))), "{size:?}");
}

#[tokio::test]
async fn nothing_is_read_without_end() {
    let small = |options| Options { body_limit: 1 << 16, ..options };
    let large = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n".to_vec();
    assert_eq!(bounded(vec![Step::Send(large), Step::Hang], small).await, FetchError::TooLarge(1 << 16));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let endless = vec![Step::Send(chunked), Step::SendForever(b"5\r\nhello\r\n".to_vec())];
    assert_eq!(bounded(endless, small).await, FetchError::TooLarge(1 << 16));
    let until_close = vec![Step::Send(b"HTTP/1.0 200 OK\r\n\r\n".to_vec()), Step::SendForever(vec![b'x'; 4096])];
    assert_eq!(bounded(until_close, small).await, FetchError::TooLarge(1 << 16));

    let headers = vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Step::SendForever(b"X-More: more\r\n".to_vec())];
    let error = bounded(headers, |options| Options { head_limit: 4096, ..options }).await;
    assert!(matches!(error, FetchError::TooLarge(4096) | FetchError::Malformed(_)), "{error}");
    let line = vec![Step::Send(b"HTTP/1.1 200 OK\r\nX: ".to_vec()), Step::SendForever(vec![b'x'; 4096])];
    let error = bounded(line, |options| Options { head_limit: 4096, ..options }).await;
    assert_eq!(error, FetchError::TooLarge(4096));
}

#[tokio::test]
async fn nothing_is_waited_for_without_end() {
    let limit = Duration::from_millis(50);
    let hurried = |options| Options { request_timeout: limit, ..options };
    assert_eq!(bounded(vec![Step::Hang], hurried).await, FetchError::Timeout(limit));
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec();
    assert_eq!(bounded(vec![Step::Send(half), Step::Hang], hurried).await, FetchError::Timeout(limit));
    let waiting = vec![Step::SendForever(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())];
    assert_eq!(bounded(waiting, hurried).await, FetchError::Timeout(limit));

    // A listener that takes connections and never says a word of TLS.
    let (world, server) = (World::new(), ScriptedServer::start(None, vec![Step::Hang]).await);
    let impatient = Options { handshake_timeout: limit, ..world.options(&server) };
    let error = phone(impatient).fetch(https()).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect(_, _)), "{error}");
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_is_dead() {
    // The port is free on one address and taken on the other, and nothing is bound in between.
    let live = ScriptedServer::start_at("127.0.0.2:0", None, vec![Step::Send(HELLO.to_vec())]).await;
    let dead: SocketAddr = ([127, 0, 0, 1], live.address.port()).into();
    let walk = |addresses| phone(Options { resolver: Resolver::Fixed(addresses), ..Options::default() });
    assert_eq!(walk(vec![dead, live.address]).fetch(http()).await.unwrap().status, 200);
    assert_eq!(live.seen()[0].head.lines().nth(1), Some("Host: config.example.com"));

    let error = walk(vec![dead]).fetch(http()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Connect(host, why) if host == HOST && why.contains("127.0.0.1")), "{error}");
    let error = walk(Vec::new()).fetch(http()).await.unwrap_err();
    assert_eq!(error, FetchError::Resolve(HOST.to_owned()));
    let error = walk(Vec::new()).fetch(get("tftp://127.0.0.1/spa504G.cfg")).await.unwrap_err();
    assert!(matches!(error, FetchError::Url(_)), "{error}");
}

#[tokio::test]
async fn an_address_that_breaks_the_handshake_off_has_not_answered() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broken = listener.local_addr().unwrap();
    let closing = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let live = ScriptedServer::start(Some(world.acceptor(&world.server())), vec![Step::Send(HELLO.to_vec())]).await;
    let addresses = Resolver::Fixed(vec![broken, live.address]);
    let response = phone(Options { resolver: addresses, ..world.options(&live) }).fetch(https()).await.unwrap();
    assert_eq!(response.tls_version.as_deref(), Some("TLSv1.3"));
    closing.abort();
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_told_as_what_it_is() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let phone = phone(Options { resolver: Resolver::Fixed(vec![address]), ..Options::default() });
    for _ in 0..20 {
        let error = phone.fetch(http()).await.unwrap_err();
        assert!(matches!(&error, FetchError::Broken(why) if !why.contains("cancel")), "{error}");
    }
    closing.abort();
}

#[tokio::test]
async fn addresses_can_be_given_instead_of_the_urls() {
    let server = ScriptedServer::start(None, vec![Step::Send(HELLO.to_vec())]).await;
    let resolver = Resolver::Instead { host: "127.0.0.1".to_owned(), port: server.address.port() };
    let response = phone(Options { resolver, ..Options::default() }).fetch(http()).await.unwrap();
    assert_eq!(response.status, 200);
    let own = get(format!("http://localhost:{}/", server.address.port()));
    assert_eq!(phone(Options::default()).fetch(own).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_told_nothing() {
    let world = World::new();
    let day = |days| Leaf { days, ..world.server() };
    let refusals = [
        (acceptor(&authority("Other CA").sign(&world.server()), None), "issuer"),
        (world.acceptor(&day((-3, -1))), "expired"),
        (world.acceptor(&day((1, 3))), "not yet valid"),
        (world.acceptor(&Leaf { names: &["other.example.com"], ..world.server() }), "other.example.com"),
        (world.acceptor(&Leaf { purpose: Purpose::Client, ..world.server() }), "purpose"),
    ];
    for (acceptor, why) in refusals {
        let server = ScriptedServer::start(Some(acceptor), vec![Step::Send(HELLO.to_vec())]).await;
        let error = phone(world.options(&server)).fetch(https()).await.unwrap_err();
        assert!(matches!(&error, FetchError::Tls(host, text) if host == HOST && text.contains(why)), "{error}");
        assert!(server.seen().is_empty(), "{why}");
    }
}

#[tokio::test]
async fn the_common_name_may_have_a_suffix() {
    let world = World::new();
    let leaf = Leaf { names: &[], ..Leaf::of(&[("CN", "config.example.com/acme")]) };
    let server = ScriptedServer::start(Some(world.acceptor(&leaf)), vec![Step::Send(HELLO.to_vec())]).await;
    assert_eq!(phone(world.options(&server)).fetch(https()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_its_lack_is_refused() {
    let (world, phones) = (World::new(), authority("Phone CA"));
    let acceptor = acceptor(&world.ca.sign(&world.server()), Some(&phones));
    let server = ScriptedServer::start(Some(acceptor), vec![Step::Send(HELLO.to_vec())]).await;
    let own = phones.sign(&Leaf {
        purpose: Purpose::Client,
        key: Some(certificates::rsa_key()),
        ..Leaf::of(&[("OU", "CP-6841-3PCC"), ("L", "88012BA01234"), ("ST", "000e08abcdef")])
    });
    let files = own.write(world.folder.path(), "phone");
    let read = Arc::new(ClientCertificate::read(&files.certificate, &files.key).unwrap());
    let stack = Arc::new(Stack::new(world.options(&server)).unwrap());
    assert_eq!(Network::new(stack.clone(), Some(read)).fetch(https()).await.unwrap().status, 200);
    assert_eq!(server.seen()[0].client.as_deref(), Some("OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef"));

    // In TLS 1.3 the refusal comes only when the request is on its way: as an alert, or as a connection that is gone.
    let error = Network::new(stack, None).fetch(https()).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls(_, _) | FetchError::Broken(_)), "{error}");
    let old = TlsOptions { max_version: TlsVersion::V1_2, ..world.tls() };
    let error = phone(Options { tls: old, ..world.options(&server) }).fetch(https()).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls(_, _)), "{error}");
    assert_eq!(server.seen().len(), 1);

    let other: PKey<Private> = authority("Other").key;
    std::fs::write(&files.key, other.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let mismatch = ClientCertificate::read(&files.certificate, &files.key);
    assert!(matches!(mismatch, Err(TlsSetupError::Mismatch { .. })));
}

#[tokio::test]
async fn a_session_is_taken_up_again_where_that_is_wanted() {
    let world = World::new();
    let server = ScriptedServer::start(Some(world.acceptor(&world.server())), vec![Step::Send(HELLO.to_vec())]).await;
    for max_version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        for resume in [true, false] {
            let tls = TlsOptions { max_version, resume, ..world.tls() };
            let phone = phone(Options { tls, ..world.options(&server) });
            for again in [false, true, true] {
                let received = phone.receive(https(), Keep::Body).await.unwrap();
                assert_eq!(received.resumed, again && resume, "{max_version:?}");
                assert_eq!(server.seen().last().unwrap().resumed, again && resume, "{max_version:?}");
            }
        }
    }
}

#[tokio::test]
async fn old_phones_send_no_server_name_and_speak_old_tls() {
    let world = World::new();
    let leaf = Leaf { key: Some(certificates::rsa_key()), hash: MessageDigest::sha1(), ..world.server() };
    let server = ScriptedServer::start(Some(world.acceptor(&leaf)), vec![Step::Send(HELLO.to_vec())]).await;
    let old = TlsOptions {
        min_version: TlsVersion::V1_0,
        max_version: TlsVersion::V1_0,
        legacy: true,
        send_server_name: false,
        ..world.tls()
    };
    let options = Options { tls: old, http_version: HttpVersion::V1_0, ..world.options(&server) };
    let response = phone(options).fetch(https()).await.unwrap();
    assert_eq!(response.tls_version.as_deref(), Some("TLSv1"));
    let seen = server.seen();
    assert_eq!((seen[0].server_name.as_deref(), seen[0].tls_version), (None, Some("TLSv1")));

    // A new phone names the server, and refuses SHA-1.
    let error = phone(world.options(&server)).fetch(https()).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls(_, _)), "{error}");
    let server = ScriptedServer::start(Some(world.acceptor(&world.server())), vec![Step::Send(HELLO.to_vec())]).await;
    phone(world.options(&server)).fetch(https()).await.unwrap();
    assert_eq!(server.seen()[0].server_name.as_deref(), Some(HOST));
}

#[tokio::test]
async fn a_connection_is_kept_where_both_sides_want_that() {
    let world = World::new();
    let script = vec![Step::Send(HELLO.to_vec()), Step::Again];
    let server = ScriptedServer::start(Some(world.acceptor(&world.server())), script).await;
    for http_version in [HttpVersion::V1_1, HttpVersion::V1_0] {
        let phone = phone(Options { keep_alive: true, http_version, ..world.options(&server) });
        let first = phone.receive(https(), Keep::Body).await.unwrap();
        assert_eq!((first.reused, phone.holds_connection()), (false, true));
        let second = phone.receive(https(), Keep::Length).await.unwrap();
        assert_eq!((second.reused, second.length, second.response.body.len()), (true, 5, 0));
        assert_eq!(second.response.tls_version.as_deref(), Some("TLSv1.3"));
    }
    // HTTP/1.0 has to ask for it.
    assert!(server.seen().last().unwrap().head.contains("Connection: keep-alive\r\n"));

    // It is for the same server only.
    let plain = ScriptedServer::start(None, vec![Step::Send(HELLO.to_vec()), Step::Again]).await;
    let port = plain.address.port();
    let phone = phone(Options { keep_alive: true, ..Options::default() });
    for (host, reused) in [("127.0.0.1", false), ("localhost", false), ("localhost", true), ("127.0.0.1", false)] {
        let received = phone.receive(get(format!("http://{host}:{port}/")), Keep::Body).await.unwrap();
        assert_eq!(received.reused, reused, "{host}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_costs_a_new_one_and_no_error() {
    // Says nothing of closing, and closes.
    let server = ScriptedServer::start(None, vec![Step::Send(HELLO.to_vec())]).await;
    let phone = phone(Options { keep_alive: true, ..options(&server) });
    for _ in 0..5 {
        assert_eq!(phone.fetch(http()).await.unwrap().status, 200);
    }
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3, 4]);
    // It is let go once the server's leave is seen.
    while phone.still_holds_connection().await {
        tokio::task::yield_now().await;
    }
    assert!(!phone.holds_connection());
}

#[tokio::test]
async fn what_may_have_been_done_already_is_not_asked_for_twice() {
    // Closes when the second request is there, without a word.
    let server = ScriptedServer::start(None, vec![Step::Send(HELLO.to_vec()), Step::Read]).await;
    let phone = phone(Options { keep_alive: true, ..options(&server) });
    phone.fetch(http()).await.unwrap();
    assert_eq!(phone.fetch(http()).await.unwrap().status, 200);
    let connections = |server: &ScriptedServer| server.seen().iter().map(|seen| seen.connection).collect::<Vec<_>>();
    assert_eq!(connections(&server), [0, 0, 1]);
    let report = Request { method: Method::Post, body: Bytes::from_static(b""), ..http() };
    let error = phone.fetch(report).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken(_)), "{error}");
    assert_eq!(connections(&server), [0, 0, 1, 1]);
}

#[test]
fn what_tls_can_not_do_is_said_by_name() {
    let error = |tls| Stack::new(Options { tls, ..Options::default() }).map(drop).unwrap_err().to_string();
    let missing = TlsOptions { roots: Roots::File("not-there.pem".into()), ..TlsOptions::default() };
    assert!(error(missing).contains("not-there.pem"));
    let versions = TlsOptions { max_version: TlsVersion::V1_1, ..TlsOptions::default() };
    assert!(error(versions).contains("V1_1"));
    assert_eq!("1.2".parse(), Ok(TlsVersion::V1_2));
    assert!("2".parse::<TlsVersion>().is_err());
}
