use super::list::as_json;
use crate::acs::Phone;
use crate::cli::fleet::{block_on, open_read_only};
use crate::cli::{Ending, Failure, output};
use crate::config::Config;
use crate::events::{Escaped, rfc3339};
use crate::model::MacAddr;

/// Show what a phone told the ACS of itself, and how far it holds its settings.
///
/// Exit code 1 if it has never had a session.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

impl Show {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let row = block_on(async {
            let fleet = open_read_only(config).await?;
            let row = fleet.store().acs_phone(self.mac).await;
            row.map_err(|error| Failure::Other(error.to_string()))
        })?;
        let Some(row) = row else {
            eprintln!("resyncd: {} has never had a session with the ACS", self.mac);
            return Ok(Ending::Findings);
        };
        let phone: Phone = serde_json::from_str(&row.told)
            .map_err(|error| Failure::Other(format!("what is known of {} can't be read: {error}", self.mac)))?;
        if self.format == output::Format::Json {
            return output::json(&as_json(&phone, &row)).map(|()| Ending::Fine);
        }
        output::write(|out| {
            let said = &phone.said;
            let mut line = |name: &str, value: &str| {
                if value.is_empty() { Ok(()) } else { writeln!(out, "{name:<20} {}", Escaped(value)) }
            };
            line("manufacturer", &said.manufacturer)?;
            line("oui", &said.oui)?;
            line("product class", &said.product_class)?;
            line("serial number", &said.serial_number)?;
            line("hardware", said.hardware.as_deref().unwrap_or_default())?;
            line("software", said.software.as_deref().unwrap_or_default())?;
            line("connection request", said.connection_request_url.as_deref().unwrap_or_default())?;
            line("behind NAT at", said.udp_address.as_deref().unwrap_or_default())?;
            line("events", &said.events.join(", "))?;
            line("methods", &phone.methods.as_deref().unwrap_or_default().join(", "))?;
            line("holds", phone.holds.as_deref().unwrap_or("not all of its settings yet"))?;
            for refused in &phone.refused {
                line("refused", &format!("{}: {} {}", refused.path, refused.fault, refused.why))?;
            }
            for changed in &phone.changed {
                line("changed on it", &format!("{} = {}", changed.path, changed.value.as_deref().unwrap_or("***")))?;
            }
            line("first session", &rfc3339(row.first_seen))?;
            line("last session", &rfc3339(row.last_seen))
        })?;
        Ok(Ending::Fine)
    }
}
