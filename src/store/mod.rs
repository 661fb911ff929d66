//! The database: SQLite inside the program, or PostgreSQL where several run side by side. All SQL of the program is here, in
//! the subset that both take: TEXT and BIGINT, `$n` parameters, and queries that are checked by running the same tests on
//! both, and not by macros, which know but one database at a time.

mod access;
mod acs;
mod audit;
mod backup;
mod clock;
mod codes;
mod conditions;
mod copy;
mod devices;
mod error;
mod events;
mod fleet;
mod groups;
mod idempotency;
mod keys;
mod outbox;
mod postgres;
mod restore;
mod rows;
mod schema;
mod sqlite;
mod task;
mod tasks;
mod trust;
mod uploads;
mod url_tokens;
mod waiting;

use std::pin::pin;
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, SqlSafeStr, Transaction};

use crate::config::{Database, DatabaseUrl};
use crate::model::Secret;

pub use acs::AcsRow;
pub use audit::{AuditFilter, AuditRow};
pub use backup::{BackupError, Copied};
pub use clock::SteadyClock;
pub use codes::{CodeRow, MOST_FAILURES};
pub use devices::{DeviceFilter, DeviceRow};
pub use error::StoreError;
pub use events::{EventFilter, EventGroup, GroupBy};
pub use fleet::{Change, ChangeKind, DeviceWrite, FleetWrite, GroupWrite, WriteError};
pub use groups::GroupRow;
pub use idempotency::{Begun, Stored};
pub use keys::{KeyRow, SealedRow, SealedTable};
pub use outbox::{Delivery, Message, Position};
pub use postgres::Notifications;
pub use schema::Step;
pub use task::{Calling, TaskCounts, TaskEnd, TaskFilter, TaskRow, TaskState, TicketRow};
use trust::Trust;
pub use uploads::UploadFilter;
pub use url_tokens::UrlTokenRow;
pub use waiting::WaitingRow;

/// How long a statement waits for a database that another connection has locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The schema, step by step. A step that was released is never changed: a new one is added at the end.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "events", include_str!("migrations/0001_events.sql")),
    (2, "fleet", include_str!("migrations/0002_fleet.sql")),
    (3, "uploads", include_str!("migrations/0003_uploads.sql")),
    (4, "access", include_str!("migrations/0004_access.sql")),
    (5, "keys", include_str!("migrations/0005_keys.sql")),
    (6, "onboarding", include_str!("migrations/0006_onboarding.sql")),
    (7, "url_tokens", include_str!("migrations/0007_url_tokens.sql")),
    (8, "acs", include_str!("migrations/0008_acs.sql")),
    (9, "tasks", include_str!("migrations/0009_tasks.sql")),
];

