//! `resyncd.toml`: what was typed (`load`) becomes what is usable (the types here). Nothing further in sees what was
//! typed; every path here is absolute or relative to where the program was started, every bound is in force. Keys,
//! bounds and defaults stand in `reference` alone.

mod load;
pub mod reference;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::document::Problem;
use crate::model::Secret;

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from.
    pub file: PathBuf,
    /// State: database, uploads, spool. The only place that `serve` writes to.
    pub data_dir: PathBuf,
    /// The folder of packs.
    pub templates: PathBuf,
    /// The folder of the operator's settings layers.
    pub profiles: PathBuf,
    /// Reload when files under `templates` and `profiles` change.
    pub watch: bool,
    pub listeners: Vec<Listener>,
    pub admin: Admin,
    pub webhooks: Vec<Webhook>,
    pub database: Database,
    pub secrets: Secrets,
    pub limits: Limits,
    pub brakes: Brakes,
    pub connection_requests: ConnectionRequests,
    pub stun: Stun,
    pub process: Process,
    pub cache: Cache,
    pub onboarding: Onboarding,
    pub passwords: Passwords,
    pub events: Events,
    pub uploads: Uploads,
    pub log: Log,
    pub folders: Vec<Folder>,
    pub lint: Lint,
}

/// A socket that phones connect to.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Names the listener in events and metrics; unique.
    pub name: String,
    pub address: SocketAddr,
    /// None: plain HTTP.
    pub tls: Option<Tls>,
    /// Phones are asked for user and password.
    pub passwords: bool,
    /// Basic is taken without TLS.
    pub basic_without_tls: bool,
    /// Write header names as `Content-Length`, for clients that don't know them in lower case.
    pub title_case_headers: bool,
    /// The path on which phones have sessions of CWMP; none: they have none here.
    pub cwmp: Option<String>,
    /// None: every peer is the phone itself.
    pub proxy: Option<Proxy>,
}

/// How phones are asked for user and password, on listeners that do.
#[derive(Debug, Clone)]
pub struct Passwords {
    pub realm: String,
    pub nonce_lifetime: Duration,
    /// How many nonces are remembered that were used.
    pub nonces: usize,
}

/// Programs that phones come through, and how those tell for whom they speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Who may speak for others.
    pub networks: Vec<IpNet>,
    pub protocol: ProxyProtocol,
    /// The header that the proxy puts the phone's certificate into, in lower case; it is believed that the phone has its key.
    /// None: certificates that are forwarded count for nothing.
    pub certificate_header: Option<String>,
}

/// How a proxy tells the phone's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// The PROXY protocol, version 1 or 2, before anything else on a connection (HAProxy's proxy-protocol.txt).
    Proxy,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
}

/// How a listener speaks TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate shown where no other fits the name asked for.
    pub certificate: KeyPair,
    /// Further certificates, chosen by the server name that the phone sends (SNI).
    pub names: Vec<NamedKeyPair>,
    pub client_certificate: ClientCertificatePolicy,
    /// PEM files of the roots that sign phones and may vouch for any of them.
    pub client_ca: Vec<PathBuf>,
    /// Roots that may vouch for the phones of those packs that list their name.
    pub client_roots: Vec<ClientRoot>,
    /// Revocation lists, PEM or DER.
    pub crl: Vec<PathBuf>,
    /// Take certificates of an issuer whose revocation list has expired.
    pub allow_expired_crl: bool,
    /// Take client certificates that have expired or are not yet valid; the event says so.
    pub allow_expired: bool,
    /// Take client certificates whose extensions don't allow client authentication; the event says so.
    pub allow_any_purpose: bool,
    pub min_version: TlsVersion,
    pub max_version: TlsVersion,
    /// OpenSSL cipher list for TLS 1.2 and below; none: the program's own.
    pub ciphers: Option<String>,
    /// Broken ciphers that are taken besides.
    pub legacy_ciphers: Vec<LegacyCipher>,
    /// Old protocols, keys and hashes are allowed on this listener.
    pub legacy: bool,
}

/// The roots of one maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRoot {
    /// What packs list; unique in its listener.
    pub name: String,
    /// PEM files.
    pub files: Vec<PathBuf>,
}

/// A cipher that nothing but the oldest phones needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyCipher {
    TripleDes,
    Rc4,
}

impl Tls {
    /// Every file of roots, those without a name first.
    pub fn root_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.client_ca.iter().chain(self.client_roots.iter().flat_map(|root| &root.files))
    }

    /// Every file that the listener reads.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = std::iter::once(&self.certificate).chain(self.names.iter().map(|name| &name.pair));
        pairs.flat_map(|pair| [&pair.certificate, &pair.key]).chain(self.root_files()).chain(&self.crl)
    }
}

