//! Whether how long a refusal takes tells which phones there are. `cargo bench --bench timing` asks the real program, over real
//! connections, 10,000 times (`BENCH_REQUESTS`) for each kind of phone by each kind of attempt, in random order, and compares
//! the times as dudect does (Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?", 2017): Welch's t of all of them,
//! and of those below several percentiles, where small differences show. Beyond 4.5 it is taken for a difference.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark that meets the unexpected should stop, and its numbers are small"
)]

mod program;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use base64::Engine as _;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use resyncd::identity::password::{Algorithm, Signed};
use resyncd::model::Secret;
use resyncd::tls::certificates::{PhoneCertificate, SubjectForm, ensure_development_certificates};
use socket2::{Domain, Socket, Type};

use program::{Deployment, Serving};

/// Connections at a time, each from an address of its own.
const LANES: usize = 16;

/// Phones of each kind.
const PHONES: usize = 50;

/// Beyond this, dudect takes a difference for one.
const THRESHOLD: f64 = 4.5;

/// A phone that an attacker has, with all its proofs.
const OWN: &str = "000e08abcdef";

const PASSWORD: &str = "not-a-real-password";

/// What a phone may prove itself by, and so what an attacker shows of a phone of his own.
#[derive(Clone, Copy, PartialEq)]
enum Policy {
    Certificate,
    Basic,
    Digest,
    Token,
    Network,
}

impl Policy {
    const ALL: [Self; 5] = [Self::Certificate, Self::Basic, Self::Digest, Self::Token, Self::Network];

    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Basic => "password, Basic",
            Self::Digest => "password, Digest",
            Self::Token => "token",
            Self::Network => "network",
        }
    }

    fn listener(self) -> &'static str {
        match self {
            Self::Certificate | Self::Token => "https",
            Self::Basic => "https-passwords",
            Self::Digest => "http-passwords",
            Self::Network => "http",
        }
    }

    /// The settings of a phone that proves itself so.
    fn access(self, mac: &str) -> String {
        match self {
            Self::Certificate => "certificate = true\n".to_owned(),
            Self::Basic | Self::Digest => format!(
                "certificate = false\npassword = true\n[credentials]\nuser = \"{mac}\"\npassword = \"{PASSWORD}-{mac}\"\n"
            ),
            Self::Token => "certificate = false\ntoken = true\n".to_owned(),
            Self::Network => "certificate = false\nnetworks = [\"192.0.2.0/24\"]\n".to_owned(),
        }
    }
}

/// Whether there is such a phone, and where its record is.
#[derive(Clone, Copy, PartialEq)]
enum Phone {
    Unknown,
    InFiles,
    InDatabase,
}

/// Who is asked for, and with which proof.
#[derive(Clone, Copy, PartialEq)]
struct Class {
    phone: Phone,
    /// With the proof of the attacker's own phone.
    is_proved: bool,
}

impl Class {
    fn told(self) -> String {
        let phone = match self.phone {
            Phone::Unknown => "unknown",
            Phone::InFiles => "known, in a file",
            Phone::InDatabase => "known, in the database",
        };
        format!("{phone}, {}", if self.is_proved { "another's proof" } else { "no proof" })
    }
}

const PHONE_KINDS: [Phone; 3] = [Phone::Unknown, Phone::InFiles, Phone::InDatabase];

fn mac(phone: Phone, number: usize) -> String {
    let kind = match phone {
        Phone::Unknown => 1,
        Phone::InFiles => 2,
        Phone::InDatabase => 3,
    };
    format!("000e080{kind}{number:04x}")
}

const CONFIG: &str = r#"
[secrets]
master_key = { file = "master.key" }

