//! The arithmetic: from the fleet and the figures to nodes, network, database and memory.

use serde::Serialize;

use super::Inputs;
use super::storm::{Storm, Weathered};

/// What a fleet wants. As JSON it is what `resyncd plan --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub phones: u64,
    /// An ordinary day.
    pub daily: Daily,
    /// The power is back, and all phones are to have their profile within the random delay.
    pub power_cut: Daily,
    /// The same with no more nodes than an ordinary day wants, or with those that were asked for.
    pub storm: StormPlan,
    pub database: Database,
    pub memory: Memory,
}

/// What goes on in a second, and who is needed for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Daily {
    pub resyncs_per_second: f64,
    /// Microseconds of processor time.
    pub cpu_us_per_resync: f64,
    /// Cores that are busy all the time.
    pub cores_busy: f64,
    /// No node uses more than `utilisation` of its cores.
    pub nodes: u64,
    pub database_rows_per_second: f64,
    pub megabits_per_second: f64,
}

/// The power cut, played.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StormPlan {
    pub nodes: u64,
    /// What these nodes can serve in a second, with all of their cores.
    pub resyncs_per_second: f64,
    /// None: more than thirty days, or some never come again.
    pub seconds_until_the_last_phone_is_up: Option<f64>,
    /// Tries of phones that had to go, and came again.
    pub tries_in_vain: f64,
    /// Seconds of processor time, of all nodes together.
    pub cpu_seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Database {
    pub wanted: Wanted,
    pub rows_per_day: f64,
    pub gigabytes_per_day: f64,
    /// What is there when the oldest begin to be deleted; none: they are kept for ever.
    pub rows_kept: Option<f64>,
    pub gigabytes_kept: Option<f64>,
}

/// Which database does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// The one inside the program.
    Sqlite,
    /// There are several nodes.
    PostgresqlForNodes,
    /// One node, but more events than SQLite takes.
    PostgresqlForEvents,
}

/// Of each node, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Memory {
    /// Where every device has a file.
    pub devices_in_files: Bytes,
    /// Where every device has a record in the database instead.
    pub devices_in_database: Bytes,
    /// Of both: what `cache.size` has to be for every profile to stay ready, or what it was said to be.
    pub cache: Bytes,
    /// Of both: connections at their most.
    pub connections: Bytes,
}

/// Bytes; of a fleet that no machine has room for, too.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Bytes(pub f64);

const DAY: f64 = 86_400.0;
const MICROSECONDS: f64 = 1e6;

/// Bytes of a ready profile beside its body, as the cache counts them (`resync::cache`).
const BESIDE_BODY: f64 = 512.0;

impl Plan {
    pub fn of(inputs: &Inputs) -> Self {
        let figures = &inputs.figures;
        let phones = inputs.phones as f64;
        let all_ready = phones * (figures.profile_bytes + BESIDE_BODY);
        let cache = inputs.cache.map_or(all_ready, |bytes| bytes as f64);
        let cold = inputs.changed.max(1.0 - cache / all_ready.max(1.0)).clamp(0.0, 1.0);
        let render = (figures.cpu_cold - figures.cpu_full).max(0.0) * cold;
        let daily_cpu = figures.cpu_full * (1.0 - inputs.resumed) + figures.cpu_resumed * inputs.resumed + render;
        let storm_cpu = figures.cpu_full + render;

        let daily = in_a_second(inputs, phones / inputs.period, daily_cpu);
        let power_cut = in_a_second(inputs, phones / inputs.delay, storm_cpu);
        let nodes = inputs.nodes.unwrap_or(daily.nodes).max(1);
        let storm = storm(inputs, nodes, storm_cpu);
        let per_node = |nodes: u64| (phones / inputs.delay / nodes as f64 * figures.patience).min(figures.connections);
        Self {
            phones: inputs.phones,
            daily,
            power_cut,
            storm,
            database: database(inputs, &daily, &power_cut, &storm),
            memory: memory(inputs, cache.min(all_ready), per_node(nodes)),
        }
    }
}

fn in_a_second(inputs: &Inputs, resyncs: f64, cpu: f64) -> Daily {
    let figures = &inputs.figures;
    let busy = resyncs * cpu / MICROSECONDS;
    let of_a_node = f64::from(inputs.cores.max(1)) * figures.utilisation;
    Daily {
        resyncs_per_second: resyncs,
        cpu_us_per_resync: cpu,
        cores_busy: busy,
        // What no integer holds becomes the largest.
        nodes: ((busy / of_a_node).ceil() as u64).max(1),
        database_rows_per_second: resyncs * figures.events,
        megabits_per_second: resyncs * (figures.profile_bytes + figures.wire_bytes) * 8.0 / 1e6,
    }
}

