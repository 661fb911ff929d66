//! What is SQLite's own: the file, and the settings of a connection.

use std::fs::OpenOptions;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sqlx::AnyConnection;

use super::error::is_locked;
use super::{Access, BUSY_TIMEOUT, StoreError};

/// What would end or change the path in a URL.
const NOT_IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'\\');

/// How long to wait before trying again what another connection keeps from happening.
const AGAIN: Duration = Duration::from_millis(10);

/// The file of a database.
#[derive(Debug)]
pub struct Location {
    path: PathBuf,
}

impl Location {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The URL that sqlx takes.
    pub fn url(&self, access: Access) -> String {
        let path = self.name();
        let path = utf8_percent_encode(&path, NOT_IN_PATH);
        let mode = if access == Access::Read { "ro" } else { "rw" };
        format!("sqlite:{path}?mode={mode}")
    }

    /// Makes the file, empty, where there is none: SQLite would make it readable for everyone.
    pub fn make_file(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::File { path: self.path.clone(), error };
        if let Some(folder) = self.path.parent().filter(|folder| *folder != Path::new("")) {
            std::fs::DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(failed)?;
        }
        OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path).map_err(failed)?;
        Ok(())
    }

    /// Whether a path leads to this file too.
    pub fn is_same(&self, other: &Path) -> bool {
        let own = self.path.canonicalize();
        own.is_ok_and(|own| other.canonicalize().is_ok_and(|other| own == other))
    }

    /// Whether there is no such file; an error where that can't be told.
    pub fn is_missing(&self) -> Result<bool, StoreError> {
        let exists = self.path.try_exists().map_err(|error| StoreError::File { path: self.path.clone(), error })?;
        Ok(!exists)
    }

    pub fn find_file(&self) -> Result<(), StoreError> {
        if self.path.is_file() { Ok(()) } else { Err(StoreError::Missing { path: self.path.clone() }) }
    }
}

/// Sets up a connection. With a write-ahead log, readers and the writer don't wait for each other, and a commit need not
/// wait for the disk: after a power cut the last commits may be missing, and the database is whole.
pub async fn prepare(connection: &mut AnyConnection, access: Access) -> Result<(), sqlx::Error> {
    let busy = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
    sqlx::raw_sql(sqlx::AssertSqlSafe(busy)).execute(&mut *connection).await?;
    let settings = match access {
        Access::Full => "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        Access::Read => "PRAGMA query_only = ON",
    };
    let started = Instant::now();
    loop {
        match sqlx::raw_sql(settings).execute(&mut *connection).await {
            // Going over to a write-ahead log doesn't wait for others by itself.
            Err(error) if is_locked(&error) && started.elapsed() < BUSY_TIMEOUT => tokio::time::sleep(AGAIN).await,
            ended => return ended.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_url_whatever_is_in_it() {
        let url = |text: &str| Location::new(Path::new(text)).url(Access::Read);
        assert_eq!(url("data/resyncd.db"), "sqlite:data/resyncd.db?mode=ro");
        assert_eq!(url("/var/lib/a b#c?d%.db"), "sqlite:/var/lib/a%20b%23c%3Fd%25.db?mode=ro");
    }
}
