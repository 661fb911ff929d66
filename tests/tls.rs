//! Listeners as phones meet them: real sockets, and OpenSSL for the phone.

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::body::Body;
use openssl::hash::MessageDigest;
use openssl::ssl::{
    Ssl, SslConnector, SslMethod, SslOptions, SslSession, SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};
use resyncd::config::{ClientCertificatePolicy, KeyPair, Limits, NamedKeyPair, Tls, TlsVersion};
use resyncd::resync::{ClientCertificate, Connection};
use resyncd::tls::{Acceptor, Bounds, ConnectionError, ConnectionFailure, HandshakeError, Listening, bind, serve};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::support::certificates::{Leaf, Pair, Purpose, authority, authority_of, rsa_key};
use crate::support::program;

/// Longer than anything here takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_millis(50);

fn limits() -> Limits {
    Limits {
        connections: 100,
        connections_per_network: 100,
        handshakes: 100,
        requests: 100,
        render_time: PATIENCE,
        handshake_timeout: PATIENCE,
        header_timeout: PATIENCE,
        response_timeout: PATIENCE,
        header_bytes: 16 * 1024,
        headers: 20,
        requests_per_connection: 100,
        profile_bytes: 1 << 20,
        drain_timeout: PATIENCE,
    }
}

/// A listener's configuration, and its CAs and certificates in a folder.
struct Site {
    folder: TempDir,
    server_ca: Pair,
    phone_ca: Pair,
    tls: Tls,
}

fn server_leaf<'a>(subject: &'a [(&'a str, &'a str)]) -> Leaf<'a> {
    Leaf { purpose: Purpose::Server, ..Leaf::of(subject) }
}

impl Site {
    fn new(policy: ClientCertificatePolicy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server_ca, phone_ca) = (authority("server ca"), authority("phone ca"));
        let certificate = server_ca.sign(&server_leaf(&[("CN", "default")])).write(folder.path(), "server");
        let tls = Tls {
            certificate,
            names: Vec::new(),
            client_certificate: policy,
            client_ca: vec![phone_ca.write_certificate(folder.path(), "phone-ca")],
            allow_expired: false,
            allow_any_purpose: false,
            min_version: TlsVersion::Tls1_2,
            max_version: TlsVersion::Tls1_3,
            ciphers: None,
            legacy: false,
        };
        Self { folder, server_ca, phone_ca, tls }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn acceptor(&self) -> Acceptor {
        self.acceptor_within(PATIENCE)
    }

    fn acceptor_within(&self, handshake_timeout: Duration) -> Acceptor {
        match Acceptor::new(Path::new("resyncd.toml"), &self.tls, handshake_timeout) {
            Ok(acceptor) => acceptor,
            Err(problems) => panic!("{problems}"),
        }
    }

    fn server(&self) -> Server {
        Server::start(Some(self.acceptor()), limits())
    }

