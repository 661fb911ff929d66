//! What is PostgreSQL's own: its URL, and the settings of a connection.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgListener};
use sqlx::{AnyConnection, Row};

use super::{Access, StoreError};
use crate::model::Secret;

/// The oldest server that resyncd runs on, as `server_version_num` counts.
const OLDEST: i64 = 130_000;

/// The settings of every connection. A statement that takes longer waits for something that will not come; a transaction
/// that nobody goes on with would hold its locks for ever.
const SETTINGS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
                        SET idle_in_transaction_session_timeout = '60s'; SET application_name = 'resyncd'";

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
        let host =
            options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let name = format!("{database} on {host}:{}", options.get_port());
        Ok(Self { url: url.clone(), name })
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

/// Sets up a connection.
pub async fn prepare(connection: &mut AnyConnection, access: Access) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(SETTINGS).execute(&mut *connection).await?;
    if access == Access::Read {
        sqlx::raw_sql("SET default_transaction_read_only = on").execute(connection).await?;
    }
    Ok(())
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
        listener.listen(CHANNEL).await.map_err(failed)?;
        Ok(Self(listener))
    }

    /// Waits for the next change; false once the connection is lost and nothing more can come.
    pub async fn changed(&mut self) -> bool {
        matches!(self.0.try_recv().await, Ok(Some(_)))
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
