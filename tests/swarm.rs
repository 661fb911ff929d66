//! The swarm against a small server: every phone comes, and everything is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use openssl::nid::Nid;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use resyncd::phone::Identity;
use resyncd::phone::network::{ClientCertificate, Options, Resolver, Roots, Stack, TlsOptions};
use resyncd::phone::swarm::{CertificateSource, Fleet, Pattern, Plan, Report, Resyncs, run};
use resyncd::tls::certificates::{PhoneAuthority, PhoneCertificate, PhoneKey, SubjectForm};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_openssl::SslStream;

use crate::support::certificates::{Leaf, Pair, authority};
use crate::support::resyncd;

const PHONES: u32 = 200;
const PROFILE: &str = "<flat-profile/>";

/// One request, as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    path: String,
    user_agent: String,
    /// The ST of the client's certificate.
    client: Option<String>,
}

/// What is answered to a phone's so manieth request.
type Answer = fn(nth: usize) -> Response<Full<Bytes>>;

struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    /// Most requests at once.
    most: Arc<AtomicUsize>,
}

fn profile(_: usize) -> Response<Full<Bytes>> {
    Response::new(Full::from(PROFILE))
}

fn not_found(_: usize) -> Response<Full<Bytes>> {
    Response::builder().status(404).body(Full::default()).unwrap()
}

/// Unavailable for the first request of each phone, which may come again at once.
fn unavailable_at_first(nth: usize) -> Response<Full<Bytes>> {
    if nth > 0 {
        return profile(nth);
    }
    Response::builder().status(503).header("Retry-After", "0").body(Full::default()).unwrap()
}

