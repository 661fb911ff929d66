//! What came of the storms beside what the model says, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use resyncd::capacity::Plan;
use resyncd::cli::docs::capacity::RUNS;
use serde_json::Value;

const PAGE: &str = "docs/capacity.md";

/// One storm, and what the model says of it.
pub struct Storm {
    pub delay: u32,
    pub came: Came,
    pub plan: Plan,
}

/// What was measured.
pub struct Came {
    /// Of the swarms, each a part of the phones that chance alone tells from the others.
    pub reports: Vec<Value>,
    /// Of the server.
    pub cpu_seconds: f64,
    pub memory_before: u64,
    pub most_memory: u64,
    pub events_lost: u64,
}

impl Came {
    fn sum(&self, path: &str) -> u64 {
        self.reports.iter().map(|report| report.pointer(path).and_then(Value::as_u64).unwrap_or(0)).sum()
    }

    /// Of the swarms, the largest.
    fn most(&self, path: &str) -> f64 {
        self.reports.iter().map(|report| report.pointer(path).unwrap().as_f64().unwrap()).fold(0.0, f64::max)
    }

    /// Of the swarms, the one in the middle: what they saw differs by chance only.
    fn median(&self, path: &str) -> f64 {
        let mut values: Vec<f64> =
            self.reports.iter().map(|report| report.pointer(path).unwrap().as_f64().unwrap()).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// Resyncs that were not answered, by what went wrong.
    fn errors(&self) -> BTreeMap<&str, u64> {
        let mut errors = BTreeMap::new();
        for (kind, error) in self.reports.iter().filter_map(|report| report["errors"].as_object()).flatten() {
            *errors.entry(kind.as_str()).or_default() += error["count"].as_u64().unwrap();
        }
        errors
    }
}

const HEAD: [&str; 11] = [
    "random delay",
    "",
    "phones served",
    "in vain",
    "of them 503",
    "came again",
    "the last phone is up",
    "answered after, p50",
    "p99",
    "processor time of the server",
    "its memory before, and at most",
];

/// The section of the page.
pub fn text(about: &[(&str, String)], storms: &[Storm]) -> String {
    let mut text = String::new();
    for (name, value) in about {
        let _ = writeln!(text, "- {name}: {value}");
    }
    let _ = writeln!(text, "\n| {} |\n|{}", HEAD.join(" | "), " --- |".repeat(HEAD.len()));
    for storm in storms {
        text += &rows(storm);
    }
    text += "\nWhat phones saw that came in vain:\n\n";
    for storm in storms {
        let errors: Vec<_> = storm.came.errors().into_iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let errors = if errors.is_empty() { "nothing".to_owned() } else { errors.join(", ") };
        let late = storm.came.median("/lateness_ms/p99") / 1e3;
        let _ = writeln!(
            text,
            "- within {} s: {errors}; events lost: {}; 99 of 100 phones began within {late:.1} s of when they were due",
            storm.delay, storm.came.events_lost
        );
    }
    text
}

/// What was measured, and below it what the model says.
pub fn rows(storm: &Storm) -> String {
    let (came, plan) = (&storm.came, &storm.plan);
    let served = came.sum("/phones_served");
    let in_vain = came.sum("/resyncs/refused") + came.sum("/resyncs/failed");
    let megabytes = |bytes: f64| format!("{:.0} MB", bytes / 1e6);
    let cpu =
        |seconds: f64, phones: u64| format!("{seconds:.0} s, {:.0} µs a phone", seconds * 1e6 / phones.max(1) as f64);
    let measured = [
        format!("{} s", storm.delay),
        "measured".to_owned(),
        format!("{served} of {}", came.sum("/phones")),
        in_vain.to_string(),
        came.sum("/statuses/503").to_string(),
        came.sum("/resyncs/retries").to_string(),
        format!("{:.1} s", came.most("/seconds")),
        format!("{:.2} s", came.median("/latency_ms/p50") / 1e3),
        format!("{:.2} s", came.median("/latency_ms/p99") / 1e3),
        cpu(came.cpu_seconds, served),
        format!("{}, {}", megabytes(came.memory_before as f64), megabytes(came.most_memory as f64)),
    ];
    let last = plan.storm.seconds_until_the_last_phone_is_up;
    let model = [
        String::new(),
        "model".to_owned(),
        plan.phones.to_string(),
        format!("{:.0}", plan.storm.tries_in_vain),
        String::new(),
        format!("{:.0}", plan.storm.tries_in_vain),
        last.map_or("more than 30 days".to_owned(), |last| format!("{last:.1} s")),
        String::new(),
        String::new(),
        cpu(plan.storm.cpu_seconds, plan.phones),
        format!(
            "{}, {}",
            megabytes(plan.memory.devices_in_files.0 - plan.memory.connections.0),
            megabytes(plan.memory.devices_in_files.0)
        ),
    ];
    [measured, model].iter().map(|row| format!("| {} |\n", row.join(" | "))).collect()
}

/// Writes the section into the page, which `resyncd docs` leaves alone.
pub fn write(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(RUNS.0).unwrap_or_else(|| panic!("{PAGE} has no line {}", RUNS.0));
    let (_, after) = rest.split_once(RUNS.1).unwrap_or_else(|| panic!("{PAGE} has no line {}", RUNS.1));
    fs::write(&path, format!("{before}{}\n\n{text}\n{}{after}", RUNS.0, RUNS.1)).unwrap();
    println!("{PAGE} is written");
}
