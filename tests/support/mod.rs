//! What several test modules share.

pub mod api;
pub mod certificates;
pub mod database;
pub mod deployment;
pub mod disk;
pub mod nat;
pub mod phone;
pub mod process;
pub mod proxy;
pub mod server;

use std::path::PathBuf;
use std::process::{Command, Output};

/// The program under test, as the user runs it.
pub fn resyncd() -> Command {
    Command::new(env!("CARGO_BIN_EXE_resyncd"))
}

/// A program that plays a phone or an operator (`openssl`, `curl`). Where it isn't installed the test says so and ends,
/// except in CI, where it has to be there.
pub fn program(name: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file()) {
        return Some(Command::new(found));
    }
    assert!(std::env::var_os("CI").is_none(), "{name} is not installed, and CI has to have it");
    eprintln!("SKIPPED: {name} is not installed");
    None
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The project's own folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `RESYNCD_BLESS=1` writes what is now as what shall be.
pub fn is_blessing() -> bool {
    std::env::var_os("RESYNCD_BLESS").is_some()
}
