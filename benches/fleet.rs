//! What checking and comparing a whole fleet costs. `cargo bench --bench fleet` takes 1,000 devices;
//! `BENCH_DEVICES=100000` as many as a provider has, once each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that meets the unexpected should stop"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use resyncd::diff::{Side, compare};
use resyncd::lint::{self, Options};
use resyncd::revision::Deployment;

/// Models of three makers, as often as each other.
const MODELS: [(&str, &str); 3] = [("CP-6841-3PCC", "000e08"), ("6757i", "00085d"), ("GXP2170", "000b82")];

fn devices() -> u32 {
    std::env::var("BENCH_DEVICES").map_or(1_000, |count| count.parse().expect("a number of devices"))
}

/// A deployment of so many devices in a hundred groups.
fn deployment(folder: &Path, count: u32) {
    let write = |path: String, text: String| {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    let templates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates");
    let listener = "[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:8080\"\n";
    write("resyncd.toml".to_owned(), format!("templates = {templates:?}\n{listener}"));
    let defaults = "[provisioning]\nurl = \"http://prov.example:8080\"\n[access]\nnetworks = [\"192.0.2.0/24\"]\n";
    write("profiles/defaults.toml".to_owned(), defaults.to_owned());
    for group in 0..100 {
        let text = format!("[lines.1]\nproxy = \"sip{group}.example:5060\"\n[time]\nzone = \"Europe/Vienna\"\n");
        write(format!("profiles/groups/g{group}.toml"), text);
    }
    for number in 0..count {
        let (model, prefix) = MODELS[usize::try_from(number).unwrap() % MODELS.len()];
        let text = format!(
            "model = \"{model}\"\ngroup = \"g{}\"\n[lines.1]\nuser = \"{number}\"\npassword = {{ env = \"SIP_{number}\" }}\n\
             display_name = \"Phone {number}\"\n",
            number % 100
        );
        write(format!("profiles/devices/{:02x}/{prefix}{number:06x}.toml", number % 256), text);
    }
}

/// Measures: again and again where that takes no time, once where it does.
fn measure(criterion: &mut Criterion, name: &str, count: u32, mut work: impl FnMut()) {
    let name = format!("{name}, {count} devices");
    if count > 10_000 {
        let started = Instant::now();
        work();
        println!("{name}: {:.1} s, once", started.elapsed().as_secs_f64());
    } else {
        criterion.bench_function(&name, |bencher| bencher.iter(&mut work));
    }
}

fn fleet(criterion: &mut Criterion) {
    let count = devices();
    let folder = tempfile::tempdir().unwrap();
    deployment(folder.path(), count);
    let file = folder.path().join("resyncd.toml");
    measure(criterion, "check", count, || {
        let report = lint::run(&file, &Options::default(), &mut |_, _| {});
        assert_eq!(report.devices, usize::try_from(count).unwrap(), "{:?}", report.findings.first());
    });

    let here = Deployment::here(&file);
    let old = here.load().unwrap();
    let compared = |criterion: &mut Criterion, name: &str, concerned: u32| {
        let new = here.load().unwrap();
        measure(criterion, name, count, || {
            let limit = new.config.limits.profile_bytes;
            let report = compare(Side::of(&here, &old), Side::of(&here, &new), limit, None).unwrap();
            assert_eq!(report.concerned(), usize::try_from(concerned).unwrap(), "{name}");
        });
    };
    compared(criterion, "diff, nothing changed", 0);
    let group = folder.path().join("profiles/groups/g7.toml");
    let text = fs::read_to_string(&group).unwrap();
    fs::write(&group, text.replace("sip7.", "sip8.")).unwrap();
    compared(criterion, "diff, one group of a hundred", count / 100);
    fs::write(&group, text).unwrap();
    let defaults = folder.path().join("profiles/defaults.toml");
    let text = fs::read_to_string(&defaults).unwrap();
    fs::write(&defaults, format!("{text}[syslog]\nserver = \"log.example\"\n")).unwrap();
    compared(criterion, "diff, every device", count);
}

fn settings() -> Criterion {
    Criterion::default().sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10))
}

criterion_group! { name = benches; config = settings(); targets = fleet }
criterion_main!(benches);
