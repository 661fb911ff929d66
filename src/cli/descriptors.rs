//! How many connections the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are not connections: standard streams, the runtime's, files that are read, the resolver's.
const OTHERS: u64 = 64;

/// Raises the limit as far as the process may (`ulimit -Hn`), and tells how many connections fit into it.
pub(super) fn most_connections() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    // A system that refuses leaves the limit that there was.
    if setrlimit(Resource::Nofile, raised).is_ok() {
        limit = raised;
    }
    let connections = limit.current.map_or(u64::MAX, |limit| limit.saturating_sub(OTHERS).max(1));
    usize::try_from(connections).unwrap_or(usize::MAX)
}
