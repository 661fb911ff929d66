//! What the operating system says of processes: their processor time and their memory.
//!
//! Processor time comes from a control group (version 2) for each server, which counts every process that was ever in it, to the
//! microsecond. Where no group can be made, it is summed over the processes and those they have waited for, to the tick.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::Sub;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The core of all servers.
pub const SERVER_CORE: usize = 0;
/// That of the client, and of PostgreSQL, which would be on a machine of its own.
pub const CLIENT_CORE: usize = 1;

/// Whether there are cores enough to tell servers and client apart.
pub fn has_two_cores() -> bool {
    fs::read_to_string("/proc/cpuinfo").unwrap().matches("processor\t:").count() >= 2
}

/// Keeps this process, and the threads that it will have, to a core.
pub fn keep_to(core: usize) {
    if has_two_cores() {
        let own = std::process::id().to_string();
        let kept = Command::new("taskset").args(["-acp", &core.to_string(), &own]).output();
        assert!(kept.is_ok_and(|output| output.status.success()), "taskset (of util-linux) keeps nothing to a core");
    }
}

/// Processor time in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    pub user: f64,
    pub system: f64,
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

/// Processes that are counted together.
pub struct Counted {
    group: Option<PathBuf>,
}

impl Counted {
    /// A new group, if one can be made here.
    pub fn new() -> Self {
        let name = format!("resyncd-compare-{:016x}", fastrand::u64(..));
        let group = cgroups().map(|root| root.join(name)).filter(|group| fs::create_dir(group).is_ok());
        let group = group.filter(|group| group.join("cpu.stat").is_file());
        Self { group }
    }

    /// A command that runs a program in this group, and on this core.
    pub fn command(&self, core: usize, program: &Path) -> Command {
        let mut words: Vec<std::ffi::OsString> = Vec::new();
        if let Some(group) = &self.group {
            // The program and all that it ever starts are in the group: it is entered before the program is run.
            words.extend(["sh", "-c", "echo $$ > \"$0\" && exec \"$@\""].map(Into::into));
            words.push(group.join("cgroup.procs").into());
        }
        if has_two_cores() {
            words.extend(["taskset", "-c", &core.to_string()].map(Into::into));
        }
        words.push(program.into());
        let mut command = Command::new(words.remove(0));
        command.args(words);
        command
    }

    /// What these processes have used so far. `first` is the one that all others descend from.
    pub fn used(&self, first: u32) -> Cpu {
        let Some(group) = &self.group else { return used_by(&descendants(first)) };
        let text = fs::read_to_string(group.join("cpu.stat")).unwrap();
        let field = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        Cpu { user: field("user_usec "), system: field("system_usec ") }
    }

    /// Memory of these processes in kilobytes, what they share counted once (PSS).
    pub fn memory(&self, first: u32) -> f64 {
        let processes: Vec<u32> = match &self.group {
            Some(group) => {
                let text = fs::read_to_string(group.join("cgroup.procs")).unwrap();
                text.lines().map(|line| line.parse().unwrap()).collect()
            }
            None => descendants(first).into_iter().collect(),
        };
        // One may have ended meanwhile.
        let texts = processes.iter().filter_map(|id| fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok());
        let pss = texts.filter_map(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:").map(str::to_owned))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        });
        pss.sum()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            // It may hold a process that is still ending; then it stays, empty.
            let _ = fs::remove_dir(group);
        }
    }
}

/// What this process has used so far.
pub fn own() -> Cpu {
    used_by(&HashSet::from([std::process::id()]))
}

/// How processor time is told here.
pub fn method() -> &'static str {
    if Counted::new().group.is_some() { "a control group for each server" } else { "/proc/PID/stat, in ticks of 10 ms" }
}

/// Where groups of version 2 are.
fn cgroups() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.find(|fields| fields.get(2) == Some(&"cgroup2")).map(|fields| PathBuf::from(fields[1]))
}

/// A process and those that descend from it.
fn descendants(first: u32) -> HashSet<u32> {
    let ids = fs::read_dir("/proc").unwrap().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: HashMap<u32, u32> = ids.filter_map(|id| Some((id, stat(id)?[1].parse().ok()?))).collect();
    let mut found = HashSet::from([first]);
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(id, parent)| found.contains(parent) && !found.contains(id))
            .map(|(id, _)| *id)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The fields of `/proc/PID/stat` after the program's name: state, parent, …
fn stat(id: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn used_by(processes: &HashSet<u32>) -> Cpu {
    // Ticks are 10 ms on every Linux that this runs on. utime, stime, cutime and cstime are the fields 14 to 17 of all.
    let ticks = |fields: &[String], at: usize| fields[at].parse::<f64>().unwrap() * 10_000.0;
    let stats = processes.iter().filter_map(|id| stat(*id));
    stats.fold(Cpu::default(), |sum, fields| Cpu {
        user: sum.user + ticks(&fields, 11) + ticks(&fields, 13),
        system: sum.system + ticks(&fields, 12) + ticks(&fields, 14),
    })
}
