use serde_json::json;

use crate::acs::Phone;
use crate::cli::fleet::{block_on, open_read_only};
use crate::cli::table::write_rows;
use crate::cli::{Ending, Failure, output};
use crate::config::Config;
use crate::events::rfc3339;
use crate::store::AcsRow;

/// Phones that are asked for at a time.
const PAGE: u32 = 1000;

/// List phones that have had a session with the ACS.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those with something to look at: parameters that they refused, values changed on them, a session that was not finished.
    #[arg(long)]
    troubled: bool,
    #[arg(long, value_enum, default_value_t = output::Rows::Table)]
    format: output::Rows,
}

const COLUMNS: [&str; 8] = ["mac", "product", "software", "holds", "refused", "changed", "tasks", "last seen"];

impl List {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let phones = block_on(async {
            let fleet = open_read_only(config).await?;
            let failed = |error: crate::store::StoreError| Failure::Other(error.to_string());
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let rows = fleet.store().acs_phones(after, PAGE).await.map_err(failed)?;
                let Some(last) = rows.last() else { break };
                after = Some(last.mac);
                all.extend(rows.into_iter().filter_map(|row| Some((serde_json::from_str(&row.told).ok()?, row))));
            }
            Ok(all)
        })?;
        let phones = phones.iter().filter(|(phone, _): &&(Phone, AcsRow)| !self.troubled || is_troubled(phone));
        if self.format == output::Rows::Json {
            let values = phones.map(|(phone, row)| as_json(phone, row));
            return output::json_rows(values).map(|()| Ending::Fine);
        }
        let rows: Vec<Vec<String>> = phones
            .map(|(phone, row)| {
                vec![
                    row.mac.to_string(),
                    phone.said.product_class.clone(),
                    phone.said.software.clone().unwrap_or_default(),
                    phone.holds.as_deref().map_or_else(|| "no".to_owned(), short),
                    phone.refused.len().to_string(),
                    phone.changed.len().to_string(),
                    row.open_tasks.to_string(),
                    rfc3339(row.last_seen),
                ]
            })
            .collect();
        write_rows(&COLUMNS, &rows, self.format == output::Rows::Csv)?;
        Ok(Ending::Fine)
    }
}

/// Enough of a revision to tell two of them apart.
fn short(revision: &str) -> String {
    revision.chars().take(8).collect()
}

fn is_troubled(phone: &Phone) -> bool {
    phone.holds.is_none() || !phone.refused.is_empty() || !phone.changed.is_empty()
}

/// What is known of a phone, as both commands print it.
pub(super) fn as_json(phone: &Phone, row: &AcsRow) -> serde_json::Value {
    let mut value = json!({
        "mac": row.mac,
        "first_seen": rfc3339(row.first_seen),
        "last_seen": rfc3339(row.last_seen),
        "open_tasks": row.open_tasks,
    });
    if let (Some(all), Ok(serde_json::Value::Object(own))) = (value.as_object_mut(), serde_json::to_value(phone)) {
        all.extend(own);
    }
    value
}
