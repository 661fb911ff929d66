//! Sealing everything anew with the present master key, while servers run. Each value is replaced only if it is still the
//! one that was read, so that nobody's change is lost, and what was done stays done: a rotation that was killed is run again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::unlock::key_row;
use super::{KeyId, SEALED, UnlockError, Vault, VaultError, is_sealed};
use crate::store::{SealedRow, SealedTable, Store};

/// Rows that are read at a time.
const BATCH: u32 = 200;

/// How often the tables are gone through while servers change what was just read.
const PASSES: usize = 10;

/// Secrets that don't open which are named; the others are counted.
const MOST_NAMED: usize = 20;

/// What was found, and what was done.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    /// How many secrets each key had sealed at the beginning.
    pub secrets: BTreeMap<KeyId, u64>,
    /// How many were sealed anew, or would be.
    pub rotated: u64,
    /// Those that don't open; they stay as they are. The first of them are named.
    pub damaged: u64,
    pub named: Vec<VaultError>,
    /// Keys that nothing is sealed with any more, or would be: the database has forgotten them.
    pub unused: Vec<String>,
    /// Keys other than the master key that secrets are still sealed with.
    pub used: Vec<String>,
}

/// What one walk through the tables came upon.
#[derive(Debug, Default)]
struct Found {
    secrets: BTreeMap<KeyId, u64>,
    to_rotate: u64,
    rotated: u64,
    damaged: u64,
    named: Vec<VaultError>,
    /// Keys of those that don't open.
    stuck: BTreeSet<KeyId>,
    /// A row was changed by somebody else between reading and writing.
    raced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Look,
    Rotate,
}

/// Seals everything with the master key that isn't yet; in a dry run, only says what would be.
///
/// # Errors
/// When there is no master key, or a secret is sealed with a key that isn't configured; then nothing is changed.
pub async fn rotate(vault: &Vault, store: &Store, is_dry_run: bool) -> Result<Rotation, UnlockError> {
    let master = vault.key_id()?;
    vault.all_are_here()?;
    let found = walk(vault, store, master, Mode::Look).await?;
    let mut rotation = Rotation {
        secrets: found.secrets,
        rotated: found.to_rotate,
        damaged: found.damaged,
        named: found.named,
        ..Rotation::default()
    };
    let rows = store.keys().await?;
    if is_dry_run {
        for row in rows.into_iter().filter(|row| row.id != master.to_string()) {
            let stays = row.id.parse().is_ok_and(|id| found.stuck.contains(&id));
            if stays { rotation.used.push(row.id) } else { rotation.unused.push(row.id) }
        }
        return Ok(rotation);
    }
    // A key that isn't configured and was not met has nothing to say here.
    let known: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    store.add_key(&key_row(vault)?, &known).await?;
    rotation.rotated = 0;
    for _ in 0..PASSES {
        let done = walk(vault, store, master, Mode::Rotate).await?;
        rotation.rotated += done.rotated;
        (rotation.damaged, rotation.named) = (done.damaged, done.named);
        if !done.raced {
            break;
        }
    }
    for row in rows.into_iter().filter(|row| row.id != master.to_string()) {
        if store.remove_unused_key(&row.id).await? {
            rotation.unused.push(row.id);
        } else {
            rotation.used.push(row.id);
        }
    }
    Ok(rotation)
}

async fn walk(vault: &Vault, store: &Store, master: KeyId, mode: Mode) -> Result<Found, UnlockError> {
    let mut found = Found::default();
    for table in SealedTable::ALL {
        let mut after = String::new();
        loop {
            let rows = store.sealed_rows(table, &after, BATCH).await?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.key);
            for row in &rows {
                let Some(new) = found.row(vault, master, table, row)? else { continue };
                if mode == Mode::Look {
                    continue;
                }
                let (text, secrets) = new;
                if store.replace_sealed(table, row, &text).await? {
                    found.rotated += secrets;
                } else {
                    found.raced = true;
                }
            }
        }
    }
    Ok(found)
}

impl Found {
    /// The settings of a row with every secret sealed by the master key, and how many were not; none where all were.
    fn row(
        &mut self,
        vault: &Vault,
        master: KeyId,
        table: SealedTable,
        row: &SealedRow,
    ) -> Result<Option<(String, u64)>, VaultError> {
        let place = format!("{}/{}", table.place(), row.key);
        let Ok(mut settings) = serde_json::from_str(&row.settings) else {
            self.damaged(VaultError::Malformed { place });
            return Ok(None);
        };
        let before = self.to_rotate;
        self.value(vault, master, &format!("{place}/"), &mut String::new(), &mut settings)?;
        let secrets = self.to_rotate - before;
        Ok((secrets > 0).then(|| (settings.to_string(), secrets)))
    }

    fn value(
        &mut self,
        vault: &Vault,
        master: KeyId,
        prefix: &str,
        path: &mut String,
        value: &mut Value,
    ) -> Result<(), VaultError> {
        match value {
            Value::Object(object) => {
                if object.len() == 1
                    && let Some(Value::String(sealed)) = object.get_mut(SEALED)
                    && is_sealed(sealed)
                {
                    return self.sealed(vault, master, format!("{prefix}{path}"), sealed);
                }
                for (key, value) in object.iter_mut() {
                    self.within(vault, master, prefix, path, key, value)?;
                }
            }
            // Settings have no secrets in lists; one that is there all the same is told, since it opens nowhere.
            Value::Array(items) => {
                for (index, value) in items.iter_mut().enumerate() {
                    self.within(vault, master, prefix, path, &index.to_string(), value)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn within(
        &mut self,
        vault: &Vault,
        master: KeyId,
        prefix: &str,
        path: &mut String,
        key: &str,
        value: &mut Value,
    ) -> Result<(), VaultError> {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        self.value(vault, master, prefix, path, value)?;
        path.truncate(length);
        Ok(())
    }

    fn sealed(&mut self, vault: &Vault, master: KeyId, place: String, sealed: &mut String) -> Result<(), VaultError> {
        if let Some(key) = Vault::sealed_with(sealed) {
            *self.secrets.entry(key).or_default() += 1;
            if key == master {
                return Ok(());
            }
        }
        match vault.open(&place, sealed) {
            Ok(secret) => {
                *sealed = vault.seal(&place, secret.expose())?;
                self.to_rotate += 1;
                Ok(())
            }
            // One that will never open must not keep the others from being sealed anew.
            Err(error @ (VaultError::Damaged { .. } | VaultError::Malformed { .. })) => {
                self.stuck.extend(Vault::sealed_with(sealed));
                self.damaged(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn damaged(&mut self, error: VaultError) {
        self.damaged += 1;
        if self.named.len() < MOST_NAMED {
            self.named.push(error);
        }
    }
}
