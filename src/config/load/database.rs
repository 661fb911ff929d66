//! `[database]`: which one, and how it is talked to. A URL of PostgreSQL is read as libpq documents it; what would be taken
//! silently for something else is refused. No message repeats a URL: it may hold a password.

use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::table::{Table, Wrong};
use crate::config::{Database, DatabaseUrl};
use crate::document::nearest;
use crate::model::Secret;

/// The parameters of a PostgreSQL URL that mean here what libpq says they mean
/// (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>).
const PARAMETERS: [&str; 11] = [
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
];

/// Those that hold a path.
const PATHS: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// Those of libpq that something here stands for.
const INSTEAD: [(&str, &str); 5] = [
    ("connect_timeout", "set database.connect_timeout"),
    ("hostaddr", "write the name or the address as the host"),
    ("passfile", "name the file in the variable PGPASSFILE"),
    ("sslpassword", "give sslkey a key without a password, which only resyncd may read"),
    ("service", "write host, database and user into the URL"),
];

const MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

pub fn read(table: Table<'_>, data_dir: Option<&Path>) -> Option<Database> {
    let written = table.parsed("url", |text| {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres(text, &table).map(|url| DatabaseUrl::Postgres(Secret::new(url)));
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            return Err(Wrong::new("names a database that resyncd doesn't know")
                .help("write sqlite:PATH or postgres://USER@HOST/DATABASE"));
        };
        if path.contains('?') || path.starts_with(':') {
            return Err(Wrong::new("must be a path alone after sqlite:, without a \"?\""));
        }
        Ok(DatabaseUrl::Sqlite(table.located(path.strip_prefix("//").unwrap_or(path))?))
    });
    let pool = table.integer("pool");
    let connect_timeout = table.time("connect_timeout");
    let statement_timeout = table.time("statement_timeout");
    table.finish();
    let url = match written {
        Some(url) => url,
        None => DatabaseUrl::Sqlite(data_dir?.join("resyncd.db")),
    };
    Some(Database { url, pool, connect_timeout: connect_timeout?, statement_timeout: statement_timeout? })
}

/// The URL with its paths as the program has to open them.
fn postgres(text: &str, table: &Table<'_>) -> Result<String, Wrong> {
    let (start, query) = text.split_once('?').unwrap_or((text, ""));
    let authority = start.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let one_host = || {
        Wrong::new("names several hosts, and resyncd connects to one")
            .help("name the one that writes, or an address that follows it")
    };
    if host.contains(',') {
        return Err(one_host());
    }
    let mut url = start.to_owned();
    let (mut mode, mut has_root) = (None, false);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    for (index, pair) in pairs.enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        known(name)?;
        let plain = value.replace('+', " ");
        let Ok(plain) = percent_decode_str(&plain).decode_utf8() else {
            return Err(Wrong::new(format!("holds a value of {name} that is not UTF-8")));
        };
        match name {
            "sslmode" => mode = Some(check_mode(&plain)?),
            "sslrootcert" if plain == "system" => {
                return Err(Wrong::new("asks for sslrootcert=system, which resyncd doesn't know")
                    .help("give the file of the one root that the server's certificate leads to"));
            }
            "sslrootcert" => has_root = true,
            "host" if plain.contains(',') => return Err(one_host()),
            _ => {}
        }
        url.push(if index == 0 { '?' } else { '&' });
        if PATHS.contains(&name) {
            let path = table.located(&plain)?;
            url += &format!("{name}={}", utf8_percent_encode(&path.to_string_lossy(), NON_ALPHANUMERIC));
        } else {
            url += pair;
        }
    }
    match mode {
        Some("require") if has_root => {
            Err(Wrong::new("asks for sslmode=require with a sslrootcert, which is not looked at")
                .help("write sslmode=verify-full, or verify-ca where the certificate holds another name than the URL"))
        }
        Some(mode @ ("verify-ca" | "verify-full")) if !has_root => {
            let message = format!("asks for sslmode={mode} without a root to verify by");
            Err(Wrong::new(message).help("add &sslrootcert=FILE with the root that the server's certificate leads to"))
        }
        None | Some("disable" | "prefer") if has_root => {
            Err(Wrong::new("names a sslrootcert that is not looked at").help("add &sslmode=verify-full"))
        }
        _ => Ok(url),
    }
}

fn known(name: &str) -> Result<(), Wrong> {
    if PARAMETERS.contains(&name) {
        return Ok(());
    }
    if let Some((_, instead)) = INSTEAD.iter().find(|(other, _)| *other == name) {
        return Err(Wrong::new(format!("has the parameter {name}, which resyncd doesn't take")).help(*instead));
    }
    // A name is not shown unless it looks like one: a password with a "?" in it ends up here.
    let is_name = (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match nearest(name, PARAMETERS) {
        Some(near) => {
            Err(Wrong::new("has a parameter that resyncd doesn't know").help(format!("did you mean {near}?")))
        }
        None if is_name && is_libpq(name) => {
            Err(Wrong::new(format!("has the parameter {name}, which resyncd doesn't take"))
                .help(format!("leave it out; there are {}", PARAMETERS.join(", "))))
        }
        None => Err(Wrong::new("has a parameter that resyncd doesn't know")
            .help(format!("there are {}; a \"?\" in a password is written %3F", PARAMETERS.join(", ")))),
    }
}

/// Whether it is the name of a parameter of libpq's, which may be shown.
fn is_libpq(name: &str) -> bool {
    let prefixes = ["ssl", "krb", "gss", "target_", "channel_", "keepalives", "tcp_", "load_", "require_", "client_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn check_mode(text: &str) -> Result<&'static str, Wrong> {
    if let Some(mode) = MODES.iter().find(|mode| **mode == text) {
        return Ok(mode);
    }
    let there_are = format!("there are {}", MODES.join(", "));
    Err(match text {
        // It would be taken for "disable": <https://github.com/launchbadge/sqlx>, sqlx-postgres/src/connection/tls.rs.
        "allow" => Wrong::new("asks for sslmode=allow, which resyncd doesn't know").help(there_are),
        _ => Wrong::new("has a sslmode that there isn't").help(there_are),
    })
}
