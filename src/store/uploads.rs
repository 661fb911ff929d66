//! Uploads in the database: the index of all of them and, on PostgreSQL, their content.

use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Connection, Row};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Backend, Store, StoreError};
use crate::model::MacAddr;
use crate::packs::UploadKind;
use crate::uploads::{Upload, UploadId};

const COLUMNS: &str = "id, time, device, kind, pack, upload, partial, name, content_type, fields, received, bytes, sha256, \
                       encoding, sealed, peer, listener, node, path";

/// Bytes of one row of content: few enough that reading one is quick, and many enough that there are few.
const CHUNK: usize = 256 << 10;

/// Most that one look for what may go finds.
const BATCH: i64 = 500;

/// Which uploads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadFilter {
    pub device: Option<MacAddr>,
    pub kind: Option<UploadKind>,
    /// Not before.
    pub since: Option<OffsetDateTime>,
    /// Before.
    pub until: Option<OffsetDateTime>,
}

impl Store {
    /// Whether content is kept in the database: where several nodes share it, each must be able to read what another took.
    pub fn holds_content(&self) -> bool {
        self.backend == Backend::Postgres
    }

    /// Inserts an upload, with its content where the database holds it, and deletes the oldest of the same device and
    /// upload beyond `keep`, in one transaction. When this returns, both are on disk. Tells which went.
    pub async fn insert_upload(
        &self,
        upload: &Upload,
        content: &mut (impl AsyncRead + Unpin),
        keep: u64,
    ) -> Result<Vec<Upload>, StoreError> {
        let failed = |error| self.failed(error);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        // SQLite is set up to leave the last commits to chance when the power goes; a phone has been told that its upload is
        // kept, so this one waits for the disk.
        if self.backend == Backend::Sqlite {
            sqlx::raw_sql("PRAGMA synchronous = FULL").execute(&mut *connection).await.map_err(failed)?;
        }
        let inserted = self.insert_within(&mut connection, upload, content, keep).await;
        if self.backend == Backend::Sqlite {
            // Should it fail, the connection's next commits wait as well, and nothing is wrong.
            let _ = sqlx::raw_sql("PRAGMA synchronous = NORMAL").execute(&mut *connection).await;
        }
        inserted
    }

