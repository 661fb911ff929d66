//! What packing costs per answer.
#![allow(clippy::unwrap_used, reason = "a benchmark that meets the unexpected should fail there")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use resyncd::delivery::{DEFAULT_RECORD_SIZE, Delivery, Encryption, KeyDigest};
use resyncd::model::Secret;

/// A profile of the usual shape: one element a line, numbered names, values short or empty.
fn profile(size: usize) -> Vec<u8> {
    let names = ["Proxy", "User_ID", "Display_Name", "Dial_Plan", "Preferred_Codec", "Register_Expires"];
    let mut profile = String::from("<flat-profile>\n");
    for (number, name) in (1..).flat_map(|number| names.map(|name| (number, name))) {
        if profile.len() >= size {
            break;
        }
        writeln!(profile, "<{name}_{number}_ ua=\"na\">{}</{name}_{number}_>", number * 7919 % 1013).unwrap();
    }
    profile.truncate(size);
    profile.into_bytes()
}

fn pack(criterion: &mut Criterion) {
    let key = || Secret::new("not-a-real-key");
    let cases = [
        ("gzip, 40 kB", 40_000, true, Encryption::None),
        ("aes-256-cbc, 8 kB", 8_000, false, Encryption::Aes256Cbc { passphrase: key(), digest: KeyDigest::Md5 }),
        (
            "aes128gcm, 8 kB",
            8_000,
            false,
            Encryption::Aes128Gcm { keying_material: key(), record_size: DEFAULT_RECORD_SIZE, key_id: Vec::new() },
        ),
    ];
    let mut group = criterion.benchmark_group("delivery");
    for (name, size, gzip, encryption) in cases {
        let delivery = Delivery { gzip, encryption };
        let content = profile(size);
        group.throughput(Throughput::Bytes(content.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| delivery.pack(black_box(&content)).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, pack);
criterion_main!(benches);
