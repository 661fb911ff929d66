//! `resyncd restore`: a backup in the place of the database.

use std::path::PathBuf;

use super::backup::{refused_or_failed, tell};
use super::output::Format;
use super::{Ending, Failure};
use crate::config::Config;
use crate::store::Store;
use crate::vault;

/// Put a backup in the place of the database's content: all of it, or nothing.
///
/// Stop every server first: one that runs would go on with what it knows. The backup is checked before anything is changed,
/// and what was restored is compared with it. A backup of an older resyncd is brought up to date on its way; the file stays
/// as it is. To move from SQLite to PostgreSQL, or back: `resyncd backup` with the one in the configuration, `resyncd
/// restore` with the other.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file that `resyncd backup` made.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Throw away what is in the database.
    #[arg(long)]
    force: bool,
    /// How the tables are told.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let (restored, unlocked) = super::block_on(async {
            let restored = Store::restore(&config.database, &self.file, self.force).await;
            let unlocked = match &restored {
                Ok(_) => match Store::open_read_only(&config.database).await {
                    Ok(store) => {
                        let unlocked = vault::unlock_read_only(config, &store).await.map(drop);
                        store.close().await;
                        unlocked
                    }
                    Err(error) => Err(error.into()),
                },
                Err(_) => Ok(()),
            };
            (restored, unlocked)
        })?;
        let restored = match restored {
            Ok(restored) => restored,
            Err(error) => return refused_or_failed(&error),
        };
        tell(&restored, self.format)?;
        eprintln!("restored the backup {}, and compared every table with it", self.file.display());
        match unlocked {
            Ok(()) => Ok(Ending::Fine),
            Err(error) => {
                eprintln!("resyncd: everything is restored, but the servers will not start like this: {error}");
                Ok(Ending::Findings)
            }
        }
    }
}
