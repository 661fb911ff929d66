//! Whole tables from one database into another, row by row. Which tables and columns there are is read from the schema, so
//! that a new one is copied without a word here.

use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row};

use super::Backend;
use super::rows::{ROWS_AT_A_TIME, insert_statement};

/// A table and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
}

/// What a column holds, apart from NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Real,
    Text,
    Bytes,
}

/// A cell of a row.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Integer(Option<i64>),
    Real(Option<f64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// How many rows a table has, and a checksum of them that is the same in whatever order they come: databases sort texts
/// each in their own way. The sum, digest by digest, of SHA-256 over each row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    pub rows: u64,
    parts: [u64; 4],
}

/// Which side failed, and how.
#[derive(Debug)]
pub enum CopyError {
    From(sqlx::Error),
    To(sqlx::Error),
}

/// The tables of a SQLite database that are resyncd's own; one that others refer to comes before them.
pub async fn tables(connection: &mut AnyConnection) -> Result<Vec<Table>, sqlx::Error> {
    let select = "SELECT name FROM sqlite_master WHERE type = 'table' \
                  AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_sqlx\\_%' ESCAPE '\\' \
                  AND name NOT LIKE 'resyncd\\_backup%' ESCAPE '\\' ORDER BY name";
    let mut left: Vec<(Table, Vec<String>)> = Vec::new();
    for name in sqlx::query_scalar::<_, String>(select).fetch_all(&mut *connection).await? {
        let columns = sqlx::query("SELECT name, type FROM pragma_table_info($1) ORDER BY cid").bind(&name);
        let columns = columns.fetch_all(&mut *connection).await?;
        let column = |row: &AnyRow| Ok(Column { name: row.try_get(0)?, kind: Kind::of(&row.try_get::<String, _>(1)?) });
        let columns = columns.iter().map(column).collect::<Result<_, sqlx::Error>>()?;
        let referred = sqlx::query_scalar("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)").bind(&name);
        let referred = referred.fetch_all(&mut *connection).await?;
        left.push((Table { name, columns }, referred));
    }
    let mut tables: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_free = |(table, referred): &(Table, Vec<String>)| {
            referred.iter().all(|name| *name == table.name || tables.iter().any(|done| done.name == *name))
        };
        // Those that refer to each other have no order; one of them has to be first.
        let next = left.iter().position(is_free).unwrap_or(0);
        tables.push(left.remove(next).0);
    }
    Ok(tables)
}

impl Kind {
    /// By the name of the type, as SQLite tells them apart (<https://www.sqlite.org/datatype3.html>, section 3.1).
    fn of(name: &str) -> Self {
        let name = name.to_ascii_uppercase();
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if has(&["INT"]) {
            Self::Integer
        } else if has(&["BLOB", "BYTEA"]) {
            Self::Bytes
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Text
        }
    }

    fn read(self, row: &AnyRow, index: usize) -> Result<Cell, sqlx::Error> {
        Ok(match self {
            Self::Integer => Cell::Integer(row.try_get(index)?),
            Self::Real => Cell::Real(row.try_get(index)?),
            Self::Text => Cell::Text(row.try_get(index)?),
            Self::Bytes => Cell::Bytes(row.try_get(index)?),
        })
    }
}

impl Table {
    fn quoted(&self) -> (String, Vec<String>) {
        (quoted(&self.name), self.columns.iter().map(|column| quoted(&column.name)).collect())
    }

    fn select(&self) -> String {
        let (name, columns) = self.quoted();
        format!("SELECT {} FROM {name}", columns.join(", "))
    }

    fn insert(&self, backend: Backend, rows: usize) -> String {
        let (name, columns) = self.quoted();
        insert_statement(backend, &name, &columns.iter().map(String::as_str).collect::<Vec<_>>(), rows)
    }

    fn read(&self, row: &AnyRow) -> Result<Vec<Cell>, sqlx::Error> {
        self.columns.iter().enumerate().map(|(index, column)| column.kind.read(row, index)).collect()
    }

    pub async fn clear(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {}", quoted(&self.name)))).execute(connection).await.map(drop)
    }

    pub async fn count(&self, connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
        let sql = format!("SELECT COUNT(*) FROM {}", quoted(&self.name));
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await
    }

    /// Copies every row, a few at a time in memory.
    pub async fn copy(
        &self,
        from: &mut AnyConnection,
        to: &mut AnyConnection,
        backend: Backend,
    ) -> Result<Sum, CopyError> {
        let mut sum = Sum::default();
        let mut waiting = Vec::with_capacity(ROWS_AT_A_TIME);
        let several = self.insert(backend, ROWS_AT_A_TIME);
        let one = self.insert(backend, 1);
        let mut rows = sqlx::query(AssertSqlSafe(self.select())).fetch(from);
        while let Some(row) = rows.try_next().await.map_err(CopyError::From)? {
            let cells = self.read(&row).map_err(CopyError::From)?;
            sum.add(&cells);
            waiting.push(cells);
            if waiting.len() == ROWS_AT_A_TIME {
                insert(&several, waiting.drain(..).flatten(), to).await.map_err(CopyError::To)?;
            }
        }
        for cells in waiting {
            insert(&one, cells.into_iter(), to).await.map_err(CopyError::To)?;
        }
        Ok(sum)
    }

    /// Looks at every row.
    pub async fn sum(&self, connection: &mut AnyConnection) -> Result<Sum, sqlx::Error> {
        let mut sum = Sum::default();
        let mut rows = sqlx::query(AssertSqlSafe(self.select())).fetch(connection);
        while let Some(row) = rows.try_next().await? {
            sum.add(&self.read(&row)?);
        }
        Ok(sum)
    }
}

async fn insert(sql: &str, cells: impl Iterator<Item = Cell>, to: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    cells.fold(query, bind).execute(to).await.map(drop)
}

fn bind(query: Query<'_, Any, AnyArguments>, cell: Cell) -> Query<'_, Any, AnyArguments> {
    match cell {
        Cell::Integer(value) => query.bind(value),
        Cell::Real(value) => query.bind(value),
        Cell::Text(value) => query.bind(value),
        Cell::Bytes(value) => query.bind(value),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Sum {
    fn add(&mut self, cells: &[Cell]) {
        let mut digest = Sha256::new();
        let mut cell = |kind: u8, bytes: &[u8]| {
            digest.update([kind]);
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        for value in cells {
            match value {
                Cell::Integer(Some(value)) => cell(1, &value.to_le_bytes()),
                Cell::Real(Some(value)) => cell(2, &value.to_le_bytes()),
                Cell::Text(Some(value)) => cell(3, value.as_bytes()),
                Cell::Bytes(Some(value)) => cell(4, value),
                Cell::Integer(None) | Cell::Real(None) | Cell::Text(None) | Cell::Bytes(None) => cell(0, &[]),
            }
        }
        let digest = digest.finalize();
        let (parts, _) = digest.as_chunks::<8>();
        for (sum, part) in self.parts.iter_mut().zip(parts) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
        self.rows += 1;
    }

    /// 64 hexadecimal digits.
    pub fn checksum(&self) -> String {
        self.parts.iter().map(|part| format!("{part:016x}")).collect()
    }
}
