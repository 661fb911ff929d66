//! What an event costs a request, and how many the database takes. `BENCH_EVENTS=10000000` fills it with so many, in steps
//! of ten, and tells what the last thousands of each step took.
#![allow(clippy::unwrap_used, reason = "a benchmark that meets the unexpected should fail there")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use resyncd::cli::logging;
use resyncd::config::{Database, Events, Log, LogFormat};
use resyncd::events::{Entry, Event, EventIds, Kind, Metrics, Outcome, Recorder};
use resyncd::store::Store;
use time::macros::datetime;
use tokio::runtime::Runtime;

fn event() -> Event {
    Event {
        time: datetime!(2026-03-01 10:00 UTC),
        kind: Kind::Resync,
        listener: Arc::from("https"),
        peer: "192.0.2.7:50001".parse().unwrap(),
        method: "GET".to_owned(),
        target: "/cisco/000e08abcdef.xml".to_owned(),
        status: 200,
        bytes: 8311,
        duration: Duration::from_micros(1_234),
        tls_version: Some("TLSv1.3"),
        tls_cipher: Some("TLS_AES_256_GCM_SHA384".to_owned()),
        certificate: Some("OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef".to_owned()),
        user_agent: Some("Cisco-CP-6841-3PCC/11.3.1 (88012BA01234)".to_owned()),
        vendor: Some("Cisco".to_owned()),
        model: Some("CP-6841-3PCC".to_owned()),
        firmware: Some("11.3.1".to_owned()),
        device: Some("000e08abcdef".parse().unwrap()),
        asked_mac: Some("000e08abcdef".parse().unwrap()),
        file: Some("cisco-mpp/profile".to_owned()),
        generation: 3,
        encoding: Some("gzip+aes-256-cbc"),
        outcome: Outcome::Served,
        reason: None,
        flags: Vec::new(),
    }
}

async fn store(folder: &tempfile::TempDir) -> Store {
    Store::open(&Database::sqlite(folder.path().join("resyncd.db"))).await.unwrap()
}

/// Records so many events, and brings them to the database in between, untimed: what is measured is what a request waits.
fn recorded(runtime: &Runtime, recorder: &Recorder, count: u64) -> Duration {
    const AT_A_TIME: u64 = 10_000;
    let mut taken = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let now = left.min(AT_A_TIME);
        let events: Vec<_> = (0..now).map(|_| event()).collect();
        let start = Instant::now();
        events.into_iter().for_each(|event| recorder.record(event));
        taken += start.elapsed();
        runtime.block_on(recorder.flush());
        left -= now;
    }
    taken
}

fn record(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let events = Events { queue: 100_000, spool_bytes: 64 << 20, keep: None, keep_rows: None };
    let recorder = runtime.block_on(async {
        Recorder::start(store(&folder).await, &events, folder.path(), Arc::new(Metrics::new())).unwrap()
    });
    recorder.metrics().set_models([("Cisco", "CP-6841-3PCC")]);
    criterion.bench_function("record, no log", |bencher| {
        bencher.iter_custom(|count| recorded(&runtime, &recorder, count));
    });
    for (name, format) in [("record, text log", LogFormat::Text), ("record, JSON log", LogFormat::Json)] {
        let log = Log { format, level: "info".to_owned() };
        let subscriber = logging::subscriber(&log, false, std::io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            criterion.bench_function(name, |bencher| {
                bencher.iter_custom(|count| recorded(&runtime, &recorder, count));
            });
        });
    }
    runtime.block_on(recorder.close());
}

fn insert(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = runtime.block_on(store(&folder));
    let ids = EventIds::new().unwrap();
    let mut group = criterion.benchmark_group("insert");
    for count in [1, 50, 500] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} events"), |bencher| {
            bencher.iter_batched(
                || (0..count).map(|_| Entry::new(ids.next(event().time), event())).collect::<Vec<_>>(),
                |entries| runtime.block_on(store.insert_events(&entries)).unwrap(),
                BatchSize::LargeInput,
            );
        });
    }
}

/// Not a measurement by criterion: a table of ten million rows is filled once.
fn grow(_: &mut Criterion) {
    const AT_A_TIME: u64 = 500;
    const TIMED: u64 = 50_000;
    let most = std::env::var("BENCH_EVENTS").map_or(100_000, |count| count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = runtime.block_on(store(&folder));
    let ids = EventIds::new().unwrap();
    let (mut filled, mut count) = (0, 100_000);
    println!("   events | taken in per second, 100,000 devices in turn");
    while count <= most {
        let mut timed = Duration::ZERO;
        while filled < count {
            let entries: Vec<_> = (0..AT_A_TIME)
                .map(|_| {
                    let mut event = event();
                    event.time += Duration::from_millis(filled);
                    event.device = Some(format!("000e08{:06x}", fastrand::u32(0..100_000)).parse().unwrap());
                    Entry::new(ids.next(event.time), event)
                })
                .collect();
            let start = Instant::now();
            runtime.block_on(store.insert_events(&entries)).unwrap();
            filled += AT_A_TIME;
            if filled > count - TIMED {
                timed += start.elapsed();
            }
        }
        println!("{count:>9} | {:>9.0}", TIMED as f64 / timed.as_secs_f64());
        count *= 10;
    }
}

criterion_group!(benches, record, insert, grow);
criterion_main!(benches);