    /// A phone's certificate as the factory makes it, then changed.
    fn phone(&self, change: impl FnOnce(&mut Leaf<'_>)) -> Pair {
        phone_of(&self.phone_ca, change)
    }

    /// A phone that speaks this version and no other.
    fn client(&self, version: SslVersion) -> Client {
        Client { version, certificate: None, tickets: true, name: None, ca: self.server_ca.clone() }
    }
}

fn phone_of(ca: &Pair, change: impl FnOnce(&mut Leaf<'_>)) -> Pair {
    let mut leaf = Leaf { purpose: Purpose::Client, ..Leaf::of(&[("OU", "CP-6841-3PCC"), ("ST", "000e08abcdef")]) };
    change(&mut leaf);
    ca.sign(&leaf)
}

type Answer = Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;

struct Server {
    address: SocketAddr,
    acceptor: Option<Arc<Acceptor>>,
    bounds: Bounds,
    failures: mpsc::Receiver<ConnectionFailure>,
    shutdown: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
    runtime: Runtime,
}

/// Says what is known of the connection.
fn describe(connection: &Connection) -> String {
    let Some(tls) = &connection.tls else { return "plain".to_owned() };
    let certificate = match &tls.certificate {
        ClientCertificate::None => "none".to_owned(),
        ClientCertificate::Verified { subject, dates_waived, purpose_waived } => {
            let dates = if *dates_waived { " dates" } else { "" };
            let purpose = if *purpose_waived { " purpose" } else { "" };
            format!("verified {subject}{dates}{purpose}")
        }
        ClientCertificate::Unverified { subject, reason } => format!("unverified {subject}: {reason}"),
    };
    format!("{} {certificate}", tls.version)
}

const VERIFIED: &str = "verified OU=CP-6841-3PCC, ST=000e08abcdef";
const UNVERIFIED: &str = "unverified OU=CP-6841-3PCC, ST=000e08abcdef: ";

impl Server {
    fn start(acceptor: Option<Acceptor>, limits: Limits) -> Self {
        Self::with_handler(acceptor, limits, |connection, _| {
            Box::pin(async move { http::Response::new(Body::from(describe(&connection))) })
        })
    }

    fn with_handler(
        acceptor: Option<Acceptor>,
        limits: Limits,
        handler: impl Fn(Connection, hyper::Request<hyper::body::Incoming>) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let acceptor = acceptor.map(Arc::new);
        let bounds = Bounds::new(&limits);
        let (failed, failures) = mpsc::channel();
        let (shutdown, stop) = watch::channel(false);
        let socket = {
            let _within = runtime.enter();
            bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
        };
        let address = socket.local_addr().unwrap();
        let listening = Listening { name: "test".into(), socket, acceptor: acceptor.clone() };
        let failed = move |failure| drop(failed.send(failure));
        let serving = Some(runtime.spawn(serve(listening, bounds.clone(), handler, failed, stop)));
        Self { address, acceptor, bounds, failures, shutdown, serving, runtime }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Why the next connection ended that came to no request.
    #[track_caller]
    fn failure(&self) -> ConnectionError {
        let failure = self.failures.recv_timeout(PATIENCE).expect("a connection should have failed");
        assert_eq!((&*failure.listener, failure.peer.ip()), ("test", Ipv4Addr::LOCALHOST.into()));
        failure.error
    }

    #[track_caller]
    fn handshake_failure(&self) -> HandshakeError {
        match self.failure() {
            ConnectionError::Handshake(error) => error,
            other => panic!("{other}"),
        }
    }

    fn reload(&self) -> Result<(), resyncd::document::Problems> {
        self.acceptor.as_ref().unwrap().reload()
    }
}

#[derive(Clone)]
struct Client {
    version: SslVersion,
    certificate: Option<Pair>,
    tickets: bool,
    name: Option<&'static str>,
    ca: Pair,
}

/// What the server gave to come back with.
type Sessions = Arc<Mutex<Vec<SslSession>>>;

/// A conversation with the server.
struct Spoken {
    /// The body of the answer.
    said: String,
    resumed: bool,
    /// The CN of the server's certificate.
    server: String,
    session: SslSession,
}

impl Client {
    fn showing(mut self, certificate: &Pair) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    fn naming(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    fn without_tickets(mut self) -> Self {
        self.tickets = false;
        self
    }

    fn connect(
        &self,
        server: &Server,
        session: Option<&SslSession>,
    ) -> Result<(SslStream<TcpStream>, Sessions), String> {
        let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
        connector.set_verify(SslVerifyMode::PEER);
        connector.cert_store_mut().add_cert(self.ca.certificate.clone()).unwrap();
        connector.set_min_proto_version(Some(self.version)).unwrap();
        connector.set_max_proto_version(Some(self.version)).unwrap();
        // A phone does what it is built for, whatever this library thinks of it.
        connector.set_security_level(0);
        connector.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        if !self.tickets {
            connector.set_options(SslOptions::NO_TICKET);
        }
        if let Some(pair) = &self.certificate {
            connector.set_certificate(&pair.certificate).unwrap();
            connector.set_private_key(&pair.key).unwrap();
        }
        let sessions = Sessions::default();
        connector.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        let new = sessions.clone();
        connector.set_new_session_callback(move |_, session| new.lock().unwrap().push(session));
        let mut ssl = Ssl::new(connector.build().context()).unwrap();
        if let Some(name) = self.name {
            ssl.set_hostname(name).unwrap();
        }
        if let Some(session) = session {
            resume(&mut ssl, session);
        }
        let stream = ssl.connect(server.connect()).map_err(|error| error.to_string())?;
        Ok((stream, sessions))
    }

    /// Asks once.
    fn try_ask(&self, server: &Server, session: Option<&SslSession>) -> Result<Spoken, String> {
        let (mut stream, sessions) = self.connect(server, session)?;
        let said = get(&mut stream).map_err(|error| error.to_string())?;
        // OpenSSL takes a session whose connection didn't say goodbye for broken, and never resumes it.
        let _ = stream.shutdown();
        let ssl = stream.ssl();
        let certificate = ssl.peer_certificate();
        let server = certificate.map_or(String::new(), |certificate| {
            let subject = certificate.subject_name();
            subject.entries().next().unwrap().data().to_string().unwrap()
        });
        let resumed = ssl.session_reused();
        let session = sessions.lock().unwrap().pop();
        // A server that caches sessions needs no new one from a client that came back.
        let session = session.or_else(|| ssl.session().map(ToOwned::to_owned)).unwrap();
        Ok(Spoken { said, resumed, server, session })
    }

    #[track_caller]
    fn ask(&self, server: &Server) -> Spoken {
        match self.try_ask(server, None) {
            Ok(spoken) => spoken,
            Err(error) => panic!("{error}; the server: {:?}", server.failures.try_recv().map(|f| f.error.to_string())),
        }
    }

    #[track_caller]
    fn ask_again(&self, server: &Server, before: &Spoken) -> Spoken {
        self.try_ask(server, Some(&before.session)).unwrap()
    }
}

#[allow(unsafe_code, reason = "the session has to be of this library's own making, and is")]
fn resume(ssl: &mut Ssl, session: &SslSession) {
    // SAFETY: the session comes from a client context of the same method in this process.
    unsafe { ssl.set_session(session) }.unwrap();
}

/// One request whose answer closes the connection.
fn get(stream: &mut (impl Read + Write)) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or(answer))
}

/// One request whose answer leaves the connection open. Gives head and body.
fn get_and_stay(stream: &mut (impl Read + Write)) -> (String, String) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_answer(stream)
}

fn read_answer(stream: &mut impl Read) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

const BOTH: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

#[test]
fn a_listener_that_does_not_ask_sees_no_certificate() {
    let site = Site::new(ClientCertificatePolicy::None);
    let server = site.server();
    for version in BOTH {
        let said = site.client(version).showing(&site.phone(|_| {})).ask(&server).said;
        assert!(said.ends_with(" none"), "{said}");
    }
}

#[test]
fn an_optional_certificate_is_reported_as_what_it_is_worth() {
    let site = Site::new(ClientCertificatePolicy::Optional);
    let server = site.server();
    let stranger = authority("another ca");
    // Of the same name as the right one: the chain is found, and its signature is wrong.
    let pretender = authority("phone ca");
    for version in BOTH {
        let client = site.client(version);
        let said = |certificate: &Pair| client.clone().showing(certificate).ask(&server).said;
        assert!(client.ask(&server).said.ends_with(" none"));
        assert!(said(&site.phone(|_| {})).ends_with(VERIFIED));
        assert!(said(&site.phone(|leaf| leaf.purpose = Purpose::Any)).ends_with(VERIFIED));
        for (certificate, reason) in [
            (phone_of(&stranger, |_| {}), "unable to get local issuer certificate"),
            (phone_of(&pretender, |_| {}), "certificate signature failure"),
            (site.phone(|leaf| leaf.days = (-9, -1)), "certificate has expired"),
            (site.phone(|leaf| leaf.days = (1, 9)), "certificate is not yet valid"),
            (site.phone(|leaf| leaf.purpose = Purpose::Server), "unsuitable certificate purpose"),
        ] {
            let said = said(&certificate);
            assert!(said.contains(&format!("{UNVERIFIED}{reason}")), "{reason}: {said}");
        }
    }
}

#[test]
fn a_required_certificate_has_to_be_there_and_to_verify() {
    let site = Site::new(ClientCertificatePolicy::Required);
    let server = site.server();
    let stranger = authority("another ca");
    for version in BOTH {
        let client = site.client(version);
        assert!(client.clone().showing(&site.phone(|_| {})).ask(&server).said.ends_with(VERIFIED));

        assert!(client.try_ask(&server, None).is_err());
        assert_eq!(server.handshake_failure(), HandshakeError::NoCertificate);
        for (certificate, why) in [
            (phone_of(&stranger, |_| {}), "unable to get local issuer certificate"),
            (site.phone(|leaf| leaf.days = (-9, -1)), "certificate has expired"),
            (site.phone(|leaf| leaf.purpose = Purpose::Server), "unsuitable certificate purpose"),
        ] {
            assert!(client.clone().showing(&certificate).try_ask(&server, None).is_err());
            match server.handshake_failure() {
                HandshakeError::Certificate { subject, reason } => {
                    assert_eq!((subject.only("ST"), reason.as_str()), (Some("000e08abcdef"), why));
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn waivers_waive_what_they_name_and_nothing_else() {
    let mut site = Site::new(ClientCertificatePolicy::Required);
    site.tls.allow_expired = true;
    let expired = site.phone(|leaf| leaf.days = (-9, -1));
    let early = site.phone(|leaf| leaf.days = (1, 9));
    let wrong_purpose = site.phone(|leaf| leaf.purpose = Purpose::Server);
    let both = site.phone(|leaf| (leaf.days, leaf.purpose) = ((-9, -1), Purpose::Server));
    let says = |server: &Server, certificate: &Pair| {
        let client = site.client(SslVersion::TLS1_3).showing(certificate);
        client.try_ask(server, None).map_or_else(|_| server.handshake_failure().to_string(), |spoken| spoken.said)
    };

    let dates = site.server();
    assert!(says(&dates, &expired).ends_with(&format!("{VERIFIED} dates")));
    assert!(says(&dates, &early).ends_with(&format!("{VERIFIED} dates")));
    assert!(says(&dates, &wrong_purpose).contains("unsuitable certificate purpose"));
    assert!(says(&dates, &both).contains("unsuitable certificate purpose"));

    let mut tls = site.tls.clone();
    (tls.allow_expired, tls.allow_any_purpose) = (false, true);
    let purpose = Server::start(Some(Acceptor::new(Path::new("c"), &tls, PATIENCE).unwrap()), limits());
    assert!(says(&purpose, &wrong_purpose).ends_with(&format!("{VERIFIED} purpose")));
    assert!(says(&purpose, &expired).contains("certificate has expired"));
    assert!(says(&purpose, &both).contains("certificate has expired"));

    tls.allow_expired = true;
    let all = Server::start(Some(Acceptor::new(Path::new("c"), &tls, PATIENCE).unwrap()), limits());
    assert!(says(&all, &both).ends_with(&format!("{VERIFIED} dates purpose")));
}

#[test]
fn an_expired_chain_is_waived_too() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let old_ca = authority_of(Leaf { days: (-9, -1), ..Leaf::of(&[("CN", "old ca")]) });
    site.tls.client_ca = vec![old_ca.write_certificate(site.path(), "old-ca")];
    let phone = phone_of(&old_ca, |_| {});
    let said = |server: &Server| site.client(SslVersion::TLS1_3).showing(&phone).ask(server).said;
    assert!(said(&site.server()).contains("certificate has expired"));
    let mut tls = site.tls.clone();
    tls.allow_expired = true;
    let waiving = Server::start(Some(Acceptor::new(Path::new("c"), &tls, PATIENCE).unwrap()), limits());
    assert!(said(&waiving).ends_with(&format!("{VERIFIED} dates")));
}

/// Every way to resume a session: ticket of TLS 1.3, ticket of TLS 1.2, the server's cache.
fn resuming(site: &Site) -> [Client; 3] {
    [
        site.client(SslVersion::TLS1_3),
        site.client(SslVersion::TLS1_2),
        site.client(SslVersion::TLS1_2).without_tickets(),
    ]
}

#[test]
fn a_resumed_session_is_worth_what_the_first_one_was() {
    for policy in [ClientCertificatePolicy::Optional, ClientCertificatePolicy::Required] {
        let mut site = Site::new(policy);
        (site.tls.allow_expired, site.tls.allow_any_purpose) = (true, true);
        let server = site.server();
        for (certificate, worth) in [
            (site.phone(|_| {}), ""),
            (site.phone(|leaf| leaf.days = (-9, -1)), " dates"),
            (site.phone(|leaf| leaf.purpose = Purpose::Server), " purpose"),
            (site.phone(|leaf| (leaf.days, leaf.purpose) = ((-9, -1), Purpose::Server)), " dates purpose"),
        ] {
            for client in resuming(&site) {
                let client = client.showing(&certificate);
                let first = client.ask(&server);
                assert!(first.said.ends_with(&format!("{VERIFIED}{worth}")), "{}", first.said);
                let second = client.ask_again(&server, &first);
                assert!(second.resumed, "{worth}");
                assert_eq!(second.said, first.said);
                let third = client.ask_again(&server, &second);
                assert!(third.resumed, "{worth}");
                assert_eq!(third.said, first.said);
            }
        }
    }
}

#[test]
fn a_waived_error_hides_no_other_even_after_resumption() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    (site.tls.allow_expired, site.tls.allow_any_purpose) = (true, true);
    let server = site.server();
    let stranger = authority("another ca");
    let both = phone_of(&stranger, |leaf| (leaf.days, leaf.purpose) = ((-9, -1), Purpose::Server));
    for client in resuming(&site) {
        let client = client.showing(&both);
        let first = client.ask(&server);
        assert!(first.said.contains(UNVERIFIED), "{}", first.said);
        let second = client.ask_again(&server, &first);
        assert!(second.resumed);
        assert!(second.said.contains(UNVERIFIED), "{}", second.said);
    }
}

#[test]
fn sessions_outlive_a_new_certificate_but_not_other_roots() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let named = site.server_ca.sign(&server_leaf(&[("CN", "named")])).write(site.path(), "named");
    site.tls.names = vec![NamedKeyPair { server_name: "named.example.com".to_owned(), pair: named }];
    let server = site.server();
    let phone = site.phone(|_| {});
    let clients = resuming(&site).map(|client| client.showing(&phone).naming("named.example.com"));
    let first = clients.clone().map(|client| client.ask(&server));

    site.server_ca.sign(&server_leaf(&[("CN", "renewed")])).write(site.path(), "named");
    server.reload().unwrap();
    let second: Vec<Spoken> =
        clients.iter().zip(&first).map(|(client, first)| client.ask_again(&server, first)).collect();
    for (first, second) in first.iter().zip(&second) {
        assert!(second.resumed);
        assert_eq!(second.said, first.said);
    }
    assert!(clients.iter().all(|client| client.ask(&server).server == "renewed"));

    authority("other ca").write_certificate(site.path(), "phone-ca");
    server.reload().unwrap();
    for (client, session) in clients.iter().zip(&second) {
        let third = client.ask_again(&server, session);
        assert!(!third.resumed);
        assert!(third.said.contains(UNVERIFIED), "{}", third.said);
    }
}

#[test]
fn a_bad_reload_changes_nothing() {
    let site = Site::new(ClientCertificatePolicy::Optional);
    let server = site.server();
    let client = site.client(SslVersion::TLS1_3);
    let (mut open, _) = client.connect(&server, None).unwrap();
    get_and_stay(&mut open);

    let other = site.server_ca.sign(&server_leaf(&[("CN", "other")]));
    std::fs::write(&site.tls.certificate.certificate, other.certificate.to_pem().unwrap()).unwrap();
    let problems = server.reload().unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(&*problems.iter().next().unwrap().file, site.tls.certificate.key.as_path());
    assert_eq!(client.ask(&server).server, "default");

    other.write(site.path(), "server");
    server.reload().unwrap();
    assert_eq!(client.ask(&server).server, "other");
    // What was open before goes on.
    get_and_stay(&mut open);
}

#[test]
fn the_name_chooses_the_certificate() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    for (name, pattern) in [("exact", "a.example.com"), ("wild", "*.Example.com")] {
        let pair = site.server_ca.sign(&server_leaf(&[("CN", name)])).write(site.path(), name);
        site.tls.names.push(NamedKeyPair { server_name: pattern.to_owned(), pair });
    }
    let server = site.server();
    let phone = site.phone(|_| {});
    for version in BOTH {
        let client = site.client(version).showing(&phone);
        let shown = |name: &'static str| {
            let spoken = client.clone().naming(name).ask(&server);
            assert!(spoken.said.ends_with(VERIFIED), "{}", spoken.said);
            spoken.server
        };
        assert_eq!(shown("a.example.com"), "exact");
        assert_eq!(shown("A.EXAMPLE.COM"), "exact");
        assert_eq!(shown("b.example.com"), "wild");
        assert_eq!(shown("c.b.example.com"), "default");
        assert_eq!(shown("example.com"), "default");
        assert_eq!(client.ask(&server).server, "default");
    }
}

#[test]
fn old_protocols_need_a_listener_for_them() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let key = Some(rsa_key());
    site.tls.certificate =
        site.server_ca.sign(&Leaf { key, ..server_leaf(&[("CN", "old")]) }).write(site.path(), "rsa");
    let server = site.server();
    for (version, name) in [(SslVersion::TLS1, "TLSv1"), (SslVersion::TLS1_1, "TLSv1.1")] {
        assert!(site.client(version).try_ask(&server, None).is_err());
        assert_eq!(
            server.handshake_failure(),
            HandshakeError::Version { offered: name, min: "TLSv1.2", max: "TLSv1.3" }
        );
    }

