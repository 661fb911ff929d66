//! `resyncd device import`.

use std::path::{Path, PathBuf};

use crate::cli::fleet::{Manner, block_on, carry_out, open};
use crate::cli::{Ending, Failure, data_file};
use crate::config::Config;
use crate::document::{Problem, Problems};
use crate::fleet::{Format, Liberties, Reading, read_rows};

/// Add and change many devices in the database: all of them, or none.
///
/// CSV has a line for a device, with the columns mac, model, serial, group, user, password, proxy (those of line 1) and any
/// dotted setting; an empty cell leaves what is there. TOML ([[device]]) and JSON (an array) hold whole devices with mac,
/// model, serial, group and settings: what isn't in them is taken away. A secret that is written *** stays as it is.
///
/// Exit code 1 if anything is wrong; then everything that is wrong is told by its row, and nothing is changed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file; - for standard input.
    file: PathBuf,
    /// Its format; left out: as its name says.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take serial numbers away from devices whose records have them.
    #[arg(long)]
    move_serials: bool,
}

/// The most that is read of a file, in bytes: a million devices.
const LIMIT: u64 = 1 << 30;

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let name = data_file::name(&self.file);
        let format = self.format.or_else(|| Format::of(&self.file)).ok_or_else(|| {
            Failure::Other(format!("{name}: is it CSV, TOML or JSON? Add --format csv, toml or json"))
        })?;
        let bytes = data_file::read_at_most(&self.file, LIMIT)?;
        let reading = match String::from_utf8(bytes) {
            Ok(text) => read_rows(format, &name, &text).unwrap_or_else(whole),
            Err(error) => {
                let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                let problem = Problem::file(Path::new(&name), "holds bytes that are no UTF-8 text")
                    .line(u32::try_from(line).unwrap_or(u32::MAX))
                    .help("save it as UTF-8");
                whole(problem.into())
            }
        };
        let liberties = Liberties { move_serials: self.move_serials };
        let manner = Manner { dry_run: self.dry_run, liberties, many: true };
        block_on(async { carry_out(&open(config).await?, reading.edits, reading.problems, manner).await })
    }
}

/// What is wrong with a file as a whole leaves no row of it.
fn whole(problems: Problems) -> Reading {
    Reading { edits: Vec::new(), problems }
}