impl Server {
    async fn start(tls: Option<SslAcceptor>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (counted, count) = watch::channel(0);
        let server = Self { address, seen: Arc::default(), count, most: Arc::default() };
        let (seen, most, counted) = (server.seen.clone(), server.most.clone(), Arc::new(counted));
        let open = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (tls, seen, most) = (tls.clone(), seen.clone(), most.clone());
                let (open, counted) = (open.clone(), counted.clone());
                tokio::spawn(async move {
                    let note = move |request: &Request<Incoming>, client: Option<String>| {
                        let path = request.uri().path().to_owned();
                        let user_agent = request.headers()["user-agent"].to_str().unwrap().to_owned();
                        let mut seen = seen.lock().unwrap();
                        let nth = seen.iter().filter(|seen| seen.path == path).count();
                        seen.push(Seen { path, user_agent, client });
                        counted.send_replace(seen.len());
                        nth
                    };
                    let serve = move |request: Request<Incoming>, client| {
                        most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let response = answer(note(&request, client));
                        open.fetch_sub(1, Ordering::SeqCst);
                        response
                    };
                    match tls {
                        None => speak(tcp, None, serve).await,
                        Some(acceptor) => {
                            let mut stream = SslStream::new(Ssl::new(acceptor.context()).unwrap(), tcp).unwrap();
                            // Not every phone means well.
                            if std::pin::Pin::new(&mut stream).accept().await.is_ok() {
                                let client = client_of(&stream);
                                speak(stream, client, serve).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Until so many requests were seen.
    fn has_seen(&self, requests: usize) -> impl Future<Output = ()> + use<> {
        let mut count = self.count.clone();
        async move {
            count.wait_for(|count| *count >= requests).await.unwrap();
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: Option<String>,
    serve: impl Fn(Request<Incoming>, Option<String>) -> Response<Full<Bytes>>,
) {
    let service = service_fn(|request| {
        let response = serve(request, client.clone());
        async { Ok::<_, Infallible>(response) }
    });
    // A phone that breaks off is a case like any other.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn client_of(stream: &SslStream<tokio::net::TcpStream>) -> Option<String> {
    let certificate = stream.ssl().peer_certificate()?;
    let field = certificate.subject_name().entries_by_nid(Nid::STATEORPROVINCENAME).next()?;
    Some(field.data().to_string().unwrap())
}

/// A server with a certificate, which wants phones' certificates, and the files that phones need.
struct World {
    folder: TempDir,
    acceptor: SslAcceptor,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (servers, phones) = (authority("Server CA"), authority("Phone CA"));
        servers.write_certificate(folder.path(), "server-ca");
        phones.write(folder.path(), "phone-ca");
        let own = servers.sign(&Leaf { names: &["localhost"], ..Leaf::of(&[("CN", "localhost")]) });
        Self { acceptor: acceptor(&own, &phones), folder }
    }

    fn tls(&self, resume: bool) -> TlsOptions {
        let roots = Roots::File(self.folder.path().join("server-ca.pem"));
        TlsOptions { roots, resume, ..TlsOptions::default() }
    }

    fn certificates(&self) -> CertificateSource {
        let file = |name: &str| self.folder.path().join(name);
        signed_by(PhoneAuthority::read(&file("phone-ca.pem"), &file("phone-ca.key")).unwrap())
    }
}

fn acceptor(own: &Pair, phones: &Pair) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(&own.certificate).unwrap();
    builder.set_private_key(&own.key).unwrap();
    builder.set_session_id_context(b"test").unwrap();
    let mut store = X509StoreBuilder::new().unwrap();
    store.add_cert(phones.certificate.clone()).unwrap();
    builder.set_verify_cert_store(store.build()).unwrap();
    builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    builder.build()
}

fn signed_by(authority: PhoneAuthority) -> CertificateSource {
    let key = PhoneKey::Ec.make().unwrap();
    Arc::new(move |phone: &Identity| {
        let form = SubjectForm::Cisco { model: phone.model.clone(), serial: phone.serial.clone() };
        let certificate = authority.sign(&PhoneCertificate { mac: phone.mac, form }, &key).unwrap();
        Ok(ClientCertificate { certificate, chain: Vec::new(), key: key.clone() })
    })
}

fn fleet(count: u32, mix: &str) -> Fleet {
    Fleet::new(count, "000e08000000".parse().unwrap(), mix.parse().unwrap(), None).unwrap()
}

/// All phones once and at once, over HTTP; those that aren't served come again at once. Nothing ends by time.
fn plan(server: &Server) -> Plan {
    secure_plan(server, "http", TlsOptions::default(), false)
}

fn secure_plan(server: &Server, scheme: &str, tls: TlsOptions, keep_alive: bool) -> Plan {
    let resolver = Resolver::Fixed(vec![server.address]);
    let options = Options { resolver, tls, keep_alive, ..Options::default() };
    Plan {
        server: format!("{scheme}://localhost:{}", server.address.port()),
        fleet: fleet(PHONES, "CP-6841-3PCC=3,SPA504G=1"),
        acs: None,
        stack: Arc::new(Stack::new(options).unwrap()),
        certificates: None,
        strangers: None,
        pattern: Pattern::AllAtOnce,
        error_retry: "0".parse().unwrap(),
        faults: "drop=0".parse().unwrap(),
        slow_pause: Duration::ZERO,
        duration: Duration::from_secs(3600),
        most_at_once: 50,
        seed: 1,
    }
}

async fn played(plan: Plan) -> Report {
    run(plan, std::future::pending(), |_| {}).await.unwrap()
}

fn assert_sums(report: &Report) {
    let Resyncs { begun, served, refused, failed, faulty, under_way, .. } = report.resyncs;
    assert_eq!(begun, served + refused + failed + faulty + under_way, "{:?}", report.resyncs);
    assert_eq!(served + refused, report.statuses.values().sum::<u64>());
    assert_eq!(failed, report.errors.values().map(|error| error.count).sum::<u64>());
    assert_eq!(faulty, report.faults.values().map(|fault| fault.count).sum::<u64>());
    assert_eq!(served + refused, report.connections.opened + report.connections.reused);
}

#[tokio::test]
async fn every_phone_is_served_once() {
    let server = Server::start(None, profile).await;
    let report = played(Plan { most_at_once: 3, ..plan(&server) }).await;
    assert_sums(&report);
    assert!(report.is_fine());
    assert_eq!((report.phones_served, report.resyncs.served), (PHONES, PHONES.into()));
    assert_eq!(report.statuses, BTreeMap::from([(200, PHONES.into())]));
    assert_eq!(report.bytes, u64::from(PHONES) * PROFILE.len() as u64);
    assert!(report.latency_ms.p50 > 0.0 && report.latency_ms.max >= report.latency_ms.p99_9);

    let seen = server.seen();
    let paths: BTreeSet<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!((seen.len(), paths.len()), (200, 200));
    assert!(paths.contains("/cisco/000e08000000.xml") && paths.contains("/cisco/000e080000c7.xml"));
    let old = seen.iter().filter(|seen| seen.user_agent.starts_with("Cisco/SPA504G-7.4.9c (000E08")).count();
    assert_eq!(old, 50);
    assert!(server.most.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn phones_show_their_own_certificates_and_come_again_when_they_are_told() {
    let world = World::new();
    let server = Server::start(Some(world.acceptor.clone()), unavailable_at_first).await;
    let certificates = Some(world.certificates());
    // An hour, which Retry-After overrules.
    let error_retry = "3600".parse().unwrap();
    let report =
        played(Plan { certificates, error_retry, ..secure_plan(&server, "https", world.tls(true), false) }).await;
    assert_sums(&report);
    let all = u64::from(PHONES);
    assert_eq!(report.statuses, BTreeMap::from([(200, all), (503, all)]));
    assert_eq!((report.phones_served, report.resyncs.refused, report.resyncs.retries), (PHONES, all, all));
    assert!(!report.is_fine());
    assert_eq!((report.connections.full_handshakes, report.connections.resumed_handshakes), (all, all));
    for seen in server.seen() {
        assert_eq!(format!("/cisco/{}.xml", seen.client.unwrap()), seen.path);
    }
}

#[tokio::test]
async fn faults_are_counted_apart_and_every_phone_is_served_in_the_end() {
    let world = World::new();
    let mut counts = Vec::new();
    for _ in 0..2 {
        let server = Server::start(Some(world.acceptor.clone()), profile).await;
        let report = played(Plan {
            certificates: Some(world.certificates()),
            strangers: Some(signed_by(PhoneAuthority::unknown().unwrap())),
            faults: "drop=0.1,garbage=0.1,wrong-certificate=0.1,slow=0.1".parse().unwrap(),
            ..secure_plan(&server, "https", world.tls(false), false)
        })
        .await;
        assert_sums(&report);
        assert_eq!((report.phones_served, report.resyncs.served, report.resyncs.failed), (PHONES, PHONES.into(), 0));
        assert_eq!(report.connections.full_handshakes, u64::from(PHONES));
        assert!(report.resyncs.faulty > 0 && report.resyncs.faulty == report.resyncs.retries);
        let names: Vec<&str> = report.faults.keys().copied().collect();
        assert_eq!(names, ["drop", "garbage", "slow", "wrong-certificate"]);

        // The slow are served, the strangers are not.
        assert_eq!(report.faults["slow"].statuses, BTreeMap::from([(200, report.faults["slow"].count)]));
        let strangers = &report.faults["wrong-certificate"];
        assert!(strangers.statuses.is_empty() && strangers.errors.values().sum::<u64>() == strangers.count);
        assert_eq!(report.strangers_served(), 0);
        assert!(report.is_fine());
        counts.push(report.faults.iter().map(|(name, fault)| (*name, fault.count)).collect::<BTreeMap<_, _>>());
    }
    assert_eq!(counts[0], counts[1], "the same seed makes the same faults");
}

#[tokio::test]
async fn a_stranger_that_is_served_is_noticed() {
    let world = World::new();
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    let context = world.acceptor.context();
    builder.set_certificate(context.certificate().unwrap()).unwrap();
    builder.set_private_key(context.private_key().unwrap()).unwrap();
    let server = Server::start(Some(builder.build()), profile).await;
    let report = played(Plan {
        strangers: Some(signed_by(PhoneAuthority::unknown().unwrap())),
        faults: "wrong-certificate=0.5".parse().unwrap(),
        ..secure_plan(&server, "https", world.tls(false), false)
    })
    .await;
    assert!(report.strangers_served() > 0 && !report.is_fine());
}

#[tokio::test]
async fn refusals_and_failures_are_told_apart() {
    let server = Server::start(None, not_found).await;
    let late = "7200".parse().unwrap();
    let report = played(Plan { error_retry: late, ..plan(&server) }).await;
    assert_sums(&report);
    assert_eq!((report.phones_served, report.resyncs.refused, report.is_fine()), (0, PHONES.into(), false));

    let dead = SocketAddr::from(([127, 0, 0, 1], 1));
    let late = "7200".parse().unwrap();
    let report = played(Plan { error_retry: late, ..plan(&Server { address: dead, ..server }) }).await;
    assert_sums(&report);
    assert_eq!((report.resyncs.failed, report.errors["connect"].count), (PHONES.into(), PHONES.into()));
    assert!(report.errors["connect"].example.contains("127.0.0.1:1"), "{:?}", report.errors);
}

#[tokio::test]
async fn connections_are_held_to_the_end() {
    let world = World::new();
    let server = Server::start(Some(world.acceptor.clone()), profile).await;
    let certificates = Some(world.certificates());
    let plan = Plan { certificates, ..secure_plan(&server, "https", world.tls(false), true) };
    let report = run(plan, server.has_seen(200), |_| {}).await.unwrap();
    assert_sums(&report);
    assert_eq!((report.connections.held, report.phones_served), (200, PHONES));

    let server = Server::start(None, profile).await;
    let plan = Plan {
        pattern: Pattern::Steady { per_second: 10_000.0 },
        fleet: fleet(5, "6757i"),
        ..secure_plan(&server, "http", TlsOptions::default(), true)
    };
    let report = run(plan, server.has_seen(50), |_| {}).await.unwrap();
    assert_sums(&report);
    assert_eq!(report.connections.opened, 5);
    assert!(report.connections.reused >= 45);
    let first: BTreeSet<String> = server.seen().into_iter().take(5).map(|seen| seen.path).collect();
    assert_eq!(first.len(), 5);
}

#[tokio::test]
async fn what_could_not_begin_is_told() {
    let server = Server::start(None, profile).await;
    let report = run(Plan { most_at_once: 1, ..plan(&server) }, std::future::ready(()), |_| {}).await.unwrap();
    assert_sums(&report);
    assert_eq!(report.resyncs.begun + report.resyncs.never_begun, u64::from(PHONES));
}

/// The program itself; a server in this process answers it.
async fn program(arguments: Vec<String>) -> Output {
    tokio::task::spawn_blocking(move || resyncd().args(["phone", "swarm"]).args(arguments).output().unwrap())
        .await
        .unwrap()
}

fn arguments(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_program_reports_as_json_and_by_its_exit_code() {
    let world = World::new();
    let server = Server::start(Some(world.acceptor.clone()), profile).await;
    let (port, folder) = (server.address.port(), world.folder.path().display());
    let output = program(arguments(&format!(
        "--server https://localhost/ --connect 127.0.0.1:{port} --phones 20 --model-mix CP-6841-3PCC=3,SPA504G=1 \
         --path-template /p/{{serial}}/{{MAC}} --first-mac 00:0e:08:00:00:f0 --make-certificates --key p-256 \
         --ca {folder}/phone-ca.pem --ca-key {folder}/phone-ca.key --ca-file {folder}/server-ca.pem \
         --faults wrong-certificate=0.2 --error-retry 0 --handshakes resume --seed 7 --format json"
    )))
    .await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "nothing is shown where there is no terminal");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "phones",
        "phones_served",
        "seed",
        "seconds",
        "resyncs",
        "statuses",
        "errors",
        "faults",
        "bytes",
        "connections",
        "latency_ms",
        "lateness_ms",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&report["phones"], &report["phones_served"], &report["seed"]), (&20.into(), &20.into(), &7.into()));
    assert_eq!(report["statuses"]["200"], 20);
    assert!(report["latency_ms"]["p99.9"].as_f64().unwrap() > 0.0);
    assert!(server.seen().iter().any(|seen| seen.path == "/p/88012BA00019/000E08000103"));
    assert_eq!(server.seen()[0].client.as_deref().map(str::len), Some(12));

    let server = Server::start(None, not_found).await;
    let output = program(arguments(&format!("--server http://{} --phones 3 --duration 1s", server.address))).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("0 of 3 phones") && text.contains("404: 3"), "{text}");
}

#[tokio::test]
async fn what_can_not_be_played_is_refused_with_a_reason() {
    for (given, why) in [
        ("--server tftp://localhost --phones 1", "TFTP"),
        ("--server http://localhost --phones 1 --faults wrong-certificate=0.1", "https"),
        ("--server https://localhost --phones 1 --ca-file not-there.pem", "not-there.pem"),
        ("--server http://localhost --phones 1 --certificates not-there", "not-there/phone-000e08000000.pem"),
        ("--server http://localhost --phones 1 --make-certificates", "--ca"),
        ("--server http://localhost --phones 2 --first-mac 000e08ffffff", "000e08ffffff"),
        ("--server http://localhost --phones 1 --pattern sometimes", "all-at-once"),
    ] {
        let output = program(arguments(given)).await;
        assert_eq!(output.status.code(), Some(2), "{given}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(why), "{given}: {text}");
    }
}
