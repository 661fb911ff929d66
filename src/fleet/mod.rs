//! The fleet as it is edited at run time: records of devices and groups, found, changed and removed. Every change is planned
//! first: what it comes to, and everything that is wrong with it; it is then written whole or not at all, recorded with who
//! made it, and in force on every server within a second. Command line and API both work through here.

mod apply;
mod credentials;
mod edit;
mod find;
mod format;
mod plan;
mod shown;
mod validate;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::config::Config;
use crate::document::Problems;
use crate::events::EventIds;
use crate::lint::Levels;
use crate::records::{Follower, RecordError, Records};
use crate::resync::{Generation, Pipeline};
use crate::store::{Store, StoreError, WriteError};
use crate::vault::{UnlockError, Unlocked, Vault, unlock, unlock_read_only};

pub use apply::Applied;
pub use credentials::{DeviceCredentials, RotateError};
pub use edit::{Edit, Expect, Name, What, typed};
pub use find::{Entry, Group, Query};
pub use format::{Format, FormatError, Reading, export, read, read_rows};
pub use plan::{Action, Difference, Liberties, Plan, Planned, Refused, Why, dotted};
pub use shown::{Secrecy, Shown};

/// Edits the fleet. Clones share everything.
#[derive(Debug, Clone)]
pub struct Fleet {
    config: Arc<Config>,
    store: Store,
    vault: Vault,
    pipeline: Arc<Pipeline>,
    levels: Arc<Levels>,
    ids: Arc<EventIds>,
    /// Of the server that this runs in; none on the command line.
    follower: Option<Follower>,
}

/// Who makes a change, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `cli:USER`, `token:NAME` or `phone:MAC`.
    pub name: String,
    /// None: this machine.
    pub peer: Option<IpAddr>,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why the fleet can't be edited.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    #[error("{0}")]
    Problems(#[from] Problems),
    #[error("nothing was changed: {0} of the changes can't be made")]
    Refused(usize),
    #[error("the operating system has no randomness to give: {0}")]
    Randomness(#[from] getrandom::Error),
    #[error("the work broke off: {0}")]
    Broken(String),
}

impl Fleet {
    /// The fleet of a running server.
    ///
    /// # Errors
    /// When the configuration's severities are wrong, or the system has no randomness.
    pub fn of_server(
        config: Arc<Config>,
        records: &Records,
        pipeline: Arc<Pipeline>,
        follower: Follower,
    ) -> Result<Self, FleetError> {
        Ok(Self {
            levels: Levels::new(&config.lint)?.into(),
            store: records.store().clone(),
            vault: records.vault().clone(),
            ids: EventIds::new()?.into(),
            follower: Some(follower),
            config,
            pipeline,
        })
    }

    /// The fleet of a deployment, without a server: loads the files and opens the database, which is made if it isn't there.
    /// Names the file of the master key if that was made, too.
    ///
    /// # Errors
    /// When the files are broken, or the database can't be opened.
    pub async fn open(config: Arc<Config>) -> Result<(Self, Option<PathBuf>), FleetError> {
        let store = Store::open(&config.database).await?;
        let Unlocked { vault, made } = unlock(&config, &store).await?;
        Ok((Self::of_files(config, store, vault).await?, made))
    }

    /// The same for looking only: the database has to be there, and stays as it is.
    ///
    /// # Errors
    /// When the files are broken, or the database can't be opened.
    pub async fn open_read_only(config: Arc<Config>) -> Result<Self, FleetError> {
        let store = Store::open_read_only(&config.database).await?;
        let vault = unlock_read_only(&config, &store).await?;
        Self::of_files(config, store, vault).await
    }

    async fn of_files(config: Arc<Config>, store: Store, vault: Vault) -> Result<Self, FleetError> {
        let loading = config.clone();
        let generation =
            tokio::task::spawn_blocking(move || Generation::load(&loading.templates, &loading.profiles, 1)).await;
        let generation = generation.map_err(|error| FleetError::Broken(error.to_string()))??;
        let groups = Records::new(store.clone(), vault.clone(), 0).groups().await?;
        let generation = generation.with_profiles(generation.profiles.with_groups(&groups));
        let etag_key = crate::model::Secret::new([]);
        let pipeline = Pipeline::new(generation, 0, etag_key, &config.limits);
        Ok(Self {
            levels: Levels::new(&config.lint)?.into(),
            store,
            vault,
            ids: EventIds::new()?.into(),
            follower: None,
            config,
            pipeline: pipeline.into(),
        })
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// A name for something new; names order by time.
    pub fn next_id(&self, now: OffsetDateTime) -> String {
        self.ids.next(now).to_string()
    }

    /// The files, and the groups in force.
    pub fn generation(&self) -> Arc<Generation> {
        self.pipeline.generation()
    }

    /// Records a change that is none of devices and groups: a token, a reload.
    ///
    /// # Errors
    /// When the database doesn't take it.
    pub async fn audit(
        &self,
        actor: &Actor,
        action: &str,
        kind: &str,
        name: &str,
        after: Option<String>,
    ) -> Result<(), StoreError> {
        let row = self.audit_row(actor, OffsetDateTime::now_utc(), action, kind, name, None, after);
        self.store.record_audit(&[row]).await
    }
}
