//! The database: SQLite inside the program, or PostgreSQL where several run side by side. All SQL of the program is here, in
//! the subset that both take: TEXT and BIGINT, `$n` parameters, and queries that are checked by running the same tests on
//! both, and not by macros, which know but one database at a time.

mod error;
mod events;
mod postgres;
mod sqlite;
mod uploads;

use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, SqlSafeStr};

use crate::config;

pub use error::StoreError;
pub use events::{EventFilter, EventGroup, GroupBy};
pub use uploads::UploadFilter;

/// How long a statement waits for a database that another connection has locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a query waits for one of the pool's connections.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The schema, step by step. A step that was released is never changed: a new one is added at the end.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "events", include_str!("migrations/0001_events.sql")),
    (3, "uploads", include_str!("migrations/0003_uploads.sql")),
];

/// The database, open. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    backend: Backend,
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

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    /// How many connections a pool has.
    fn connections(self) -> u32 {
        match self {
            // One writes at a time; the others read.
            Self::Sqlite => 4,
            // A server takes a hundred unless it is told otherwise, and there are several of us.
            Self::Postgres => 8,
        }
    }

    async fn prepare(self, connection: &mut AnyConnection, access: Access) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite => sqlite::prepare(connection, access).await,
            Self::Postgres => postgres::prepare(connection, access).await,
        }
    }
}

/// Where the database is.
#[derive(Debug)]
enum Location {
    Sqlite(sqlite::Location),
    Postgres(postgres::Location),
}

impl Location {
    fn of(database: &config::Database) -> Result<Self, StoreError> {
        Ok(match database {
            config::Database::Sqlite(path) => Self::Sqlite(sqlite::Location::new(path)),
            config::Database::Postgres(url) => Self::Postgres(postgres::Location::new(url)?),
        })
    }

    fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Sqlite(file) => file.name(),
            Self::Postgres(server) => server.name(),
        }
    }

    fn url(&self, access: Access) -> String {
        match self {
            Self::Sqlite(file) => file.url(access),
            Self::Postgres(server) => server.url(),
        }
    }
}

impl Store {
    /// Opens the database, makes a file of SQLite if need be, and brings the schema up to date; of several programs that
    /// start at once, one does, and the others wait for it. One that a newer resyncd has written,
    /// that is damaged, or that another program has locked is refused and left as it is.
    pub async fn open(database: &config::Database) -> Result<Self, StoreError> {
        Self::open_for(Access::Full, database).await
    }

    /// Opens the database of a server, running or not, for looking at it only.
    pub async fn open_read_only(database: &config::Database) -> Result<Self, StoreError> {
        Self::open_for(Access::Read, database).await
    }

    async fn open_for(access: Access, database: &config::Database) -> Result<Self, StoreError> {
        let location = Location::of(database)?;
        if let Location::Sqlite(file) = &location {
            match access {
                Access::Full => file.make_file()?,
                Access::Read => file.find_file()?,
            }
        }
        let name = location.name();
        let failed = |error| StoreError::of(&name, error);
        sqlx::any::install_default_drivers();
        let mut options: AnyConnectOptions = location.url(access).parse().map_err(failed)?;
        // Waiting for a lock is no slow statement; who waits in vain says so.
        options.log_settings.slow_statements_duration = BUSY_TIMEOUT + ACQUIRE_TIMEOUT;
        // The first connection is made by hand: a pool would try again until its time is over, and not say why.
        let mut connection = options.connect().await.map_err(failed)?;
        let backend = location.backend();
        backend.prepare(&mut connection, access).await.map_err(failed)?;
        if backend == Backend::Postgres {
            postgres::check_server(&mut connection, &name).await?;
        }
        match access {
            Access::Full => migrate(&mut connection, backend, &name).await?,
            Access::Read => check_version(&mut connection, &name).await?,
        }
        connection.close().await.map_err(failed)?;
        let pool = AnyPoolOptions::new()
            .max_connections(backend.connections())
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| Box::pin(backend.prepare(connection, access)))
            .connect_lazy_with(options);
        Ok(Self { pool, backend, name })
    }

    /// Closes all connections, when what they are doing is done.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        StoreError::of(&self.name, error)
    }
}

/// Brings the schema up to date, in one transaction.
async fn migrate(connection: &mut AnyConnection, backend: Backend, name: &str) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(name, error);
    // Others that start wait until this is committed; the migrator's own lock would let them in before.
    let begin = match backend {
        Backend::Sqlite => "BEGIN IMMEDIATE",
        Backend::Postgres => "BEGIN",
    };
    let mut transaction = connection.begin_with(begin).await.map_err(failed)?;
    if backend == Backend::Postgres {
        postgres::lock_schema(&mut transaction).await.map_err(failed)?;
    }
    run_migrations(&mut transaction, name).await?;
    transaction.commit().await.map_err(failed)
}

async fn run_migrations(connection: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    let steps = MIGRATIONS.iter().map(|(version, what, sql)| {
        Migration::new(*version, (*what).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(steps.collect());
    migrator.set_locking(false);
    match migrator.run_direct(None, connection, false).await {
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
