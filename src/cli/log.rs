//! `resyncd log`: the events in the database, one by one or put together.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

use super::moment::{Moment, moment};
use super::output::{print_array, safe_json};
use super::table::{Align, Layout, csv_line};
use super::{Ending, Failure};
use crate::config::Config;
use crate::events::{Entry, EventId, Outcome, rfc3339};
use crate::model::MacAddr;
use crate::store::{EventFilter, EventGroup, GroupBy, Store, StoreError};

/// Events that are shown where no limit is asked for.
const EVENTS: u64 = 100;

/// How often `--follow` looks, and how far it looks back each time. An event reaches the database some time after it
/// happened; one that was spooled for longer than this is not followed.
const POLL: Duration = Duration::from_secs(1);
const LOOK_BACK: Duration = Duration::from_secs(15);

/// Events that one look of `--follow` takes at most.
const FOLLOWED: u64 = 20_000;

/// Show what phones asked for and got.
///
/// Prints the recorded events, newest last, or counts them with --by. Times are UTC.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Count events by this instead of listing them.
    #[arg(long, value_name = "WHAT", conflicts_with = "follow")]
    by: Option<By>,
    /// Events since then: an age (24h, 7d), a day (2026-03-01) or a time (2026-03-01T10:00:00Z).
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Moment>,
    /// Events before then, written likewise.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Moment>,
    /// Events of one phone.
    #[arg(long, value_name = "MAC")]
    device: Option<MacAddr>,
    /// Events that ended so.
    #[arg(long, value_parser = outcomes())]
    outcome: Option<&'static str>,
    /// Show so many at most: the newest events (100 if not given), or the largest groups (all).
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Go on showing events as they are recorded; JSON is then one object a line.
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    UserAgent,
    Model,
    Firmware,
    Device,
    Status,
    Refusal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

fn outcomes() -> impl TypedValueParser<Value = &'static str> {
    PossibleValuesParser::new(Outcome::WORDS).map(|typed| {
        // One of these it is, or clap would not have let it through.
        Outcome::WORDS.iter().copied().find(|word| *word == typed).unwrap_or_default()
    })
}

impl By {
    fn group(self) -> GroupBy {
        match self {
            Self::UserAgent => GroupBy::UserAgent,
            Self::Model => GroupBy::Model,
            Self::Firmware => GroupBy::Firmware,
            Self::Device => GroupBy::Device,
            Self::Status => GroupBy::Status,
            Self::Refusal => GroupBy::Refusal,
        }
    }
}

/// Why the events could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the events can't be written: {0}")]
    Output(#[from] io::Error),
}

