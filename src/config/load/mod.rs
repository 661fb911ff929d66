//! From a file and the environment to a [`Config`]: each table is read in a file of its own, and all that is wrong is
//! reported at once. Nothing outside sees what was typed.

mod admin;
mod brakes;
mod database;
mod environment;
mod folder;
mod lint;
mod listener;
mod process;
mod proxy;
mod request;
mod secret;
mod table;
mod tls;
mod webhook;

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::Path;

use tracing_subscriber::EnvFilter;

use self::environment::Environment;
use self::table::{Context, Table, Wrong};
use super::{Cache, Config, Events, Limits, Log, LogFormat, Onboarding, Passwords, Secrets, Uploads, reference};
use crate::document::{Document, Problem, Problems, Reader, nearest};

impl Config {
    /// Reads the file, and the variables that override its keys.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line or its variable.
    pub fn load(file: &Path) -> Result<Self, Problems> {
        Self::load_with_environment(file, std::env::vars_os())
    }

    /// The same with another environment than the process's own.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line or its variable.
    pub fn load_with_environment<N: Into<OsString>, V: Into<OsString>>(
        file: &Path,
        environment: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, Problems> {
        let document = match Document::read(file) {
            Ok(document) => document,
            Err(_) if !file.exists() => return Err(missing(file).into()),
            Err(problem) => return Err(problem.into()),
        };
        let values = document.parse()?;
        let problems = RefCell::default();
        let context = Context {
            environment: Environment::new(environment),
            problems: &problems,
            file: document.path().clone(),
            folder: file.parent().map(Path::to_owned).unwrap_or_default(),
        };
        let config = read(Table::top(&context, Reader::new(&document, &values, &problems)), file);
        let unknown = context.environment.finish();
        let mut problems = problems.into_inner();
        problems.extend(unknown);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(sorted(problems)),
        }
    }
}

fn missing(file: &Path) -> Problem {
    Problem::file(file, "there is no such file").help(
        "name yours with --config FILE, or write one: [[listener]] with a name and an address is enough to begin with",
    )
}

/// Down the lines of the file; what has no line, such as a variable, comes last.
fn sorted(problems: Problems) -> Problems {
    let mut list: Vec<Problem> = problems.into_iter().collect();
    list.sort_by_key(|problem| problem.line.unwrap_or(u32::MAX));
    let mut problems = Problems::default();
    problems.extend(list);
    problems
}

/// Everything is read before anything is given up, so that each key counts as asked for and each mistake is found.
fn read(top: Table<'_>, file: &Path) -> Option<Config> {
    let data_dir = top.path("data_dir");
    let templates = top.path("templates");
    let profiles = top.path("profiles");
    let watch = top.boolean("watch");
    let admin = admin::read(top.table("admin", &reference::ADMIN));
    let webhooks = webhook::webhooks(&top);
    let listeners = listener::listeners(&top, admin.as_ref().and_then(|admin| admin.address));
    let database = database::read(top.table("database", &reference::DATABASE), data_dir.as_deref());
    let secrets = read_secrets(top.table("secrets", &reference::SECRETS));
    let limits = read_limits(top.table("limits", &reference::LIMITS));
    let brakes = brakes::read(top.table("brakes", &reference::BRAKES));
    let requests = request::connection_requests(top.table("connection_requests", &reference::CONNECTION_REQUESTS));
    let stun = request::stun(top.table("stun", &reference::STUN));
    let process = process::read(top.table("process", &reference::PROCESS));
    let cache = read_cache(top.table("cache", &reference::CACHE));
    let onboarding = read_onboarding(top.table("onboarding", &reference::ONBOARDING));
    let passwords = read_passwords(top.table("passwords", &reference::PASSWORDS));
    let events = read_events(top.table("events", &reference::EVENTS));
    let uploads = read_uploads(top.table("uploads", &reference::UPLOADS));
    let log = read_log(top.table("log", &reference::LOG));
    let key_file = secrets.key_file.as_deref();
    let folders = folder::folders(&top, data_dir.as_deref(), profiles.as_deref(), key_file, &listeners);
    let lint = lint::read(top.table("lint", &reference::LINT));
    top.finish();
    Some(Config {
        file: file.to_owned(),
        data_dir: data_dir?,
        templates: templates?,
        profiles: profiles?,
        watch: watch?,
        listeners,
        admin: admin?,
        webhooks,
        database: database?,
        secrets,
        limits: limits?,
        brakes: brakes?,
        connection_requests: requests?,
        stun: stun?,
        process: process?,
        cache: cache?,
        onboarding: onboarding?,
        passwords: passwords?,
        events: events?,
        uploads: uploads?,
        log: log?,
        folders,
        lint: lint?,
    })
}

