//! `resyncd device waiting`, `approve` and `dismiss`: phones that were first seen in a staging network.

use serde_json::{Map, Value};

use crate::cli::fleet::{actor, block_on, open, open_read_only};
use crate::cli::table::write_rows;
use crate::cli::{Ending, Failure, assignment, output};
use crate::config::Config;
use crate::events::rfc3339;
use crate::model::MacAddr;
use crate::onboarding::{Onboarding, OnboardingError};

/// List phones that wait for approval.
///
/// Phones that nobody knows wait if they ask from a network of onboarding.staging_networks.
#[derive(Debug, clap::Args)]
pub struct Waiting {
    #[arg(long, value_enum, default_value_t = output::Rows::Table)]
    format: output::Rows,
}

/// Make a device of a phone that waits.
///
/// Its model and serial number are what it said. Exit code 1 if it doesn't wait, or something is wrong with the settings.
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    /// The group that the device comes into.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Settings by their dotted names: lines.1.user=1001 lines.1.password=@- (see `resyncd device add --help`).
    #[arg(value_name = "SETTING=VALUE")]
    settings: Vec<String>,
}

/// Take a phone off the list. If it asks again, it waits again.
#[derive(Debug, clap::Args)]
pub struct Dismiss {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
}

const COLUMNS: [&str; 7] = ["mac", "model", "serial", "firmware", "from", "first seen", "last seen"];

impl Waiting {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        block_on(async {
            let fleet = open_read_only(config).await?;
            let phones = fleet.store().waiting().await.map_err(|error| Failure::Other(error.to_string()))?;
            if self.format == output::Rows::Json {
                let values = phones.iter().map(|phone| serde_json::to_value(phone).unwrap_or_default());
                return output::json_rows(values).map(|()| Ending::Fine);
            }
            let rows: Vec<Vec<String>> = phones
                .iter()
                .map(|phone| {
                    vec![
                        phone.mac.to_string(),
                        phone.model.clone(),
                        phone.serial.as_ref().map(ToString::to_string).unwrap_or_default(),
                        phone.firmware.clone().unwrap_or_default(),
                        phone.peer.clone(),
                        rfc3339(phone.first_seen),
                        rfc3339(phone.last_seen),
                    ]
                })
                .collect();
            write_rows(&COLUMNS, &rows, self.format == output::Rows::Csv)?;
            Ok(Ending::Fine)
        })
    }
}

impl Approve {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let group = self.group.clone().map(|group| ("group".to_owned(), Value::from(group)));
        let mut device: Map<String, Value> = group.into_iter().collect();
        device.insert("settings".to_owned(), assignment::read(&self.settings)?.into());
        block_on(async {
            let onboarding = Onboarding::new(open(config).await?, &config.onboarding);
            match onboarding.approve(self.mac, device, &actor()).await {
                Ok(Some(_)) => {
                    output::write(|out| writeln!(out, "created {}", self.mac))?;
                    Ok(Ending::Fine)
                }
                Ok(None) => {
                    eprintln!("resyncd: {} does not wait; `resyncd device waiting` lists those that do", self.mac);
                    Ok(Ending::Findings)
                }
                Err(OnboardingError::Refused(refused)) => {
                    refused.iter().for_each(|refused| eprintln!("{}", refused.problem));
                    eprintln!("resyncd: nothing was changed");
                    Ok(Ending::Findings)
                }
                Err(error) => Err(error.into()),
            }
        })
    }
}

impl Dismiss {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        block_on(async {
            let onboarding = Onboarding::new(open(config).await?, &config.onboarding);
            if onboarding.dismiss(self.mac).await? {
                return Ok(Ending::Fine);
            }
            eprintln!("resyncd: {} does not wait; `resyncd device waiting` lists those that do", self.mac);
            Ok(Ending::Findings)
        })
    }
}
