//! `resyncd plan`: what a fleet wants of machines, network and database.

use std::time::Duration;

use serde_json::json;

use super::amounts::{bytes, number, seconds, thousands};
use super::table::{Align, Layout};
use super::{Ending, Failure, output};
use crate::capacity::{FIGURES, Figures, Inputs, Plan, Retry, Wanted};
use crate::document::{parse_duration, parse_size};
use crate::phone::swarm::RetryDelays;

/// Reckon how many nodes a fleet wants, and what it does to network, database and memory.
///
/// Nothing is measured and no file is read: the program multiplies what a resync costs, as it was measured, by the phones. How long a
/// power cut keeps phones waiting is played, those that come in vain and again included. docs/capacity.md has the formulas, and
/// what came of them beside real storms. Measure on your own machines (docs/performance.md), and give your figures by --figure.
#[derive(Debug, clap::Args)]
#[command(after_long_help = figures())]
pub struct Args {
    /// How many phones there are.
    #[arg(long, value_name = "N", value_parser = phones)]
    phones: u64,
    /// From one resync of a phone to the next (Resync_Periodic): seconds, or with a unit, 2h.
    #[arg(long, value_name = "SECONDS", value_parser = period, default_value = "3600")]
    period: Duration,
    /// The cores of a node.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_096), default_value_t = 2)]
    cores: u32,
    /// After a power cut phones come within this time (Resync_Random_Delay): seconds, or with a unit.
    #[arg(long, value_name = "SECONDS", value_parser = delay, default_value = "600")]
    delay: Duration,
    /// The share of resyncs that take up the TLS session of the time before, 0 to 1. After a power cut none does.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0")]
    resumed: f64,
    /// The share of resyncs whose profile is rendered anew, because something has changed: 0 to 1. After a restart of the server it is 1.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0.05")]
    changed: f64,
    /// Memory for ready profiles, cache.size: "64 MiB" [default: as much as keeps all of them ready].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    cache: Option<u64>,
    /// How long events are kept, events.keep: 90d, forever.
    #[arg(long, value_name = "TIME", value_parser = keep, default_value = "90d")]
    keep: Keep,
    /// When a phone comes again that was not served (Resync_Error_Retry_Delay): seconds after the first failure, the second and so on;
    /// up to what follows + is added at random.
    #[arg(long, value_name = "DELAYS", default_value = "60+30,300+60,900+300,3600+600")]
    error_retry: RetryDelays,
    /// Play the power cut with so many nodes [default: as many as an ordinary day wants].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    nodes: Option<u64>,
    /// What a resync costs, in the place of what was measured; may be given again.
    #[arg(long, value_name = "NAME=VALUE")]
    figure: Vec<String>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

/// How long events are kept; none: for ever.
#[derive(Debug, Clone, Copy)]
struct Keep(Option<Duration>);

/// As many phones as there are MAC addresses.
const MOST_PHONES: u64 = 1 << 48;

/// The longest `Resync_Random_Delay` that phones know, and settings take.
const LONGEST_DELAY: Duration = Duration::from_secs(65_535);

const LONGEST_PERIOD: Duration = Duration::from_secs(365 * 86_400);

fn phones(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("a fleet has at least one phone".to_owned()),
        Ok(phones) if phones <= MOST_PHONES => Ok(phones),
        _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(format!("there are {} MAC addresses, and no more phones", thousands(MOST_PHONES)))
        }
        _ => Err("write a whole number of phones, digits only: 100000".to_owned()),
    }
}

/// Seconds, or a length of time with its unit.
fn length(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs).or_else(|| parse_duration(text))
}

fn period(text: &str) -> Result<Duration, String> {
    let period = length(text).ok_or("write seconds, or a unit with them: 3600, 2h, 1d")?;
    match period {
        _ if period < Duration::from_secs(1) => {
            Err("a phone that resyncs has a period of a second at least".to_owned())
        }
        _ if period > LONGEST_PERIOD => Err("the longest period that is reckoned with is 365d".to_owned()),
        period => Ok(period),
    }
}

