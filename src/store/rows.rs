//! Rows in and out: statements that insert several at a time, and columns read by their names.

use std::str::FromStr;

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::Backend;

/// Most rows that one statement inserts. Fewer cost a message to the connection's thread, or the server, each.
pub const ROWS_AT_A_TIME: usize = 64;

/// So many rows at a time as the database takes well, until none is left.
pub fn batches<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // Powers of two only, so that few statements are ever prepared.
        let count = ROWS_AT_A_TIME.min(1 << rest.len().ilog2());
        let (batch, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(batch)
    })
}

/// `INSERT INTO table (…) VALUES ($1, …), (…)` for so many rows; with `?` for SQLite, where sqlx asks for every parameter by
/// its name, and SQLite looks through all names for it.
pub fn insert_statement(backend: Backend, table: &str, columns: &[&str], rows: usize) -> String {
    let row = |row: usize| match backend {
        Backend::Sqlite => format!("({})", vec!["?"; columns.len()].join(", ")),
        Backend::Postgres => numbered(row * columns.len() + 1, columns.len()),
    };
    let values: Vec<_> = (0..rows).map(row).collect();
    format!("INSERT INTO {table} ({}) VALUES {}", columns.join(", "), values.join(", "))
}

/// `($1, $2, …)`.
pub fn list(count: usize) -> String {
    numbered(1, count)
}

fn numbered(first: usize, count: usize) -> String {
    let numbers: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    format!("({})", numbers.join(", "))
}

/// A column; the error is its name, where the row holds something else there.
pub fn text(row: &AnyRow, column: &'static str) -> Result<String, &'static str> {
    row.try_get(column).map_err(|_| column)
}

pub fn optional(row: &AnyRow, column: &'static str) -> Result<Option<String>, &'static str> {
    row.try_get(column).map_err(|_| column)
}

pub fn number(row: &AnyRow, column: &'static str) -> Result<i64, &'static str> {
    row.try_get(column).map_err(|_| column)
}

pub fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<T, &'static str> {
    text(row, column)?.parse().map_err(|_| column)
}

pub fn parsed_optional<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<Option<T>, &'static str> {
    optional(row, column)?.map(|text| text.parse().map_err(|_| column)).transpose()
}

pub fn moment(row: &AnyRow, column: &'static str) -> Result<OffsetDateTime, &'static str> {
    instant(number(row, column)?).ok_or(column)
}

pub fn moment_optional(row: &AnyRow, column: &'static str) -> Result<Option<OffsetDateTime>, &'static str> {
    let found: Option<i64> = row.try_get(column).map_err(|_| column)?;
    found.map(|at| instant(at).ok_or(column)).transpose()
}

/// The database counts what it counts in 64 bits with a sign.
pub fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970.
pub fn milliseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

pub fn instant(milliseconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()
}