/// PEM files: a certificate chain, leaf first, and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A certificate for one server name; `*.example.com` covers one label.
#[derive(Debug, Clone)]
pub struct NamedKeyPair {
    pub server_name: String,
    pub pair: KeyPair,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificatePolicy {
    /// Not asked for.
    None,
    /// Asked for; a phone without one, or with one that doesn't verify, is served as one that has none.
    Optional,
    /// The handshake fails without one that verifies.
    Required,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls1_0,
    Tls1_1,
    Tls1_2,
    Tls1_3,
}

/// The listener for people and machines of the operator's: health, metrics, API.
#[derive(Debug, Clone)]
pub struct Admin {
    /// None: no admin listener.
    pub address: Option<SocketAddr>,
    /// Who may read the metrics without a token.
    pub metrics_networks: Vec<IpNet>,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Connections open at a time.
    pub connections: usize,
}

/// A program that is told of changes and resyncs.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Names it in the database, the log and the metrics; unique.
    pub name: String,
    /// `https`, or `http` to this machine itself.
    pub url: http::Uri,
    /// 24 to 64 bytes. An error: what it names is not to be had here.
    pub secret: Result<Secret, Problem>,
    pub events: Vec<WebhookEvents>,
    /// Only of this group and those that lie within it.
    pub group: Option<String>,
    /// PEM file of the CAs that the receiver's certificate may be signed by; none: the system's.
    pub ca: Option<PathBuf>,
    /// Of one try.
    pub timeout: Duration,
    pub max_tries: u32,
    pub max_age: Duration,
    /// Deliveries that may wait in the database.
    pub queue: u64,
}

/// What a webhook is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookEvents {
    Device,
    Group,
    /// Every outcome.
    Resync,
    /// An outcome, by its word.
    ResyncOutcome(&'static str),
}

impl WebhookEvents {
    /// Every word, and what it stands for.
    pub const WORDS: [(&'static str, Self); 8] = [
        ("device", Self::Device),
        ("group", Self::Group),
        ("resync", Self::Resync),
        ("resync.served", Self::ResyncOutcome("served")),
        ("resync.not-modified", Self::ResyncOutcome("not-modified")),
        ("resync.refused", Self::ResyncOutcome("refused")),
        ("resync.failed", Self::ResyncOutcome("failed")),
        ("resync.aborted", Self::ResyncOutcome("aborted")),
    ];
}

/// Where devices and events are kept, and how it is talked to.
#[derive(Debug, Clone)]
pub struct Database {
    pub url: DatabaseUrl,
    /// Connections; none: as many as suit the kind of database.
    pub pool: Option<u32>,
    /// To connect, and to wait for a connection that is free.
    pub connect_timeout: Duration,
    /// What PostgreSQL gives a statement.
    pub statement_timeout: Duration,
}

/// Which database.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// A file, relative to where the program was started.
    Sqlite(PathBuf),
    /// `postgres://USER@HOST:PORT/DATABASE?…`. Secret, because it may hold a password.
    Postgres(Secret),
}

impl Database {
    /// A file of SQLite, and the defaults.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::of(DatabaseUrl::Sqlite(path.into()))
    }

    /// A database of PostgreSQL, and the defaults.
    pub fn postgres(url: Secret) -> Self {
        Self::of(DatabaseUrl::Postgres(url))
    }

    fn of(url: DatabaseUrl) -> Self {
        let (connect_timeout, statement_timeout) = (reference::CONNECT_TIMEOUT, reference::STATEMENT_TIMEOUT);
        Self { url, pool: None, connect_timeout, statement_timeout }
    }
}

#[derive(Debug, Clone)]
pub struct Secrets {
    /// 32 bytes; encrypts secrets in the database. None: the file names no key. An error: the variable or file that it
    /// names is not to be had here; what needs the key ends with that, what does not (`check` in CI) goes on.
    pub master_key: Result<Option<Secret>, Problem>,
    /// The file that the master key stands in, if it stands in one; it need not be there.
    pub key_file: Option<PathBuf>,
    /// Keys that open what was sealed with them, and seal nothing: those before the master key. Errors as above.
    pub read_keys: Vec<Result<Secret, Problem>>,
}

/// Bounds on what the outside can make the server do.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at a time, over all listeners.
    pub connections: usize,
    /// Of these, from one network.
    pub connections_per_network: usize,
    /// TLS handshakes at a time, over all listeners.
    pub handshakes: usize,
    /// From the connection's first byte to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From a request's first byte to the end of its headers, and how long an idle connection is kept.
    pub header_timeout: Duration,
    /// To write an answer.
    pub response_timeout: Duration,
    /// Bytes of a request's line and headers together.
    pub header_bytes: usize,
    pub headers: usize,
    /// Requests on one connection.
    pub requests_per_connection: usize,
    /// Requests of phones that are being answered at a time.
    pub requests: usize,
    /// Sessions of CWMP at a time.
    pub sessions: usize,
    /// Bytes that a template may render.
    pub profile_bytes: usize,
    /// How long it may.
    pub render_time: Duration,
    /// Time that open connections are given to finish when the server stops.
    pub drain_timeout: Duration,
}

