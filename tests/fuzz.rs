//! A bounded run of every fuzz target of fuzz/targets.rs: the corpora in fuzz/corpus, files of this repository, and what is left of
//! them after a few bytes were changed, cut out, doubled or put in from another. The same changes in every run.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use resyncd::delivery::{Delivery, Encryption, KeyDigest};
use resyncd::model::Secret;

use crate::support::certificates::{Leaf, authority};
use crate::support::root;

/// What parsers stumble over.
const MORSELS: [&str; 48] = [
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\"",
    "'",
    "\\",
    "\u{feff}",
    "é",
    "𝄞",
    "$",
    "$$",
    "$(",
    "$MA",
    "$(SWVER:1:2)",
    "(",
    ")?",
    ")!",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "{{",
    "}}",
    "{n}",
    "=",
    ":",
    ";",
    ",",
    "+",
    "|",
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "&#x0;",
    "&lt;",
    "#",
    "--key",
    "18446744073709551616",
    "-9223372036854775809",
    "0x",
    "1e999",
];

/// What a target begins from: its corpus, whole files elsewhere in this repository, and what has to be made anew.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = corpus(target).into_iter().map(|(_, data)| data).collect();
    seeds.extend(match target {
        "aastra_cfg" => files("templates/aastra/samples", ".cfg"),
        "certificate" => certificates(),
        "cisco_profile" => files("templates/cisco-mpp/samples", ".xml"),
        "configuration" => files("resyncd.toml", ""),
        "delivered" => delivered(),
        "grandstream" => {
            let mut seeds = files("templates/grandstream/samples", "/cfg000b82a0001c.xml");
            seeds.extend(files("templates/grandstream/samples", "/cfg000b82a0001c"));
            seeds
        }
        "layer" => files("profiles", ".toml"),
        "manifest" => files("tests/golden/tiny/templates", "pack.toml"),
        "mapping" => files("tests/golden/tiny/templates", "mapping.toml"),
        "parameters" => files("tests/golden/tiny/templates", "parameters.toml"),
        "revocation" => revocations(),
        _ => Vec::new(),
    });
    seeds
}

/// The files of a target's corpus, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut corpus: Vec<_> = fs::read_dir(root().join("fuzz/corpus").join(target))
        .unwrap_or_else(|error| panic!("fuzz/corpus/{target}: {error}: a target needs something to begin from"))
        .map(Result::unwrap)
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    corpus.sort();
    corpus
}

fn files(place: &str, ends: &str) -> Vec<Vec<u8>> {
    let files = walkdir::WalkDir::new(root().join(place)).sort_by_file_name().into_iter().map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file() && entry.path().to_string_lossy().ends_with(ends))
        .map(|entry| fs::read(entry.path()).unwrap())
        .collect()
}

const PHONE: &[(&str, &str)] = &[("OU", "CP-6841-3PCC"), ("L", "88012BA01234"), ("ST", "000e08abcdef")];

fn certificates() -> Vec<Vec<u8>> {
    let authority = authority("phones");
    let phone = authority.sign(&Leaf::of(PHONE));
    let (phone, authority) = (phone.certificate.to_pem().unwrap(), authority.certificate.to_pem().unwrap());
    vec![[phone.as_slice(), &authority].concat(), phone]
}

fn revocations() -> Vec<Vec<u8>> {
    let authority = authority("phones");
    let list = authority.revoke(&[&authority.sign(&Leaf::of(PHONE))], 1);
    vec![list.to_der().unwrap(), list.to_pem().unwrap().repeat(2)]
}

fn delivered() -> Vec<Vec<u8>> {
    let key = Secret::new(*b"example-only-key");
    let encryptions = [
        Encryption::None,
        Encryption::Aes256Cbc { passphrase: key.clone(), digest: KeyDigest::Md5 },
        Encryption::Aes128Gcm { keying_material: key, key_id: Vec::new(), record_size: 4096 },
    ];
    encryptions
        .map(|encryption| Delivery { gzip: true, encryption }.pack(b"<flat-profile/>").unwrap().body.to_vec())
        .to_vec()
}

fn broken(seeds: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut data = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=data.len());
        let end = (at + random.usize(..16)).min(data.len());
        match random.u8(..6) {
            0 => data.insert(at, random.u8(..)),
            1 => drop(data.drain(at..end)),
            2 => drop(data.splice(at..at, data[at..end].to_vec())),
            3 => drop(data.splice(at..end, MORSELS[random.usize(..MORSELS.len())].bytes())),
            4 => data.truncate(at),
            _ => {
                let other = &seeds[random.usize(..seeds.len())];
                let from = random.usize(..=other.len());
                drop(data.splice(at..end, other[from..].iter().copied().take(64)));
            }
        }
    }
    data
}

#[test]
fn no_parser_panics_or_names_a_wrong_place() {
    for (index, (name, target)) in targets::TARGETS.into_iter().enumerate() {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name}");
        targets::make_ready(name);
        let mut random = fastrand::Rng::with_seed(u64::try_from(index).unwrap());
        let size: usize = seeds.iter().map(Vec::len).sum::<usize>() / seeds.len();
        // Large files take long to read, and are broken in few places.
        let rounds = 2_000_000 / (size + 1_000);
        let made = std::iter::repeat_with(|| broken(&seeds, &mut random)).take(rounds);
        for input in seeds.iter().cloned().chain(made) {
            let ended = catch_unwind(AssertUnwindSafe(|| target(&input)));
            assert!(
                ended.is_ok(),
                "{name} breaks on {:?} = \"{}\"",
                String::from_utf8_lossy(&input),
                input.escape_ascii()
            );
        }
    }
}

/// Files, small ones with few bytes each, so that a run reads them often.
#[test]
fn every_target_has_a_program_and_a_corpus_and_there_are_no_others() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted());
    let mut whole = 0;
    for name in &names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "fuzz/Cargo.toml has no {name}");
        assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).exists(), "{name}");
        let corpus = corpus(name);
        assert!((1..=60).contains(&corpus.len()), "fuzz/corpus/{name} has {} files", corpus.len());
        for (file, data) in &corpus {
            assert!(data.len() <= 4096, "fuzz/corpus/{name}/{file} has {} bytes", data.len());
            whole += data.len();
        }
    }
    assert!(whole <= 1 << 20, "the corpora have {whole} bytes");
    for folder in fs::read_dir(root().join("fuzz/corpus")).unwrap() {
        let folder = folder.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&&*folder), "fuzz/corpus/{folder} is no target's");
    }
    let output = Command::new(root().join("fuzz/run")).arg("--list").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), names, "fuzz/run knows them all");
}
