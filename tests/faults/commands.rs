//! Commands that are killed in the middle: what they were to do is done, or nothing of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fastrand::Rng;
use resyncd::config::Database;
use resyncd::store::Store;

use super::kill::{chance, rounds};
use super::site::{MODEL, assert_whole, deployment, sql, sqlite, until};
use crate::support::database::Scratch;
use crate::support::deployment::Deployment;
use crate::support::resyncd;

const DEVICES: u32 = 120;

/// How far a process has come: bytes and calls that it has read and written.
fn progress(child: &Child) -> Option<u64> {
    let told = std::fs::read_to_string(format!("/proc/{}/io", child.id())).ok()?;
    let counts = told.lines().take(4).map(|line| line.split_once(": ").unwrap().1.parse::<u64>().unwrap());
    Some(counts.sum())
}

fn command(deployment: &Deployment, arguments: &[&str]) -> Command {
    let mut command = resyncd();
    command.arg("--config").arg(deployment.path("resyncd.toml")).args(arguments);
    command.current_dir(deployment.path("")).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How far a command comes that nobody stops.
fn whole(deployment: &Deployment, arguments: &[&str]) -> u64 {
    let mut child = command(deployment, arguments).spawn().unwrap();
    let (mut most, mut status) = (0, None);
    until("it has ended", || {
        most = most.max(progress(&child).unwrap_or_default());
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success(), "{arguments:?}");
    most
}

/// Kills a command somewhere on its way. Whether it came to its end before.
fn kill(deployment: &Deployment, arguments: &[&str], whole: u64, random: &mut Rng) -> bool {
    let moment = random.u64(0..=whole);
    let mut child = command(deployment, arguments).spawn().unwrap();
    let mut status = None;
    until("it is so far", || {
        status = child.try_wait().unwrap();
        status.is_some() || progress(&child).is_some_and(|come| come >= moment)
    });
    match status {
        Some(status) => {
            assert!(status.success(), "{arguments:?}");
            true
        }
        None => {
            child.kill().unwrap();
            // It may have come to its end in between.
            child.wait().unwrap().success()
        }
    }
}

fn fine(deployment: &Deployment, arguments: &[&str]) {
    let output = deployment.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file of devices, each with this name.
fn devices(deployment: &Deployment, name: &str) -> String {
    let file = format!("{name}.csv");
    let rows: String = (0..DEVICES).map(|n| format!("000e08fb{n:04x},{MODEL},imported,{n},{name}\n")).collect();
    deployment.write(&file, format!("mac,model,group,user,lines.1.display_name\n{rows}"));
    file
}

/// The name that all devices have; none: there are no devices.
fn name(url: &str) -> Option<String> {
    let settings = sql(url, "SELECT settings FROM devices ORDER BY mac");
    let names = settings.iter().map(|settings| {
        let settings: serde_json::Value = serde_json::from_str(settings).unwrap();
        settings["lines"]["1"]["display_name"].as_str().unwrap().to_owned()
    });
    let mut names: Vec<_> = names.collect();
    assert!(names.is_empty() || names.len() == DEVICES as usize, "{} devices", names.len());
    names.dedup();
    assert!(names.len() < 2, "{names:?}");
    names.pop()
}

/// On SQLite and, where there is one, PostgreSQL.
fn on_each(test: impl Fn(&Deployment, &str)) {
    let own = deployment(None, "");
    test(&own, &sqlite(&own));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(scratch) = runtime.block_on(Scratch::postgres()) {
        test(&deployment(Some(&scratch.url), ""), &scratch.url);
    }
}

#[test]
fn an_import_is_all_or_nothing() {
    on_each(|deployment, url| {
        let mut random = chance();
        let files = ["one", "two"].map(|name| devices(deployment, name));
        let whole = whole(deployment, &["device", "import", &files[0]]);
        let mut there = "one".to_owned();
        let mut revision = 0;
        for round in 0..rounds(5) {
            let next = ["two", "one"][round % 2];
            let ended = kill(deployment, &["device", "import", &files[(round + 1) % 2]], whole, &mut random);
            assert_whole(url);
            let found = name(url).unwrap();
            assert!(found == next || !ended && found == there, "{found} after {there} and {next}");
            there = found;
            let now: u64 = sql(url, "SELECT CAST(revision AS TEXT) FROM fleet")[0].parse().unwrap();
            assert!(now >= revision);
            revision = now;
        }
    });
}

#[test]
fn a_restore_is_all_or_nothing() {
    on_each(|deployment, url| {
        let mut random = chance();
        for name in ["one", "two"] {
            fine(deployment, &["device", "import", &devices(deployment, name)]);
            fine(deployment, &["backup", &format!("{name}.db")]);
        }
        let whole = whole(deployment, &["restore", "--force", "one.db"]);
        let mut there = "one".to_owned();
        for round in 0..rounds(5) {
            let next = ["two", "one"][round % 2];
            let ended = kill(deployment, &["restore", "--force", &format!("{next}.db")], whole, &mut random);
            assert_whole(url);
            let found = name(url).unwrap();
            assert!(found == next || !ended && found == there, "{found} after {there} and {next}");
            there = found;
        }
    });
}

#[test]
fn a_backup_has_its_name_when_it_is_whole() {
    on_each(|deployment, _| {
        let mut random = chance();
        fine(deployment, &["device", "import", &devices(deployment, "one")]);
        std::fs::create_dir(deployment.path("backups")).unwrap();
        let whole = whole(deployment, &["backup", "--verify", "whole.db"]);
        for _ in 0..rounds(5) {
            let ended = kill(deployment, &["backup", "--verify", "backups/now.db"], whole, &mut random);
            let file = deployment.path("backups/now.db");
            assert!(file.exists() || !ended);
            if file.exists() {
                assert_eq!(restored(&file), DEVICES as usize);
                std::fs::remove_file(file).unwrap();
            }
        }
        // What the killed ones have left goes with the next.
        fine(deployment, &["backup", "--verify", "backups/last.db"]);
        let left: Vec<PathBuf> =
            std::fs::read_dir(deployment.path("backups")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [deployment.path("backups/last.db")]);
    });
}

/// How many devices there are in a backup that was restored.
fn restored(backup: &Path) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("restored.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Store::restore(&Database::sqlite(&database), backup, false)).unwrap();
    sql(&format!("sqlite:{}", database.display()), "SELECT mac FROM devices").len()
}

#[test]
fn a_schema_is_up_to_date_or_as_it_was() {
    let mut random = chance();
    let first = deployment(None, "");
    let whole = whole(&first, &["migrate"]);
    let all = sql(&sqlite(&first), "SELECT name FROM sqlite_master ORDER BY name");
    for _ in 0..rounds(6) {
        let deployment = deployment(None, "");
        let ended = kill(&deployment, &["migrate"], whole, &mut random);
        if deployment.path("data/resyncd.db").exists() {
            assert_whole(&sqlite(&deployment));
            let there = sql(&sqlite(&deployment), "SELECT name FROM sqlite_master ORDER BY name");
            assert!(there == all || !ended && there.is_empty(), "{there:?}");
        }
        fine(&deployment, &["migrate"]);
        fine(&deployment, &["migrate", "--dry-run"]);
    }
}
