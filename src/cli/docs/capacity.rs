//! docs/capacity.md: the model of `resyncd plan`, its figures, and what it says of fleets of four sizes.
//!
//! One part of the page is not written here: what real storms came to, which a benchmark writes between [`RUNS`].

use super::{first_row, heading, row};
use crate::capacity::{FIGURES, Inputs, Plan};
use crate::cli::amounts::{bytes, number, thousands};
use crate::cli::plan::{does, human, unit, up};

/// What stands before and after the part that the benchmark writes.
pub const RUNS: (&str, &str) = (
    "<!-- Written by `cargo bench --bench reliability -- storm --delay 2,30,600 --write`, to the end of the runs. -->",
    "<!-- The end of the runs. -->",
);

const NOT_RUN: &str = "Not run yet.";

/// The fleets of the tables.
const FLEETS: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// Cores of their nodes.
const CORES: u32 = 4;

/// The random delays in seconds whose storms are told.
const DELAYS: [f64; 3] = [2.0, 30.0, 600.0];

const INTRODUCTION: &str = r#"How many machines a fleet wants, what it does to the network and the database, and how long phones wait when a city's power comes
back. For your own fleet ask the program, which knows no more than this page:

```sh
resyncd plan --phones 100000 --period 3600 --cores 2
```

"#;

