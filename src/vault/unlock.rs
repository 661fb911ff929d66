//! The vault of a database: a key other than the one that its secrets were sealed with is told before anything is done.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{KeyId, Vault, VaultError};
use crate::config::Config;
use crate::model::{Secret, lexical};
use crate::store::{KeyRow, Store, StoreError};

/// What the check value of a key holds.
const KNOWN_TEXT: &[u8] = b"resyncd";

/// Length of a key, in bytes.
const KEY_BYTES: usize = 32;

/// Why the secrets of a database can't be worked with.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(
        "the secrets of the database {database} were sealed with key {found}; {own}. Add the missing key to \
         secrets.read_keys, or make it secrets.master_key again (if nothing is sealed with it any more, `resyncd secrets \
         rotate` forgets it)"
    )]
    WrongKey { database: String, found: KeyIds, own: Own },
    #[error(
        "{} is not there, and the secrets of the database {database} were sealed with key {found}: put the key back from \
         your copy of it (resyncd makes a new key only for a database without secrets)",
        path.display()
    )]
    KeyFileMissing { path: PathBuf, database: String, found: KeyIds },
    #[error("the master key {} can't be made: {error}", path.display())]
    KeyFile { path: PathBuf, error: io::Error },
    #[error(
        "the database {database} knows key {id} by another check value than the configured one makes: its row in the table \
         keys was changed, or belongs to another key of the same name; restore the database from a backup"
    )]
    Check { database: String, id: KeyId },
}

/// Keys, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyIds(pub Vec<String>);

impl std::fmt::Display for KeyIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// The key that is configured, if one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own(pub Option<KeyId>);

impl std::fmt::Display for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(id) => write!(f, "the configured key is {id}"),
            None => f.write_str("no secrets.master_key is configured"),
        }
    }
}

/// The vault of a database, and what was made for it.
#[derive(Debug, Clone)]
pub struct Unlocked {
    pub vault: Vault,
    /// The file of the master key, where it was made just now.
    pub made: Option<PathBuf>,
}

/// The file of the master key, if [`unlock`] may make it: it lies in `data_dir`, and isn't there.
pub fn key_file_to_make(config: &Config) -> Option<&Path> {
    let file = config.secrets.key_file.as_deref()?;
    let is_own = lexical(file).starts_with(lexical(&config.data_dir));
    let is_missing = matches!(fs::symlink_metadata(file), Err(error) if error.kind() == ErrorKind::NotFound);
    (config.secrets.master_key.is_err() && is_own && is_missing).then_some(file)
}

/// The vault of a configuration for its database, for those that seal. The database remembers the master key from here on. A
/// key file that may be made is made.
///
/// # Errors
/// When the database's secrets were sealed with a key that isn't configured, or a key that is configured is not to be had.
pub async fn unlock(config: &Config, store: &Store) -> Result<Unlocked, UnlockError> {
    let mut secrets = config.secrets.clone();
    let made = match key_file_to_make(config) {
        Some(path) => {
            let found = store.keys().await?;
            if !found.is_empty() {
                let (database, found) =
                    (store.name().to_owned(), KeyIds(found.into_iter().map(|row| row.id).collect()));
                return Err(UnlockError::KeyFileMissing { path: path.to_owned(), database, found });
            }
            let key = make_key(path).map_err(|error| UnlockError::KeyFile { path: path.to_owned(), error })?;
            secrets.master_key = Ok(Some(key));
            Some(path.to_owned())
        }
        None => None,
    };
    let vault = Vault::new(&secrets);
    if let Err(VaultError::NoKey) = vault.key_id() {
        // Nothing will be sealed, but what is there has to open.
        check(&vault, store, &store.keys().await?)?;
        return Ok(Unlocked { vault, made });
    }
    let known: Vec<_> = vault.key_ids().map(|id| id.to_string()).collect();
    let before = store.add_key(&key_row(&vault)?, &known).await?;
    check(&vault, store, &before)?;
    Ok(Unlocked { vault, made })
}

/// The vault of a configuration for its database, for those that only open. Nothing is made or written.
///
/// # Errors
/// When the database's secrets were sealed with a key that isn't configured.
pub async fn unlock_read_only(config: &Config, store: &Store) -> Result<Vault, UnlockError> {
    let vault = Vault::new(&config.secrets);
    check(&vault, store, &store.keys().await?)?;
    Ok(vault)
}

/// Makes sure that everything that is sealed in a database can be opened, as far as its keys tell.
fn check(vault: &Vault, store: &Store, rows: &[KeyRow]) -> Result<(), UnlockError> {
    let database = || store.name().to_owned();
    let known: Vec<_> = vault.key_ids().collect();
    let is_known = |row: &&KeyRow| row.id.parse().is_ok_and(|id| known.contains(&id));
    let (here, missing): (Vec<_>, Vec<_>) = rows.iter().partition(is_known);
    if !missing.is_empty() {
        // One that is named and not to be had is the likeliest to be it.
        vault.all_are_here()?;
        let found = KeyIds(missing.iter().map(|row| row.id.clone()).collect());
        return Err(UnlockError::WrongKey { database: database(), found, own: Own(vault.key_id().ok()) });
    }
    for row in here {
        let Ok(id) = row.id.parse::<KeyId>() else { continue };
        let opened = vault.open(&place(id), &row.check_value);
        if !opened.is_ok_and(|text| text.expose() == KNOWN_TEXT) {
            return Err(UnlockError::Check { database: database(), id });
        }
    }
    Ok(())
}

/// What a database keeps of the master key.
pub(super) fn key_row(vault: &Vault) -> Result<KeyRow, VaultError> {
    let id = vault.key_id()?;
    let created = i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Ok(KeyRow { id: id.to_string(), check_value: vault.seal(&place(id), KNOWN_TEXT)?, created })
}

fn place(id: KeyId) -> String {
    format!("key/{id}")
}

/// Makes a key and its file, readable for its owner only. A file that another program made meanwhile stays, and is refused.
fn make_key(path: &Path) -> io::Result<Secret> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut_slice())?;
    let mut text = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + 1));
    for byte in key.iter() {
        write!(text, "{byte:02x}")?;
    }
    text.push(b'\n');
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file =
        tempfile::Builder::new().prefix(".resyncd-").permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    file.write_all(&text)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    // A key that a power cut takes away would take the secrets with it.
    fs::File::open(folder)?.sync_all()?;
    Ok(Secret::new(key.as_slice()))
}
