//! What the schema of a database still lacks. Nothing here changes it.

use sqlx::migrate::{Migration, MigrationType};
use sqlx::{AnyConnection, Connection, Row, SqlSafeStr};

use super::{Access, Backend, Location, MIGRATIONS, Store, StoreError, connect, newest};
use crate::config::Database;

/// One step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    pub version: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

/// Where the schema of a database stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is ours, and lacks these steps.
    Lacks(Vec<Step>),
    /// It has a step that this program doesn't know.
    Newer { version: i64, known: i64 },
    /// A step of it is not what this program knows by its number.
    Foreign(i64),
}

impl Store {
    /// The steps that opening the database would apply, in their order. A file that isn't there lacks them all.
    ///
    /// # Errors
    /// When the database can't be opened, was written by a newer resyncd, or has a schema of somebody else's.
    pub async fn pending(database: &Database) -> Result<Vec<Step>, StoreError> {
        let location = Location::of(database)?;
        if let Location::Sqlite(file) = &location
            && file.is_missing()?
        {
            return Ok(steps().collect());
        }
        let name = location.name();
        let failed = |error| StoreError::of(&name, error);
        let mut connection = connect(&location, Access::Read, database).await?;
        let standing = standing(&mut connection, location.backend()).await.map_err(failed)?;
        connection.close().await.map_err(failed)?;
        match standing {
            Standing::Lacks(steps) => Ok(steps),
            Standing::Newer { version, known } => Err(StoreError::Newer { name, version, known }),
            Standing::Foreign(version) => Err(StoreError::Foreign { name, version }),
        }
    }
}

fn steps() -> impl Iterator<Item = Step> {
    MIGRATIONS.iter().map(|(version, name, sql)| Step { version: *version, name, sql })
}

/// Where the schema of a database stands.
pub(super) async fn standing(connection: &mut AnyConnection, backend: Backend) -> Result<Standing, sqlx::Error> {
    let applied = applied(connection, backend).await?;
    for (version, checksum) in &applied {
        match steps().find(|step| step.version == *version) {
            None => return Ok(Standing::Newer { version: *version, known: newest() }),
            Some(step) if *checksum != checksum_of(step.sql) => return Ok(Standing::Foreign(*version)),
            Some(_) => {}
        }
    }
    let is_applied = |step: &Step| applied.iter().any(|(version, _)| *version == step.version);
    Ok(Standing::Lacks(steps().filter(|step| !is_applied(step)).collect()))
}

/// As sqlx notes it down.
fn checksum_of(sql: &'static str) -> Vec<u8> {
    Migration::new(0, "".into(), MigrationType::Simple, sql.into_sql_str(), false).checksum.into_owned()
}

/// The steps that were applied, with the checksums of their SQL as it was then.
async fn applied(connection: &mut AnyConnection, backend: Backend) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let is_there = match backend {
        Backend::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'",
        Backend::Postgres => {
            "SELECT COUNT(*) FROM pg_catalog.pg_tables \
             WHERE schemaname = current_schema() AND tablename = '_sqlx_migrations'"
        }
    };
    let count: i64 = sqlx::query_scalar(is_there).fetch_one(&mut *connection).await?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let select = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
    let rows = sqlx::query(select).fetch_all(connection).await?;
    // Something else in the place of a checksum is none of ours.
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1).unwrap_or_default()))).collect()
}
