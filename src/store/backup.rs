//! A copy of the database as it was at one moment: a SQLite database of the same schema, whichever database it is of, with
//! a list of what has to be in it. Secrets stay sealed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sqlx::{AnyConnection, ConnectOptions, Connection, Row};
use tempfile::NamedTempFile;
use time::OffsetDateTime;

use super::copy::{self, CopyError, Sum, Table};
use super::schema::{self, Standing};
use super::{Access, Backend, Location, Store, StoreError, check_version, connect, run_migrations, sqlite};
use crate::config::Database;
use crate::events::rfc3339;

/// What a backup says of itself; the tables begin with `resyncd_backup`, so that they are in no backup of it.
const LIST: &str = "CREATE TABLE resyncd_backup (format BIGINT NOT NULL, made TEXT NOT NULL, program TEXT NOT NULL); \
                    CREATE TABLE resyncd_backup_tables \
                    (name TEXT PRIMARY KEY, row_count BIGINT NOT NULL, checksum TEXT NOT NULL)";

/// How the names of files begin that are not whole yet.
const UNFINISHED: &str = ".resyncd-backup-";

/// The form of the list.
const FORMAT: i64 = 1;

/// Why a backup can't be made, used or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} is there already: name another file, or give --force to replace it", .0.display())]
    Exists(PathBuf),
    #[error("{} can't be written: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{} is not there, or can't be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{} is the database itself, and no backup of it", .0.display())]
    Itself(PathBuf),
    #[error("{} is no backup: give a file that `resyncd backup` made", .0.display())]
    NoBackup(PathBuf),
    #[error(
        "the backup {} was made by a newer resyncd (its schema has step {version}, this program knows {known}); restore \
         it with that version",
        path.display()
    )]
    Newer { path: PathBuf, version: i64, known: i64 },
    #[error("the backup {} has a schema that resyncd did not make (step {version} differs)", path.display())]
    Foreign { path: PathBuf, version: i64 },
    #[error("the backup {} is damaged: {reason}; use an older one", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "the database {name} is not empty ({found}): give --force to throw away everything in it and restore the backup in \
         its place"
    )]
    NotEmpty { name: String, found: String },
    #[error("what was restored into {name} is not what the backup holds: table {table} differs; nothing was changed")]
    Differs { name: String, table: String },
}

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    pub table: String,
    pub rows: u64,
    /// Equal for equal rows, in whatever order and on whichever database.
    pub checksum: String,
}

impl Copied {
    pub(super) fn new(table: &Table, sum: &Sum) -> Self {
        Self { table: table.name.clone(), rows: sum.rows, checksum: sum.checksum() }
    }
}

/// A backup that was opened: whole, of a schema that this program knows, and only read.
pub(super) struct Opened {
    pub connection: AnyConnection,
    /// Steps of the schema that it lacks.
    pub is_older: bool,
}

impl Store {
    /// Copies the database as it is now into a file, which is there when it is whole; servers may run meanwhile. With
    /// `verify`, it is restored into a database of its own first, and compared.
    ///
    /// # Errors
    /// When the file is there already and may not be replaced, or anything of it fails; then the file is as it was.
    pub async fn backup(
        database: &Database,
        file: &Path,
        may_replace: bool,
        verify: bool,
    ) -> Result<Vec<Copied>, BackupError> {
        if !may_replace && fs::symlink_metadata(file).is_ok() {
            return Err(BackupError::Exists(file.to_owned()));
        }
        let failed = |error| BackupError::File { path: file.to_owned(), error };
        let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        sweep(folder);
        let new = private_file(folder).map_err(failed)?;
        let copied = copy_to(database, new.path()).await?;
        if verify {
            // In a folder of its own, so that nothing is left of what SQLite puts beside it.
            let scratch = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(folder).map_err(failed)?;
            let _held = File::open(scratch.path()).and_then(hold).map_err(failed)?;
            Self::restore(&Database::sqlite(scratch.path().join("restored.db")), new.path(), false).await?;
        }
        new.as_file().sync_all().map_err(failed)?;
        let placed = if may_replace { new.persist(file) } else { new.persist_noclobber(file) };
        placed.map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
            _ => failed(error.error),
        })?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(copied)
    }
}

/// An empty file that only its owner may read, gone when it is dropped.
pub(super) fn private_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mode = Permissions::from_mode(0o600);
    let file = tempfile::Builder::new().prefix(UNFINISHED).permissions(mode).tempfile_in(folder)?;
    hold(file.as_file().try_clone()?)?;
    Ok(file)
}

/// Locks what is in use, for as long as it is open: what nobody holds was left by a process that was killed.
fn hold(file: File) -> std::io::Result<File> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        // No locks there, as on some network file systems: then nothing is swept either.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK) => Ok(file),
        Err(error) => Err(error.into()),
    }
}

/// Removes what killed backups have left in a folder. What can't be removed is no reason not to make one.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
            continue;
        }
        let path = entry.path();
        let is_left =
            File::open(&path).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
        if is_left {
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}

