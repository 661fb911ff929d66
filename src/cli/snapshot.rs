//! What commands that look at files see of the database, if there is one.

use super::fleet::block_on;
use super::{Failure, load_generation};
use crate::config::{Config, DatabaseUrl};
use crate::model::MacAddr;
use crate::records::Snapshot;
use crate::resync::Generation;
use crate::store::Store;
use crate::vault::{Vault, unlock_read_only};

/// Reads a snapshot of the database; none where there is none yet, which is said by nobody: files can do without.
///
/// # Errors
/// When there is one that can't be read. `instead` says how to go on.
pub fn take<R: Future<Output = Result<Snapshot, crate::store::StoreError>>>(
    config: &Config,
    instead: &str,
    read: impl FnOnce(Store, Vault) -> R,
) -> Result<Option<Snapshot>, Failure> {
    if let DatabaseUrl::Sqlite(path) = &config.database.url
        && !path.exists()
    {
        return Ok(None);
    }
    let failed = |error: &dyn std::fmt::Display| Failure::Other(format!("{error} ({instead})"));
    block_on(async {
        let store = Store::open_read_only(&config.database).await.map_err(|error| failed(&error))?;
        let vault = unlock_read_only(config, &store).await.map_err(|error| failed(&error))?;
        read(store, vault).await.map(Some).map_err(|error| failed(&error))
    })
}

/// Packs and settings as they are on disk now, with the device's record and the groups of the database.
///
/// # Errors
/// When something can't be loaded, or the device would be served nothing.
pub fn load(config: &Config, mac: MacAddr, files_only: bool) -> Result<Generation, Failure> {
    let generation = load_generation(config)?;
    if files_only {
        return Ok(generation);
    }
    let instead = "add --files-only to leave the database out";
    let read = |store: Store, vault: Vault| async move { Snapshot::of_device(&store, &vault, mac).await };
    let Some(snapshot) = take(config, instead, read)? else { return Ok(generation) };
    let (generation, broken) = snapshot.over(&generation);
    match broken.into_iter().find(|(device, _)| *device == mac) {
        Some((_, problems)) => Err(problems.into()),
        None => Ok(generation),
    }
}
