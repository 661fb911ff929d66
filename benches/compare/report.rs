//! The figures as people read them: on the terminal, and as tables in docs/performance.md.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::cases::Case;
use crate::plot;
use crate::results::{Contender, Measured, Results, Spread};
use crate::targets::{Judged, judge};

const PAGE: &str = "docs/performance.md";
const PLOT: &str = "docs/performance.svg";
const BEGIN: &str = "<!-- Written by `cargo bench --bench compare -- --write`, to the end of the tables. -->";
const END: &str = "<!-- The end of the tables. -->";

/// Says on the terminal what a case came to.
pub fn print(case: &Case, measured: &Measured) {
    let rows = rows(case, measured);
    print!("{}", table(&HEAD, &rows));
    println!();
}

pub fn print_targets(judged: &[Judged]) {
    print!("{}", targets(judged));
}

/// Writes the tables and the plot of the documentation.
pub fn write(cases: &[Case], results: &Results) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join(PAGE)).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap_or_else(|| panic!("{PAGE} has no line {BEGIN}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{PAGE} has no line {END}"));
    fs::write(root.join(PAGE), format!("{before}{BEGIN}\n\n{}\n{END}{after}", tables(cases, results))).unwrap();
    fs::write(root.join(PLOT), plot::draw(cases, results)).unwrap();
    println!("{PAGE} and {PLOT} are written");
}

fn tables(cases: &[Case], results: &Results) -> String {
    let mut text = "![Processor time of a request, by case and server](performance.svg)\n\n".to_owned();
    for (name, value) in &results.machine {
        let _ = writeln!(text, "- {name}: {value}");
    }
    let days = results.cases.values().map(|measured| measured.day.as_str());
    if let (Some(first), Some(last)) = (days.clone().min(), days.max()) {
        let days = if first == last { first.to_owned() } else { format!("from {first} to {last}") };
        let _ = writeln!(text, "- measured: {days}");
    }
    let _ = write!(text, "\n### Targets\n\n{}", targets(&judge(results)));
    let mut group = "";
    for case in cases {
        let Some(measured) = results.cases.get(case.name) else { continue };
        if case.group != group {
            group = case.group;
            let head = if is_memory(measured) { table(&MEMORY_HEAD, &[]) } else { table(&HEAD, &[]) };
            let _ = write!(text, "\n### {group}\n\n{head}");
        }
        for row in rows(case, measured) {
            text += &line(&row);
        }
    }
    text
}

fn is_memory(measured: &Measured) -> bool {
    measured.contenders.iter().any(|contender| contender.idle.is_some())
}

fn targets(judged: &[Judged]) -> String {
    let row = |judged: &Judged| {
        let measured = judged.measured.clone().unwrap_or_default();
        vec![judged.what.clone(), judged.target.clone(), measured, judged.verdict().to_owned()]
    };
    table(&["CPU of a resync", "target", "measured", ""], &judged.iter().map(row).collect::<Vec<_>>())
}

const HEAD: [&str; 9] =
    ["case", "server", "CPU, µs", "user + system", "ratio", "requests/s", "p50, ms", "p99, ms", "memory, MB"];
const MEMORY_HEAD: [&str; 5] = ["case", "server", "idle, MB", "with connections, MB", "of a connection, kB"];

fn rows(case: &Case, measured: &Measured) -> Vec<Vec<String>> {
    let rows = measured.contenders.iter().enumerate().map(|(at, contender)| {
        let name = if at == 0 { format!("`{}`: {}", case.name, case.about) } else { String::new() };
        let rest = if is_memory(measured) { memory(contender) } else { figures(measured, at, contender) };
        [vec![name, contender.label.clone()], rest].concat()
    });
    rows.collect()
}

fn memory(contender: &Contender) -> Vec<String> {
    let Some(idle) = contender.idle else { return vec!["not installed".to_owned(), String::new(), String::new()] };
    let more = (idle.connected - idle.idle) / idle.connections as f64;
    vec![format!("{:.0}", idle.idle * 1.024e-3), format!("{:.0}", idle.connected * 1.024e-3), format!("{more:.0}")]
}

fn figures(measured: &Measured, at: usize, contender: &Contender) -> Vec<String> {
    let Some(cpu) = contender.cpu() else {
        return [vec!["not installed".to_owned()], vec![String::new(); HEAD.len() - 3]].concat();
    };
    let median = |value: fn(&crate::results::Round) -> f64| contender.spread(value).unwrap().median;
    let database = contender.spread(|round| round.database.unwrap_or(f64::NAN)).map(|spread| spread.median);
    let database = database.filter(|database| !database.is_nan());
    let ratio = measured.ratio(contender).filter(|_| at > 0);
    vec![
        format!(
            "{}{}",
            spread(cpu),
            database.map_or(String::new(), |more| format!(", the database's {} more", short(more)))
        ),
        format!("{} + {}", short(median(|round| round.user)), short(median(|round| round.system))),
        ratio.map_or("1".to_owned(), |ratio| format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.least, ratio.most)),
        format!("{:.0}", median(|round| round.requests as f64 / round.seconds)),
        format!("{:.2}", median(|round| round.p50 as f64) / 1e3),
        format!("{:.2}", median(|round| round.p99 as f64) / 1e3),
        format!("{:.0}", median(|round| round.memory) * 1.024e-3),
    ]
}

/// A median, with the least and most behind it.
fn spread(spread: Spread) -> String {
    format!("{} ({}–{})", short(spread.median), short(spread.least), short(spread.most))
}

/// Three digits, as far as they tell anything.
pub fn short(value: f64) -> String {
    if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    [head, rule].iter().chain(rows).map(|row| line(row)).collect()
}

fn line(row: &[String]) -> String {
    format!("| {} |\n", row.join(" | "))
}
