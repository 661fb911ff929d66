//! The command line: one file per subcommand, and how each one ends.

mod cert;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::document::Problems;

/// The provisioning file server for SIP phones.
#[derive(Debug, Parser)]
#[command(name = "resyncd", version, about, max_term_width = 100)]
pub struct Cli {
    /// The configuration; paths in it are relative to it.
    #[arg(long, global = true, value_name = "FILE", default_value = "resyncd.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make development certificates and signing requests, and say what a certificate is worth.
    Cert(cert::Args),
}

/// How a command that could run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exit code 0.
    Fine,
    /// Findings, or a refusal: exit code 1.
    Findings,
}

/// Why a command could not run: exit code 2. What is shown is written for the operator, and holds no secret.
#[derive(Debug)]
pub enum Failure {
    /// Mistakes in files, each with its place.
    Problems(Problems),
    /// Anything else, as one sentence that names the thing.
    Other(String),
}

impl Failure {
    /// A failure to do `what`, because of `why`.
    pub fn because(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Other(format!("{what}: {why}"))
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => problems.fmt(f),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl Cli {
    /// Runs the command and tells the exit code: 0 fine, 1 findings or a refusal, 2 could not run.
    pub fn run(self) -> ExitCode {
        let result: Result<Ending, Failure> = match self.command {
            Command::Cert(args) => args.run(),
        };
        match result {
            Ok(Ending::Fine) => ExitCode::SUCCESS,
            Ok(Ending::Findings) => ExitCode::from(1),
            Err(failure) => {
                eprintln!("resyncd: {failure}");
                ExitCode::from(2)
            }
        }
    }
}
