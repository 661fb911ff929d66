//! What is measured: one case a name, and within it the servers that take turns.
//!
//! Not the whole product of versions, keys, certificates, resumption and deliveries: each is varied by itself, from the
//! case that is most like a phone's (TLS 1.3, RSA, client certificate, new connection, gzip and AES, ready). A resumed session needs no server
//! key, so RSA and ECDSA are told apart for full handshakes only.

/// How often a slow server is asked for a request of the others.
pub const SLOW: usize = 10;

/// Phones that a case asks for in turn, unless it says otherwise.
const PHONES: u32 = 64;

/// One case.
pub struct Case {
    pub name: &'static str,
    /// The heading that it stands under.
    pub group: &'static str,
    pub about: &'static str,
    pub work: Work,
}

pub enum Work {
    Requests(Load),
    /// Memory: of so many devices from files, and of so many open connections more.
    Idle {
        devices: u32,
        connections: usize,
    },
}

/// Requests, and who takes turns in answering them.
#[derive(Clone)]
pub struct Load {
    /// None: plain HTTP.
    pub tls: Option<Tls>,
    /// Requests of a connection: one, or all.
    pub keep_alive: bool,
    pub delivery: Delivery,
    /// Requests of a round; those that are [`SLOW`] answer fewer.
    pub requests: usize,
    /// resyncd keeps nothing ready.
    pub cold: bool,
    /// The first is compared with each of the others.
    pub contenders: Vec<Contender>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tls {
    pub version: Version,
    pub key: Key,
    /// Whether phones are asked for a certificate, and show one.
    pub certificate: bool,
    pub resumed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// The server's key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Rsa,
    Ecdsa,
}

/// What is done to a profile before it is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Plain,
    Gzip,
    GzipAes,
    GzipAesGcm,
}

/// A server and its devices.
#[derive(Clone)]
pub struct Contender {
    /// Unique in its case.
    pub label: &'static str,
    pub program: Program,
    /// Devices that resyncd has.
    pub devices: u32,
    /// Of these, how many are asked for.
    pub asked: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Resyncd { postgres: bool },
    Nginx { log: bool },
    Apache,
    Bare,
}

impl Contender {
    const fn of(label: &'static str, program: Program) -> Self {
        Self { label, program, devices: PHONES, asked: PHONES }
    }

    const fn with(self, devices: u32, asked: u32) -> Self {
        Self { devices, asked, ..self }
    }
}

const RESYNCD: Contender = Contender::of("resyncd", Program::Resyncd { postgres: false });
const NGINX: Contender = Contender::of("nginx", Program::Nginx { log: true });
const SILENT_NGINX: Contender = Contender::of("nginx without a log", Program::Nginx { log: false });
const APACHE: Contender = Contender::of("Apache and CGI", Program::Apache);
const BARE: Contender = Contender::of("bare server", Program::Bare);

const FULL: Tls = Tls { version: Version::Tls13, key: Key::Rsa, certificate: true, resumed: false };

/// Handshakes that a round has.
const HANDSHAKES: usize = 2_000;
/// Requests that a round has without any.
const PLAIN: usize = 20_000;

fn tls(tls: Tls) -> Load {
    Load {
        tls: Some(tls),
        keep_alive: false,
        delivery: Delivery::GzipAes,
        requests: if tls.resumed { 2 * HANDSHAKES } else { HANDSHAKES },
        cold: false,
        contenders: vec![RESYNCD, NGINX, APACHE, BARE],
    }
}

fn plain(keep_alive: bool) -> Load {
    let contenders = vec![RESYNCD, NGINX, SILENT_NGINX, APACHE, BARE];
    Load { tls: None, keep_alive, requests: PLAIN, contenders, ..tls(FULL) }
}

/// Every request renders: nothing is kept ready, and the phones are many.
fn cold(load: Load) -> Load {
    let contenders = [RESYNCD, NGINX].map(|contender| contender.with(2_000, 2_000)).to_vec();
    Load { cold: true, requests: HANDSHAKES, contenders, ..load }
}

fn delivered(delivery: Delivery, load: Load) -> Load {
    Load { delivery, contenders: vec![RESYNCD, NGINX], ..load }
}

fn growing(load: Load) -> Load {
    let contenders = vec![
        Contender { label: "100,000 devices", ..RESYNCD.with(100_000, 2_000) },
        Contender { label: "1,000 devices", ..RESYNCD.with(1_000, 1_000) },
        Contender { label: "1 device", ..RESYNCD.with(1, 1) },
    ];
    Load { contenders, ..load }
}

