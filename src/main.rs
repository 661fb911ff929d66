//! Parse, dispatch, exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;

/// A resync makes many small allocations, on whichever thread; docs/performance.md tells what this one is worth.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    resyncd::cli::Cli::parse().run()
}
