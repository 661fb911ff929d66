use std::io;
use std::path::PathBuf;

/// Why the database can't be used, or could not be asked. Each names the database, and none a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database.url is no URL of a PostgreSQL database: write postgres://USER@HOST:PORT/DATABASE")]
    Url,
    #[error("the database {name} is on PostgreSQL {version}; resyncd needs 13 or later")]
    OldServer { name: String, version: i64 },
    #[error("the database {name} does not answer: {error}")]
    Unreachable { name: String, error: std::io::Error },
    #[error("the database {name} has not answered for {seconds} seconds (database.connect_timeout)")]
    Silent { name: String, seconds: f32 },
    #[error("the database {name} has left a question unanswered for {seconds} seconds")]
    Hung { name: String, seconds: f32 },
    #[error(
        "the database {name} has no free connection: it doesn't answer, or all connections of database.pool are in use"
    )]
    Busy { name: String },
    #[error(
        "the database {name} can't be talked to over TLS: {error}; look at sslmode and sslrootcert of database.url"
    )]
    Tls { name: String, error: sqlx::Error },
    #[error("{parameter} of database.url: {} {reason}", path.display())]
    TlsFile { parameter: String, path: PathBuf, reason: String },
    #[error(
        "the variable PGSSLMODE asks for \"allow\", which resyncd doesn't know: there are disable, prefer, require, verify-ca \
         and verify-full"
    )]
    Mode,
    #[error("the database {name} took longer for a statement than database.statement_timeout allows")]
    Slow { name: String },
    #[error("the database {} can't be made: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("there is no database {} yet; `resyncd serve` makes it when it first starts", path.display())]
    Missing { path: PathBuf },
    #[error(
        "the database {name} is damaged, or no SQLite database: {reason}; move it and its -wal and -shm files away and \
         restart, and resyncd makes a new one (the events in the old one are not in it; `sqlite3 {name} .recover` may \
         save some)"
    )]
    Damaged { name: String, reason: String },
    #[error(
        "the database {name} was written by a newer resyncd (its schema is {version}, this program knows {known}); run \
         that version, or move the database away"
    )]
    Newer { name: String, version: i64, known: i64 },
    #[error(
        "the database {name} has no tables of this version; `resyncd serve` makes them when it starts, and so does `resyncd migrate`"
    )]
    Older { name: String },
    #[error(
        "the database {name} has a schema that resyncd did not make (step {version} differs); give database.url another \
         file, or move this one away"
    )]
    Foreign { name: String, version: i64 },
    #[error("the database {name} is locked by another program")]
    Locked { name: String },
    #[error(
        "the database {name} can't be read or written on its disk: {reason}; look at its permissions, quota and file system"
    )]
    Disk { name: String, reason: String },
    #[error("the disk that the database {name} is on is full")]
    Full { name: String },
    #[error("what should go into the database {name} can't be read: {error}")]
    Content { name: String, error: io::Error },
    #[error("the database {name} holds a row that can't be read: column {column}")]
    Row { name: String, column: &'static str },
    #[error("the database {name}: {error}")]
    Query { name: String, error: sqlx::Error },
}

/// SQLite's primary result codes: <https://www.sqlite.org/rescode.html>.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const CORRUPT: u32 = 11;
const READ_ONLY: u32 = 8;
const INPUT_OUTPUT: u32 = 10;
const FULL: u32 = 13;
const NOT_A_DATABASE: u32 = 26;

impl StoreError {
    /// Whether it is the connection that broke, or was ended by who runs the server; another may do.
    pub fn is_broken_off(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            // admin_shutdown, crash_shutdown: PostgreSQL's appendix A.
            Self::Query { error, .. } => {
                let code = error.as_database_error().and_then(|error| error.code());
                matches!(code.as_deref(), Some("57P01" | "57P02"))
            }
            _ => false,
        }
    }

    pub(super) fn of(name: &str, error: sqlx::Error) -> Self {
        let name = name.to_owned();
        let error = match error {
            sqlx::Error::Io(error) => return Self::Unreachable { name, error },
            sqlx::Error::PoolTimedOut => return Self::Busy { name },
            error @ sqlx::Error::Tls(_) => return Self::Tls { name, error },
            other => other,
        };
        // PostgreSQL's codes have five characters: its appendix A.
        match error.as_database_error().and_then(|error| error.code()).as_deref() {
            Some("57014") => return Self::Slow { name },
            Some("55P03") => return Self::Locked { name },
            Some("53100") => return Self::Full { name },
            Some("42P01") => return Self::Older { name },
            _ => {}
        }
        match sqlite_code(&error) {
            Some(INPUT_OUTPUT) if is_without_room(&error) => Self::Full { name },
            Some(BUSY | LOCKED) => Self::Locked { name },
            Some(CORRUPT | NOT_A_DATABASE) => Self::Damaged { name, reason: error.to_string() },
            Some(FULL) => Self::Full { name },
            Some(READ_ONLY | INPUT_OUTPUT) => Self::Disk { name, reason: error.to_string() },
            _ => Self::Query { name, error },
        }
    }
}

/// Whether there was no room for the index of SQLite's log (SQLITE_IOERR_SHMSIZE), which it doesn't call a full disk.
fn is_without_room(error: &sqlx::Error) -> bool {
    const NO_ROOM_FOR_INDEX: &str = "4874";
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(NO_ROOM_FOR_INDEX)
}

/// Whether SQLite says that another connection is at work.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    matches!(sqlite_code(error), Some(BUSY | LOCKED))
}

/// SQLite's primary code, the low byte of its extended one. PostgreSQL's codes are longer, and some of them are numbers.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    let code: u32 = Some(code).filter(|code| code.len() < 5)?.parse().ok()?;
    Some(code & 0xff)
}