    (site.tls.legacy, site.tls.min_version) = (true, TlsVersion::Tls1_0);
    let legacy = site.server();
    let phone = site.phone(|leaf| leaf.key = Some(rsa_key()));
    for (version, name) in
        [(SslVersion::TLS1, "TLSv1"), (SslVersion::TLS1_1, "TLSv1.1"), (SslVersion::TLS1_3, "TLSv1.3")]
    {
        let client = site.client(version).showing(&phone);
        let first = client.ask(&legacy);
        assert_eq!(first.said, format!("{name} {VERIFIED}"));
        assert!(client.ask_again(&legacy, &first).resumed);
    }
}

#[test]
fn old_signatures_need_a_listener_for_them() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let phone = site.phone(|leaf| leaf.hash = MessageDigest::sha1());
    let client = site.client(SslVersion::TLS1_2).showing(&phone);
    let said = client.ask(&site.server()).said;
    assert!(said.contains(&format!("{UNVERIFIED}CA signature digest algorithm too weak")), "{said}");
    site.tls.legacy = true;
    assert!(client.ask(&site.server()).said.ends_with(VERIFIED));
}

#[test]
fn no_cipher_in_common_is_said() {
    let mut site = Site::new(ClientCertificatePolicy::None);
    site.tls.max_version = TlsVersion::Tls1_2;
    // The certificate's key is of an elliptic curve, so an RSA suite alone can't be used.
    site.tls.ciphers = Some("ECDHE-RSA-AES128-GCM-SHA256".to_owned());
    let server = site.server();
    assert!(site.client(SslVersion::TLS1_2).try_ask(&server, None).is_err());
    assert_eq!(server.handshake_failure(), HandshakeError::NoSharedCipher);
}

