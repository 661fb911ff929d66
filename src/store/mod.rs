//! The database: SQLite inside the program. All SQL of the program is here, in the subset that PostgreSQL takes too:
//! TEXT, BIGINT and BLOB, `$n` parameters, and queries that are checked by tests and not by macros, which know but one
//! database at a time.

mod error;
mod events;
mod sqlite;

use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, SqlSafeStr};

use crate::config;

pub use error::StoreError;
pub use events::{EventFilter, EventGroup, GroupBy};

/// How long a statement waits for a database that another connection has locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a query waits for one of the pool's connections.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// One writes at a time in SQLite; the others read.
const CONNECTIONS: u32 = 4;

/// The schema, step by step. A step that was released is never changed: a new one is added at the end.
const MIGRATIONS: &[(i64, &str, &str)] = &[(1, "events", include_str!("migrations/0001_events.sql"))];

/// The database, open. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    /// What messages call the database.
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Made if it isn't there, and brought up to date.
    Full,
    /// It has to be there, and stays as it is.
    Read,
}

impl Store {
    /// Opens the database, makes it if need be and brings its schema up to date. One that a newer resyncd has written,
    /// that is damaged, or that another program has locked is refused and left as it is.
    pub async fn open(database: &config::Database) -> Result<Self, StoreError> {
        Self::open_for(Access::Full, database).await
    }

    /// Opens the database of a server, running or not, for looking at it only.
    pub async fn open_read_only(database: &config::Database) -> Result<Self, StoreError> {
        Self::open_for(Access::Read, database).await
    }

    async fn open_for(access: Access, database: &config::Database) -> Result<Self, StoreError> {
        let location = sqlite::Location::of(&database.url)?;
        match access {
            Access::Full => location.make_file()?,
            Access::Read => location.find_file()?,
        }
        let name = location.name();
        let failed = |error| StoreError::of(&name, error);
        sqlx::any::install_default_drivers();
        let mut options: AnyConnectOptions = location.url(access).parse().map_err(failed)?;
        // Waiting for a lock is no slow statement; who waits in vain says so.
        options.log_settings.slow_statements_duration = BUSY_TIMEOUT + ACQUIRE_TIMEOUT;
        // The first connection is made by hand: a pool would try again until its time is over, and not say why.
        let mut connection = options.connect().await.map_err(failed)?;
        sqlite::prepare(&mut connection, access).await.map_err(failed)?;
        match access {
            Access::Full => migrate(&mut connection, &name).await?,
            Access::Read => check_version(&mut connection, &name).await?,
        }
        connection.close().await.map_err(failed)?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| Box::pin(sqlite::prepare(connection, access)))
            .connect_lazy_with(options);
        Ok(Self { pool, name })
    }

    /// Closes all connections, when what they are doing is done.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        StoreError::of(&self.name, error)
    }
}

/// Brings the schema up to date.
async fn migrate(connection: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    let steps = MIGRATIONS.iter().map(|(version, what, sql)| {
        Migration::new(*version, (*what).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    match Migrator::with_migrations(steps.collect()).run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => {
            Err(StoreError::Newer { name: name.to_owned(), version, known: newest() })
        }
        Err(MigrateError::VersionMismatch(version) | MigrateError::Dirty(version)) => {
            Err(StoreError::Foreign { name: name.to_owned(), version })
        }
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(StoreError::of(name, error))
        }
        Err(error) => Err(StoreError::of(name, sqlx::Error::Migrate(Box::new(error)))),
    }
}

/// Makes sure that the schema is the one that this program knows.
async fn check_version(connection: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    let version: Result<Option<i64>, _> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await;
    match version {
        Ok(Some(version)) if version == newest() => Ok(()),
        Ok(Some(version)) if version > newest() => {
            Err(StoreError::Newer { name: name.to_owned(), version, known: newest() })
        }
        Ok(_) => Err(StoreError::Older { name: name.to_owned() }),
        Err(error) => match StoreError::of(name, error) {
            // No such table: an empty file, or somebody else's.
            StoreError::Query { .. } => Err(StoreError::Older { name: name.to_owned() }),
            error => Err(error),
        },
    }
}

fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}