fn stored(load: Load) -> Load {
    let postgres = Contender::of("events in PostgreSQL", Program::Resyncd { postgres: true });
    Load { contenders: vec![postgres, Contender { label: "events in SQLite", ..RESYNCD }], ..load }
}

/// All cases, in the order of the report.
pub fn all() -> Vec<Case> {
    let tls12 = Tls { version: Version::Tls12, ..FULL };
    let ecdsa = Tls { key: Key::Ecdsa, ..FULL };
    let anyone = Tls { certificate: false, ..FULL };
    let resumed = |tls: Tls| Tls { resumed: true, ..tls };
    let case = |group, name, about, load| Case { name, group, about, work: Work::Requests(load) };
    let handshakes = |name, about, load| case("TLS, a new connection for each request", name, about, load);
    let http = |name, about, load| case("Plain HTTP", name, about, load);
    let rendered = |name, about, load| case("Rendered for this very request", name, about, load);
    let packed = |name, about, load| case("What is done to a profile", name, about, load);
    let grown = |name, about, load| case("Devices", name, about, load);
    let kept = |name, about, load| case("Where events are kept", name, about, load);
    vec![
        handshakes("tls13-rsa-full", "TLS 1.3, RSA, client certificate", tls(FULL)),
        handshakes("tls13-rsa-resumed", "the same, sessions resumed", tls(resumed(FULL))),
        handshakes("tls12-rsa-full", "TLS 1.2, RSA, client certificate", tls(tls12)),
        handshakes("tls12-rsa-resumed", "the same, sessions resumed", tls(resumed(tls12))),
        handshakes("tls13-ecdsa-full", "TLS 1.3, ECDSA (P-256), client certificate (RSA)", tls(ecdsa)),
        handshakes(
            "tls12-ecdsa-full",
            "TLS 1.2, ECDSA (P-256), client certificate (RSA)",
            tls(Tls { key: Key::Ecdsa, ..tls12 }),
        ),
        handshakes("tls13-rsa-full-anyone", "TLS 1.3, RSA, no client certificate", tls(anyone)),
        handshakes("tls13-rsa-resumed-anyone", "the same, sessions resumed", tls(resumed(anyone))),
        handshakes(
            "tls12-rsa-full-anyone",
            "TLS 1.2, RSA, no client certificate",
            tls(Tls { certificate: false, ..tls12 }),
        ),
        http("plain-keep-alive", "one connection for all requests of a phone", plain(true)),
        http("plain-close", "a new connection for each request", plain(false)),
        rendered("tls13-rsa-full-cold", "as tls13-rsa-full, 2,000 phones in turn", cold(tls(FULL))),
        rendered("tls13-rsa-resumed-cold", "as tls13-rsa-resumed", cold(tls(resumed(FULL)))),
        rendered("plain-keep-alive-cold", "as plain-keep-alive, 2,000 phones in turn", cold(plain(true))),
        packed("full-delivery-plain", "as tls13-rsa-full, the profile as it is", delivered(Delivery::Plain, tls(FULL))),
        packed("full-delivery-gzip", "as tls13-rsa-full, gzip alone", delivered(Delivery::Gzip, tls(FULL))),
        packed(
            "full-delivery-aes128gcm",
            "as tls13-rsa-full, gzip and RFC 8188",
            delivered(Delivery::GzipAesGcm, tls(FULL)),
        ),
        packed(
            "plain-delivery-plain",
            "as plain-keep-alive, the profile as it is",
            delivered(Delivery::Plain, plain(true)),
        ),
        packed("plain-delivery-gzip", "as plain-keep-alive, gzip alone", delivered(Delivery::Gzip, plain(true))),
        packed(
            "plain-delivery-aes128gcm",
            "as plain-keep-alive, gzip and RFC 8188",
            delivered(Delivery::GzipAesGcm, plain(true)),
        ),
        grown("full-devices", "as tls13-rsa-full, by the number of devices", growing(tls(FULL))),
        grown("plain-devices", "as plain-keep-alive, by the number of devices", growing(plain(true))),
        kept("full-events", "as tls13-rsa-full, by database", stored(tls(FULL))),
        kept("plain-events", "as plain-keep-alive, by database", stored(plain(true))),
        Case {
            name: "memory",
            group: "Memory",
            about: "100,000 devices from files, idle, and 10,000 open TLS connections more",
            work: Work::Idle { devices: 100_000, connections: 10_000 },
        },
    ]
}