#[test]
fn a_phone_that_does_not_trust_the_server_is_heard() {
    let site = Site::new(ClientCertificatePolicy::None);
    let server = site.server();
    for version in BOTH {
        let mut client = site.client(version);
        client.ca = authority("something else");
        assert!(client.try_ask(&server, None).is_err());
        match server.handshake_failure() {
            HandshakeError::Alert(reason) => assert!(reason.contains("unknown ca"), "{reason}"),
            other => panic!("{other}"),
        }
    }
}

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
fn assert_closed(stream: &mut TcpStream) -> Vec<u8> {
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

fn problems(tls: &Tls) -> Vec<(PathBuf, String)> {
    match Acceptor::new(Path::new("resyncd.toml"), tls, PATIENCE) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|p| (p.file.to_path_buf(), p.to_string())).collect(),
    }
}

#[test]
fn all_that_is_wrong_with_the_files_is_said_at_once() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let file = |name: &str| site.path().join(name);
    std::fs::write(file("empty.pem"), "nothing here\n").unwrap();
    let key = rsa_key();
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    std::fs::write(file("locked.key"), key.private_key_to_pem_pkcs8_passphrase(cipher, b"x").unwrap()).unwrap();
    let certificate = site.tls.certificate.certificate.clone();
    let named = |certificate: PathBuf, key: PathBuf| NamedKeyPair {
        server_name: "a.example.com".to_owned(),
        pair: KeyPair { certificate, key },
    };
    let names = vec![
        named(file("missing.pem"), file("empty.pem")),
        named(certificate.clone(), file("locked.key")),
        named(certificate, site.phone(|_| {}).write(site.path(), "phone").key),
    ];
    let expected = ["missing.pem", "empty.pem", "locked.key", "phone.key", "empty.pem"].map(file);
    let empty = file("empty.pem");
    site.tls.names = names;
    site.tls.client_ca.push(empty);
    let found = problems(&site.tls);
    assert_eq!(found.iter().map(|(file, _)| file.clone()).collect::<Vec<_>>(), expected, "{found:?}");
    for ((_, message), part) in
        found.iter().zip(["can't be read", "no private key", "passphrase", "not the key of", "no certificate"])
    {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn settings_that_openssl_refuses_are_named_by_their_key() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    site.tls.client_ca.clear();
    let found = problems(&site.tls);
    assert!(found.len() == 1 && found[0].1.contains("resyncd.toml: listener.tls.client_ca"), "{found:?}");
    site.tls.client_certificate = ClientCertificatePolicy::None;
    assert_eq!(problems(&site.tls), []);
    site.tls.ciphers = Some("NOT-A-CIPHER".to_owned());
    let found = problems(&site.tls);
    assert!(found.len() == 1 && found[0].1.contains("listener.tls.ciphers"), "{found:?}");
}