    async fn insert_within(
        &self,
        connection: &mut AnyConnection,
        upload: &Upload,
        content: &mut (impl AsyncRead + Unpin),
        keep: u64,
    ) -> Result<Vec<Upload>, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = connection.begin().await.map_err(failed)?;
        bind(sqlx::query(INSERT), upload).execute(&mut *transaction).await.map_err(failed)?;
        if self.holds_content() {
            let unreadable = |error: std::io::Error| StoreError::Content { name: self.name.clone(), error };
            let id = upload.id.to_string();
            let mut number = 0_i64;
            loop {
                let mut chunk = Vec::with_capacity(CHUNK);
                let limit = u64::try_from(CHUNK).unwrap_or(u64::MAX);
                content.take(limit).read_to_end(&mut chunk).await.map_err(unreadable)?;
                if chunk.is_empty() {
                    break;
                }
                let query = sqlx::query("INSERT INTO upload_chunks (upload, number, content) VALUES ($1, $2, $3)");
                let query = query.bind(id.clone()).bind(number).bind(chunk);
                query.execute(&mut *transaction).await.map_err(failed)?;
                number += 1;
            }
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM uploads WHERE device = $1 AND pack = $2 AND upload = $3 \
             ORDER BY CASE WHEN id = $4 THEN 0 WHEN time <= $5 THEN 1 ELSE 2 END, id DESC LIMIT {BATCH} OFFSET $6"
        ));
        let query = sqlx::query(sql).bind(upload.device.to_string()).bind(upload.pack.clone());
        // The clock may have been set back: what comes now stays, and what one that ran ahead has dated is not newer.
        let ahead = milliseconds(upload.time.saturating_add(time::Duration::DAY));
        let query = query.bind(upload.upload.clone()).bind(upload.id.to_string()).bind(ahead).bind(integer(keep));
        let rows = query.fetch_all(&mut *transaction).await.map_err(failed)?;
        let gone = rows.iter().map(|row| self.read_upload(row)).collect::<Result<Vec<_>, _>>()?;
        for old in &gone {
            delete(&mut transaction, old.id).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(gone)
    }

    /// The newest uploads that the filter lets through and that are older than `before`, newest first.
    pub async fn uploads(
        &self,
        filter: &UploadFilter,
        before: Option<UploadId>,
        limit: u64,
    ) -> Result<Vec<Upload>, StoreError> {
        // None as a parameter is a comparison with nothing; a bound that lets all through says the same on both databases.
        let device = filter.device.map(|mac| mac.to_string()).unwrap_or_default();
        let kind = filter.kind.map(UploadKind::as_str).unwrap_or_default();
        let before = before.map_or_else(|| "g".to_owned(), |id| id.to_string());
        // Ids are in the order of time. Each condition is there only where it is asked for, so that an index can be used.
        let by_device = if device.is_empty() { "$1 = ''" } else { "device = $1" };
        let by_kind = if kind.is_empty() { "$2 = ''" } else { "kind = $2" };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM uploads WHERE {by_device} AND {by_kind} AND id < $3 AND time >= $4 AND time < $5 \
             ORDER BY id DESC LIMIT $6"
        ));
        let query = sqlx::query(sql).bind(device).bind(kind).bind(before);
        let query = query.bind(filter.since.map_or(i64::MIN, milliseconds));
        let query = query.bind(filter.until.map_or(i64::MAX, milliseconds)).bind(integer(limit));
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.read_upload(row)).collect()
    }

    /// One upload; none where there is no such.
    pub async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM uploads WHERE id = $1"));
        let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(&self.pool).await;
        let row = row.map_err(|error| self.failed(error))?;
        row.map(|row| self.read_upload(&row)).transpose()
    }

    /// A part of an upload's content, counted from 0; none after the last.
    pub async fn upload_chunk(&self, id: UploadId, number: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT content FROM upload_chunks WHERE upload = $1 AND number = $2";
        let query = sqlx::query_scalar(sql).bind(id.to_string()).bind(number);
        query.fetch_optional(&self.pool).await.map_err(|error| self.failed(error))
    }

    /// Deletes an upload, with what the database holds of its content. None where there is no such.
    pub async fn delete_upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        let Some(upload) = self.upload(id).await? else { return Ok(None) };
        let failed = |error| self.failed(error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let count = delete(&mut transaction, id).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok((count > 0).then_some(upload))
    }

    /// Deletes some of the uploads before `before`, or, where there is none, some of the oldest while all together have more
    /// than `total` bytes. Tells which went; none when there is nothing more to do.
    pub async fn prune_uploads(&self, before: Option<OffsetDateTime>, total: u64) -> Result<Vec<Upload>, StoreError> {
        let failed = |error| self.failed(error);
        // Outside the transaction: SQLite lets none that began by reading go on to write when another has written meanwhile.
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM uploads ORDER BY id LIMIT {BATCH}"));
        let rows = sqlx::query(sql).fetch_all(&self.pool).await.map_err(failed)?;
        let oldest = rows.iter().map(|row| self.read_upload(row)).collect::<Result<Vec<_>, _>>()?;
        let sum = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM uploads";
        let sum: i64 = sqlx::query_scalar(sum).fetch_one(&self.pool).await.map_err(failed)?;
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let mut excess = sum.unsigned_abs().saturating_sub(total);
        let mut gone = Vec::new();
        for upload in oldest {
            let is_old = before.is_some_and(|before| upload.time < before);
            if !is_old && excess == 0 {
                break;
            }
            excess = excess.saturating_sub(upload.bytes);
            // Another node may have been quicker.
            if delete(&mut transaction, upload.id).await.map_err(failed)? > 0 {
                gone.push(upload);
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(gone)
    }

    /// The ids that there are of those from `first` to `last`.
    pub async fn upload_ids(&self, first: UploadId, last: UploadId) -> Result<Vec<UploadId>, StoreError> {
        let query = sqlx::query_scalar("SELECT id FROM uploads WHERE id >= $1 AND id <= $2");
        let query = query.bind(first.to_string()).bind(last.to_string());
        let ids: Vec<String> = query.fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        let wrong = |_| StoreError::Row { name: self.name.clone(), column: "id" };
        ids.iter().map(|id| id.parse().map_err(wrong)).collect()
    }

    fn read_upload(&self, row: &AnyRow) -> Result<Upload, StoreError> {
        upload(row).map_err(|column| StoreError::Row { name: self.name.clone(), column })
    }
}

const INSERT: &str = "INSERT INTO uploads (id, time, device, kind, pack, upload, partial, name, content_type, fields, \
                      received, bytes, sha256, encoding, sealed, peer, listener, node, path) VALUES ($1, $2, $3, $4, $5, $6, \
                      $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";

type Query<'q> = sqlx::query::Query<'q, Any, sqlx::any::AnyArguments>;

fn bind<'q>(query: Query<'q>, upload: &Upload) -> Query<'q> {
    // A map of texts is always JSON.
    let fields = serde_json::to_string(&upload.fields).unwrap_or_default();
    query
        .bind(upload.id.to_string())
        .bind(milliseconds(upload.time))
        .bind(upload.device.to_string())
        .bind(upload.kind.as_str())
        .bind(upload.pack.clone())
        .bind(upload.upload.clone())
        .bind(i64::from(upload.partial))
        .bind(upload.name.clone())
        .bind(upload.content_type.clone())
        .bind(fields)
        .bind(integer(upload.received))
        .bind(integer(upload.bytes))
        .bind(upload.sha256.clone())
        .bind(upload.encoding.clone())
        .bind(i64::from(upload.sealed))
        .bind(upload.peer.to_string())
        .bind(upload.listener.clone())
        .bind(upload.node.clone())
        .bind(upload.path.clone())
}

