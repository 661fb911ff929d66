//! resyncd beside nginx, Apache with a CGI script, and a bare TLS server, with the same certificates, bytes and client.
//! `cargo bench --bench compare` runs all of it; docs/performance.md tells how to read what comes out.
//!
//! It owns the measuring alone: every server is a process of its own, resyncd too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that meets the unexpected should stop"
)]

mod cases;
#[path = "../../tests/support/certificates.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod certificates;
mod client;
mod idle;
mod machine;
mod measure;
mod plot;
#[path = "../program/profile.rs"]
mod profile;
mod report;
mod results;
mod run;
mod scene;
mod servers;
mod targets;

use std::path::{Path, PathBuf};

use clap::Parser;

use cases::{Case, Work};
use results::Results;
use scene::Scene;

/// Compares what a resync costs the server with what it costs others.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of each case; in each, every server has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests of a round, instead of each case's own number.
    #[arg(long)]
    requests: Option<usize>,
    /// Only these cases.
    #[arg(long, num_args = 1..)]
    case: Vec<String>,
    /// Only names the cases.
    #[arg(long)]
    list: bool,
    /// A look at whether all of it works: one short round. Its figures are worth nothing, and are kept nowhere.
    #[arg(long, conflicts_with_all = ["write", "requests"])]
    quick: bool,
    /// Writes the table and the plot of docs/performance.md from the last results of every case.
    #[arg(long)]
    write: bool,
    /// Measures nothing: with --write, writes what was measured before.
    #[arg(long)]
    dry: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let mut arguments = std::env::args();
    if arguments.nth(1).as_deref() == Some(servers::bare::ARGUMENT) {
        return servers::bare::serve(&arguments.next().expect("what to serve"));
    }
    let arguments = Arguments::parse();
    let all = cases::all();
    if arguments.list {
        all.iter().for_each(|case| println!("{:<28} {}", case.name, case.about));
        return;
    }
    if let Some(unknown) = arguments.case.iter().find(|name| all.iter().all(|case| case.name != **name)) {
        eprintln!("there is no case \"{unknown}\": see --list");
        std::process::exit(2);
    }
    let chosen = |case: &&Case| arguments.case.is_empty() || arguments.case.iter().any(|name| name == case.name);
    let mut results = Results::read(&file());
    if !arguments.dry {
        measure(&arguments, all.iter().filter(chosen), &mut results);
    }
    if !arguments.quick {
        report::print_targets(&targets::judge(&results));
    }
    if arguments.write {
        report::write(&all, &results);
    }
}

/// What the last run of every case measured.
fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/compare.json")
}

fn measure<'c>(arguments: &Arguments, cases: impl Iterator<Item = &'c Case>, results: &mut Results) {
    measure::keep_to(measure::CLIENT_CORE);
    servers::missing().iter().for_each(|missing| eprintln!("{missing}"));
    results.machine = machine::describe();
    let scene = Scene::new();
    for case in cases {
        eprintln!("{}: {}", case.name, case.about);
        let measured = match &case.work {
            Work::Requests(load) if arguments.quick => run::run(&scene, case, load, 1, Some(200)),
            Work::Requests(load) => run::run(&scene, case, load, arguments.rounds, arguments.requests),
            Work::Idle { devices, connections } if arguments.quick => {
                idle::run(&scene, case, devices / 100, connections / 100)
            }
            Work::Idle { devices, connections } => idle::run(&scene, case, *devices, *connections),
        };
        report::print(case, &measured);
        results.cases.insert(case.name.to_owned(), measured);
        if !arguments.quick {
            results.write(&file());
        }
    }
}
