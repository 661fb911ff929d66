//! Requests that made something, by the key that the client gave them: the same one again gets the same answer, and makes
//! nothing more.

use sqlx::Row;
use time::{Duration, OffsetDateTime};

use super::rows::milliseconds;
use super::{Store, StoreError};
use crate::tokens::TokenDigest;

/// How long a key is remembered.
const KEPT: Duration = Duration::DAY;

/// After that a request without an answer counts as broken off: longer than any may take.
const BROKEN_OFF: Duration = Duration::minutes(2);

/// Keys of one token that are remembered at a time.
const MOST: i64 = 10_000;

/// What a key says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is new: to be answered now.
    New,
    /// It is being answered.
    InFlight,
    /// The key belongs to another request.
    Other,
    /// It was answered so.
    Answered(Stored),
    /// The token has too many keys.
    TooMany,
}

/// An answer to be given again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stored {
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Store {
    /// Takes a request up. `request` is a digest of all that makes it this one and no other.
    pub async fn begin_request(
        &self,
        token: &TokenDigest,
        name: &str,
        request: &str,
        now: OffsetDateTime,
    ) -> Result<Begun, StoreError> {
        let failed = |error| self.failed(error);
        // Those of a clock that ran ahead go too: they would count for as long as it was ahead.
        let forget = "DELETE FROM idempotency_keys WHERE token = $1 AND (created <= $2 OR created > $3)";
        let (old, ahead) = (milliseconds(now.saturating_sub(KEPT)), milliseconds(now.saturating_add(KEPT)));
        let token = token.as_str().to_owned();
        sqlx::query(forget).bind(token.clone()).bind(old).bind(ahead).execute(&self.pool).await.map_err(failed)?;
        let count = "SELECT COUNT(*) FROM idempotency_keys WHERE token = $1 AND name <> $2";
        let count = sqlx::query_scalar::<_, i64>(count).bind(token.clone()).bind(name.to_owned());
        if count.fetch_one(&self.pool).await.map_err(failed)? >= MOST {
            return Ok(Begun::TooMany);
        }
        let insert = "INSERT INTO idempotency_keys (token, name, request, created) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert)
            .bind(token.clone())
            .bind(name.to_owned())
            .bind(request.to_owned())
            .bind(milliseconds(now));
        if insert.execute(&self.pool).await.map_err(failed)?.rows_affected() == 1 {
            return Ok(Begun::New);
        }
        let find = "SELECT request, answer FROM idempotency_keys WHERE token = $1 AND name = $2";
        let row = sqlx::query(find).bind(token.clone()).bind(name.to_owned()).fetch_optional(&self.pool).await;
        // Gone in between: it was given up just now, and may be tried again in a moment.
        let Some(row) = row.map_err(failed)? else { return Ok(Begun::InFlight) };
        if row.try_get::<String, _>(0).map_err(failed)? != request {
            return Ok(Begun::Other);
        }
        if let Some(answer) = row.try_get::<Option<String>, _>(1).map_err(failed)? {
            let stored = serde_json::from_str(&answer);
            let unreadable = |_| StoreError::Row { name: self.name.clone(), column: "answer" };
            return stored.map(Begun::Answered).map_err(unreadable);
        }
        // Of several that find it broken off, one takes it over.
        let take = "UPDATE idempotency_keys SET created = $1 WHERE token = $2 AND name = $3 AND answer IS NULL \
                    AND created <= $4";
        let take = sqlx::query(take)
            .bind(milliseconds(now))
            .bind(token)
            .bind(name.to_owned())
            .bind(milliseconds(now.saturating_sub(BROKEN_OFF)));
        let taken = take.execute(&self.pool).await.map_err(failed)?.rows_affected() == 1;
        Ok(if taken { Begun::New } else { Begun::InFlight })
    }

    /// Remembers the answer to a request that was taken up; without one, the request as if it had never come.
    pub async fn end_request(
        &self,
        token: &TokenDigest,
        name: &str,
        answer: Option<&Stored>,
    ) -> Result<(), StoreError> {
        let ended = match answer.and_then(|answer| serde_json::to_string(answer).ok()) {
            Some(answer) => {
                let sql = "UPDATE idempotency_keys SET answer = $1 WHERE token = $2 AND name = $3";
                sqlx::query(sql).bind(answer).bind(token.as_str().to_owned()).bind(name.to_owned())
            }
            None => {
                let sql = "DELETE FROM idempotency_keys WHERE token = $1 AND name = $2 AND answer IS NULL";
                sqlx::query(sql).bind(token.as_str().to_owned()).bind(name.to_owned())
            }
        };
        ended.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Forgets the keys of all tokens that are old enough.
    pub async fn prune_requests(&self, now: OffsetDateTime) -> Result<u64, StoreError> {
        let sql = "DELETE FROM idempotency_keys WHERE created <= $1";
        let pruned = sqlx::query(sql).bind(milliseconds(now.saturating_sub(KEPT))).execute(&self.pool).await;
        pruned.map(|done| done.rows_affected()).map_err(|error| self.failed(error))
    }
}
