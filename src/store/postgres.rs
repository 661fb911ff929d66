//! What is PostgreSQL's own: its URL, and the settings of a connection.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::postgres::{PgConnectOptions, PgListener, PgSslMode};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{Access, StoreError};
use crate::model::Secret;

/// The oldest server that resyncd runs on, as `server_version_num` counts.
const OLDEST: i64 = 130_000;

/// The settings of every connection. A transaction that nobody goes on with would hold its locks for ever.
const SETTINGS: &str = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'";

/// The files that a URL may name, and what each of them must hold.
const FILES: [(&str, &str); 3] = [
    ("sslrootcert", "-----BEGIN CERTIFICATE-----"),
    ("sslcert", "-----BEGIN CERTIFICATE-----"),
    // PKCS #8, which is all that the TLS library takes.
    ("sslkey", "-----BEGIN PRIVATE KEY-----"),
];

/// The most that is read of such a file.
const LARGEST: u64 = 1 << 20;

/// Where a server is.
#[derive(Debug)]
pub struct Location {
    url: Secret,
    name: String,
}

impl Location {
    /// # Errors
    /// When it is no URL of a PostgreSQL database. The message doesn't repeat it: it may hold a password.
    pub fn new(url: &Secret) -> Result<Self, StoreError> {
        let text = url.expose_text().unwrap_or_default();
        let options = PgConnectOptions::from_str(text).map_err(|_| StoreError::Url)?;
        check_files(text)?;
        // From the environment: what the URL says was checked when it was read.
        if matches!(options.get_ssl_mode(), PgSslMode::Allow) {
            return Err(StoreError::Mode);
        }
        let host =
            options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let name = format!("{database} on {host}:{}", options.get_port());
        // By which the server's own people know whose connections they see.
        let joint = if text.contains('?') { '&' } else { '?' };
        let url = match options.get_application_name() {
            Some(_) => url.clone(),
            None => Secret::new(format!("{text}{joint}application_name=resyncd")),
        };
        Ok(Self { url, name })
    }

    /// What messages call it: without user and password.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The URL that sqlx takes.
    pub fn url(&self) -> String {
        self.url.expose_text().unwrap_or_default().to_owned()
    }
}

/// Makes sure that the files of a URL can be used; what the TLS library says of those that can't doesn't name them.
fn check_files(url: &str) -> Result<(), StoreError> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let Some((_, begins)) = FILES.iter().find(|(file, _)| *file == name) else { continue };
        let path = PathBuf::from(percent_decode_str(value).decode_utf8_lossy().into_owned());
        let wrong = |reason: String| StoreError::TlsFile { parameter: name.to_owned(), path: path.clone(), reason };
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        read.map_err(|error| wrong(format!("can't be read: {error}")))?;
        match text.matches(begins).count() {
            0 => return Err(wrong(format!("holds no {begins}; it has to be a PEM file"))),
            // Of several only the first would be looked at.
            count if name == "sslrootcert" && count > 1 => {
                return Err(wrong(format!("holds {count} certificates: leave the root alone in it")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sets up a connection. A statement that takes longer than it is given waits for something that will not come.
pub async fn prepare(
    connection: &mut AnyConnection,
    access: Access,
    statement_timeout: Duration,
) -> Result<(), sqlx::Error> {
    let settings = format!("{SETTINGS}; SET statement_timeout = '{}ms'", statement_timeout.as_millis());
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *connection).await?;
    if access == Access::Read {
        sqlx::raw_sql("SET default_transaction_read_only = on").execute(connection).await?;
    }
    Ok(())
}

/// Gives the statements of a transaction, and the waiting for others that do the same, any time that it takes.
pub async fn take_time(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let settings = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                    SET LOCAL idle_in_transaction_session_timeout = 0";
    sqlx::raw_sql(settings).execute(connection).await.map(drop)
}

/// Keeps others from writing to tables until the transaction ends; those that read see what was there before.
pub async fn take_tables(connection: &mut AnyConnection, tables: &[&str]) -> Result<(), sqlx::Error> {
    let list: Vec<_> = tables.iter().map(|name| format!("\"{name}\"")).collect();
    // Waiting for the locks keeps to the connection's limit.
    let lock = format!("LOCK TABLE {} IN EXCLUSIVE MODE", list.join(", "));
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *connection).await?;
    take_time(connection).await
}

/// Keeps others from changing the schema until the transaction ends.
pub async fn lock_schema(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    // Any number will do that no other program takes for the same: "resyncd" in ASCII.
    sqlx::raw_sql("SELECT pg_advisory_xact_lock(32199693977936740)").execute(connection).await.map(drop)
}

/// Refuses a server that is too old.
pub async fn check_server(connection: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(name, error);
    let row = sqlx::query("SELECT current_setting('server_version_num')::BIGINT").fetch_one(connection).await;
    let version: i64 = row.and_then(|row| row.try_get(0)).map_err(failed)?;
    if version < OLDEST {
        return Err(StoreError::OldServer { name: name.to_owned(), version: version / 10_000 });
    }
    Ok(())
}

/// The channel that a server listens on for changes of the fleet.
pub const CHANNEL: &str = "resyncd_fleet";

/// What the database tells by itself.
#[derive(Debug)]
pub struct Notifications(PgListener);

impl Notifications {
    pub(super) async fn listen(url: &Secret, name: &str) -> Result<Self, StoreError> {
        let failed = |error| StoreError::of(name, error);
        let url = url.expose_text().unwrap_or_default();
        let mut listener = PgListener::connect(url).await.map_err(failed)?;
        // Who finds it lost begins anew, and looks first what was missed.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(failed)?;
        Ok(Self(listener))
    }

    /// Waits for the next change; false once the connection is lost and nothing more can come.
    pub async fn changed(&mut self) -> bool {
        let heard = matches!(self.0.try_recv().await, Ok(Some(_)));
        // One look is enough for all that were told meanwhile.
        while self.0.next_buffered().is_some() {}
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_database_and_not_who_uses_it() {
        let location = |url: &str| Location::new(&Secret::new(url));
        let name = |url| location(url).unwrap().name();
        assert_eq!(name("postgres://user:secret@db.example:5433/resyncd"), "resyncd on db.example:5433");
        assert_eq!(name("postgres:///resyncd?host=/run/postgresql"), "resyncd on /run/postgresql:5432");
        let error = location("postgres://user:secret@db:port/x").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
