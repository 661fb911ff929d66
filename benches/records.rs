//! How looking up, changing and importing devices in the database grows with their number. `cargo bench --bench records`
//! takes 1,000 and 10,000; `BENCH_DEVICES=1000000` goes on to so many in steps of ten. SQLite, and PostgreSQL where
//! `BENCH_POSTGRES` names a database that may be filled and is empty.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that meets the unexpected should stop"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resyncd::config::{Config, Database};
use resyncd::fleet::{self, Actor, Edit, Expect, Fleet, Liberties, Name, What};
use resyncd::model::{MacAddr, Secret};
use resyncd::records::{Record, Records, Tree};
use resyncd::resync::{Generation, Lookup};
use resyncd::store::{DeviceWrite, FleetWrite, Store};
use resyncd::vault::{Unlocked, unlock};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// Devices that are looked up, each for the first time and then again.
const LOOKED_UP: usize = 2_000;

/// Records that are written at a time.
const AT_A_TIME: u32 = 5_000;

fn mac(number: u32) -> MacAddr {
    let [_, a, b, c] = number.to_be_bytes();
    MacAddr::from_octets([0x00, 0x0e, 0x08, a, b, c]).unwrap()
}

fn settings(number: u32) -> Value {
    json!({
        "lines": {"1": {
            "user": number.to_string(),
            "password": format!("not-a-real-password-{number}"),
            "display_name": format!("Phone {number}"),
            "proxy": "sip.example.com",
        }},
        "params": {"Time_Zone": "GMT+01:00"},
    })
}

struct Bench {
    _folder: tempfile::TempDir,
    config: Arc<Config>,
    generation: Generation,
    store: Store,
    vault: resyncd::vault::Vault,
}

