//! `resyncd device list`.

use serde_json::Value;

use super::filter::Filter;
use crate::cli::fleet::{block_on, open_read_only};
use crate::cli::table::{Align, Layout, csv_line};
use crate::cli::{Ending, Failure, output};
use crate::config::Config;
use crate::fleet::{Entry, Secrecy, Shown};

/// List devices, whether files have them or the database.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filter: Filter,
    /// Show so many at most; left out: all.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How they are written. Secrets are masked.
    #[arg(long, value_enum, default_value_t = output::Rows::Table)]
    format: output::Rows,
}

const COLUMNS: [&str; 6] = ["mac", "model", "serial", "group", "from", "problem"];

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        block_on(async {
            let fleet = open_read_only(config).await?;
            let secrecy = Secrecy::new(&fleet.generation().packs);
            let columns = COLUMNS.map(|name| (name.to_uppercase(), Align::Left));
            let mut layout = Layout::new(&columns);
            let mut is_first = true;
            let mut found = 0;
            let page = |entries: Vec<Entry>| {
                found += entries.len();
                let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
                layout.fit(&rows);
                let head = std::mem::replace(&mut is_first, false);
                output::write(|out| match self.format {
                    output::Rows::Table => {
                        let header = head.then(|| layout.header());
                        header.iter().chain(&rows).try_for_each(|row| out.write_all(layout.line(row).as_bytes()))
                    }
                    output::Rows::Csv => {
                        let header = head.then(|| COLUMNS.map(str::to_owned).to_vec());
                        header.iter().chain(&rows).try_for_each(|row| out.write_all(csv_line(row).as_bytes()))
                    }
                    output::Rows::Json => entries.iter().enumerate().try_for_each(|(index, entry)| {
                        let value = Value::Object(entry.json(&secrecy, Shown::Masked));
                        let before = if head && index == 0 { "[\n" } else { ",\n" };
                        write!(out, "{before}{}", output::safe_json(&value))
                    }),
                })
            };
            self.filter.each_page(&fleet, self.limit.unwrap_or(usize::MAX), page).await?;
            if self.format == output::Rows::Json {
                output::write(|out| writeln!(out, "{}", if found == 0 { "[]" } else { "\n]" }))?;
            }
            Ok(Ending::Fine)
        })
    }
}

fn row(entry: &Entry) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let from = match (&entry.file, entry.has_record) {
        (Some(_), true) => "file and database",
        (Some(_), false) => "file",
        (None, _) => "database",
    };
    let serial = entry.serial.as_ref().map(ToString::to_string).unwrap_or_default();
    let problem = entry.device.as_ref().err().cloned().unwrap_or_default();
    vec![entry.mac.to_string(), text(&entry.model), serial, text(&entry.group), from.to_owned(), problem]
}