fn delay(text: &str) -> Result<Duration, String> {
    let delay = length(text).ok_or("write seconds, or a unit with them: 600, 10m")?;
    match delay {
        _ if delay < Duration::from_secs(1) => {
            Err("phones don't come in the same moment, even without a random delay: 1 second at least".to_owned())
        }
        _ if delay > LONGEST_DELAY => {
            Err(format!("phones know no Resync_Random_Delay over {} seconds", LONGEST_DELAY.as_secs()))
        }
        delay => Ok(delay),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1: 0.05 is one of twenty".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "write it as in the configuration: \"64 MiB\", \"4 GiB\"".to_owned())
}

fn keep(text: &str) -> Result<Keep, String> {
    if text == "forever" {
        return Ok(Keep(None));
    }
    let keep = parse_duration(text).filter(|keep| !keep.is_zero());
    keep.map(|keep| Keep(Some(keep))).ok_or_else(|| "write it as in the configuration: 24h, 90d, forever".to_owned())
}

/// What the long help says of the figures.
fn figures() -> String {
    let mut layout = Layout::new(&[("FIGURE", Align::Left), ("VALUE", Align::Right), ("WHAT IT IS", Align::Left)]);
    let rows: Vec<Vec<String>> = FIGURES
        .iter()
        .map(|figure| {
            vec![figure.name.to_owned(), figure.value.to_string(), format!("{}: {}", unit(figure.unit), figure.about)]
        })
        .collect();
    layout.fit(&rows);
    let lines: String = std::iter::once(&layout.header()).chain(&rows).map(|row| layout.line(row)).collect();
    format!("Figures, as they were measured (docs/capacity.md tells where):\n{lines}")
}

/// A unit, where there is one.
pub fn unit(unit: &str) -> &str {
    if unit.is_empty() { "number" } else { unit }
}

impl Args {
    pub fn run(self) -> Result<Ending, Failure> {
        let inputs = self.inputs()?;
        let plan = Plan::of(&inputs);
        match self.format {
            output::Format::Human => output::write(|out| out.write_all(human(&inputs, &plan).as_bytes()))?,
            output::Format::Json => {
                let mut value = serde_json::to_value(&plan).map_err(|error| Failure::because("JSON", error))?;
                if let Some(object) = value.as_object_mut() {
                    object.insert("notes".to_owned(), json!(notes(&inputs, &plan)));
                }
                output::json(&value)?;
            }
        }
        Ok(Ending::Fine)
    }

    fn inputs(&self) -> Result<Inputs, Failure> {
        let mut figures = Figures::default();
        for text in &self.figure {
            figures.set(text).map_err(|error| Failure::because("--figure", error))?;
        }
        let retry = self.error_retry.steps().iter();
        let retry: Vec<Retry> =
            retry.map(|(after, spread)| Retry { after: after.as_secs_f64(), spread: spread.as_secs_f64() }).collect();
        if retry.iter().any(|retry| retry.after < 1.0) {
            return Err(Failure::Other(
                "--error-retry: a delay of 0 tells phones never to come again; write 1 second at least".to_owned(),
            ));
        }
        Ok(Inputs {
            phones: self.phones,
            period: self.period.as_secs_f64(),
            cores: self.cores,
            delay: self.delay.as_secs_f64(),
            resumed: self.resumed,
            changed: self.changed,
            cache: self.cache,
            keep: self.keep.0.map(|keep| keep.as_secs_f64()),
            retry,
            nodes: self.nodes,
            figures,
        })
    }
}

/// The plan as people read it.
pub fn human(inputs: &Inputs, plan: &Plan) -> String {
    let mut text = format!(
        "{}: a resync every {} s each, and within {} s after a power cut.\nNodes of {}, which use up to {} % of them.\n\n",
        counted(inputs.phones, "phone"),
        inputs.period,
        inputs.delay,
        counted(inputs.cores.into(), "core"),
        number(inputs.figures.utilisation * 100.0),
    );
    let (daily, cut) = (&plan.daily, &plan.power_cut);
    let row = |name: &str, daily: f64, cut: f64| vec![name.to_owned(), number(daily), number(cut)];
    let rows = [
        row("resyncs a second", daily.resyncs_per_second, cut.resyncs_per_second),
        row("processor time of one, µs", daily.cpu_us_per_resync, cut.cpu_us_per_resync),
        row("cores busy", daily.cores_busy, cut.cores_busy),
        vec!["nodes".to_owned(), thousands(daily.nodes), thousands(cut.nodes)],
        row("database rows a second", daily.database_rows_per_second, cut.database_rows_per_second),
        row("network, Mbit/s", daily.megabits_per_second, cut.megabits_per_second),
    ];
    let mut layout = Layout::new(&[("WHAT", Align::Left), ("EVERY DAY", Align::Right), ("POWER CUT", Align::Right)]);
    layout.fit(&rows);
    text.extend(std::iter::once(&layout.header()).chain(&rows).map(|row| layout.line(row)));
    let memory = &plan.memory;
    text += &format!(
        "\npower cut  with {}: {}\ndatabase   {}\nmemory     {} a node with devices in files, {} with devices in the database;\n           \
         of it {} for ready profiles, {} for connections\n",
        counted(plan.storm.nodes, "node"),
        storm(plan),
        database(inputs, plan),
        bytes(memory.devices_in_files.0),
        bytes(memory.devices_in_database.0),
        bytes(memory.cache.0),
        bytes(memory.connections.0),
    );
    for note in notes(inputs, plan) {
        text += &format!("note       {note}\n");
    }
    text
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{} {what}s", thousands(count)) }
}

