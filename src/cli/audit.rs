//! `resyncd audit`: who changed what.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::fleet::block_on;
use super::moment::{Moment, moment};
use super::table::{Align, Layout, csv_line};
use super::{Ending, Failure, output};
use crate::config::Config;
use crate::events::rfc3339;
use crate::model::MacAddr;
use crate::store::{AuditFilter, AuditRow, Store};

/// Changes that are shown where no limit is asked for.
const CHANGES: u64 = 100;

/// Show who changed what at run time, when and from where.
///
/// Newest last; times are UTC. Secrets are masked: that one was changed is told, and not from what to what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Changes of one device.
    #[arg(long, value_name = "MAC", conflicts_with = "group")]
    device: Option<MacAddr>,
    /// Changes of one group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Changes made by this one: cli:USER, token:NAME or phone:MAC.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Changes since then: an age (24h, 7d), a day (2026-03-01) or a time (2026-03-01T10:00:00Z).
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Moment>,
    /// Changes before then, written likewise.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Moment>,
    /// Show so many at most, the newest.
    #[arg(long, value_name = "N", default_value_t = CHANGES)]
    limit: u64,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = output::Rows::Table)]
    format: output::Rows,
}

const COLUMNS: [&str; 9] = ["id", "time", "actor", "peer", "action", "kind", "name", "before", "after"];

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let rows = block_on(async {
            let failed = |error: crate::store::StoreError| Failure::Other(error.to_string());
            let store = Store::open_read_only(&config.database).await.map_err(failed)?;
            let filter = self.filter(OffsetDateTime::now_utc());
            let mut rows = store.audit(&filter, self.limit).await.map_err(failed)?;
            rows.reverse();
            Ok(rows)
        })?;
        match self.format {
            output::Rows::Json => output::json_rows(rows.iter().map(json))?,
            output::Rows::Csv => {
                let header = COLUMNS.map(str::to_owned).to_vec();
                let cells: Vec<_> = rows.iter().map(cells).collect();
                let mut lines = std::iter::once(&header).chain(&cells).map(|row| csv_line(row));
                output::write(|out| lines.try_for_each(|line| out.write_all(line.as_bytes())))?;
            }
            output::Rows::Table => {
                let columns = ["TIME", "BY", "FROM", "ACTION", "WHAT", "CHANGE"].map(|name| (name, Align::Left));
                let mut layout = Layout::new(&columns);
                let rows: Vec<_> = rows.iter().flat_map(lines).collect();
                layout.fit(&rows);
                let header = layout.header();
                let mut lines = std::iter::once(&header).chain(&rows).map(|row| layout.line(row));
                output::write(|out| lines.try_for_each(|line| out.write_all(line.as_bytes())))?;
            }
        }
        Ok(Ending::Fine)
    }

    fn filter(&self, now: OffsetDateTime) -> AuditFilter {
        let (kind, name) = match (&self.device, &self.group) {
            (Some(mac), _) => (Some("device".to_owned()), Some(mac.to_string())),
            (None, Some(group)) => (Some("group".to_owned()), Some(group.clone())),
            (None, None) => (None, None),
        };
        AuditFilter {
            since: self.since.map(|since| since.before(now)),
            until: self.until.map(|until| until.before(now)),
            actor: self.actor.clone(),
            kind,
            name,
            before_id: None,
        }
    }
}

/// The values of one side; none where it is no object.
fn side(text: Option<&String>) -> Map<String, Value> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn json(row: &AuditRow) -> Value {
    let side = |text: &Option<String>| match text {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
        None => Value::Null,
    };
    serde_json::json!({
        "id": row.id, "time": rfc3339(row.time), "actor": row.actor, "peer": row.peer, "action": row.action,
        "kind": row.kind, "name": row.name, "before": side(&row.before), "after": side(&row.after),
    })
}

fn cells(row: &AuditRow) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        row.id.clone(),
        rfc3339(row.time),
        row.actor.clone(),
        text(&row.peer),
        row.action.clone(),
        row.kind.clone(),
        row.name.clone(),
        text(&row.before),
        text(&row.after),
    ]
}

/// A line for each setting; the first says who and what.
fn lines(row: &AuditRow) -> Vec<Vec<String>> {
    let (before, after) = (side(row.before.as_ref()), side(row.after.as_ref()));
    let mut keys: Vec<&String> = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))).collect();
    keys.sort();
    let value = |side: &Map<String, Value>, key: &String| side.get(key).map_or("(none)".to_owned(), Value::to_string);
    let mut changes = keys
        .into_iter()
        .map(|key| {
            let name = key.strip_prefix("settings.").unwrap_or(key);
            format!("{name}: {} -> {}", value(&before, key), value(&after, key))
        })
        .collect::<Vec<_>>()
        .into_iter();
    let head = vec![
        super::log::to_the_second(row.time),
        row.actor.clone(),
        row.peer.clone().unwrap_or_default(),
        row.action.clone(),
        format!("{} {}", row.kind, row.name),
        changes.next().unwrap_or_default(),
    ];
    let blank = || vec![" ".to_owned(); 5];
    std::iter::once(head).chain(changes.map(|change| [blank(), vec![change]].concat())).collect()
}
