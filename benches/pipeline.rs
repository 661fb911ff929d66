//! What a resync costs on its way: matching the path, reading the User-Agent, merging settings, rendering, and the whole
//! pipeline with its caches warm and cold. `cargo bench --bench pipeline`.
//!
//! `BENCH_DEVICES=100000 cargo bench --bench pipeline -- load` loads that many device files (1,000 otherwise).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that meets the unexpected should stop"
)]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use resyncd::model::Secret;
use resyncd::render::Shown;
use resyncd::resync::{ClientCertificate, Connection, Generation, Pipeline, Request, TlsSession};
use time::OffsetDateTime;

const MAC: &str = "000e08abcdef";
const USER_AGENT: &str = "Cisco-CP-6841-3PCC/11.2.4 (000e08abcdef)";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn example() -> Generation {
    Generation::load(&root().join("templates"), &root().join("profiles"), 1)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn connection() -> Connection {
    let subject = "OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef".parse().unwrap();
    Connection {
        listener: "https".into(),
        peer: "127.0.0.1:50000".parse().unwrap(),
        tls: Some(TlsSession {
            version: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            certificate: ClientCertificate::verified(subject),
        }),
    }
}

fn ask(pipeline: &Pipeline, connection: &Connection, target: &str) -> u16 {
    let request = Request {
        connection,
        time: OffsetDateTime::UNIX_EPOCH,
        started: Instant::now(),
        method: "GET",
        target,
        user_agent: Some(USER_AGENT),
        if_none_match: None,
        authorization: None,
        vouched: None,
    };
    pipeline.answer(&request).0.status
}

fn steps(criterion: &mut Criterion) {
    let generation = example();
    let device = generation.profiles.device(MAC.parse().unwrap()).unwrap();
    let (pack, _) = generation.packs.pack_and_model(device.model).unwrap();
    let file = pack.file("profile").unwrap();
    let path = format!("/cisco/{MAC}.xml");
    let settings = generation.settings(device);
    criterion.bench_function("match a path", |bench| bench.iter(|| generation.packs.matches(black_box(&path))));
    criterion.bench_function("match no path", |bench| {
        bench.iter(|| generation.packs.matches(black_box("/nothing/of/the/kind.php")))
    });
    criterion.bench_function("read a User-Agent", |bench| {
        bench.iter(|| generation.packs.identify_user_agent(black_box(USER_AGENT)))
    });
    criterion
        .bench_function("merge a device's settings", |bench| bench.iter(|| generation.settings(black_box(device))));
    criterion.bench_function("render a profile", |bench| {
        bench.iter(|| generation.render(device, file, &settings, Shown::Real, 1 << 20).unwrap())
    });
}

fn pipeline(criterion: &mut Criterion) {
    let (connection, target) = (connection(), format!("/cisco/{MAC}.xml"));
    let warm = Pipeline::new(example(), 64 << 20, Secret::new([7; 32]), 1 << 20);
    assert_eq!(ask(&warm, &connection, &target), 200);
    criterion.bench_function("pipeline, warm", |bench| bench.iter(|| ask(&warm, &connection, &target)));
    let cold = Pipeline::new(example(), 0, Secret::new([7; 32]), 1 << 20);
    criterion.bench_function("pipeline, cold", |bench| bench.iter(|| ask(&cold, &connection, &target)));
    criterion.bench_function("pipeline, unknown device", |bench| {
        bench.iter(|| ask(&warm, &connection, "/cisco/000e08000001.xml"))
    });
}

/// A deployment of so many devices in ten groups.
fn fleet(folder: &Path, devices: usize) {
    let profiles = folder.join("profiles");
    fs::create_dir_all(profiles.join("groups")).unwrap();
    fs::write(
        profiles.join("defaults.toml"),
        "[provisioning]\nurl = \"https://prov.example\"\n[access]\ncertificate = true\n",
    )
    .unwrap();
    for group in 0..10 {
        let text = format!("[lines.1]\nproxy = \"sip{group}.example\"\n[time]\nzone = \"Europe/Vienna\"\n");
        fs::write(profiles.join(format!("groups/g{group}.toml")), text).unwrap();
    }
    for number in 0..devices {
        let folder = profiles.join(format!("devices/{:02x}", number % 256));
        fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "model = \"CP-6841-3PCC\"\ngroup = \"g{}\"\nserial = \"SN{number:08}\"\n\n[lines.1]\nuser = \"{number}\"\n\
             password = \"example-only-{number}\"\ndisplay_name = \"Phone {number}\"\n\n[delivery]\ngzip = true\n\
             encryption = \"aes-256-cbc\"\nkey = \"example-only-key-{number}\"\n\n[params]\nResync_Periodic = 7200\n",
            number % 10
        );
        fs::write(folder.join(format!("000e{number:08x}.toml")), text).unwrap();
    }
}

fn load(criterion: &mut Criterion) {
    let devices = std::env::var("BENCH_DEVICES").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000);
    let folder = tempfile::tempdir().unwrap();
    fleet(folder.path(), devices);
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    group.bench_function(format!("{devices} device files"), |bench| {
        bench.iter(|| Generation::load(&root().join("templates"), &folder.path().join("profiles"), 1).unwrap())
    });
    group.finish();
}

criterion_group!(benches, steps, pipeline, load);
criterion_main!(benches);
