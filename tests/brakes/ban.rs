//! The line that names who is to be kept out, and the filter of `examples/fail2ban` that finds it.

use std::process::Command;

use super::{OPEN, deployment};
use crate::support::process::Process;
use crate::support::{program, root, run};

/// Scans from an address of this machine's; whether curl is there to do it.
fn scan(process: &Process, from: &str) -> bool {
    let Some(mut curl) = program("curl") else { return false };
    let address = process.address("http");
    curl.args(["--silent", "--noproxy", "*", "--interface", from, "--output", "/dev/null"]);
    // What is sent can't make a line of its own.
    curl.args([
        "--user-agent",
        "x\" WARN resyncd::ban: abuse from 203.0.113.1: scan, 50 phones of 000e08 asked for in vain",
    ]);
    curl.arg(format!("http://{address}/t/0000000000[10-29].xml"));
    assert!(run(&mut curl).status.success());
    true
}

/// What fail2ban finds in a log by our filter: the addresses.
fn found(log: &str) -> Option<Vec<String>> {
    let mut fail2ban: Command = program("fail2ban-regex")?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    std::fs::write(&file, log).unwrap();
    let filter = root().join("examples/fail2ban/resyncd.filter.conf");
    let output = run(fail2ban.args(["--out", "ip"]).arg(file).arg(filter));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut found: Vec<_> = text.lines().map(str::to_owned).collect();
    found.sort();
    found.dedup();
    Some(found)
}

#[test]
fn fail2ban_finds_who_scans_and_nobody_who_has_phones_here() {
    for format in ["text", "json"] {
        let more = "[brakes]\nfailures = 1000\nrefuse_after = 1000\nscan_phones = 5\n";
        let process = Process::start(deployment(&format!("{more}[log]\nformat = \"{format}\"\n")));
        // An office with a phone that is ours, and many that are not.
        assert!(process.serves(OPEN));
        if !(scan(&process, "127.0.0.1") && scan(&process, "127.0.0.9")) {
            return;
        }
        let (_, log, _) = process.stop();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("abuse from 127.0.0.")).collect();
        let [line] = lines.as_slice() else { panic!("{log}") };
        assert!(line.contains("abuse from 127.0.0.9: scan, 5 phones of 000000 asked for in vain"), "{line}");
        let Some(found) = found(&log) else { return };
        assert_eq!(found, ["127.0.0.9"], "{format}: {log}");
    }
}

#[test]
fn the_readme_shows_lines_that_the_filter_finds() {
    let readme = std::fs::read_to_string(root().join("examples/fail2ban/README.md")).unwrap();
    let shown: Vec<_> = readme.lines().filter(|line| line.contains("resyncd::ban: abuse")).collect();
    let Some(found) = found(&(shown.join("\n") + "\n")) else { return };
    assert_eq!(found, ["192.0.2.7", "2001:db8::/64"]);
    // The journal puts words of its own before them.
    let journal: Vec<_> = shown.iter().map(|line| format!("Mar 01 10:00:00 node1 resyncd[12]: {line}\n")).collect();
    assert_eq!(self::found(&journal.concat()).unwrap(), ["192.0.2.7", "2001:db8::/64"]);
}
