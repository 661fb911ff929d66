//! `resyncd migrate`: the schema of the database.

use super::output::{self, Format};
use super::{Ending, Failure};
use crate::config::Config;
use crate::store::{Step, Store, StoreError};

/// Bring the database's schema up to date.
///
/// `resyncd serve` does so when it starts; this is for those who want to know before, or to do it at another time. Of
/// several that do it at once, one does and the others wait. There is no way back but a backup.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the steps that are missing, with their SQL, and change nothing. Exit code 1: there are some.
    #[arg(long)]
    dry_run: bool,
    /// How the steps are written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let failed = |error: StoreError| Failure::Other(error.to_string());
        let steps = super::block_on(async {
            let steps = Store::pending(&config.database).await?;
            if !self.dry_run {
                Store::open(&config.database).await?.close().await;
            }
            Ok(steps)
        })?
        .map_err(failed)?;
        match self.format {
            Format::Json => output::json(&steps)?,
            Format::Human if self.dry_run => output::write(|out| {
                for Step { version, name, sql } in &steps {
                    writeln!(out, "-- step {version}: {name}\n{}\n", sql.trim_end())?;
                }
                Ok(())
            })?,
            Format::Human => output::write(|out| {
                for Step { version, name, .. } in &steps {
                    writeln!(out, "applied step {version}: {name}")?;
                }
                Ok(())
            })?,
        }
        if steps.is_empty() {
            eprintln!("the database's schema is up to date");
        }
        Ok(if self.dry_run && !steps.is_empty() { Ending::Findings } else { Ending::Fine })
    }
}