impl Bench {
    async fn new(database: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let templates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates");
        let write = |path: &str, text: &str| {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write(
            "resyncd.toml",
            &format!(
                "templates = {templates:?}\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:8080\"\n\
                 [secrets]\nmaster_key = {{ file = \"data/master.key\" }}\n"
            ),
        );
        // The same for both, so that one database may be opened twice.
        write("data/master.key", &"0123456789abcdef".repeat(4));
        write("profiles/defaults.toml", "[access]\nnetworks = [\"192.0.2.0/24\"]\n");
        write("profiles/groups/acme.toml", "[time]\nzone = \"Europe/Vienna\"\n");
        let file = folder.path().join("resyncd.toml");
        let mut config = Config::load_with_environment(&file, std::iter::empty::<(String, String)>()).unwrap();
        if let Some(url) = database {
            config.database = Database::postgres(Secret::new(url));
        }
        let generation = Generation::load(&config.templates, &config.profiles, 1).unwrap();
        let store = Store::open(&config.database).await.unwrap();
        let Unlocked { vault, .. } = unlock(&config, &store).await.unwrap();
        Self { _folder: folder, config: Arc::new(config), generation, store, vault }
    }

    fn row(&self, number: u32, was: Option<i64>) -> DeviceWrite {
        let Value::Object(tree) = settings(number) else { unreachable!() };
        let record = Record {
            mac: mac(number),
            model: Some("CP-6841-3PCC".to_owned()),
            serial: format!("BENCH{number:07}").parse().ok(),
            group: Some("acme".to_owned()),
            settings: Tree::new(tree),
        };
        let secret = BTreeSet::from([["lines", "1", "password"].map(str::to_owned).to_vec()]);
        let row = record.seal(&secret, &self.vault, OffsetDateTime::now_utc()).unwrap();
        let users = vec![number.to_string()];
        DeviceWrite { mac: record.mac, was, row: Some(row), users, search: format!("phone {number}") }
    }

    async fn write(&self, devices: Vec<DeviceWrite>) {
        let write = FleetWrite { time: OffsetDateTime::now_utc(), devices, groups: Vec::new(), audit: Vec::new() };
        self.store.write_fleet(&write).await.unwrap();
    }

    async fn fill(&self, from: u32, to: u32) {
        let mut at = from;
        while at < to {
            let end = to.min(at + AT_A_TIME);
            self.write((at..end).map(|number| self.row(number, None)).collect()).await;
            at = end;
        }
    }

    async fn take_in(&self, records: &Records) {
        let news = records.news().await.unwrap().expect("something has been written since");
        records.take_in(news);
    }

    async fn look_up(&self, records: &Records, macs: &[MacAddr]) -> Vec<Duration> {
        let mut taken = Vec::with_capacity(macs.len());
        for mac in macs {
            let started = Instant::now();
            let lookup = records.lookup(&self.generation, *mac).await;
            taken.push(started.elapsed());
            assert!(matches!(lookup, Lookup::Record(_)), "{lookup:?}");
        }
        taken.sort();
        taken
    }
}

/// The median and the 99th percentile.
fn told(taken: &[Duration]) -> String {
    let at = |percent: usize| taken[(taken.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    format!("{:>6.0} / {:>6.0}", at(50), at(99))
}

/// Megabytes that the process holds.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4 / 1024
}

async fn grow(name: &str, database: Option<&str>, most: u32) {
    let bench = Bench::new(database).await;
    let (mut filled, mut count) = (0, 1_000);
    while count <= most {
        bench.fill(filled, count).await;
        filled = count;
        let before = resident();
        let records = Records::new(bench.store.clone(), bench.vault.clone(), 256 << 20);
        let started = Instant::now();
        bench.take_in(&records).await;
        let (loaded, held) = (started.elapsed(), resident().saturating_sub(before));
        let some: Vec<MacAddr> =
            (0..LOOKED_UP).map(|_| mac(fastrand::u32(0..count))).collect::<BTreeSet<_>>().into_iter().collect();
        let (cold, warm) = (bench.look_up(&records, &some).await, bench.look_up(&records, &some).await);
        let was = bench.store.device(mac(0)).await.unwrap().map(|row| row.revision);
        let started = Instant::now();
        bench.write(vec![bench.row(0, was)]).await;
        bench.take_in(&records).await;
        let changed = started.elapsed();
        println!(
            "{name:<10} | {count:>9} | {:>7.2} s | {held:>5} MB | {} | {} | {:>6.2} ms",
            loaded.as_secs_f64(),
            told(&cold),
            told(&warm),
            changed.as_secs_f64() * 1e3
        );
        count *= 10;
    }
}

/// An import as `resyncd device import` does it: read, judged as `resyncd check` does, and written.
async fn import(name: &str, database: Option<&str>, count: u32) {
    let bench = Bench::new(database).await;
    let mut text = String::from("mac,model,group,user,password,proxy\n");
    for number in 0..count {
        // Others than those that are there already.
        let mac = mac(0x80_0000 + number);
        writeln!(text, "{mac},CP-6841-3PCC,acme,{number},not-a-real-password-{number},sip.example.com").unwrap();
    }
    let (fleet, _) = Fleet::open(bench.config.clone()).await.unwrap();
    let started = Instant::now();
    let mut edits = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let Value::Object(object) = json!({
            "model": cells[1], "group": cells[2],
            "settings": {"lines": {"1": {"user": cells[3], "password": cells[4], "proxy": cells[5]}}},
        }) else {
            unreachable!()
        };
        let name = Name::Device(cells[0].parse().unwrap());
        edits.push(Edit { row: None, name, what: What::Put(object), expect: Expect::Absent });
    }
    let plan = fleet.plan(edits, Liberties::default()).await.unwrap();
    assert!(plan.refused.is_empty(), "{:?}", plan.refused.first());
    let planned = started.elapsed();
    let applied = fleet.apply(plan, &Actor { name: "cli:bench".to_owned(), peer: None }).await.unwrap();
    assert_eq!(applied.created, usize::try_from(count).unwrap());
    println!(
        "{name:<10} | import of {count}: judged in {:.1} s, written in {:.1} s",
        planned.as_secs_f64(),
        (started.elapsed() - planned).as_secs_f64()
    );
    let query = fleet::Query { user: Some("7".to_owned()), ..fleet::Query::default() };
    let started = Instant::now();
    fleet.find(&query, None, 10).await.unwrap();
    println!("{name:<10} | found by user in {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
}

fn main() {
    let most = std::env::var("BENCH_DEVICES").map_or(10_000, |count| count.parse().expect("a number of devices"));
    let postgres = std::env::var("BENCH_POSTGRES").ok();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("database   |   devices |  loaded   |  memory  | first lookup, µs  | next lookup, µs   | change in force");
    println!("           |           |           |          |   median /    p99 |   median /    p99 |");
    runtime.block_on(async {
        grow("SQLite", None, most).await;
        if let Some(url) = &postgres {
            grow("PostgreSQL", Some(url), most).await;
        }
        import("SQLite", None, most.min(100_000)).await;
        if let Some(url) = &postgres {
            import("PostgreSQL", Some(url), most.min(100_000)).await;
        }
    });
}
