//! Which devices a command is about, and how they are fetched: some at a time, however many there are.

use crate::cli::Failure;
use crate::fleet::{Entry, Fleet, Query};
use crate::model::{MacAddr, Serial};

/// Devices that are fetched at a time.
const PAGE: usize = 1000;

#[derive(Debug, clap::Args)]
pub struct Filter {
    /// The device with this serial number.
    #[arg(long, value_name = "SERIAL")]
    serial: Option<Serial>,
    /// Devices with a line of this SIP user.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Devices of this group, and of groups within it.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Devices of this model.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Devices with this somewhere in MAC, serial number, model, group, users and names.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

impl Filter {
    pub fn query(&self) -> Query {
        Query {
            serial: self.serial.clone(),
            user: self.user.clone(),
            model: self.model.clone(),
            group: self.group.clone(),
            text: self.text.clone(),
            within: None,
        }
    }

    /// Hands the devices to `take`, by MAC, `limit` at most, a page at a time.
    pub async fn each_page(
        &self,
        fleet: &Fleet,
        limit: usize,
        mut take: impl FnMut(Vec<Entry>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let query = self.query();
        let mut after: Option<MacAddr> = None;
        let mut left = limit;
        while left > 0 {
            let wanted = left.min(PAGE);
            let page = fleet.find(&query, after, wanted).await?;
            let found = page.len();
            after = page.last().map(|entry| entry.mac);
            left -= found.min(left);
            take(page)?;
            if found < wanted {
                break;
            }
        }
        Ok(())
    }
}
