//! `resyncd device show`.

use std::io::{self, Write};

use crate::cli::fleet::{block_on, open_read_only};
use crate::cli::{Ending, Failure, output, render};
use crate::config::Config;
use crate::events::rfc3339;
use crate::fleet::{Entry, Secrecy, Shown, dotted};
use crate::model::{Escaped, MacAddr};

/// Show a device: its file, and what its record in the database says.
///
/// `resyncd explain MAC` shows all that holds for a phone, and where each setting comes from.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
    /// Write secrets as they are.
    #[arg(long)]
    show_secrets: bool,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let (entry, secrecy) = block_on(async {
            let fleet = open_read_only(config).await?;
            let entry = fleet.device(self.mac).await?;
            Ok((entry, Secrecy::new(&fleet.generation().packs)))
        })?;
        let Some(entry) = entry else {
            eprintln!("resyncd: {}", render::no_device(self.mac));
            return Ok(Ending::Findings);
        };
        let shown = if self.show_secrets { Shown::Real } else { Shown::Masked };
        match self.format {
            output::Format::Json => output::json(&entry.json(&secrecy, shown))?,
            output::Format::Human => output::write(|out| describe(&entry, &secrecy, shown, out))?,
        }
        Ok(Ending::Fine)
    }
}

fn describe(entry: &Entry, secrecy: &Secrecy, shown: Shown, out: &mut dyn Write) -> io::Result<()> {
    let line = |out: &mut dyn Write, name: &str, text: &str| writeln!(out, "{name:8}{}", Escaped(text));
    line(out, "mac", &entry.mac.to_string())?;
    let serial = entry.serial.as_ref().map(ToString::to_string);
    for (name, text) in [("model", &entry.model), ("serial", &serial), ("group", &entry.group)] {
        if let Some(text) = text {
            line(out, name, text)?;
        }
    }
    if let Some(file) = &entry.file {
        line(out, "file", &file.display().to_string())?;
    }
    if let Err(problem) = &entry.device {
        line(out, "problem", &format!("not served: {problem}"))?;
    }
    let Some(stored) = &entry.record else { return Ok(()) };
    let (created, changed) = (rfc3339(stored.created), rfc3339(stored.changed));
    line(out, "record", &format!("revision {}, created {created}, changed {changed}", stored.revision))?;
    let settings =
        if shown == Shown::Real { stored.record.settings.clone() } else { secrecy.masked(&stored.record.settings) };
    settings_lines(&settings, out)
}

/// Settings, one a line.
pub fn settings_lines(settings: &crate::records::Tree, out: &mut dyn Write) -> io::Result<()> {
    for (key, value) in dotted(settings.as_map()) {
        writeln!(out, "    {} = {}", Escaped(&key), Escaped(&value.to_string()))?;
    }
    Ok(())
}