#[test]
fn what_expired_is_a_warning() {
    let site = Site::new(ClientCertificatePolicy::Optional);
    assert!(site.acceptor().warnings().iter().all(|warning| warning.message.contains("may read")));
    site.server_ca.sign(&Leaf { days: (-9, -1), ..server_leaf(&[("CN", "default")]) }).write(site.path(), "server");
    let warnings = site.acceptor().warnings();
    assert!(warnings.iter().any(|warning| warning.message.contains("CN=default expired")), "{warnings}");
}

#[test]
fn curl_is_served_with_what_cert_makes() {
    let Some(mut curl) = program("curl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let form = resyncd::tls::certificates::SubjectForm::Cisco {
        model: "CP-8841-3PCC".to_owned(),
        serial: "FCH1234ABCD".parse().unwrap(),
    };
    let phone = resyncd::tls::certificates::PhoneCertificate { mac: "000e08abcdef".parse().unwrap(), form };
    resyncd::tls::certificates::ensure_development_certificates(folder.path(), &[phone], &[]).unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut site = Site::new(ClientCertificatePolicy::Required);
    site.tls.certificate = KeyPair { certificate: file("server.pem"), key: file("server.key") };
    site.tls.client_ca = vec![file("phone-ca.pem")];
    let server = site.server();
    assert!(server.acceptor.as_ref().unwrap().warnings().is_empty());
    let output = curl
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--cacert"])
        .arg(file("server-ca.pem"))
        .arg("--cert")
        .arg(file("phone-000e08abcdef.pem"))
        .arg("--key")
        .arg(file("phone-000e08abcdef.key"))
        .arg(format!("https://localhost:{}/", server.address.port()))
        .args(["--resolve", &format!("localhost:{}:127.0.0.1", server.address.port())])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.ends_with("verified OU=CP-8841-3PCC, L=FCH1234ABCD, ST=000e08abcdef"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
