//! `resyncd device export`.

use std::path::PathBuf;

use super::filter::Filter;
use crate::cli::data_file::{self, Privacy};
use crate::cli::fleet::{block_on, open_read_only};
use crate::cli::{Ending, Failure};
use crate::config::Config;
use crate::fleet::{Format, Secrecy, Shown, export};

/// Write the records of devices, as `resyncd device import` takes them.
///
/// Secrets are written as ***, which an import into the same database leaves as they are; --show-secrets writes the real
/// ones, and is needed to take devices elsewhere. What stands in files is not in an export.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file; left out or -: standard output.
    file: Option<PathBuf>,
    /// Its format; left out: as its name says, else CSV.
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    filter: Filter,
    /// Write secrets as they are.
    #[arg(long)]
    show_secrets: bool,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let of_name = || self.file.as_deref().and_then(Format::of);
        let format = self.format.or_else(of_name).unwrap_or(Format::Csv);
        let shown = if self.show_secrets { Shown::Real } else { Shown::Masked };
        let (text, count) = block_on(async {
            let fleet = open_read_only(config).await?;
            let mut entries = Vec::new();
            let take = |page: Vec<crate::fleet::Entry>| {
                for entry in page.into_iter().filter(|entry| entry.has_record) {
                    if entry.record.is_none() {
                        let why = entry.device.err().unwrap_or_default();
                        return Err(Failure::because("nothing was exported", why));
                    }
                    entries.push(entry);
                }
                Ok(())
            };
            self.filter.each_page(&fleet, usize::MAX, take).await?;
            let secrecy = Secrecy::new(&fleet.generation().packs);
            let text = export(format, &entries, &secrecy, shown).map_err(|error| Failure::Other(error.to_string()))?;
            Ok((text, entries.len()))
        })?;
        data_file::write(self.file.as_deref(), text.as_bytes(), Privacy::Private)?;
        if self.file.is_some() {
            eprintln!("{count} devices written");
        }
        Ok(Ending::Fine)
    }
}