/// The database, open. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    trust: Trust,
    backend: Backend,
    /// Where to listen for notifications; none: the database has none to give.
    listen: Option<Secret>,
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

    /// Begins a transaction that will write.
    fn begin(self) -> &'static str {
        match self {
            // Else two that look first and then write would be in each other's way.
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Sets up a connection; `statement_timeout` is PostgreSQL's.
    async fn prepare(
        self,
        connection: &mut AnyConnection,
        access: Access,
        statement_timeout: Duration,
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite => sqlite::prepare(connection, access).await,
            Self::Postgres => postgres::prepare(connection, access, statement_timeout).await,
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
    fn of(database: &Database) -> Result<Self, StoreError> {
        Ok(match &database.url {
            DatabaseUrl::Sqlite(path) => Self::Sqlite(sqlite::Location::new(path)),
            DatabaseUrl::Postgres(url) => Self::Postgres(postgres::Location::new(url)?),
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

    fn options(&self, access: Access, database: &Database) -> Result<AnyConnectOptions, StoreError> {
        sqlx::any::install_default_drivers();
        let parsed = self.url(access).parse();
        let mut options: AnyConnectOptions = parsed.map_err(|error| StoreError::of(&self.name(), error))?;
        // Waiting for a lock is no slow statement; who waits in vain says so.
        options.log_settings.slow_statements_duration = BUSY_TIMEOUT + database.connect_timeout;
        Ok(options)
    }
}

impl Store {
    /// Opens the database, makes a file of SQLite if need be, and brings the schema up to date; of several programs that
    /// start at once, one does, and the others wait for it. One that a newer resyncd has written,
    /// that is damaged, or that another program has locked is refused and left as it is.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Self::open_for(Access::Full, database).await
    }

    /// Opens the database of a server, running or not, for looking at it only.
    pub async fn open_read_only(database: &Database) -> Result<Self, StoreError> {
        Self::open_for(Access::Read, database).await
    }

    async fn open_for(access: Access, database: &Database) -> Result<Self, StoreError> {
        let location = Location::of(database)?;
        if let Location::Sqlite(file) = &location {
            match access {
                Access::Full => file.make_file()?,
                Access::Read => file.find_file()?,
            }
        }
        let (name, backend) = (location.name(), location.backend());
        let mut connection = connect(&location, access, database).await?;
        match access {
            Access::Full => migrate(&mut connection, backend, &name).await?,
            Access::Read => check_version(&mut connection, &name).await?,
        }
        connection.close().await.map_err(|error| StoreError::of(&name, error))?;
        let statement_timeout = database.statement_timeout;
        let trust = Trust::default();
        let (idle, released) = (trust.clone(), trust.clone());
        let pool = AnyPoolOptions::new()
            .max_connections(database.pool.unwrap_or(backend.connections()))
            .acquire_timeout(database.connect_timeout)
            .after_connect(move |connection, _| Box::pin(backend.prepare(connection, access, statement_timeout)))
            // As `test_before_acquire`, but for those that are no longer trusted.
            .test_before_acquire(false)
            .before_acquire(move |connection, about| {
                let idle = idle.clone().of_idle(connection, about.age);
                Box::pin(async move { Ok(idle.await) })
            })
            .after_release(move |connection, about| {
                let released = released.clone().of_released(connection, about.age);
                Box::pin(async move { Ok(released.await) })
            })
            .connect_lazy_with(location.options(access, database)?);
        let listen = match &database.url {
            DatabaseUrl::Postgres(url) => Some(url.clone()),
            DatabaseUrl::Sqlite(_) => None,
        };
        Ok(Self { pool, trust, backend, listen, name })
    }

    /// Closes all connections, when what they are doing is done.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Waits for an answer so long. After a silence, connections of before are used no more.
    pub async fn in_time<T>(
        &self,
        limit: Duration,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.within(limit, question).await?
    }

    /// The same for work of more than one question.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut work = pin!(work);
        match tokio::time::timeout(limit, &mut work).await {
            Ok(done) => Ok(done),
            Err(_) => {
                // Before the work is dropped, and its connection given back.
                self.trust.withdraw();
                Err(StoreError::Hung { name: self.name.clone(), seconds: limit.as_secs_f32() })
            }
        }
    }

    /// What messages call the database: its file, or its name and server. Never with a password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A transaction that only one program at a time has, for what has to be looked at and then done.
    async fn begin_alone(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let mut transaction = self.begin_writing().await?;
        if self.backend == Backend::Postgres {
            postgres::lock_schema(&mut transaction).await.map_err(|error| self.failed(error))?;
        }
        Ok(transaction)
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        StoreError::of(&self.name, error)
    }

    /// Begins a transaction that will write: it waits here for others that do, and not in its middle.
    async fn begin_writing(&self) -> Result<Transaction<'static, Any>, StoreError> {
        self.pool.begin_with(self.backend.begin()).await.map_err(|error| self.failed(error))
    }

    fn read<T>(&self, read: impl Fn(&AnyRow) -> Result<T, &'static str>, row: &AnyRow) -> Result<T, StoreError> {
        read(row).map_err(|column| StoreError::Row { name: self.name.clone(), column })
    }

    async fn fetch<T>(
        &self,
        query: Query<'_, Any, AnyArguments>,
        read: impl Fn(&AnyRow) -> Result<T, &'static str>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.read(&read, row)).collect()
    }
}

/// One connection, set up, to a database that is there.
async fn connect(location: &Location, access: Access, database: &Database) -> Result<AnyConnection, StoreError> {
    let (name, backend) = (location.name(), location.backend());
    let options = location.options(access, database)?;
    // Made by hand: a pool would try again until its time is over, and not say why.
    let connecting = async {
        let mut connection = options.connect().await?;
        backend.prepare(&mut connection, access, database.statement_timeout).await.map(|()| connection)
    };
    let timeout = database.connect_timeout;
    let connected = tokio::time::timeout(timeout, connecting).await;
    let mut connection = match connected {
        Ok(connected) => connected.map_err(|error| StoreError::of(&name, error))?,
        Err(_) => return Err(StoreError::Silent { name, seconds: timeout.as_secs_f32() }),
    };
    if backend == Backend::Postgres {
        postgres::check_server(&mut connection, &name).await?;
    }
    Ok(connection)
}

/// Brings the schema up to date, in one transaction.
async fn migrate(connection: &mut AnyConnection, backend: Backend, name: &str) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(name, error);
    // Others that start wait until this is committed; the migrator's own lock would let them in before.
    let mut transaction = connection.begin_with(backend.begin()).await.map_err(failed)?;
    if backend == Backend::Postgres {
        postgres::take_time(&mut transaction).await.map_err(failed)?;
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