fn storm(inputs: &Inputs, nodes: u64, cpu: f64) -> StormPlan {
    let cores = nodes as f64 * f64::from(inputs.cores.max(1));
    let per_second = cores * MICROSECONDS / cpu;
    let storm = Storm {
        phones: inputs.phones as f64,
        delay: inputs.delay,
        per_second,
        patience: inputs.figures.patience,
        loss: inputs.figures.storm_loss,
        retry: &inputs.retry,
    };
    let Weathered { last, in_vain, busy, .. } = storm.play();
    StormPlan {
        nodes,
        resyncs_per_second: per_second,
        seconds_until_the_last_phone_is_up: last,
        tries_in_vain: in_vain,
        cpu_seconds: busy * cores,
    }
}

fn database(inputs: &Inputs, daily: &Daily, power_cut: &Daily, storm: &StormPlan) -> Database {
    let figures = &inputs.figures;
    let rows_per_day = daily.database_rows_per_second * DAY;
    let gigabytes = |rows: f64| rows * figures.event_bytes / 1e9;
    let rows_kept = inputs.keep.map(|seconds| daily.database_rows_per_second * seconds);
    // No more comes to the database than the nodes serve.
    let served = (storm.resyncs_per_second * figures.events).min(power_cut.database_rows_per_second);
    let most = daily.database_rows_per_second.max(served);
    let wanted = match storm.nodes {
        2.. => Wanted::PostgresqlForNodes,
        _ if most > figures.sqlite_events => Wanted::PostgresqlForEvents,
        _ => Wanted::Sqlite,
    };
    Database {
        wanted,
        rows_per_day,
        gigabytes_per_day: gigabytes(rows_per_day),
        rows_kept,
        gigabytes_kept: rows_kept.map(gigabytes),
    }
}

fn memory(inputs: &Inputs, cache: f64, connections: f64) -> Memory {
    let figures = &inputs.figures;
    let phones = inputs.phones as f64;
    let connections = connections * figures.memory_connection;
    let both = figures.memory_base + cache + connections;
    // A record at hand is a few kilobytes: those of a small fleet don't fill what there is for them.
    let at_hand = figures.memory_records.min(phones * RECORD_AT_HAND);
    Memory {
        devices_in_files: Bytes(both + phones * figures.memory_file),
        devices_in_database: Bytes(both + phones * figures.memory_record + at_hand),
        cache: Bytes(cache),
        connections: Bytes(connections),
    }
}