/// When the last phone is up.
pub fn up(plan: &Plan) -> String {
    plan.storm.seconds_until_the_last_phone_is_up.map_or("more than 30 days".to_owned(), seconds)
}

fn storm(plan: &Plan) -> String {
    let in_vain = match plan.storm.tries_in_vain {
        none if none < 1.0 => "no phone comes in vain".to_owned(),
        some => format!("{} tries are in vain", thousands(some.round() as u64)),
    };
    format!("the last phone is up after {}; {in_vain}", up(plan))
}

/// Which database does.
pub fn does(plan: &Plan) -> &'static str {
    match plan.database.wanted {
        Wanted::Sqlite => "SQLite",
        Wanted::PostgresqlForNodes | Wanted::PostgresqlForEvents => "PostgreSQL",
    }
}

fn database(inputs: &Inputs, plan: &Plan) -> String {
    let which = match plan.database.wanted {
        Wanted::Sqlite => "SQLite does",
        Wanted::PostgresqlForNodes => "PostgreSQL, which several nodes share",
        Wanted::PostgresqlForEvents => "PostgreSQL: SQLite does not take so many events",
    };
    let kept =
        plan.database.gigabytes_kept.zip(inputs.keep).map_or(", kept for ever".to_owned(), |(gigabytes, keep)| {
            format!(", {} in {} days", bytes(gigabytes * 1e9), number(keep / 86_400.0))
        });
    format!("{which}; events are {} a day{kept}", bytes(plan.database.gigabytes_per_day * 1e9))
}

/// Events in SQLite that were measured (docs/database.md).
const MEASURED_ROWS: f64 = 10e6;

const MIB: f64 = 1_048_576.0;

/// What `cache.size` is by default (docs/configuration.md), in bytes.
const DEFAULT_CACHE: f64 = 64.0 * MIB;

/// What a reader may not expect.
fn notes(inputs: &Inputs, plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    let in_vain = plan.storm.tries_in_vain >= 1.0;
    if in_vain && inputs.retry.iter().any(|retry| retry.spread < retry.after / 100.0) {
        notes.push(
            "without a random part in their delays, phones that came in vain together come again together: write 3600+600"
                .to_owned(),
        );
    }
    if inputs.delay > inputs.period {
        notes.push("the random delay is longer than the period: what phones ask for every day comes on top".to_owned());
    }
    if plan.daily.nodes < plan.power_cut.nodes && inputs.nodes.is_none() && in_vain {
        notes.push(format!(
            "{} would serve every phone within the random delay; a longer delay does with fewer",
            counted(plan.power_cut.nodes, "node")
        ));
    }
    if inputs.cache.is_none() && plan.memory.cache.0 > DEFAULT_CACHE {
        notes.push(format!(
            "cache.size is 64 MiB unless it is set: \"{:.0} MiB\" keeps all profiles ready; --cache \"64 MiB\" reckons with what it is",
            (plan.memory.cache.0 / MIB).ceil()
        ));
    }
    let rows = plan.database.rows_kept.unwrap_or(f64::INFINITY);
    if plan.database.wanted == Wanted::Sqlite && rows > MEASURED_ROWS {
        notes.push(
            "no more than 10 million events in SQLite were measured: events.keep and events.keep_rows bound them"
                .to_owned(),
        );
    }
    notes
}