async fn copy_to(database: &Database, path: &Path) -> Result<Vec<Copied>, BackupError> {
    let location = Location::of(database)?;
    if let Location::Sqlite(file) = &location {
        file.find_file()?;
    }
    let (name, backend) = (location.name(), location.backend());
    let failed = |error| StoreError::of(&name, error);
    let mut source = connect(&location, Access::Read, database).await?;
    check_version(&mut source, &name).await?;
    // One moment for all tables.
    let begin = match backend {
        Backend::Sqlite => "BEGIN",
        Backend::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    };
    let mut source = source.begin_with(begin).await.map_err(failed)?;
    if backend == Backend::Postgres {
        super::postgres::take_time(&mut source).await.map_err(failed)?;
    }

    let written = |error| StoreError::of(&path.display().to_string(), error);
    let mut target = open_file(path, Access::Full).await?;
    // Nobody else sees the file, and it is thrown away unless all of it is written.
    let settings = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF";
    sqlx::raw_sql(settings).execute(&mut target).await.map_err(written)?;
    let mut writing = target.begin().await.map_err(written)?;
    run_migrations(&mut writing, &path.display().to_string()).await?;
    sqlx::raw_sql(LIST).execute(&mut *writing).await.map_err(written)?;
    let mut copied = Vec::new();
    let tables = copy::tables(&mut writing).await.map_err(written)?;
    for table in tables.iter().rev() {
        // What the schema itself puts in is in the database too.
        table.clear(&mut writing).await.map_err(written)?;
    }
    for table in &tables {
        let sum = table.copy(&mut source, &mut writing, Backend::Sqlite).await.map_err(|error| match error {
            CopyError::From(error) => failed(error),
            CopyError::To(error) => written(error),
        })?;
        copied.push(Copied::new(table, &sum));
    }
    write_list(&copied, &mut writing).await.map_err(written)?;
    writing.commit().await.map_err(written)?;
    target.close().await.map_err(written)?;
    source.rollback().await.map_err(failed)?;
    Ok(copied)
}

async fn write_list(copied: &[Copied], connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let about = sqlx::query("INSERT INTO resyncd_backup (format, made, program) VALUES ($1, $2, $3)");
    let about = about.bind(FORMAT).bind(rfc3339(OffsetDateTime::now_utc())).bind(env!("CARGO_PKG_VERSION"));
    about.execute(&mut *connection).await?;
    for table in copied {
        sqlx::query("INSERT INTO resyncd_backup_tables (name, row_count, checksum) VALUES ($1, $2, $3)")
            .bind(&table.table)
            .bind(i64::try_from(table.rows).unwrap_or(i64::MAX))
            .bind(&table.checksum)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// A file of SQLite as it is, without a write-ahead log beside it.
pub(super) async fn open_file(path: &Path, access: Access) -> Result<AnyConnection, StoreError> {
    let location = sqlite::Location::new(path);
    let options = Location::Sqlite(location).options(access, &Database::sqlite(path))?;
    options.connect().await.map_err(|error| StoreError::of(&path.display().to_string(), error))
}

/// Opens a backup, and makes sure that it is what it was when it was made.
pub(super) async fn open(path: &Path) -> Result<Opened, BackupError> {
    let unreadable = |error| BackupError::Unreadable { path: path.to_owned(), error };
    if !File::open(path).and_then(|file| file.metadata()).map_err(unreadable)?.is_file() {
        return Err(BackupError::NoBackup(path.to_owned()));
    }
    let mut connection = open_file(path, Access::Read).await.map_err(|error| wrong(path, error))?;
    let failed = |error| wrong(path, StoreError::of(&path.display().to_string(), error));
    let list = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'resyncd\\_backup%' ESCAPE '\\'";
    let list: i64 = sqlx::query_scalar(list).fetch_one(&mut connection).await.map_err(failed)?;
    if list != 2 {
        return Err(BackupError::NoBackup(path.to_owned()));
    }
    let standing = schema::standing(&mut connection, Backend::Sqlite).await.map_err(failed)?;
    let is_older = match standing {
        Standing::Newer { version, known } => {
            return Err(BackupError::Newer { path: path.to_owned(), version, known });
        }
        Standing::Foreign(version) => return Err(BackupError::Foreign { path: path.to_owned(), version }),
        Standing::Lacks(steps) => !steps.is_empty(),
    };
    let damaged = |reason: String| BackupError::Damaged { path: path.to_owned(), reason };
    let told: String =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await.map_err(failed)?;
    if told != "ok" {
        return Err(damaged(told));
    }
    let listed = "SELECT name, row_count, checksum FROM resyncd_backup_tables";
    let listed = sqlx::query(listed).fetch_all(&mut connection).await.map_err(failed)?;
    let tables = copy::tables(&mut connection).await.map_err(failed)?;
    if listed.len() != tables.len() {
        return Err(damaged(format!("it has {} tables and should have {}", tables.len(), listed.len())));
    }
    for table in &tables {
        let sum = table.sum(&mut connection).await.map_err(failed)?;
        let row = listed.iter().find(|row| row.try_get::<String, _>(0).is_ok_and(|name| name == table.name));
        let Some(row) = row else { return Err(damaged(format!("its list has no table {}", table.name))) };
        let count = row.try_get::<i64, _>(1).ok().and_then(|count| u64::try_from(count).ok());
        if count != Some(sum.rows) {
            let should = count.map_or("another number".to_owned(), |count| count.to_string());
            return Err(damaged(format!("table {} has {} rows and should have {should}", table.name, sum.rows)));
        }
        if !row.try_get::<String, _>(2).is_ok_and(|checksum| checksum == sum.checksum()) {
            return Err(damaged(format!("the rows of table {} are not those that were written", table.name)));
        }
    }
    Ok(Opened { connection, is_older })
}

/// What SQLite says of a file, said of a backup.
fn wrong(path: &Path, error: StoreError) -> BackupError {
    match error {
        StoreError::Damaged { reason, .. } => BackupError::Damaged { path: path.to_owned(), reason },
        StoreError::Row { column, .. } => {
            BackupError::Damaged { path: path.to_owned(), reason: format!("column {column} can't be read") }
        }
        other => other.into(),
    }
}