[[listener]]
name = "https"
address = "127.0.0.1:0"
[listener.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_certificate = "optional"
client_ca = ["certs/phone-ca.pem"]

[[listener]]
name = "https-passwords"
address = "127.0.0.1:0"
passwords = true
[listener.tls]
certificate = "certs/server.pem"
key = "certs/server.key"

[[listener]]
name = "http"
address = "127.0.0.1:0"

[[listener]]
name = "http-passwords"
address = "127.0.0.1:0"
passwords = true

# Braked, refusals differ on purpose.
[brakes]
failures = 1000000
refuse_after = 1000000
tries = 1000
scan_phones = 256

[limits]
requests_per_connection = 1000000
"#;

/// The program at work, and what the attacker has of it.
struct Server {
    serving: Serving,
    token: String,
    deployment: Deployment,
}

impl Server {
    fn start(policy: Policy) -> Self {
        let deployment = Deployment::new(CONFIG);
        deployment.write("master.key", &"0123456789abcdef".repeat(4));
        let device = |mac: &str| {
            format!("model = \"CP-6841-3PCC\"\n[lines.1]\nuser = \"{mac}\"\n[access]\n{}", policy.access(mac))
        };
        for mac in (0..PHONES).map(|number| mac(Phone::InFiles, number)).chain([OWN.to_owned()]) {
            deployment.write(&format!("profiles/devices/{mac}.toml"), &device(&mac));
        }
        let records = (0..PHONES).map(|number| {
            let mac = mac(Phone::InDatabase, number);
            let text = device(&mac);
            let (model, settings) = text.split_once('\n').unwrap();
            let settings = format!("\n{settings}").replace("\n[", "\n[device.settings.");
            format!("[[device]]\nmac = \"{mac}\"\n{model}{settings}")
        });
        deployment.write("import.toml", &records.collect::<Vec<_>>().join("\n"));
        let own = PhoneCertificate {
            mac: OWN.parse().unwrap(),
            form: SubjectForm::Cisco { model: "CP-6841-3PCC".to_owned(), serial: "88012BA01234".parse().unwrap() },
        };
        ensure_development_certificates(&deployment.path("certs"), &[own], &[]).unwrap();
        deployment.run(&["device", "import", "import.toml"]);
        let url = if policy == Policy::Token { deployment.run(&["device", "token", OWN]) } else { String::new() };
        let token = url.split_once("/t/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default().to_owned();
        Self { serving: deployment.serve(), token, deployment }
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One connection that stays open, from the lane's own address.
fn connect(server: &Server, policy: Policy, lane: usize, is_proved: bool) -> Box<dyn Stream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source = Ipv4Addr::new(127, 0, 1, u8::try_from(lane + 1).unwrap());
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&server.serving.address(policy.listener()).into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    let socket = std::net::TcpStream::from(socket);
    if !policy.listener().starts_with("https") {
        return Box::new(socket);
    }
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    if policy == Policy::Certificate && is_proved {
        let path = |end: &str| server.deployment.path(&format!("certs/phone-{OWN}.{end}"));
        connector.set_certificate_chain_file(path("pem")).unwrap();
        connector.set_private_key_file(path("key"), SslFiletype::PEM).unwrap();
    }
    Box::new(connector.build().connect("localhost", socket).unwrap())
}

/// The attacker on one connection.
struct Lane {
    connection: Box<dyn Stream>,
    /// Of the refusal before.
    nonce: String,
}

impl Lane {
    fn ask(&mut self, policy: Policy, token: &str, mac: &str, is_proved: bool) -> Duration {
        let mut target = format!("/cisco/{mac}.xml");
        let mut headers = String::new();
        match policy {
            Policy::Token if is_proved => target = format!("/t/{token}{target}"),
            Policy::Basic if is_proved => {
                let text = base64::engine::general_purpose::STANDARD.encode(format!("{OWN}:{PASSWORD}-{OWN}"));
                headers = format!("Authorization: Basic {text}\r\n");
            }
            Policy::Digest if is_proved => {
                let (nonce, nc, cnonce) = (&*self.nonce, "00000001", "c");
                let signed = Signed {
                    algorithm: Algorithm::Sha256,
                    realm: "resyncd",
                    method: "GET",
                    uri: &target,
                    nonce,
                    nc,
                    cnonce,
                };
                let response = signed.response(OWN, &Secret::new(format!("{PASSWORD}-{OWN}")));
                let response = response.expose_text().unwrap();
                headers = format!(
                    "Authorization: Digest username=\"{OWN}\", realm=\"resyncd\", nonce=\"{nonce}\", uri=\"{target}\", \
                     algorithm=SHA-256, response=\"{response}\", qop=auth, nc={nc}, cnonce=\"{cnonce}\"\r\n"
                );
            }
            _ => {}
        }
        let agent = "User-Agent: Cisco-CP-6841-3PCC/11.2.4\r\n";
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{agent}{headers}\r\n");
        let mut answer = Vec::with_capacity(1024);
        let started = Instant::now();
        self.connection.write_all(request.as_bytes()).unwrap();
        let mut buffer = [0; 4096];
        while !answer.ends_with(b"\r\n\r\n") {
            let count = self.connection.read(&mut buffer).unwrap();
            assert!(count > 0, "closed after {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..count]);
        }
        let took = started.elapsed();
        let answer = String::from_utf8(answer).unwrap();
        let expected = if matches!(policy, Policy::Basic | Policy::Digest) { "401" } else { "404" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{answer}");
        if let Some((_, rest)) = answer.split_once("nonce=\"") {
            self.nonce = rest.split('"').next().unwrap().to_owned();
        }
        took
    }
}

/// Times in nanoseconds, by class.
fn measure(policy: Policy, classes: &[Class], requests: usize) -> Vec<Vec<f64>> {
    let server = Server::start(policy);
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let is_proved = [false, true];
            is_proved.map(|is_proved| Lane {
                connection: connect(&server, policy, lane, is_proved),
                nonce: "of-no-server".to_owned(),
            })
        })
        .collect();
    let token = &server.token;
    let measured = std::thread::scope(|scope| {
        let measuring: Vec<_> = lanes
            .into_iter()
            .enumerate()
            .map(|(number, mut lane)| {
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(number as u64);
                    let mut times = vec![Vec::new(); classes.len()];
                    // Each class as often as the others, in random order.
                    let each = requests.div_ceil(LANES);
                    let mut order: Vec<_> = (0..classes.len()).cycle().take(each * classes.len()).collect();
                    random.shuffle(&mut order);
                    // Connections and caches are warm before it counts.
                    for class in (0..classes.len()).cycle().take(20 * classes.len()).chain(order.iter().copied()) {
                        let Class { phone, is_proved } = classes[class];
                        let mac = mac(phone, random.usize(..PHONES));
                        let took = lane[usize::from(is_proved)].ask(policy, token, &mac, is_proved);
                        times[class].push(took.as_nanos() as f64);
                    }
                    times.iter_mut().for_each(|times| drop(times.drain(..20)));
                    times
                })
            })
            .collect();
        measuring.into_iter().map(|lane| lane.join().unwrap()).collect::<Vec<_>>()
    });
    (0..classes.len()).map(|class| measured.iter().flat_map(|lane| lane[class].iter().copied()).collect()).collect()
}

fn mean_and_variance(times: &[f64]) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    (mean, times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

/// Welch's t, and the standard error of the difference of the means.
fn welch(one: &[f64], other: &[f64]) -> (f64, f64) {
    let ((mean, variance), (other_mean, other_variance)) = (mean_and_variance(one), mean_and_variance(other));
    let error = (variance / one.len() as f64 + other_variance / other.len() as f64).sqrt();
    ((mean - other_mean) / error, error)
}

/// What two classes' times tell: the largest |t| of all cuts, and in nanoseconds the smallest difference that any cut would have shown.
fn compare(one: &[f64], other: &[f64]) -> (f64, f64) {
    let mut pooled: Vec<_> = one.iter().chain(other).copied().collect();
    pooled.sort_by(f64::total_cmp);
    let cuts = [0.5, 0.75, 0.9, 0.95, 0.99, 1.0].map(|share| pooled[((pooled.len() - 1) as f64 * share) as usize]);
    let below = |times: &[f64], cut: f64| times.iter().copied().filter(|time| *time <= cut).collect::<Vec<_>>();
    let tests = cuts.map(|cut| welch(&below(one, cut), &below(other, cut)));
    (
        tests.iter().map(|(t, _)| t.abs()).fold(0.0, f64::max),
        tests.iter().map(|(_, error)| error * THRESHOLD).fold(f64::INFINITY, f64::min),
    )
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    // `cargo test --benches` and clippy only want to see that it is there.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let requests = std::env::var("BENCH_REQUESTS").map_or(10_000, |count| count.parse().expect("a number of requests"));
    println!("{requests} requests of each class, {LANES} connections; a difference is one beyond |t| = {THRESHOLD}\n");
    println!("| access | compared | median, ms | difference of medians, µs | largest \\|t\\| | would have shown, µs |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for policy in Policy::ALL {
        let proofs: &[bool] = if policy == Policy::Network { &[false] } else { &[false, true] };
        let classes: Vec<_> = proofs
            .iter()
            .flat_map(|is_proved| PHONE_KINDS.map(|phone| Class { phone, is_proved: *is_proved }))
            .collect();
        let times = measure(policy, &classes, requests);
        let of = |class: Class| &times[classes.iter().position(|other| *other == class).unwrap()];
        let mut pairs = Vec::new();
        for is_proved in proofs.iter().copied() {
            let unknown = Class { phone: Phone::Unknown, is_proved };
            pairs.extend([Phone::InFiles, Phone::InDatabase].map(|phone| (unknown, Class { phone, is_proved })));
        }
        if proofs.len() > 1 {
            let known = |is_proved| Class { phone: Phone::InFiles, is_proved };
            pairs.push((known(false), known(true)));
        }
        for (one, other) in pairs {
            let (t, shown) = compare(of(one), of(other));
            let (middle, other_middle) = (median(of(one)), median(of(other)));
            println!(
                "| {} | {} — {} | {:.2} | {:+.1} | {t:.1} | {:.1} |",
                policy.name(),
                one.told(),
                other.told(),
                middle / 1e6,
                (other_middle - middle) / 1e3,
                shown / 1e3
            );
        }
    }
}
