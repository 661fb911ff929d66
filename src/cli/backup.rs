//! `resyncd backup`: the database in one file.

use std::path::PathBuf;

use super::output::{self, Format};
use super::{Ending, Failure};
use crate::config::Config;
use crate::store::{BackupError, Copied, Store};

/// Copy the database into a file, as it is at this moment; servers go on meanwhile.
///
/// The file is a SQLite database of the same schema, whichever database it is of: any tool can look at it, and `resyncd
/// restore` takes it back, into either kind. Secrets in it stay sealed, so that the master key is needed too: keep a copy of it
/// elsewhere. With SQLite, what phones uploaded lies in `uploads` of data_dir and not in the database: copy that folder after the backup.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to make; only its owner may read it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    /// Restore the backup into a database of its own beside it, and compare every table, before it gets its name.
    #[arg(long)]
    verify: bool,
    /// How the tables are told.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let copied = super::block_on(Store::backup(&config.database, &self.file, self.force, self.verify))?;
        let copied = match copied {
            Ok(copied) => copied,
            Err(error) => return refused_or_failed(&error),
        };
        tell(&copied, self.format)?;
        let checked = if self.verify { ", and checked it by restoring it" } else { "" };
        eprintln!("made the backup {}{checked}", self.file.display());
        Ok(Ending::Fine)
    }
}

/// What would destroy something is refused; anything else could not be done.
pub(super) fn refused_or_failed(error: &BackupError) -> Result<Ending, Failure> {
    match error {
        BackupError::Exists(_) | BackupError::NotEmpty { .. } => {
            eprintln!("resyncd: {error}");
            Ok(Ending::Findings)
        }
        _ => Err(Failure::Other(error.to_string())),
    }
}

/// A line a table.
pub(super) fn tell(copied: &[Copied], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::json(&copied),
        Format::Human => output::write(|out| {
            copied.iter().try_for_each(|Copied { table, rows, .. }| {
                let plural = if *rows == 1 { "" } else { "s" };
                writeln!(out, "{table}: {rows} row{plural}")
            })
        }),
    }
}
