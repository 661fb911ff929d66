//! Parse, dispatch, exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    resyncd::cli::Cli::parse().run()
}