async fn delete(connection: &mut AnyConnection, id: UploadId) -> Result<u64, sqlx::Error> {
    let id = id.to_string();
    sqlx::query("DELETE FROM upload_chunks WHERE upload = $1").bind(id.clone()).execute(&mut *connection).await?;
    let deleted = sqlx::query("DELETE FROM uploads WHERE id = $1").bind(id).execute(connection).await?;
    Ok(deleted.rows_affected())
}

/// A row back as an upload; the error is the name of the column that holds something else.
fn upload(row: &AnyRow) -> Result<Upload, &'static str> {
    let text = |column: &'static str| row.try_get::<String, _>(column).map_err(|_| column);
    let optional = |column: &'static str| row.try_get::<Option<String>, _>(column).map_err(|_| column);
    let number = |column: &'static str| row.try_get::<i64, _>(column).map_err(|_| column);
    let nanoseconds = i128::from(number("time")?) * 1_000_000;
    Ok(Upload {
        id: parse(&text("id")?, "id")?,
        time: OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map_err(|_| "time")?,
        device: parse(&text("device")?, "device")?,
        kind: parse(&text("kind")?, "kind")?,
        pack: text("pack")?,
        upload: text("upload")?,
        partial: number("partial")? != 0,
        name: optional("name")?,
        content_type: optional("content_type")?,
        fields: serde_json::from_str(&text("fields")?).map_err(|_| "fields")?,
        received: number("received")?.unsigned_abs(),
        bytes: number("bytes")?.unsigned_abs(),
        sha256: text("sha256")?,
        encoding: optional("encoding")?,
        sealed: number("sealed")? != 0,
        peer: parse(&text("peer")?, "peer")?,
        listener: text("listener")?,
        node: text("node")?,
        path: optional("path")?,
    })
}

fn parse<T: std::str::FromStr>(text: &str, column: &'static str) -> Result<T, &'static str> {
    text.parse().map_err(|_| column)
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn milliseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}