/// What becomes of those who ask in vain.
#[derive(Debug, Clone)]
pub struct Brakes {
    /// Failures of a network or for a phone that are not braked.
    pub failures: u32,
    /// Failures of a network after which its refusals are a 503.
    pub refuse_after: u32,
    /// After this, half of the failures are forgotten.
    pub window: Duration,
    pub longest_delay: Duration,
    /// Refusals that wait at a time.
    pub waiting: usize,
    /// Wrong passwords of one network for one phone.
    pub tries: u32,
    /// Phones of one maker that make a scan.
    pub scan_phones: usize,
    pub scan_window: Duration,
    /// A network with a proof within this time is not named to be kept out.
    pub spare: Duration,
}

/// Which phones are asked to open a session, and how often.
#[derive(Debug, Clone)]
pub struct ConnectionRequests {
    /// Networks that are asked although they are special, or this server's own.
    pub allow: Vec<IpNet>,
    /// Networks that are not asked. Of a network in both lists the narrower one counts.
    pub deny: Vec<IpNet>,
    pub lowest_port: u16,
    /// For resolving, connecting and answering.
    pub timeout: Duration,
    /// The least time between two for one phone.
    pub pace: Duration,
    /// Phones that are being asked at a time.
    pub at_once: usize,
    pub notify: Notify,
}

/// The SIP proxy that brings phones a NOTIFY.
#[derive(Debug, Clone)]
pub struct Notify {
    /// Host, and port. None: there is no asking by SIP.
    pub proxy: Option<(String, u16)>,
    pub transport: Transport,
    /// A SIP address; none: this machine's own.
    pub from: Option<String>,
    pub user: Option<String>,
    /// None: the file names none. An error: the variable or file that it names is not to be had here.
    pub password: Option<Result<Secret, Problem>>,
}

/// How SIP is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// The STUN server for phones behind NAT.
#[derive(Debug, Clone)]
pub struct Stun {
    /// None: there is no STUN server here.
    pub address: Option<SocketAddr>,
    /// Phones have to sign with `acs.stun_user` and `acs.stun_password`.
    pub passwords: bool,
    /// How many phones' addresses are remembered.
    pub bindings: usize,
    /// Datagrams of one network that are looked at in a minute.
    pub per_network: u32,
}

/// What the process runs as.
#[derive(Debug, Clone)]
pub struct Process {
    /// None: as it is started.
    pub user: Option<String>,
    /// None: the user's own.
    pub group: Option<String>,
    /// Whether root may serve.
    pub keep_root: bool,
}

#[derive(Debug, Clone)]
pub struct Cache {
    /// Bytes of delivered profiles kept in memory; 0 switches the cache off.
    pub bytes: u64,
    /// Bytes of records of the database kept in memory.
    pub records: u64,
}

/// How phones become devices by themselves.
#[derive(Debug, Clone)]
pub struct Onboarding {
    /// A phone that comes with a code has to prove by its client certificate which one it is.
    pub certificate_required: bool,
    /// Unknown phones of these networks wait for approval.
    pub staging_networks: Vec<IpNet>,
    /// How many may wait.
    pub waiting: u64,
}

#[derive(Debug, Clone)]
pub struct Events {
    /// Events that may wait for the database; more are spooled to disk.
    pub queue: usize,
    /// Bytes of events that may be spooled in `data_dir/spool`.
    pub spool_bytes: u64,
    /// How long events are kept; none: for ever.
    pub keep: Option<Duration>,
    /// How many events are kept; none: any number.
    pub keep_rows: Option<u64>,
}

/// What phones may send, and how long it is kept.
#[derive(Debug, Clone)]
pub struct Uploads {
    /// Bytes of one upload, packed or unpacked; a pack may allow less.
    pub size: u64,
    /// For all of an upload to come.
    pub timeout: Duration,
    /// Uploads that are being taken at a time.
    pub at_once: usize,
    /// How many are kept of each device and each upload of its pack.
    pub per_device: u64,
    /// How long they are kept; none: for ever.
    pub keep: Option<Duration>,
    /// Bytes of all that are kept.
    pub total: u64,
}

#[derive(Debug, Clone)]
pub struct Log {
    pub format: LogFormat,
    /// A filter as `tracing-subscriber` takes it: `info`, `resyncd=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// A folder of static files for anyone: firmware, ring tones, CA files, dictionaries.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Begins and ends with `/`.
    pub path: String,
    pub folder: PathBuf,
}

/// How the check judges.
#[derive(Debug, Clone)]
pub struct Lint {
    /// What is written for rules. Which rules there are is the check's to know.
    pub severity: Vec<RuleLevel>,
    /// A certificate that expires sooner than this is told of.
    pub certificate_expiry: Duration,
}

/// What a file says of one rule, and where.
#[derive(Debug, Clone)]
pub struct RuleLevel {
    pub rule: String,
    pub level: Level,
    pub file: Arc<Path>,
    /// Counted from 1.
    pub line: u32,
}

/// How a rule's findings are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Not at all.
    Off,
    Note,
    Warning,
    Error,
}