const MODEL: &str = r#"
Everything can be said otherwise: `--delay`, `--resumed`, `--changed`, `--cache`, `--keep`, `--error-retry`, `--nodes`, and every figure below by
`--figure cpu-full=900`. `--format json` is for scripts. [commands.md](commands.md#resyncd-plan) has all of it.

## The model

Processor time is what a resync costs. The rest follows from how many there are.

| | every day | when the power is back |
| --- | --- | --- |
| resyncs a second | phones ÷ period | phones ÷ random delay |
| processor time of one | `cpu-full` × (1 − resumed) + `cpu-resumed` × resumed + rendering | `cpu-full` + rendering: a phone that was off has no session to take up |
| rendering | (`cpu-cold` − `cpu-full`) × the share that is not ready | the same |
| cores busy | resyncs a second × processor time of one | the same |
| nodes | cores busy ÷ (cores of a node × `utilisation`), rounded up | the same: every phone is then served within the delay |
| network | resyncs a second × (`profile-bytes` + `wire-bytes`) | the same |
| database | resyncs a second × `events` rows | the same, at most; rows wait in memory and on disk if the database is slower |

- **The share that is not ready** is the larger of two: what has changed (`--changed`), and what doesn't fit into `cache.size` (`--cache`). A ready profile
  takes its bytes and 512 more. By default `cache.size` holds some 6,900 of them: for a larger fleet raise it to what the plan says, or reckon
  with nearly all profiles rendered.
- **Events** of a day take rows × `event-bytes`; what is kept is that times `events.keep`.
- **SQLite does** for one node, and as many events a second as it takes (`sqlite-events`). Several nodes want PostgreSQL, and so does a second one
  that is there in case the first breaks.
- **Memory** of a node is `memory-base`, the devices, the ready profiles, and connections: resyncs a second and node × `patience`, but no more than
  `connections`. Every node has all devices: `memory-file` for each that has a file, `memory-record` for each in the database, with up
  to `memory-records` for those that it keeps at hand.

### The storm

Whether a fleet gets by with the nodes of every day is played, second by second. Phones come evenly within the random delay. The
nodes serve what all of their cores can, in turn. A phone that finds more before it than are served in `patience` waits in vain, goes, and comes
again as `Resync_Error_Retry_Delay` (`provisioning.error_retry`) has it: 60 to 90 seconds later, then 300 to 360, and so on, where nothing
else is set. As long as some go in vain, `storm-loss` of the processor is lost to them. It is over when the last phone has its profile.

What can be learned from it:

- A random delay of phones ÷ (what the nodes serve in a second) is enough: nobody waits. Under that, phones go in vain, and it is the delays of the law
  that take the time, not the servers.
- Delays want a random part. With `3600` instead of `3600+600` those who went in vain together come again together, each hour, until all are
  served.

## Figures

"#;

const AFTER_FIGURES: &str = r#"
Measure yours: `cargo bench --bench compare` tells processor time on your machine ([performance.md](performance.md)).

"#;

const FLEETS_INTRODUCTION: &str = r#"## Fleets

Nodes of 4 cores, a period of an hour, a random delay of 600 seconds, no session resumed, one profile of twenty changed, all others ready.

### Every day

"#;

const RUNS_INTRODUCTION: &str = r#"
## What real storms came to

100,000 phones, each over a connection and a full handshake of its own, with a certificate on both sides. They ask for the profile of
[performance.md](performance.md), which lies ready, as it does where the phones were without power and the server was not. The server has one core, the phones
have another. Phones that are not served come again by the law that the packs set. Limits are the default, but that one address may have all
connections.

```sh
cargo bench --bench reliability -- storm --delay 2,30,600 --write
```

"#;

const SESSIONS: &str = r#"
## Phones with an ACS

A phone that an ACS manages ([acs.md](acs.md)) opens a session each `acs.interval` seconds. One in which nothing changes is two requests and two answers, 2.4 kB beside the
connection, one row of events and one of phones. Beyond connection and handshake it takes the server 0.35 ms of processor time, on SQLite and on PostgreSQL; PostgreSQL itself takes
0.52 ms (`cargo bench --bench sessions`, [performance.md](performance.md)). So 1,000,000 phones that inform every hour are 278 sessions a second: with a full handshake
each (1.3 ms; more where phones show certificates) some 0.46 of a core for resyncd and 0.15 for PostgreSQL. A session in which a new phone is set up is ten messages, 12 kB and
1.2 ms.

With `acs.interval` phones are spread by their MAC over the whole interval. After a power cut all come at once: they are as good a storm as resyncs are, and
`limits.sessions` has those wait that are too many.
"#;

const LIMITS: &str = r#"
## What it doesn't know

- **Many cores and many nodes.** What two cores do is taken to be what a thousand do. Phones are taken to spread evenly over nodes, as they do by DNS
  or a balancer; no node is away (`utilisation` leaves room).
- **The database.** It is asked for nothing but events. Where devices are in the database, each is read once and then kept at hand, up to `cache.records`; those are up
  to as many questions as there are resyncs, of 60 to 140 µs each ([database.md](database.md)).
- **What else phones do.** Uploads, static files, firmware; phones that try several names make several requests.
- **503.** Over plain HTTP a server tells phones to come back (`limits.requests`) before their patience ends. Over TLS it is handshakes that take
  the time, and they wait.
"#;

pub fn page() -> String {
    let mut page = heading("How much a fleet wants", "src/cli/docs/capacity.rs and src/capacity/");
    page += INTRODUCTION;
    let inputs = Inputs::of(100_000);
    page += &format!("```text\n{}```\n", human(&inputs, &Plan::of(&inputs)));
    page += MODEL;
    page += &first_row(&["figure", "value", "unit", "what it is", "measured"]);
    for figure in &FIGURES {
        page += &row(&[
            &format!("`{}`", figure.name),
            &value(figure.value),
            unit(figure.unit),
            figure.about,
            figure.source,
        ]);
    }
    page += AFTER_FIGURES;
    page += FLEETS_INTRODUCTION;
    fleets(&mut page);
    page += RUNS_INTRODUCTION;
    page += &format!("{}\n\n{NOT_RUN}\n\n{}\n", RUNS.0, RUNS.1);
    page += SESSIONS;
    page += LIMITS;
    page
}

/// The page, with what a benchmark has written into this one.
pub fn with_runs_of(page: &str, found: &str) -> String {
    let between = |text: &str| {
        let begin = text.find(RUNS.0)? + RUNS.0.len();
        Some((begin, begin + text.get(begin..)?.find(RUNS.1)?))
    };
    let parts = between(page).zip(between(found)).and_then(|((begin, end), (found_begin, found_end))| {
        Some([page.get(..begin)?, found.get(found_begin..found_end)?, page.get(end..)?].concat())
    });
    parts.unwrap_or_else(|| page.to_owned())
}

fn value(value: f64) -> String {
    if value >= 1_000.0 { thousands(value as u64) } else { value.to_string() }
}

fn fleets(page: &mut String) {
    let inputs = |phones| Inputs { cores: CORES, ..Inputs::of(phones) };
    *page += &first_row(&[
        "phones",
        "resyncs and rows a second",
        "nodes",
        "nodes, if nothing is ready",
        "database",
        "events a day",
        "in 90 days",
        "Mbit/s",
    ]);
    for phones in FLEETS {
        let plan = Plan::of(&inputs(phones));
        let cold = Plan::of(&Inputs { changed: 1.0, ..inputs(phones) });
        let (daily, database) = (&plan.daily, &plan.database);
        *page += &row(&[
            &thousands(phones),
            &number(daily.resyncs_per_second),
            &thousands(daily.nodes),
            &thousands(cold.daily.nodes),
            does(&plan),
            &bytes(database.gigabytes_per_day * 1e9),
            &database.gigabytes_kept.map(|gigabytes| bytes(gigabytes * 1e9)).unwrap_or_default(),
            &number(daily.megabits_per_second),
        ]);
    }
    *page += "\n### When the power is back\n\nThe three columns at the end are played with the nodes of every day.\n\n";
    let up_within = DELAYS.map(|delay| format!("the last phone is up, delay {delay} s"));
    let mut head = vec!["phones", "resyncs and rows a second", "nodes for all to be up in 600 s", "Mbit/s"];
    head.extend(up_within.iter().map(String::as_str));
    *page += &first_row(&head);
    for phones in FLEETS {
        let cut = Plan::of(&inputs(phones)).power_cut;
        let mut cells = vec![
            thousands(phones),
            number(cut.resyncs_per_second),
            thousands(cut.nodes),
            number(cut.megabits_per_second),
        ];
        cells.extend(DELAYS.map(|delay| up(&Plan::of(&Inputs { delay, ..inputs(phones) }))));
        *page += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    *page += "\n### Memory of a node\n\n";
    *page += &first_row(&[
        "phones",
        "devices in files",
        "devices in the database",
        "of both: all profiles ready",
        "of both: connections",
    ]);
    for phones in FLEETS {
        let memory = Plan::of(&inputs(phones)).memory;
        let cells = [memory.devices_in_files, memory.devices_in_database, memory.cache, memory.connections];
        let cells: Vec<String> = std::iter::once(thousands(phones)).chain(cells.map(|size| bytes(size.0))).collect();
        *page += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_benchmark_wrote_stays() {
        let (begin, end) = RUNS;
        let found = format!("old\n{begin}\n\n| delay | served |\n\n{end}\nold");
        let kept = with_runs_of(&page(), &found);
        assert!(kept.contains("| delay | served |") && !kept.contains(NOT_RUN) && !kept.contains("old\n"));
        assert_eq!(kept.replace("| delay | served |", NOT_RUN), page());
        // A page without the place gets the whole one.
        assert_eq!(with_runs_of(&page(), "old"), page());
        assert_eq!(with_runs_of(&page(), &format!("{end}{begin}")), page());
    }
}
