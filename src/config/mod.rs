//! `resyncd.toml`: what was typed (`load`) becomes what is usable (the types here). Nothing further in sees what was
//! typed; every path here is absolute or relative to where the program was started, every bound is in force. Keys,
//! bounds and defaults stand in `reference` alone.

mod load;
pub mod reference;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    pub database: Database,
    pub secrets: Secrets,
    pub limits: Limits,
    pub cache: Cache,
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
}

/// How a listener speaks TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate shown where no other fits the name asked for.
    pub certificate: KeyPair,
    /// Further certificates, chosen by the server name that the phone sends (SNI).
    pub names: Vec<NamedKeyPair>,
    pub client_certificate: ClientCertificatePolicy,
    /// PEM files of the roots that sign phones.
    pub client_ca: Vec<PathBuf>,
    /// Take client certificates that have expired or are not yet valid; the event says so.
    pub allow_expired: bool,
    /// Take client certificates whose extensions don't allow client authentication; the event says so.
    pub allow_any_purpose: bool,
    pub min_version: TlsVersion,
    pub max_version: TlsVersion,
    /// OpenSSL cipher list for TLS 1.2 and below; none: the program's own.
    pub ciphers: Option<String>,
    /// Old protocols, keys and hashes are allowed on this listener.
    pub legacy: bool,
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
}

/// Where devices and events are kept.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file, relative to where the program was started.
    Sqlite(PathBuf),
    /// `postgres://USER@HOST:PORT/DATABASE?…`. Secret, because it may hold a password.
    Postgres(Secret),
}

#[derive(Debug, Clone)]
pub struct Secrets {
    /// 32 bytes; encrypts secrets in the database. None: the file names no key. An error: the variable or file that it
    /// names is not to be had here; what needs the key ends with that, what does not (`check` in CI) goes on.
    pub master_key: Result<Option<Secret>, Problem>,
}

/// Bounds on what the outside can make the server do.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at a time, over all listeners.
    pub connections: usize,
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
    /// Bytes that a template may render.
    pub profile_bytes: usize,
    /// Time that open connections are given to finish when the server stops.
    pub drain_timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct Cache {
    /// Bytes of delivered profiles kept in memory; 0 switches the cache off.
    pub bytes: u64,
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
