//! Every key of `resyncd.toml`: what it may be, what holds where it isn't written, and what it means. The loader takes
//! kinds, bounds and defaults from here and can read no key that is not here; docs/configuration.md is written from it.

use std::fmt;
use std::time::Duration;

/// One table of the file.
#[derive(Debug)]
pub struct Table {
    /// Its dotted name; empty for the top of the file.
    pub name: &'static str,
    /// How it is written: `[[listener]]`; empty for the top of the file.
    pub heading: &'static str,
    pub about: &'static str,
    pub keys: &'static [Key],
}

/// One key of a table.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub otherwise: Otherwise,
    pub about: &'static str,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text; what it has to look like, in words for the docs.
    Text(&'static str),
    /// A path, relative to the folder of the file.
    Path,
    /// One path or a list of them.
    Paths,
    /// A list of texts; what each is, in words for the docs.
    Texts(&'static str),
    Bool,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A length of time within these bounds.
    Time(Duration, Duration),
    /// The same, or a word instead.
    TimeOr(&'static str, Duration, Duration),
    /// An amount of memory or disk within these bounds, in bytes.
    Size(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text, `{ env = "NAME" }` or `{ file = "PATH" }`.
    Secret,
    /// A list of them.
    Secrets,
    /// A table of the check's rules, each with one of these words.
    Rules(&'static [&'static str]),
}

/// What holds where a key isn't written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// This value, as a variable would hold it.
    Value(&'static str),
    /// It has to be written.
    Required,
    /// No value; what that comes to, in words for the docs.
    Nothing(&'static str),
}

/// A variable of the environment that begins as the overrides do, and is none.
#[derive(Debug)]
pub struct Reserved {
    pub name: &'static str,
    pub about: &'static str,
}

use Kind::{Bool, Choice, Integer, Path, Paths, Rules, Secret, Secrets, Size, Text, Texts, Time, TimeOr};
use Otherwise::{Nothing, Required, Value};

const fn key(name: &'static str, kind: Kind, otherwise: Otherwise, about: &'static str) -> Key {
    Key { name, kind, otherwise, about }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What the variables that override keys begin with.
pub const PREFIX: &str = "RESYNCD_";

pub static TOP: Table = Table {
    name: "",
    heading: "",
    about: "Where things are.",
    keys: &[
        key(
            "data_dir",
            Path,
            Value("data"),
            "State: database, uploads, spool. The only folder that the server writes to.",
        ),
        key("templates", Path, Value("templates"), "The folder of packs."),
        key("profiles", Path, Value("profiles"), "The folder of your settings layers."),
        key(
            "watch",
            Bool,
            Value("false"),
            "Reload when a file under `templates` or `profiles` changes. Without it: on SIGHUP or `POST /api/v1/reload`.",
        ),
    ],
};

pub static LISTENER: Table = Table {
    name: "listener",
    heading: "[[listener]]",
    about: "A socket that phones connect to. There has to be at least one; give each its own `[[listener]]`.",
    keys: &[
        key(
            "name",
            Text("a name"),
            Required,
            "Names the listener in events, metrics and variables: up to 32 letters, digits, `-` and `_`; unique.",
        ),
        key("address", Text("`IP:PORT`"), Required, "Where it listens: `0.0.0.0:8443`, or `[::]:8443`. Unique."),
        key(
            "passwords",
            Bool,
            Value("false"),
            "Ask phones for user and password (`access.password`): whoever may not have a device's file gets the same 401 with challenges in the place of the 404. Without it passwords open nothing here.",
        ),
        key(
            "basic_without_tls",
            Bool,
            Value("false"),
            "Take passwords by HTTP Basic on this listener although it has no TLS: everybody on the way reads them. Digest is asked for anyway.",
        ),
        key(
            "title_case_headers",
            Bool,
            Value("false"),
            "Write the names of headers as `Content-Length` and not as `content-length`, for old phones that know them in no other case.",
        ),
        key(
            "cwmp",
            Text("a path"),
            Nothing("no sessions on this listener"),
            "The path on which phones have sessions with the auto-configuration server (TR-069): `/cwmp`.",
        ),
    ],
};

pub static LISTENER_PROXY: Table = Table {
    name: "listener.proxy",
    heading: "[listener.proxy]",
    about: "Says that phones come to the listener above it through a proxy or load balancer, and which. Peers outside `networks` are phones themselves.",
    keys: &[
        key(
            "networks",
            Texts("networks"),
            Required,
            "The addresses of the proxies: `[\"10.0.0.5\"]`. They have to tell for whom they speak; nobody else may.",
        ),
        key(
            "protocol",
            Choice(&["proxy-protocol", "forwarded", "x-forwarded-for"]),
            Required,
            "How they tell it: by the PROXY protocol, version 1 or 2, before TLS; by `Forwarded` (RFC 7239); by `X-Forwarded-For`. Of a header, the right-most address that is not in `networks` is the phone's.",
        ),
        key(
            "certificate_header",
            Text("a header's name"),
            Nothing("none"),
            "The header that the proxy puts the phone's certificate into, as percent-encoded PEM (nginx), base64 of DER (HAProxy) or as RFC 9440 has it. It is verified here as any other. The proxy has to remove what phones send in it.",
        ),
        key(
            "trust_forwarded_certificates",
            Bool,
            Value("false"),
            "Believe the proxies that a phone has the key of the certificate in `certificate_header`. Whoever speaks from `networks` can then be any phone.",
        ),
    ],
};

pub static LISTENER_TLS: Table = Table {
    name: "listener.tls",
    heading: "[listener.tls]",
    about: "Makes the listener above it speak HTTPS; without it, it speaks plain HTTP. An empty table is enough for a development certificate.",
    keys: &[
        key(
            "certificate",
            Path,
            Value("certs/dev/server.pem"),
            "PEM file of the certificate chain, leaf first. Written together with `key`.",
        ),
        key("key", Path, Value("certs/dev/server.key"), "PEM file of its private key."),
        key(
            "client_certificate",
            Choice(&["none", "optional", "required"]),
            Value("none"),
            "Whether phones are asked for a certificate. `optional`: a phone without one, or with one that does not verify, is served as one that has none. `required`: its handshake fails.",
        ),
        key(
            "client_ca",
            Paths,
            Nothing("no roots"),
            "PEM files of roots that may vouch for any phone: your own CA's. This or `client_root` is needed when client certificates are asked for.",
        ),
        key(
            "crl",
            Paths,
            Nothing("no lists"),
            "Revocation lists, PEM or DER. A certificate that its issuer's list names is worth nothing, on connections that resume a session too.",
        ),
        key(
            "crl_expired",
            Choice(&["allow", "refuse"]),
            Value("allow"),
            "What becomes of phones whose issuer's list is past its next update: `allow` goes on with what it names; `refuse` takes no certificate of that issuer.",
        ),
        key(
            "allow_expired",
            Bool,
            Value("false"),
            "Take client certificates that are expired or not yet valid; the event says so. For phones without a clock at first boot.",
        ),
        key(
            "allow_any_purpose",
            Bool,
            Value("false"),
            "Take client certificates that are not made for client authentication; the event says so.",
        ),
        key("min_version", Choice(&["1.0", "1.1", "1.2", "1.3"]), Value("1.2"), "Below 1.2 only with `legacy`."),
        key("max_version", Choice(&["1.0", "1.1", "1.2", "1.3"]), Value("1.3"), "Not below `min_version`."),
        key(
            "ciphers",
            Text("an OpenSSL cipher list"),
            Nothing("the program's own list"),
            "Ciphers of TLS 1.2 and below.",
        ),
        key(
            "legacy_ciphers",
            Texts("`3des` or `rc4`"),
            Nothing("none"),
            "Broken ciphers to take when a phone has nothing better. Only with `legacy`.",
        ),
        key(
            "legacy",
            Bool,
            Value("false"),
            "Allow the protocols, key lengths and hashes that only old phones need. Give those phones a listener of their own.",
        ),
    ],
};

pub static LISTENER_TLS_NAME: Table = Table {
    name: "listener.tls.name",
    heading: "[[listener.tls.name]]",
    about: "A further certificate, for phones that ask for this server name (SNI).",
    keys: &[
        key(
            "server_name",
            Text("a host name"),
            Required,
            "The name; `*.example.com` covers one label. Unique in its listener.",
        ),
        key("certificate", Path, Required, "PEM file of the certificate chain, leaf first."),
        key("key", Path, Required, "PEM file of its private key."),
    ],
};

pub static LISTENER_TLS_CLIENT_ROOT: Table = Table {
    name: "listener.tls.client_root",
    heading: "[[listener.tls.client_root]]",
    about: "The roots of one maker. They may vouch for the phones of those packs that list the name as `roots`, and for no other.",
    keys: &[
        key(
            "name",
            Text("a name"),
            Required,
            "The name that packs list: `cisco`, `mitel`, `grandstream` for those that come with resyncd. Unique in its listener.",
        ),
        key("file", Paths, Required, "PEM files of the roots."),
    ],
};

pub static ADMIN: Table = Table {
    name: "admin",
    heading: "[admin]",
    about: "The listener for your own people and machines: `/healthz`, `/readyz`, `/metrics`, `/api/v1/…`. It speaks plain HTTP: keep it on loopback, or behind something that speaks TLS.",
    keys: &[
        key("address", Text("`IP:PORT` or `off`"), Value("127.0.0.1:8090"), "Where it listens; `off`: there is none."),
        key(
            "metrics_networks",
            Texts("networks"),
            Value("127.0.0.0/8,::1/128"),
            "Who may read `/metrics` without a token: `[\"10.0.5.0/24\"]`. An empty list: nobody. Everything else but \
             `/healthz` and `/readyz` takes a token, wherever it comes from.",
        ),
        key("body_bytes", Size(4 * KIB, 64 * MIB), Value("1 MiB"), "The largest body of a request that the API takes."),
        key(
            "connections",
            Integer(1, 100_000),
            Value("256"),
            "Connections open at a time; phones' are not among them.",
        ),
    ],
};

pub static WEBHOOK: Table = Table {
    name: "webhook",
    heading: "[[webhook]]",
    about: "Tells a program of yours of changes and resyncs, as docs/api.md describes: by POST, signed as Standard Webhooks \
            signs, and tried again until it is taken.",
    keys: &[
        key(
            "name",
            Text("a name"),
            Required,
            "Names it in the database, the log and the metrics: up to 32 letters, digits, `-` and `_`; unique.",
        ),
        key(
            "url",
            Text("a URL"),
            Required,
            "Where it is sent: `https://…`, or `http://…` on this machine's own addresses. No user or password in it.",
        ),
        key(
            "secret",
            Secret,
            Required,
            "What it is signed with: `whsec_` and 24 to 64 bytes in base64 (`echo whsec_$(openssl rand -base64 32)`).",
        ),
        key(
            "events",
            Texts("words"),
            Required,
            "What it is told: `device`, `group`, `resync`, or of resyncs only `resync.served`, `resync.not-modified`, \
             `resync.refused`, `resync.failed` or `resync.aborted`.",
        ),
        key("group", Text("a group"), Nothing("the whole fleet"), "Only what is about this group, or lies under it."),
        key(
            "ca",
            Path,
            Nothing("the system's"),
            "PEM file of the CAs that the receiver's certificate may be signed by.",
        ),
        key("timeout", Time(SECOND, MINUTE), Value("10s"), "For the whole of one try."),
        key("max_tries", Integer(1, 100), Value("12"), "Tries before it is given up; the delay grows from 5s to 6h."),
        key("max_age", Time(MINUTE, DAY.saturating_mul(30)), Value("3d"), "Age at which it is given up."),
        key(
            "queue",
            Integer(1, 10_000_000),
            Value("100000"),
            "Deliveries that may wait in the database. Beyond that resyncs are dropped and counted; changes wait.",
        ),
    ],
};

/// The defaults of [`DATABASE`], for those who have no file.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

pub static DATABASE: Table = Table {
    name: "database",
    heading: "[database]",
    about: "What comes at run time: devices added by API or command, events.",
    keys: &[
        key(
            "url",
            Text("`sqlite:PATH` or `postgres://USER@HOST:PORT/DATABASE`"),
            Nothing("`resyncd.db` in `data_dir`"),
            "Which database. SQLite is inside resyncd; its path is relative to the folder of the file. PostgreSQL (13 or later) is \
             for several resyncd side by side. Give its password by `RESYNCD_DATABASE_URL`, `PGPASSWORD` or a `PGPASSFILE`, \
             and ask for TLS with `?sslmode=verify-full&sslrootcert=FILE`: `FILE` holds, in PEM, the one root that the \
             server's certificate leads to. The parameters are those of libpq: `host` (a folder is that of a socket), `port`, \
             `dbname`, `user`, `password`, `sslmode` (`disable`; `prefer`, the default; `require`, which verifies nothing; \
             `verify-ca`; `verify-full`), `sslrootcert`, and `sslcert` and `sslkey` for a certificate of resyncd's own, \
             `application_name` and `options`; any other is refused.",
        ),
        key(
            "pool",
            Integer(2, 1_000),
            Nothing("4 with SQLite, 8 with PostgreSQL"),
            "Connections that this server opens at most. PostgreSQL takes 100 of all its clients unless told otherwise \
             (`max_connections`).",
        ),
        key(
            "connect_timeout",
            Time(Duration::from_millis(100), MINUTE.saturating_mul(5)),
            Value("5s"),
            "To connect, and how long a query waits for a connection that is free.",
        ),
        key(
            "statement_timeout",
            Time(Duration::from_millis(100), HOUR),
            Value("30s"),
            "PostgreSQL gives up a statement that takes longer; the schema is changed, and backups are made and restored, \
             without a limit.",
        ),
    ],
};

pub static SECRETS: Table = Table {
    name: "secrets",
    heading: "[secrets]",
    about: "What protects secrets at rest.",
    keys: &[
        key(
            "master_key",
            Secret,
            Nothing("the database takes no secrets"),
            "32 bytes in hexadecimal (`openssl rand -hex 32`): encrypts secrets in the database. Where the variable or the file is not there, only what needs the key is refused, so that a CI job can check the profiles without it. A file in `data_dir` that is not there is made, as long as the database has no secrets. Keep a copy apart from the database and its backups: without the key, its secrets are lost.",
        ),
        key(
            "read_keys",
            Secrets,
            Nothing("none"),
            "Master keys of before, up to 16: they open what they encrypted, and encrypt nothing. To change the key, make a new `master_key`, put the old one here, restart every server, and run `resyncd secrets rotate`; it says when the old one may go.",
        ),
    ],
};

pub static LIMITS: Table = Table {
    name: "limits",
    heading: "[limits]",
    about: "Bounds on what the outside can make the server do.",
    keys: &[
        key("connections", Integer(1, 1_000_000), Value("4096"), "Connections open at a time, over all listeners."),
        key(
            "connections_per_network",
            Integer(1, 1_000_000),
            Value("1024"),
            "Of these, from one IPv4 address or one /64 of IPv6. More wait for one of its places, up to `response_timeout` and four times as many as `connections`; beyond that they are closed. So one address can't take all places from the others.",
        ),
        key(
            "handshakes",
            Integer(1, 1_000_000),
            Value("1024"),
            "TLS handshakes at a time, over all listeners. The next ones wait for their turn, within `handshake_timeout`.",
        ),
        key(
            "handshake_timeout",
            Time(Duration::from_millis(100), MINUTE.saturating_mul(5)),
            Value("10s"),
            "From a connection's first byte to the end of the TLS handshake.",
        ),
        key(
            "header_timeout",
            Time(Duration::from_millis(100), MINUTE.saturating_mul(5)),
            Value("15s"),
            "From a request's first byte to the end of its headers, and how long an idle connection is kept.",
        ),
        key("response_timeout", Time(SECOND, HOUR), Value("60s"), "To write an answer."),
        // hyper's read buffer can't be smaller than 8 KiB.
        key("header_bytes", Size(8 * KIB, MIB), Value("16 KiB"), "A request's line and headers together."),
        key("headers", Integer(1, 1_000), Value("64"), "Headers of a request."),
        key("requests_per_connection", Integer(1, 1_000_000), Value("100"), "Requests on one connection."),
        key(
            "requests",
            Integer(1, 1_000_000),
            Value("512"),
            "Requests that are being answered at a time, over all phone listeners. More are told 503 with `Retry-After` before anything is looked up or rendered; phones come back after their `Resync_Error_Retry_Delay`.",
        ),
        key(
            "sessions",
            Integer(1, 1_000_000),
            Value("10000"),
            "Sessions of CWMP (TR-069) at a time, over all phone listeners. Phones that want more are told 503 with `Retry-After`.",
        ),
        key("profile_bytes", Size(4 * KIB, 64 * MIB), Value("2 MiB"), "What a template may render."),
        key(
            "render_time",
            Time(Duration::from_millis(100), MINUTE),
            Value("5s"),
            "How long a template may render. One that takes longer is stopped: that profile is refused with 500, and not tried again until something of it changes.",
        ),
        key(
            "drain_timeout",
            Time(Duration::ZERO, HOUR),
            Value("30s"),
            "What open connections are given to finish when the server stops.",
        ),
    ],
};

pub static BRAKES: Table = Table {
    name: "brakes",
    heading: "[brakes]",
    about: "What becomes of those who ask in vain. A phone with a proof that holds is always served, at once, whatever its network does. docs/attacks.md tells more.",
    keys: &[
        key(
            "failures",
            Integer(1, 1_000_000),
            Value("10"),
            "Refusals for want of a proof that a network (an IPv4 address, or a /64 of IPv6), or one phone's MAC, has for nothing. The next is answered 250 ms late, and each further one twice as late.",
        ),
        key(
            "refuse_after",
            Integer(1, 1_000_000),
            Value("100"),
            "Refusals of a network after which further ones are a 503 with `Retry-After`, and it is named in the log.",
        ),
        key(
            "window",
            Time(MINUTE, DAY),
            Value("10m"),
            "After this, half of a network's or phone's failures are forgotten.",
        ),
        key("longest_delay", Time(Duration::from_millis(250), MINUTE), Value("8s"), "How late a refusal is at most."),
        key(
            "waiting",
            Integer(1, 100_000),
            Value("500"),
            "Refusals that wait at a time; one that finds no place is a 503 at once.",
        ),
        key(
            "tries",
            Integer(1, 1_000),
            Value("10"),
            "Wrong passwords of one network for one phone; after these, none is looked at until some are forgotten.",
        ),
        key(
            "scan_phones",
            Integer(5, 256),
            Value("50"),
            "Phones of one maker (by the first half of the MAC) asked for in vain from one network that make a scan; ten times as many where they are asked for from many networks.",
        ),
        key("scan_window", Time(MINUTE, DAY), Value("1h"), "The time in which they do."),
        key(
            "spare",
            Time(Duration::ZERO, DAY.saturating_mul(30)),
            Value("1d"),
            "A network with a phone that had a proof within this time is not named in the log to be kept out. It is known in memory only: after a start it begins anew.",
        ),
    ],
};

pub static CONNECTION_REQUESTS: Table = Table {
    name: "connection_requests",
    heading: "[connection_requests]",
    about: "Phones that are asked to open a session of TR-069 now. Where a phone hears that, it says itself: so it is looked at where that is. docs/acs.md tells more.",
    keys: &[
        key(
            "allow",
            Texts("networks"),
            Nothing("none"),
            "Networks that are asked although they are loopback, link-local, reserved, or this server's own. Multicast, broadcast and no address at all are never asked.",
        ),
        key(
            "deny",
            Texts("networks"),
            Nothing("none"),
            "Networks that are not asked. Of `allow` and `deny` the narrower network counts: `deny = [\"0.0.0.0/0\", \"::/0\"]` lets those in `allow` only be asked.",
        ),
        key(
            "lowest_port",
            Integer(1, 65_535),
            Value("1024"),
            "No lower port is asked: other programs listen there. Phones listen on 7547, or as `acs.connection_port` says.",
        ),
        key(
            "timeout",
            Time(SECOND, MINUTE),
            Value("10s"),
            "To find a phone by its name; and to connect to it and be answered.",
        ),
        key("pace", Time(SECOND, DAY), Value("10s"), "The least time from one to the next for one phone."),
        key("at_once", Integer(1, 10_000), Value("100"), "Phones that are being asked and waited for at a time."),
    ],
};

pub static CONNECTION_REQUESTS_NOTIFY: Table = Table {
    name: "connection_requests.notify",
    heading: "[connection_requests.notify]",
    about: "The SIP proxy by which phones are asked that come for a NOTIFY. Nothing is sent anywhere else. docs/acs.md tells more.",
    keys: &[
        key(
            "proxy",
            Text("`HOST:PORT`"),
            Nothing("nobody is asked by SIP"),
            "Where NOTIFYs are sent: the proxy or registrar of the phones' line 1. Without a port, to 5060. A name is looked up each time, for its addresses alone (no SRV).",
        ),
        key("transport", Choice(&["udp", "tcp"]), Value("udp"), "How they are sent."),
        key(
            "from",
            Text("`sip:USER@HOST`"),
            Nothing("`sip:resyncd@` and the address that it is sent from"),
            "Who sends them, where the proxy wants to know.",
        ),
        key("user", Text("a user"), Nothing("none"), "The user, where the proxy asks for one by Digest."),
        key("password", Secret, Nothing("none"), "Its password."),
    ],
};

pub static STUN: Table = Table {
    name: "stun",
    heading: "[stun]",
    about: "The STUN server for phones behind NAT (TR-111). Connection requests to them leave by its socket. docs/acs.md tells more.",
    keys: &[
        key(
            "address",
            Text("`IP:PORT`"),
            Nothing("no STUN server"),
            "Where it listens, by UDP: `0.0.0.0:3478`, or `[::]:3478`. Where the machine has several addresses, name the one that phones know.",
        ),
        key(
            "passwords",
            Bool,
            Value("false"),
            "Answer phones only that sign with `acs.stun_password`. `acs.stun_user` then has to be, or end in, the device's MAC.",
        ),
        key(
            "bindings",
            Integer(1_000, 10_000_000),
            Value("100000"),
            "Phones whose address is remembered; about 200 bytes each.",
        ),
        key(
            "per_network",
            Integer(1, 10_000_000),
            Value("3000"),
            "Datagrams of one network (an IPv4 address, or a /64 of IPv6) that are looked at in a minute. The rest is dropped.",
        ),
    ],
};

pub static PROCESS: Table = Table {
    name: "process",
    heading: "[process]",
    about: "What `resyncd serve` runs as, where it is started as root. With systemd's `User=` it is not started as root, and this is not needed.",
    keys: &[
        key(
            "user",
            Text("a user's name"),
            Nothing("the user that it is started as"),
            "Becomes this user once every listener is bound, and can't go back. It needs `data_dir`, and has to be able to read the configuration's certificates and keys.",
        ),
        key("group", Text("a group's name"), Nothing("the user's own group"), "The group instead."),
        key(
            "keep_root",
            Bool,
            Value("false"),
            "Whether to serve as root is meant, where `user` isn't written. Without it, a start as root says so in the log.",
        ),
    ],
};

pub static CACHE: Table = Table {
    name: "cache",
    heading: "[cache]",
    about: "What is kept in memory.",
    keys: &[
        key("size", Size(0, 64 * GIB), Value("64 MiB"), "Memory for delivered profiles; `0 B`: no cache."),
        key(
            "records",
            Size(MIB, 64 * GIB),
            Value("128 MiB"),
            "Memory for devices' records from the database. Their phones are served even while the database does not answer.",
        ),
    ],
};

pub static ONBOARDING: Table = Table {
    name: "onboarding",
    heading: "[onboarding]",
    about: "How phones become devices without anybody typing their MAC: by the code of an invitation (`resyncd device invite`), \
            or by approval (`resyncd device waiting`).",
    keys: &[
        key(
            "certificate",
            Choice(&["required", "optional"]),
            Value("required"),
            "Whether a phone that comes with a code has to prove by its client certificate which one it is. `optional`: where \
             it shows none, the MAC of its User-Agent is taken for its own.",
        ),
        key(
            "staging_networks",
            Texts("networks"),
            Nothing("none"),
            "Where phones are unpacked: `[\"10.0.9.0/24\"]`. A phone there that nobody knows waits for approval. Never name a \
             network that strangers can come from.",
        ),
        key("waiting", Integer(1, 100_000), Value("1000"), "Phones that may wait for approval."),
    ],
};

pub static PASSWORDS: Table = Table {
    name: "passwords",
    heading: "[passwords]",
    about: "How phones are asked for user and password, on listeners with `passwords = true`.",
    keys: &[
        key(
            "realm",
            Text("1 to 64 characters of ASCII, without `\"` and `\\`"),
            Value("resyncd"),
            "The realm, the same for all phones. A phone that keeps a digest of its password has to be told anew when it changes.",
        ),
        key(
            "nonce_lifetime",
            Time(Duration::from_secs(10), DAY),
            Value("5m"),
            "How long a challenge of Digest can be answered. Who captures an answer can't use it again, except where `digest_repeats_nc` lets a phone do so: then as long as this.",
        ),
        key(
            "nonces",
            Integer(1_000, 10_000_000),
            Value("100000"),
            "Used challenges that are remembered, about 50 bytes each. Beyond that the oldest are asked anew.",
        ),
    ],
};

pub static EVENTS: Table = Table {
    name: "events",
    heading: "[events]",
    about: "The record of who asked for what.",
    keys: &[
        key(
            "queue",
            Integer(1, 10_000_000),
            Value("10000"),
            "Events that may wait for the database; more are spooled to disk.",
        ),
        key("spool", Size(0, 1024 * GIB), Value("256 MiB"), "Disk for spooled events, in `spool` of `data_dir`."),
        key("keep", TimeOr("forever", HOUR, DAY.saturating_mul(3_650)), Value("90d"), "How long events are kept."),
        key("keep_rows", Integer(1_000, 1_000_000_000_000), Nothing("any number"), "How many events are kept."),
    ],
};

pub static UPLOADS: Table = Table {
    name: "uploads",
    heading: "[uploads]",
    about: "What phones send: reports, problem reports, crash logs. docs/uploads.md tells of them.",
    keys: &[
        key(
            "size",
            Size(KIB, GIB),
            Value("32 MiB"),
            "One upload, packed or unpacked; a pack may allow less for an upload of its own.",
        ),
        key("timeout", Time(SECOND, HOUR), Value("5m"), "For all of an upload to come."),
        key(
            "at_once",
            Integer(1, 10_000),
            Value("32"),
            "Uploads that are taken at a time; a phone that comes while there are so many is told 503, and tries again later.",
        ),
        key(
            "per_device",
            Integer(1, 100_000),
            Value("10"),
            "How many are kept of each device and each upload of its pack: the newest.",
        ),
        key("keep", TimeOr("forever", HOUR, DAY.saturating_mul(3_650)), Value("90d"), "How long they are kept."),
        key(
            "total",
            Size(MIB, 1024 * 1024 * GIB),
            Value("10 GiB"),
            "What all of them may take, in `uploads` of `data_dir` or in PostgreSQL. Beyond it the oldest go.",
        ),
    ],
};

pub static LOG: Table = Table {
    name: "log",
    heading: "[log]",
    about: "What the server writes to stderr.",
    keys: &[
        key(
            "format",
            Choice(&["text", "json"]),
            Value("text"),
            "One line per entry: for people, or one JSON object for machines.",
        ),
        key(
            "level",
            Text("a filter"),
            Value("info"),
            "`error`, `warn`, `info`, `debug`, `trace` or `off`; also per module: `info,resyncd::tls=debug`.",
        ),
    ],
};

pub static FOLDER: Table = Table {
    name: "folder",
    heading: "[[folder]]",
    about: "A folder of files that anyone may fetch: firmware, ring tones, CA files, dictionaries. It may not lie in, or hold, `data_dir`, `profiles` or a private key.",
    keys: &[
        key(
            "path",
            Text("a path of URLs"),
            Required,
            "What its URLs begin with: `/firmware/`. Begins and ends with `/`, and lies in no other folder's.",
        ),
        key("folder", Path, Required, "The folder."),
    ],
};

pub static LINT: Table = Table {
    name: "lint",
    heading: "[lint]",
    about: "How `resyncd check` judges. docs/rules.md tells of every rule.",
    keys: &[
        key(
            "severity",
            Rules(&["off", "note", "warning", "error"]),
            Nothing("each rule's own"),
            "What a rule's findings are: `severity = { \"unknown-parameter\" = \"warning\" }`. An error makes the check fail. In one place only, a finding is allowed by a comment: `# resyncd: allow(RULE) reason` in its line, or on a line of its own before it. No variable overrides this key.",
        ),
        key(
            "certificate_expiry",
            Time(Duration::ZERO, DAY.saturating_mul(3_650)),
            Value("30d"),
            "A certificate that expires sooner than this is a finding.",
        ),
    ],
};

/// All tables, in the order in which the docs tell of them.
pub static TABLES: &[&Table] = &[
    &TOP,
    &LISTENER,
    &LISTENER_TLS,
    &LISTENER_TLS_NAME,
    &LISTENER_TLS_CLIENT_ROOT,
    &LISTENER_PROXY,
    &ADMIN,
    &WEBHOOK,
    &DATABASE,
    &SECRETS,
    &LIMITS,
    &BRAKES,
    &CONNECTION_REQUESTS,
    &CONNECTION_REQUESTS_NOTIFY,
    &STUN,
    &PROCESS,
    &CACHE,
    &ONBOARDING,
    &PASSWORDS,
    &EVENTS,
    &UPLOADS,
    &LOG,
    &FOLDER,
    &LINT,
];

/// Variables that override nothing, and are not refused.
pub const RESERVED: &[Reserved] = &[
    Reserved { name: "RESYNCD_CONFIG", about: "The configuration, instead of `--config`." },
    Reserved { name: "RESYNCD_MASTER_KEY", about: "By custom the variable that `secrets.master_key` names." },
    Reserved { name: "RESYNCD_KEY", about: "A key for the commands that take `--key`." },
    Reserved { name: "RESYNCD_BLESS", about: "The tests write their golden files." },
];

/// What Kubernetes and Docker set beside a service that is called `resyncd`: `RESYNCD_SERVICE_HOST`,
/// `RESYNCD_PORT_8443_TCP`. Nobody wrote them, so they can't be refused.
pub const RESERVED_PREFIXES: &[&str] = &["RESYNCD_SERVICE_", "RESYNCD_PORT_"];

/// They set this one too, to a URL. Any other value is somebody's wish for another port, which it would not fulfil.
pub const RESERVED_URL: &str = "RESYNCD_PORT";

impl Table {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A length of time as it is typed, in the largest unit that divides it.
fn typed_time(time: Duration) -> String {
    for (unit, name) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")] {
        if !time.is_zero() && time.as_millis().is_multiple_of(unit.as_millis()) {
            return format!("{}{name}", time.as_millis() / unit.as_millis());
        }
    }
    if time.is_zero() { "0s".to_owned() } else { format!("{}ms", time.as_millis() / MILLISECOND.as_millis()) }
}

/// A size as it is typed, in the largest unit that divides it.
fn typed_size(size: u64) -> String {
    for (unit, name) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if size != 0 && size.is_multiple_of(unit) {
            return format!("{} {name}", size / unit);
        }
    }
    format!("{size} B")
}

impl Kind {
    /// The bounds of a number, a time or a size, as they are typed; none for what has none.
    pub fn bounds(&self) -> Option<String> {
        match *self {
            Integer(min, max) => Some(format!("from {min} to {max}")),
            Time(min, max) | TimeOr(_, min, max) => Some(format!("from {} to {}", typed_time(min), typed_time(max))),
            Size(min, max) => Some(format!("from {} to {}", typed_size(min), typed_size(max))),
            _ => None,
        }
    }

    /// Whether TOML wants it in quotes.
    pub fn is_quoted(&self) -> bool {
        !matches!(self, Bool | Integer(..))
    }
}

/// In words for the docs.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Text(what) => f.write_str(what)?,
            Path => f.write_str("a path")?,
            Paths => f.write_str("a path, or a list of them")?,
            Texts(what) => write!(f, "a list of {what}")?,
            Bool => f.write_str("`true` or `false`")?,
            Integer(..) => f.write_str("a whole number")?,
            Time(..) => f.write_str("a length of time")?,
            TimeOr(word, ..) => write!(f, "`{word}`, or a length of time")?,
            Size(..) => f.write_str("a size")?,
            Choice(words) => {
                for (index, word) in words.iter().enumerate() {
                    let between = match index {
                        0 => "",
                        _ if index + 1 == words.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{between}`{word}`")?;
                }
            }
            Rules(words) => {
                f.write_str("a table of rules, each ")?;
                Choice(words).fmt(f)?;
            }
            Secret => f.write_str("a text, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`")?,
            Secrets => f.write_str("a list, each a text, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`")?,
        }
        match self.bounds() {
            Some(bounds) => write!(f, ", {bounds}"),
            None => Ok(()),
        }
    }
}
