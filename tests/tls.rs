//! Listeners as phones meet them: real sockets, and OpenSSL for the phone.

mod balancers;
mod certificates;
mod connections;
mod files;
mod old;
mod proxies;
mod revocation;
mod roots;
mod sessions;
mod whole;

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
        sessions: 100,
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
            client_roots: Vec::new(),
            crl: Vec::new(),
            allow_expired_crl: true,
            allow_expired: false,
            allow_any_purpose: false,
            min_version: TlsVersion::Tls1_2,
            max_version: TlsVersion::Tls1_3,
            ciphers: None,
            legacy_ciphers: Vec::new(),
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
        Client {
            version,
            certificate: None,
            issuers: Vec::new(),
            ciphers: "ALL:@SECLEVEL=0",
            tickets: true,
            name: None,
            ca: self.server_ca.clone(),
        }
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
        ClientCertificate::Verified { subject, dates_waived, purpose_waived, root, .. } => {
            let root = root.as_ref().map(|root| format!(" by {root}")).unwrap_or_default();
            let dates = if *dates_waived { " dates" } else { "" };
            let purpose = if *purpose_waived { " purpose" } else { "" };
            format!("verified {subject}{dates}{purpose}{root}")
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
        Self::listening(acceptor, limits, handler, |listening| listening)
    }

    /// With a listener that is changed before it is served.
    fn listening(
        acceptor: Option<Acceptor>,
        limits: Limits,
        handler: impl Fn(Connection, hyper::Request<hyper::body::Incoming>) -> Answer + Clone + Send + Sync + 'static,
        change: impl FnOnce(Listening) -> Listening,
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
        let listening = change(Listening::new("test", socket, acceptor.clone()));
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
    /// Shown with the certificate.
    issuers: Vec<Pair>,
    ciphers: &'static str,
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
        connector.set_cipher_list(self.ciphers).unwrap();
        if !self.tickets {
            connector.set_options(SslOptions::NO_TICKET);
        }
        if let Some(pair) = &self.certificate {
            connector.set_certificate(&pair.certificate).unwrap();
            connector.set_private_key(&pair.key).unwrap();
            for issuer in &self.issuers {
                connector.add_extra_chain_cert(issuer.certificate.clone()).unwrap();
            }
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

/// Every way to resume a session: ticket of TLS 1.3, ticket of TLS 1.2, the server's cache.
fn resuming(site: &Site) -> [Client; 3] {
    [
        site.client(SslVersion::TLS1_3),
        site.client(SslVersion::TLS1_2),
        site.client(SslVersion::TLS1_2).without_tickets(),
    ]
}
