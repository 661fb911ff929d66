//! What the operating system says of the server, and where it runs.

use std::fs;
use std::process::Command;

use crate::program::program;

/// The core of the server, and that of all phones.
pub const SERVER_CORE: usize = 0;
pub const PHONES_CORE: usize = 1;

/// Bytes of the kilobytes that `/proc` tells.
const KILOBYTE: u64 = 1_024;

fn cores() -> usize {
    fs::read_to_string("/proc/cpuinfo").unwrap().matches("processor\t:").count()
}

/// Keeps a process and its threads to a core, where there are two.
pub fn keep_to(process: u32, core: usize) {
    if cores() >= 2 {
        let kept = Command::new("taskset").args(["-acp", &core.to_string(), &process.to_string()]).output();
        assert!(kept.is_ok_and(|output| output.status.success()), "taskset (of util-linux) keeps nothing to a core");
    }
}

/// Seconds of processor time, user and system.
pub fn cpu_seconds(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, rest) = text.rsplit_once(") ").unwrap();
    // utime and stime are the fields 14 and 15 of all, in ticks, which are 10 ms on every Linux that this runs on.
    let ticks: u64 = rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

/// Bytes in memory now (RSS).
pub fn memory(process: u32) -> u64 {
    status(process, "VmRSS:")
}

/// The most that there were since it was last forgotten.
pub fn most_memory(process: u32) -> u64 {
    status(process, "VmHWM:")
}

pub fn forget_most_memory(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

fn status(process: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * KILOBYTE
}

/// Under which conditions it was.
pub fn describe(phones: u32, is_cold: bool, error_retry: &str) -> Vec<(&'static str, String)> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let version = program().arg("--version").output().unwrap();
    let cores_are = match cores() {
        2.. => format!("the server's is {SERVER_CORE}, the phones' {PHONES_CORE}"),
        _ => "the server shares it with the phones".to_owned(),
    };
    let build = if cfg!(debug_assertions) { ", a debug build: its figures are worth nothing" } else { "" };
    let ready = if is_cold { "rendered for each" } else { "ready" };
    let now = time::OffsetDateTime::now_utc();
    vec![
        ("phones", format!("{phones}, profiles {ready}; those that are not served come again after {error_retry}")),
        ("processor", format!("{}; {} cores, {cores_are}", model.trim_start_matches([' ', '\t', ':']), cores())),
        ("server", format!("{}{build}", String::from_utf8(version.stdout).unwrap().trim())),
        ("measured", now.date().to_string()),
    ]
}