/// Prints what is in the database now. `now` is what ages count back from.
pub async fn print(args: &Args, store: &Store, now: OffsetDateTime, out: &mut impl Write) -> Result<(), PrintError> {
    let filter = args.filter(now);
    if let Some(by) = args.by {
        let by = by.group();
        let groups = store.event_groups(by, &filter, args.limit.unwrap_or(u64::MAX)).await?;
        match args.format {
            Format::Json => print_array(groups.iter().map(|group| group_json(by, group)), out)?,
            Format::Csv => print_csv(Some(group_names(by)), groups.iter().map(group_cells), out)?,
            Format::Table => {
                let rows: Vec<_> = groups.iter().map(group_row).collect();
                print_table(&mut Layout::new(&group_columns(by)), &rows, true, out)?;
            }
        }
    } else {
        let entries = store.events(&filter, args.limit.unwrap_or(EVENTS)).await?;
        match args.format {
            Format::Json => print_array(entries.iter().map(entry_json), out)?,
            Format::Csv => print_csv(Some(entry_names()), entries.iter().map(entry_cells), out)?,
            Format::Table => {
                let rows: Vec<_> = entries.iter().map(entry_row).collect();
                print_table(&mut Layout::new(&ENTRY_COLUMNS), &rows, true, out)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

impl Args {
    /// Runs the command.
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let failed = |error| Failure::because("no runtime", error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        runtime.block_on(async {
            let store =
                Store::open_read_only(&config.database).await.map_err(|error| Failure::Other(error.to_string()))?;
            let mut out = io::stdout().lock();
            let printed = async {
                if !self.follow {
                    return print(self, &store, OffsetDateTime::now_utc(), &mut out).await;
                }
                let mut follower = Follower::new(self, OffsetDateTime::now_utc());
                loop {
                    follower.print_new(&store, OffsetDateTime::now_utc(), &mut out).await?;
                    tokio::time::sleep(POLL).await;
                }
            };
            match printed.await {
                // Whoever reads this has seen enough: `resyncd log | head`.
                Err(PrintError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::Fine),
                Err(error) => Err(Failure::Other(error.to_string())),
                Ok(()) => Ok(Ending::Fine),
            }
        })
    }

    fn filter(&self, now: OffsetDateTime) -> EventFilter {
        EventFilter {
            since: self.since.map(|since| since.before(now)),
            until: self.until.map(|until| until.before(now)),
            device: self.device,
            outcome: self.outcome,
            before: None,
        }
    }
}

/// Shows events as they come, each once.
#[derive(Debug)]
pub struct Follower<'a> {
    args: &'a Args,
    filter: EventFilter,
    layout: Layout,
    started: bool,
    /// Those of the time that is looked at again.
    seen: BTreeSet<EventId>,
}

impl<'a> Follower<'a> {
    pub fn new(args: &'a Args, now: OffsetDateTime) -> Self {
        let layout = Layout::new(&ENTRY_COLUMNS);
        Self { args, filter: args.filter(now), layout, started: false, seen: BTreeSet::new() }
    }

    /// Prints what is there and has not been printed: at first as many events as were asked for, then all.
    pub async fn print_new(
        &mut self,
        store: &Store,
        now: OffsetDateTime,
        out: &mut impl Write,
    ) -> Result<(), PrintError> {
        let since = self.filter.since.max(Some(now - LOOK_BACK));
        let mut entries = store.events(&EventFilter { since, ..self.filter.clone() }, FOLLOWED).await?;
        let seen = std::mem::replace(&mut self.seen, entries.iter().map(|entry| entry.id).collect());
        if self.started {
            entries.retain(|entry| !seen.contains(&entry.id));
        } else {
            entries = store.events(&self.filter, self.args.limit.unwrap_or(EVENTS)).await?;
            self.seen.extend(entries.iter().map(|entry| entry.id));
        }
        match self.args.format {
            Format::Json => {
                for entry in &entries {
                    writeln!(out, "{}", safe_json(&entry_json(entry)))?;
                }
            }
            Format::Csv => {
                let header = (!self.started).then(entry_names);
                print_csv(header, entries.iter().map(entry_cells), out)?;
            }
            Format::Table => {
                let rows: Vec<_> = entries.iter().map(entry_row).collect();
                print_table(&mut self.layout, &rows, !self.started, out)?;
            }
        }
        self.started = true;
        out.flush()?;
        Ok(())
    }
}

/// What fits a terminal, and tells who asked for what and what came of it. Everything is in JSON and CSV.
const ENTRY_COLUMNS: [(&str, Align); 7] = [
    ("TIME", Align::Left),
    ("FROM", Align::Left),
    ("DEVICE", Align::Left),
    ("MODEL", Align::Left),
    ("CODE", Align::Right),
    ("OUTCOME", Align::Left),
    ("TARGET", Align::Left),
];

fn entry_row(entry: &Entry) -> Vec<String> {
    let outcome = entry.outcome;
    vec![
        to_the_second(entry.time),
        entry.peer.ip().to_string(),
        entry.mac().map(|mac| mac.to_string()).unwrap_or_default(),
        entry.model.clone().unwrap_or_default(),
        if entry.status == 0 { String::new() } else { entry.status.to_string() },
        outcome.refusal().map_or(outcome.as_str(), |refusal| refusal.as_str()).to_owned(),
        entry.target.clone(),
    ]
}

/// The columns of CSV are the keys of JSON.
const ENTRY_NAMES: [&str; 26] = [
    "id",
    "time",
    "kind",
    "listener",
    "peer",
    "method",
    "target",
    "status",
    "bytes",
    "duration_ms",
    "tls_version",
    "tls_cipher",
    "certificate",
    "user_agent",
    "vendor",
    "model",
    "firmware",
    "device",
    "asked_mac",
    "file",
    "generation",
    "encoding",
    "outcome",
    "refusal",
    "reason",
    "flags",
];

fn entry_names() -> Vec<String> {
    ENTRY_NAMES.map(str::to_owned).to_vec()
}

fn entry_json(entry: &Entry) -> Value {
    // Texts and numbers with fixed keys: there is nothing in an entry that JSON has no form for.
    serde_json::to_value(entry).unwrap_or_default()
}

fn entry_cells(entry: &Entry) -> Vec<String> {
    let json = entry_json(entry);
    ENTRY_NAMES.iter().map(|name| json.get(name).map(cell).unwrap_or_default()).collect()
}

/// A value as it stands in a cell: lists with blanks between, nothing for null.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

const COUNTS: [&str; 6] = ["count", "devices", "served", "refused", "failed", "aborted"];

fn counts(group: &EventGroup) -> [u64; 6] {
    [group.count, group.devices, group.served, group.refused, group.failed, group.aborted]
}

/// The keys come last, where their lengths disturb nothing: a User-Agent may be long.
fn group_columns(by: GroupBy) -> Vec<(String, Align)> {
    let counts = COUNTS.iter().map(|name| (name.to_uppercase(), Align::Right));
    let times = ["FIRST", "LAST"].iter().map(|name| ((*name).to_owned(), Align::Left));
    let keys = by.keys().iter().map(|name| (name.to_uppercase().replace('_', "-"), Align::Left));
    counts.chain(times).chain(keys).collect()
}

fn group_row(group: &EventGroup) -> Vec<String> {
    let counts = counts(group).map(|count| count.to_string()).into_iter();
    let times = [group.first, group.last].map(to_the_minute);
    counts.chain(times).chain(group.keys.iter().map(|key| key.clone().unwrap_or_default())).collect()
}

fn group_json(by: GroupBy, group: &EventGroup) -> Value {
    let keys = by.keys().iter().zip(&group.keys).map(|(name, key)| ((*name).to_owned(), key_json(by, key.as_deref())));
    let counts = COUNTS.iter().zip(counts(group)).map(|(name, count)| ((*name).to_owned(), count.into()));
    let times =
        [("first", group.first), ("last", group.last)].map(|(name, time)| (name.to_owned(), rfc3339(time).into()));
    Value::Object(keys.chain(counts).chain(times).collect::<Map<_, _>>())
}

/// A status is a number in JSON, as it is in an event.
fn key_json(by: GroupBy, key: Option<&str>) -> Value {
    match key {
        Some(status) if by == GroupBy::Status => status.parse::<u16>().map_or(Value::Null, Value::from),
        key => key.map_or(Value::Null, Value::from),
    }
}

fn group_names(by: GroupBy) -> Vec<String> {
    by.keys().iter().chain(&COUNTS).chain(&["first", "last"]).map(|name| (*name).to_owned()).collect()
}

fn group_cells(group: &EventGroup) -> Vec<String> {
    let keys = group.keys.iter().map(|key| key.clone().unwrap_or_default());
    let times = [group.first, group.last].map(rfc3339);
    keys.chain(counts(group).map(|count| count.to_string())).chain(times).collect()
}

pub fn to_the_second(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    time.format(&format).unwrap_or_else(|_| rfc3339(time))
}

fn to_the_minute(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    time.format(&format).unwrap_or_else(|_| rfc3339(time))
}

fn print_csv(
    header: Option<Vec<String>>,
    rows: impl Iterator<Item = Vec<String>>,
    out: &mut impl Write,
) -> io::Result<()> {
    for row in header.into_iter().chain(rows) {
        out.write_all(csv_line(&row).as_bytes())?;
    }
    Ok(())
}

fn print_table(layout: &mut Layout, rows: &[Vec<String>], header: bool, out: &mut impl Write) -> io::Result<()> {
    layout.fit(rows);
    if header {
        out.write_all(layout.line(&layout.header()).as_bytes())?;
    }
    for row in rows {
        out.write_all(layout.line(row).as_bytes())?;
    }
    Ok(())
}
