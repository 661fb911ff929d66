//! Where it was measured: without that, no figure means anything.

use std::fs;

use crate::{measure, servers};

/// What it is, and what it says.
pub fn describe() -> Vec<(String, String)> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(": "));
        line.map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let memory = memory.map_or(0.0, |kilobytes| kilobytes.parse::<f64>().unwrap() / f64::from(1 << 20));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"');
    let cores_are = match measure::has_two_cores() {
        true => format!("{cores}: the servers' is {}, the client's {}", measure::SERVER_CORE, measure::CLIENT_CORE),
        false => format!("{cores}: the servers share it with the client"),
    };
    let fields = [
        ("processor", field("model name")),
        ("cores", cores_are),
        ("memory", format!("{memory:.0} GiB")),
        ("system", format!("{system}, Linux {}", kernel.trim())),
        ("processor time is told by", measure::method().to_owned()),
        ("servers", servers::versions().join("; ")),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
