//! `resyncd plan`: what it prints, what it refuses, and that its figures are those that the rest of the program goes by.

use std::process::Output;

use resyncd::capacity::{DEFAULT_RETRY, Figures, Inputs};
use resyncd::config::reference::{Otherwise, TABLES};
use resyncd::phone::swarm::RetryDelays;
use serde_json::Value;

use crate::support::{resyncd, root};

/// In a folder without a configuration: it needs none.
fn plan(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    resyncd().arg("plan").args(arguments).current_dir(folder.path()).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = plan(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

/// Round figures, so that the result can be reckoned by hand.
const FIGURES: [&str; 14] = [
    "--figure",
    "cpu-full=1000",
    "--figure",
    "cpu-cold=6000",
    "--figure",
    "profile-bytes=9488",
    "--figure",
    "wire-bytes=512",
    "--figure",
    "utilisation=0.5",
    "--figure",
    "memory-base=0",
    "--figure",
    "storm-loss=0",
];

#[test]
fn a_plan_is_a_table_for_people() {
    let asked = ["--phones", "360000", "--period", "1h", "--cores", "4", "--delay", "60", "--changed", "0.2"];
    let told = printed(&[&asked[..], &FIGURES].concat());
    // 100 and 6,000 resyncs a second of 2 ms each, on nodes of which 2 cores may be used.
    let expected = "\
360,000 phones: a resync every 3600 s each, and within 60 s after a power cut.
Nodes of 4 cores, which use up to 50 % of them.

WHAT                       EVERY DAY  POWER CUT
resyncs a second                 100      6,000
processor time of one, µs      2,000      2,000
cores busy                     0.200         12
nodes                              1          6
database rows a second           100      6,000
network, Mbit/s                    8        480
";
    assert!(told.starts_with(expected), "{told}");
    assert!(told.contains("\npower cut  with 1 node: the last phone is up after "), "{told}");
    assert!(
        told.contains("tries are in vain\ndatabase   SQLite does; events are 3.9 GB a day, 350 GB in 90 days\n"),
        "{told}"
    );
    assert!(told.contains("of it 3.6 GB for ready profiles, 340 MB for connections\n"), "{told}");
    assert!(told.contains("note       6 nodes would serve every phone within the random delay"), "{told}");
    assert!(told.contains("note       cache.size is 64 MiB unless it is set: \"3434 MiB\" keeps all"), "{told}");
    // As many as that do.
    let told = printed(&[&asked[..], &FIGURES, &["--nodes", "6", "--keep", "forever"]].concat());
    assert!(
        told.contains("\npower cut  with 6 nodes: the last phone is up after 60 s; no phone comes in vain\n"),
        "{told}"
    );
    assert!(
        told.contains("database   PostgreSQL, which several nodes share; events are 3.9 GB a day, kept for ever\n"),
        "{told}"
    );
}

#[test]
fn a_plan_is_json_for_scripts() {
    let asked = ["--phones", "360000", "--period", "3600", "--delay", "1m", "--changed", "0", "--format", "json"];
    let told: Value = serde_json::from_str(&printed(&[&asked[..], &FIGURES].concat())).unwrap();
    assert_eq!(told["daily"]["resyncs_per_second"], 100.0);
    assert_eq!((&told["daily"]["nodes"], &told["power_cut"]["nodes"]), (&1.into(), &6.into()));
    assert_eq!(told["database"]["wanted"], "sqlite");
    assert_eq!(told["memory"]["cache"], 3.6e9);
    assert!(told["storm"]["seconds_until_the_last_phone_is_up"].as_f64().unwrap() > 180.0);
    assert!(told["notes"].as_array().unwrap().len() >= 2, "{told}");
    // What never ends is null.
    let arguments =
        ["--phones", "360000", "--delay", "1", "--cores", "1", "--error-retry", "999999", "--format", "json"];
    let told: Value = serde_json::from_str(&printed(&arguments)).unwrap();
    assert_eq!(told["storm"]["seconds_until_the_last_phone_is_up"], Value::Null);
}

#[test]
fn what_can_not_be_reckoned_with_is_told() {
    for (arguments, why) in [
        (&[][..], "--phones <N>"),
        (&["--phones", "0"], "a fleet has at least one phone"),
        (&["--phones", "-1"], "--phones"),
        (&["--phones", "100,000"], "a whole number of phones, digits only: 100000"),
        (&["--phones", "281474976710657"], "there are 281,474,976,710,656 MAC addresses"),
        (&["--phones", "99999999999999999999999999"], "there are 281,474,976,710,656 MAC addresses"),
        (&["--phones", "1", "--period", "0"], "'--period <SECONDS>': a phone that resyncs has a period of a second"),
        (&["--phones", "1", "--period", "366d"], "the longest period that is reckoned with is 365d"),
        (&["--phones", "1", "--period", "1w"], "write seconds, or a unit with them"),
        (&["--phones", "1", "--delay", "0"], "'--delay <SECONDS>': phones don't come in the same moment"),
        (&["--phones", "1", "--delay", "65536"], "no Resync_Random_Delay over 65535 seconds"),
        (&["--phones", "1", "--delay", "18446744073709551615"], "no Resync_Random_Delay over 65535 seconds"),
        (&["--phones", "1", "--cores", "0"], "0 is not in 1..=4096"),
        (&["--phones", "1", "--nodes", "0"], "0 is not in 1..=1000000"),
        (&["--phones", "1", "--resumed", "1.1"], "'--resumed <SHARE>': a share is a number from 0 to 1"),
        (&["--phones", "1", "--changed", "NaN"], "'--changed <SHARE>': a share is a number from 0 to 1"),
        (&["--phones", "1", "--cache", "64"], "\"64 MiB\""),
        (&["--phones", "1", "--keep", "0d"], "24h, 90d, forever"),
        (&["--phones", "1", "--error-retry", "60,"], "is no delay: write seconds as"),
        (&["--phones", "1", "--error-retry", "60,0+9"], "--error-retry: a delay of 0 tells phones never to come again"),
        (&["--phones", "1", "--figure", "cpu"], "--figure: \"cpu\" is no figure and its value"),
        (&["--phones", "1", "--figure", "cpu-ful=1"], "there is no figure \"cpu-ful\"; did you mean \"cpu-full\"?"),
        (&["--phones", "1", "--figure", "cpu-full=0"], "cpu-full is a number from 1 to 10000000, and this is \"0\""),
        (&["--phones", "1", "--figure", "patience=inf"], "patience is a number from 0.1 to 3600"),
    ] {
        let output = plan(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{arguments:?}: {told}");
        assert!(told.contains(why), "{arguments:?}: {told}");
    }
}

#[test]
fn the_largest_fleet_is_reckoned_with() {
    let asked = ["--phones", "281474976710656", "--period", "1", "--delay", "1", "--cores", "1", "--nodes", "1"];
    assert!(printed(&asked).contains("the last phone is up after more than 30 days"));
    printed(&["--phones", "1", "--period", "365d", "--delay", "65535", "--cores", "4096", "--nodes", "1000000"]);
}

#[test]
fn the_model_goes_by_the_defaults_of_packs_and_configuration() {
    let defaults = std::fs::read_to_string(root().join("templates/cisco-mpp/defaults.toml")).unwrap();
    let law = defaults.lines().find_map(|line| line.strip_prefix("error_retry = ")).unwrap().trim_matches('"');
    let law: RetryDelays = law.parse().unwrap();
    let ours = DEFAULT_RETRY.map(|retry| (retry.after, retry.spread));
    let packs: Vec<_> = law.steps().iter().map(|(after, more)| (after.as_secs_f64(), more.as_secs_f64())).collect();
    assert_eq!(packs, ours);
    assert_eq!(Inputs::of(1).retry, DEFAULT_RETRY);

    let otherwise = |table: &str, key: &str| {
        let table = TABLES.iter().find(|of| of.name == table).unwrap();
        match table.keys.iter().find(|of| of.name == key).unwrap().otherwise {
            Otherwise::Value(value) => value,
            _ => panic!("{key} has no default"),
        }
    };
    let figures = Figures::default();
    assert_eq!(otherwise("limits", "connections"), figures.connections.to_string());
    assert_eq!(otherwise("limits", "handshake_timeout"), format!("{}s", figures.patience));
    assert_eq!(otherwise("cache", "records"), format!("{} MiB", figures.memory_records / 1_048_576.0));
    assert_eq!(otherwise("cache", "size"), "64 MiB");
    assert_eq!(otherwise("events", "keep"), format!("{}d", Inputs::of(1).keep.unwrap() / 86_400.0));
}