/// Bytes of a record that is at hand: some twenty thousand fit into 128 MiB (docs/several-servers.md).
const RECORD_AT_HAND: f64 = 6_700.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Figures;

    fn near(value: f64, wanted: f64) {
        assert!((value - wanted).abs() <= wanted.abs() * 1e-9, "{value} is not {wanted}");
    }

    /// Round figures: 1 ms for a full handshake, 0.4 ms for a resumed one, 5 ms more to render; half of a core.
    fn figures() -> Figures {
        let mut figures = Figures::default();
        for text in [
            "cpu-full=1000",
            "cpu-resumed=400",
            "cpu-cold=6000",
            "utilisation=0.5",
            "profile-bytes=9488",
            "wire-bytes=512",
            "events=2",
            "event-bytes=500",
            "memory-base=50e6",
            "memory-file=4000",
            "memory-record=200",
            "memory-connection=60000",
            "storm-loss=0",
        ] {
            figures.set(text).unwrap();
        }
        figures
    }

    fn inputs(phones: u64) -> Inputs {
        Inputs { figures: figures(), resumed: 0.5, changed: 0.1, period: 1_000.0, delay: 100.0, ..Inputs::of(phones) }
    }

    #[test]
    fn a_fleet_reckoned_by_hand() {
        let plan = Plan::of(&Inputs { cores: 4, keep: Some(10.0 * 86_400.0), ..inputs(1_000_000) });
        // 1,000 a second, at 0.5 × 1 + 0.5 × 0.4 + 0.1 × 5 = 1.2 ms: 1.2 cores of the 2 of a node that may be used.
        near(plan.daily.resyncs_per_second, 1_000.0);
        near(plan.daily.cpu_us_per_resync, 1_200.0);
        near(plan.daily.cores_busy, 1.2);
        assert_eq!(plan.daily.nodes, 1);
        near(plan.daily.database_rows_per_second, 2_000.0);
        near(plan.daily.megabits_per_second, 80.0);
        // 10,000 a second at 1.5 ms: 15 cores, 7.5 nodes.
        near(plan.power_cut.resyncs_per_second, 10_000.0);
        near(plan.power_cut.cpu_us_per_resync, 1_500.0);
        near(plan.power_cut.cores_busy, 15.0);
        assert_eq!(plan.power_cut.nodes, 8);
        near(plan.power_cut.megabits_per_second, 800.0);
        // One node has 4 cores: 2,667 a second.
        assert_eq!(plan.storm.nodes, 1);
        near(plan.storm.resyncs_per_second, 4.0 / 0.0015);
        assert!(plan.storm.seconds_until_the_last_phone_is_up.unwrap() > 1_000_000.0 * 0.0015 / 4.0);
        assert!((plan.storm.cpu_seconds - 1_500.0).abs() < 5.0, "{:?}", plan.storm);
        // 2,000 rows a second of 500 bytes are 1 MB. In the storm the node serves no more than makes 5,333.
        assert_eq!(plan.database.wanted, Wanted::Sqlite);
        near(plan.database.rows_per_day, 172_800_000.0);
        near(plan.database.gigabytes_per_day, 86.4);
        near(plan.database.gigabytes_kept.unwrap(), 864.0);
        // A profile takes 10,000 bytes with all that belongs to it; all 4,096 connections are open.
        near(plan.memory.cache.0, 10e9);
        near(plan.memory.connections.0, 4_096.0 * 60_000.0);
        near(plan.memory.devices_in_files.0, 50e6 + 10e9 + 245_760_000.0 + 4e9);
        near(plan.memory.devices_in_database.0, 50e6 + 10e9 + 245_760_000.0 + 0.2e9 + 134_217_728.0);
    }

    #[test]
    fn a_cache_that_is_too_small_has_profiles_rendered() {
        // Half of 1,000 profiles of 10,000 bytes stay ready.
        let half = Plan::of(&Inputs { cache: Some(5_000_000), resumed: 0.0, ..inputs(1_000) });
        near(half.daily.cpu_us_per_resync, 1_000.0 + 0.5 * 5_000.0);
        near(half.memory.cache.0, 5e6);
        let none = Plan::of(&Inputs { cache: Some(0), resumed: 0.0, ..inputs(1_000) });
        near(none.daily.cpu_us_per_resync, 6_000.0);
        // What isn't needed isn't taken, and what has changed is rendered all the same.
        let enough = Plan::of(&Inputs { cache: Some(u64::MAX), resumed: 0.0, ..inputs(1_000) });
        near(enough.memory.cache.0, 10e6);
        near(enough.daily.cpu_us_per_resync, 1_500.0);
    }

    #[test]
    fn which_database_does() {
        let wanted = |inputs: Inputs| Plan::of(&inputs).database.wanted;
        assert_eq!(wanted(inputs(10_000)), Wanted::Sqlite);
        assert_eq!(wanted(Inputs { nodes: Some(2), ..inputs(10_000) }), Wanted::PostgresqlForNodes);
        assert_eq!(wanted(inputs(1_000_000)), Wanted::PostgresqlForNodes);
        assert_eq!(wanted(Inputs { cores: 1_000, ..inputs(2_000_000) }), Wanted::PostgresqlForEvents);
        assert_eq!(Plan::of(&Inputs { keep: None, ..inputs(1) }).database.gigabytes_kept, None);
    }

    #[test]
    fn more_phones_never_want_less() {
        let plans: Vec<Plan> = [1, 10, 1_000, 50_000, 100_000, 10_000_000, 1 << 40, u64::MAX]
            .into_iter()
            .map(|phones| Plan::of(&inputs(phones)))
            .collect();
        for pair in plans.windows(2) {
            let [less, more] = pair else { unreachable!() };
            for of in [|plan: &Plan| plan.daily, |plan: &Plan| plan.power_cut] {
                let (less, more) = (of(less), of(more));
                assert!(less.nodes <= more.nodes && less.resyncs_per_second < more.resyncs_per_second);
                assert!(less.cores_busy < more.cores_busy && less.megabits_per_second < more.megabits_per_second);
            }
            assert!(less.memory.devices_in_files < more.memory.devices_in_files);
            assert!(less.memory.devices_in_database < more.memory.devices_in_database);
            assert!(less.database.gigabytes_per_day < more.database.gigabytes_per_day);
        }
    }

    #[test]
    fn the_largest_numbers_overflow_nothing() {
        let mut figures = Figures::default();
        for figure in &super::super::FIGURES {
            figures.set(&format!("{}={}", figure.name, figure.most)).unwrap();
        }
        let largest = Inputs {
            phones: u64::MAX,
            period: 1.0,
            cores: u32::MAX,
            delay: 1.0,
            resumed: 1.0,
            changed: 1.0,
            cache: Some(u64::MAX),
            keep: Some(1e12),
            retry: vec![super::super::Retry { after: 1e12, spread: 1e12 }],
            nodes: Some(u64::MAX),
            figures,
        };
        for inputs in [
            largest.clone(),
            Inputs { nodes: None, cores: 1, ..largest.clone() },
            Inputs { nodes: Some(1), cores: 1, ..largest },
        ] {
            let plan = Plan::of(&inputs);
            assert!(plan.daily.cores_busy.is_finite() && plan.memory.devices_in_files.0.is_finite(), "{plan:?}");
            assert!(plan.daily.nodes >= 1 && serde_json::to_string(&plan).is_ok());
        }
    }
}
