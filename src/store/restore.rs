//! A backup put in the place of what a database holds: all of it or nothing.

use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, Connection};
use tempfile::NamedTempFile;

use super::backup::{BackupError, Copied, open, open_file, private_file};
use super::copy::{self, CopyError, Table};
use super::{Access, Backend, Location, Store, StoreError, connect, migrate, postgres, run_migrations};
use crate::config::Database;

impl Store {
    /// Restores a backup into a database, which is made if it isn't there and has to be empty unless everything in it may
    /// be thrown away. A backup of an older schema is brought up to date on its way.
    ///
    /// # Errors
    /// When the backup is damaged, or no backup, or anything fails; then the database holds what it held.
    pub async fn restore(database: &Database, file: &Path, may_replace: bool) -> Result<Vec<Copied>, BackupError> {
        let location = Location::of(database)?;
        if let Location::Sqlite(target) = &location
            && target.is_same(file)
        {
            return Err(BackupError::Itself(file.to_owned()));
        }
        let (mut source, _newer) = up_to_date(file).await?;
        let read = |error| StoreError::of(&file.display().to_string(), error);
        let tables = copy::tables(&mut source).await.map_err(read)?;

        if let Location::Sqlite(target) = &location {
            target.make_file()?;
        }
        let (name, backend) = (location.name(), location.backend());
        let failed = |error| StoreError::of(&name, error);
        let mut target = connect(&location, Access::Full, database).await?;
        migrate(&mut target, backend, &name).await?;
        let mut writing = target.begin_with(backend.begin()).await.map_err(failed)?;
        if backend == Backend::Postgres {
            let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
            postgres::take_tables(&mut writing, &names).await.map_err(failed)?;
        }
        if !may_replace {
            must_be_empty(&tables, &mut writing, &name).await?;
        }
        for table in tables.iter().rev() {
            table.clear(&mut writing).await.map_err(failed)?;
        }
        let mut copied = Vec::new();
        for table in &tables {
            let sum = table.copy(&mut source, &mut writing, backend).await.map_err(|error| match error {
                CopyError::From(error) => read(error),
                CopyError::To(error) => failed(error),
            })?;
            copied.push(Copied::new(table, &sum));
        }
        for (table, copied) in tables.iter().zip(&copied) {
            let there = Copied::new(table, &table.sum(&mut writing).await.map_err(failed)?);
            if there != *copied {
                return Err(BackupError::Differs { name, table: there.table });
            }
        }
        writing.commit().await.map_err(failed)?;
        target.close().await.map_err(failed)?;
        Ok(copied)
    }
}

/// A backup of this program's own schema: the file itself, or a copy of an older one that is brought up to date.
async fn up_to_date(file: &Path) -> Result<(AnyConnection, Option<NamedTempFile>), BackupError> {
    let opened = open(file).await?;
    if !opened.is_older {
        return Ok((opened.connection, None));
    }
    let failed = |error| StoreError::of(&file.display().to_string(), error);
    opened.connection.close().await.map_err(failed)?;
    let folder: PathBuf = std::env::temp_dir();
    let written = |error| BackupError::File { path: folder.clone(), error };
    let copy = private_file(&folder).map_err(written)?;
    std::fs::copy(file, copy.path()).map_err(written)?;
    let mut connection = open_file(copy.path(), Access::Full).await?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    run_migrations(&mut transaction, &file.display().to_string()).await?;
    transaction.commit().await.map_err(failed)?;
    Ok((connection, Some(copy)))
}

/// Refuses a database that holds more than the schema itself puts into it.
async fn must_be_empty(tables: &[Table], connection: &mut AnyConnection, name: &str) -> Result<(), BackupError> {
    let failed = |error| StoreError::of(name, error);
    let mut fresh = AnyConnection::connect("sqlite::memory:").await.map_err(failed)?;
    run_migrations(&mut fresh, name).await?;
    let mut found = Vec::new();
    for table in tables {
        let count = table.count(connection).await.map_err(failed)?;
        if count > table.count(&mut fresh).await.map_err(failed)? {
            let plural = if count == 1 { "" } else { "s" };
            found.push(format!("table {} has {count} row{plural}", table.name));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(BackupError::NotEmpty { name: name.to_owned(), found: found.join(", ") })
}
