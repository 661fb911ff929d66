//! `resyncd identify`: what the packs make of a User-Agent or a certificate.

use std::path::PathBuf;

use serde_json::json;

use super::{Ending, Failure, output};
use crate::config::Config;
use crate::identity::{Subject, subjects_of_pem};
use crate::packs::{Identified, Packs};

/// Tell which phone a User-Agent or a client certificate speaks of.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("evidence").required(true))]
pub struct Args {
    /// The User-Agent, as a log has it.
    #[arg(long, group = "evidence", value_name = "UA")]
    user_agent: Option<String>,
    /// A PEM file; its first certificate is read.
    #[arg(long, group = "evidence", value_name = "PEM")]
    certificate: Option<PathBuf>,
    /// A certificate's subject, `OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef`.
    #[arg(long, group = "evidence", value_name = "SUBJECT")]
    subject: Option<Subject>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

impl Args {
    /// Exit code 1 where no pack knows the evidence.
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let packs = Packs::load(&config.templates, &config.profiles)?;
        let found = match (&self.user_agent, &self.certificate, &self.subject) {
            (Some(text), ..) => packs.identify_user_agent(text),
            (_, Some(file), _) => packs.identify_certificate(&subject_in(file)?),
            (_, _, Some(subject)) => packs.identify_certificate(subject),
            _ => None,
        };
        let ending = if found.is_some() { Ending::Fine } else { Ending::Findings };
        let pack = found.as_ref().and_then(|(pack, _)| packs.get(*pack)).map(|pack| pack.name.clone());
        let found = found.map(|(_, found)| found).unwrap_or_default();
        match self.format {
            output::Format::Json => output::json(&as_json(&found, pack.as_deref()))?,
            output::Format::Human => output::write(|out| {
                let tell = |value: Option<String>| value.unwrap_or_else(|| "not told".to_owned());
                writeln!(out, "vendor    {}", tell(found.vendor))?;
                writeln!(out, "model     {}", tell(found.model))?;
                writeln!(out, "firmware  {}", tell(found.firmware))?;
                writeln!(out, "MAC       {}", tell(found.mac.map(|mac| mac.to_string())))?;
                writeln!(out, "serial    {}", tell(found.serial.map(|serial| serial.to_string())))?;
                writeln!(out, "pack      {}", tell(pack))?;
                if found.generic {
                    writeln!(
                        out,
                        "This certificate is shared by many phones: it proves nothing about which one asks."
                    )?;
                }
                Ok(())
            })?,
        }
        Ok(ending)
    }
}

fn subject_in(file: &PathBuf) -> Result<Subject, Failure> {
    let pem = std::fs::read(file).map_err(|error| Failure::because(file.display(), error))?;
    let subjects = subjects_of_pem(&pem).map_err(|error| Failure::because(file.display(), error))?;
    subjects.into_iter().next().ok_or_else(|| Failure::because(file.display(), "holds no certificate"))
}

fn as_json(found: &Identified, pack: Option<&str>) -> serde_json::Value {
    json!({
        "vendor": found.vendor, "model": found.model, "firmware": found.firmware,
        "mac": found.mac, "serial": found.serial, "pack": pack, "generic": found.generic,
    })
}