fn read_secrets(table: Table<'_>) -> Secrets {
    let (master_key, key_file) = secret::master_key(&table, "master_key");
    let read_keys = secret::read_keys(&table, "read_keys");
    table.finish();
    Secrets { master_key, key_file, read_keys }
}

fn read_limits(table: Table<'_>) -> Option<Limits> {
    let limits = Limits {
        connections: table.integer("connections")?,
        connections_per_network: table.integer("connections_per_network")?,
        handshakes: table.integer("handshakes")?,
        handshake_timeout: table.time("handshake_timeout")?,
        header_timeout: table.time("header_timeout")?,
        response_timeout: table.time("response_timeout")?,
        header_bytes: usize::try_from(table.size("header_bytes")?).ok()?,
        headers: table.integer("headers")?,
        requests_per_connection: table.integer("requests_per_connection")?,
        requests: table.integer("requests")?,
        sessions: table.integer("sessions")?,
        profile_bytes: usize::try_from(table.size("profile_bytes")?).ok()?,
        render_time: table.time("render_time")?,
        drain_timeout: table.time("drain_timeout")?,
    };
    table.finish();
    Some(limits)
}

fn read_cache(table: Table<'_>) -> Option<Cache> {
    let (bytes, records) = (table.size("size"), table.size("records"));
    table.finish();
    Some(Cache { bytes: bytes?, records: records? })
}

fn read_onboarding(table: Table<'_>) -> Option<Onboarding> {
    let certificate = table.choice("certificate", &[("required", true), ("optional", false)]);
    let networks = table.list("staging_networks", |text| match admin::network(text)? {
        network if network.prefix_len() == 0 => {
            Err(Wrong::new(format!("\"{text}\" is the whole internet")).help("name the networks of your staging"))
        }
        network => Ok(network),
    });
    let waiting = table.integer("waiting");
    table.finish();
    Some(Onboarding { certificate_required: certificate?, staging_networks: networks?, waiting: waiting? })
}

fn read_passwords(table: Table<'_>) -> Option<Passwords> {
    let realm = table.parsed("realm", |text| {
        let fits = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(text.to_owned());
        }
        Err(Wrong::new("must be 1 to 64 letters, digits and signs of ASCII, without quotes and backslashes"))
    });
    let (nonce_lifetime, nonces) = (table.time("nonce_lifetime"), table.integer("nonces"));
    table.finish();
    Some(Passwords { realm: realm?, nonce_lifetime: nonce_lifetime?, nonces: nonces? })
}

fn read_events(table: Table<'_>) -> Option<Events> {
    let events = Events {
        queue: table.integer("queue")?,
        spool_bytes: table.size("spool")?,
        keep: table.time_or_word("keep")?,
        keep_rows: table.integer("keep_rows"),
    };
    table.finish();
    Some(events)
}

fn read_uploads(table: Table<'_>) -> Option<Uploads> {
    let uploads = Uploads {
        size: table.size("size")?,
        timeout: table.time("timeout")?,
        at_once: table.integer("at_once")?,
        per_device: table.integer("per_device")?,
        keep: table.time_or_word("keep")?,
        total: table.size("total")?,
    };
    table.finish();
    Some(uploads)
}

fn read_log(table: Table<'_>) -> Option<Log> {
    let format = table.choice("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    let level = table.parsed("level", level);
    table.finish();
    Some(Log { format: format?, level: level? })
}

/// A filter that `tracing-subscriber` takes. It takes a misspelled level for the name of a module, so that is looked for.
fn level(text: &str) -> Result<String, Wrong> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let help = "write one of error, warn, info, debug and trace, and MODULE=LEVEL for a module, with commas between";
    for part in text.split(',').map(str::trim) {
        let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part));
        if let Some(near) = nearest(part, LEVELS).filter(|_| !is_level) {
            return Err(Wrong::new(format!("\"{part}\" is no level")).help(format!("did you mean \"{near}\"?")));
        }
    }
    if text.trim().is_empty() {
        return Err(Wrong::new("may not be empty").help(help));
    }
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Wrong::new(format!("\"{text}\" is no filter: {error}")).help(help)),
    }
}
