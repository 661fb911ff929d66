//! Which keys the database's secrets are sealed with, and the sealed texts themselves; opening them is the vault's.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{Store, StoreError};

/// A key that has sealed secrets of this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// As it stands in every sealed text.
    pub id: String,
    /// A known text, sealed with the key.
    pub check_value: String,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub created: i64,
}

/// The tables in whose settings sealed texts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedTable {
    Devices,
    Groups,
    Codes,
    Tasks,
}

/// The settings of one device or group, in which sealed texts stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// The MAC or the name.
    pub key: String,
    /// A tree in JSON, in which `{"sealed": "v1.…"}` stands in the place of a secret.
    pub settings: String,
}

impl SealedTable {
    pub const ALL: [Self; 4] = [Self::Devices, Self::Groups, Self::Codes, Self::Tasks];

    /// What the place of a value begins with: `device/000e08abcdef/lines.1.password`.
    pub fn place(self) -> &'static str {
        match self {
            Self::Devices => "device",
            Self::Groups => "group",
            Self::Codes => "code",
            Self::Tasks => "task",
        }
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Devices => ("devices", "mac"),
            Self::Groups => ("groups", "name"),
            Self::Codes => ("codes", "id"),
            Self::Tasks => ("acs_tasks", "id"),
        }
    }
}

const SELECT: &str = "SELECT id, check_value, created FROM keys ORDER BY created, id";

impl Store {
    /// The keys that have sealed secrets here, oldest first.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows = sqlx::query(SELECT).fetch_all(&self.pool).await;
        self.key_rows(rows)
    }

    /// Adds a key, if it is there already or all that are there are among `known`. Says what was there before. Of several
    /// servers that start at once, one after the other looks.
    pub async fn add_key(&self, key: &KeyRow, known: &[String]) -> Result<Vec<KeyRow>, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_alone().await?;
        let before = self.key_rows(sqlx::query(SELECT).fetch_all(&mut *transaction).await)?;
        if before.iter().all(|row| row.id != key.id && known.contains(&row.id)) {
            sqlx::query("INSERT INTO keys (id, check_value, created) VALUES ($1, $2, $3)")
                .bind(&key.id)
                .bind(&key.check_value)
                .bind(key.created)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(before)
    }

    /// Removes a key that nothing is sealed with any more, and says whether it did.
    pub async fn remove_unused_key(&self, id: &str) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.begin_alone().await?;
        let mut is_used = false;
        for table in SealedTable::ALL {
            is_used = is_used || uses_key(&mut transaction, table, id).await.map_err(failed)?;
        }
        if !is_used {
            let delete = sqlx::query("DELETE FROM keys WHERE id = $1").bind(id);
            delete.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(!is_used)
    }

    /// Rows whose settings hold sealed texts, in the order of their keys: those after `after`, so many at most.
    pub async fn sealed_rows(&self, table: SealedTable, after: &str, limit: u32) -> Result<Vec<SealedRow>, StoreError> {
        let (name, key) = table.names();
        let sql = format!(
            "SELECT {key}, settings FROM {name} WHERE {key} > $1 AND settings LIKE '%\"sealed\"%' ORDER BY {key} LIMIT $2"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(i64::from(limit));
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        rows.iter()
            .map(|row| Ok(SealedRow { key: self.column(row, 0, key)?, settings: self.column(row, 1, "settings")? }))
            .collect()
    }

    /// Puts other settings in the place of a row's, if they are still what they were; says whether they were. The row's
    /// revision stays: the settings mean the same.
    pub async fn replace_sealed(&self, table: SealedTable, row: &SealedRow, new: &str) -> Result<bool, StoreError> {
        let (name, key) = table.names();
        let sql = format!("UPDATE {name} SET settings = $1 WHERE {key} = $2 AND settings = $3");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(new).bind(&row.key).bind(&row.settings);
        let done = query.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        Ok(done.rows_affected() == 1)
    }

    fn key_rows(&self, rows: Result<Vec<AnyRow>, sqlx::Error>) -> Result<Vec<KeyRow>, StoreError> {
        let rows = rows.map_err(|error| self.failed(error))?;
        rows.iter()
            .map(|row| {
                let created = row.try_get(2).map_err(|_| self.unreadable("created"))?;
                Ok(KeyRow { id: self.column(row, 0, "id")?, check_value: self.column(row, 1, "check_value")?, created })
            })
            .collect()
    }

    fn column(&self, row: &AnyRow, index: usize, column: &'static str) -> Result<String, StoreError> {
        row.try_get(index).map_err(|_| self.unreadable(column))
    }

    fn unreadable(&self, column: &'static str) -> StoreError {
        StoreError::Row { name: self.name.clone(), column }
    }
}

/// Whether any text of a table is sealed with a key. The whole table is looked through.
async fn uses_key(connection: &mut AnyConnection, table: SealedTable, id: &str) -> Result<bool, sqlx::Error> {
    let sql = format!("SELECT 1 FROM {} WHERE settings LIKE $1 LIMIT 1", table.names().0);
    let query = sqlx::query(AssertSqlSafe(sql)).bind(format!("%\"v1.{id}.%"));
    Ok(query.fetch_optional(connection).await?.is_some())
}
