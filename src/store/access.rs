//! Tokens in the database.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::{Duration, OffsetDateTime};

use super::rows::{instant, milliseconds};
use super::{AuditRow, Store, StoreError, audit};
use crate::tokens::{Token, TokenDigest};

const COLUMNS: &str = "digest, name, scope, bound_to, created, expires, last_used";

/// How exact the last use is: a token that is used all the time writes so often and no more.
const USE: Duration = Duration::MINUTE;

impl Store {
    /// Adds a token, and records that. False where another has its name; then nothing is changed.
    pub async fn create_token(
        &self,
        token: &Token,
        digest: &TokenDigest,
        recorded: &AuditRow,
    ) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let sql = "INSERT INTO tokens (digest, name, scope, bound_to, created, expires) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql)
            .bind(digest.as_str().to_owned())
            .bind(token.name.clone())
            .bind(token.scope.as_str())
            .bind(token.group.clone())
            .bind(milliseconds(token.created))
            .bind(token.expires.map(milliseconds));
        let inserted = query.execute(&mut *transaction).await.map_err(failed)?;
        if inserted.rows_affected() != 1 {
            return Ok(false);
        }
        audit::insert(&mut transaction, self.backend, std::slice::from_ref(recorded)).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// The token with this digest, expired or not.
    pub async fn token(&self, digest: &TokenDigest) -> Result<Option<Token>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tokens WHERE digest = $1"));
        let row = sqlx::query(sql).bind(digest.as_str().to_owned()).fetch_optional(&self.pool).await;
        let Some(row) = row.map_err(|error| self.failed(error))? else { return Ok(None) };
        let (stored, token) = self.read_token(&row)?;
        // The index has compared them already; nothing is left to chance.
        Ok(digest.is(&stored).then_some(token))
    }

    /// Notes that a token was used, if that was not noted within the last minute.
    pub async fn use_token(&self, digest: &TokenDigest, now: OffsetDateTime) -> Result<(), StoreError> {
        let sql = "UPDATE tokens SET last_used = $1 WHERE digest = $2 AND (last_used IS NULL OR last_used <= $3)";
        let query = sqlx::query(sql)
            .bind(milliseconds(now))
            .bind(digest.as_str().to_owned())
            .bind(milliseconds(now.saturating_sub(USE)));
        query.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Whether the last use of a token has to be noted again.
    pub fn is_use_due(token: &Token, now: OffsetDateTime) -> bool {
        token.last_used.is_none_or(|used| used <= now.saturating_sub(USE))
    }

    /// All tokens, by name.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tokens ORDER BY name"));
        let rows = sqlx::query(sql).fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.read_token(row).map(|(_, token)| token)).collect()
    }

    /// Takes a token out, and records that. The token that it was; none where there is none of that name.
    pub async fn revoke_token(
        &self,
        name: &str,
        recorded: impl FnOnce(&Token) -> AuditRow,
    ) -> Result<Option<Token>, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_writing().await?;
        let sql = sqlx::AssertSqlSafe(format!("DELETE FROM tokens WHERE name = $1 RETURNING {COLUMNS}"));
        let row = sqlx::query(sql).bind(name.to_owned()).fetch_optional(&mut *transaction).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let (_, token) = self.read_token(&row)?;
        audit::insert(&mut transaction, self.backend, &[recorded(&token)]).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Some(token))
    }

    fn read_token(&self, row: &AnyRow) -> Result<(String, Token), StoreError> {
        self.read(token, row)
    }
}

fn token(row: &AnyRow) -> Result<(String, Token), &'static str> {
    let text = |index: usize, column| row.try_get::<String, _>(index).map_err(|_| column);
    let time = |index: usize, column: &'static str| {
        row.try_get::<Option<i64>, _>(index).map_err(|_| column)?.map(|at| instant(at).ok_or(column)).transpose()
    };
    let token = Token {
        name: text(1, "name")?,
        scope: text(2, "scope")?.parse().map_err(|_| "scope")?,
        group: row.try_get(3).map_err(|_| "bound_to")?,
        created: time(4, "created")?.ok_or("created")?,
        expires: time(5, "expires")?,
        last_used: time(6, "last_used")?,
    };
    Ok((text(0, "digest")?, token))
}
