//! The command line: one file per subcommand, and how each one ends.

mod acs;
mod amounts;
mod assignment;
mod audit;
mod backup;
mod cert;
mod check;
mod data_file;
mod decrypt;
mod descriptors;
mod device;
mod diff;
pub mod docs;
mod drift;
mod encrypt;
mod explain;
mod fleet;
mod group;
mod identify;
mod key;
pub mod log;
pub mod logging;
mod migrate;
mod moment;
mod output;
mod packs;
mod phone;
mod plan;
mod preview;
mod render;
mod restore;
mod secrets;
mod serve;
mod snapshot;
mod table;
mod token;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::document::Problems;
use crate::lint;
use crate::resync::Generation;

/// The provisioning file server for SIP phones.
#[derive(Debug, Parser)]
#[command(name = "resyncd", version = crate::VERSION.as_str(), about, max_term_width = 100)]
pub struct Cli {
    /// The configuration; paths in it are relative to it.
    #[arg(long, global = true, value_name = "FILE", default_value = "resyncd.toml", env = "RESYNCD_CONFIG")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Check(check::Args),
    Render(render::Args),
    Explain(explain::Args),
    Diff(diff::Args),
    Drift(drift::Args),
    Preview(preview::Args),
    /// Add, change, find, import and export devices in the database.
    Device(device::Args),
    /// Set groups in the database.
    Group(group::Args),
    /// Show phones as the auto-configuration server (TR-069) knows them.
    Acs(acs::Args),
    Audit(audit::Args),
    Log(log::Args),
    Identify(identify::Args),
    Packs(packs::Args),
    Encrypt(encrypt::Args),
    Decrypt(decrypt::Args),
    /// Make development certificates and signing requests, and say what a certificate is worth.
    Cert(cert::Args),
    Secrets(secrets::Args),
    Migrate(migrate::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    /// Play phones against a server.
    Phone(phone::Args),
    Plan(plan::Args),
    Token(token::Args),
    Docs(docs::Args),
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
        let configuration = || configuration(&self.config);
        let result: Result<Ending, Failure> = match self.command {
            Command::Serve(args) => configuration().and_then(|config| args.run(config)),
            Command::Check(args) => args.run(&self.config),
            Command::Render(args) => configuration().and_then(|config| args.run(&config)),
            Command::Explain(args) => configuration().and_then(|config| args.run(&config)),
            Command::Diff(args) => args.run(&self.config),
            Command::Drift(args) => configuration().and_then(|config| args.run(&config)),
            Command::Preview(args) => args.run(&self.config),
            Command::Device(args) => configuration().and_then(|config| args.run(&config)),
            Command::Group(args) => configuration().and_then(|config| args.run(&config)),
            Command::Acs(args) => configuration().and_then(|config| args.run(&config)),
            Command::Audit(args) => configuration().and_then(|config| args.run(&config)),
            Command::Log(args) => configuration().and_then(|config| args.run(&config)),
            Command::Identify(args) => configuration().and_then(|config| args.run(&config)),
            Command::Packs(args) => configuration().and_then(|config| args.run(&config)),
            Command::Encrypt(args) => args.run(),
            Command::Decrypt(args) => args.run(),
            Command::Cert(args) => args.run(configuration),
            Command::Backup(args) => configuration().and_then(|config| args.run(&config)),
            Command::Restore(args) => configuration().and_then(|config| args.run(&config)),
            Command::Migrate(args) => configuration().and_then(|config| args.run(&config)),
            Command::Secrets(args) => configuration().and_then(|config| args.run(&config)),
            Command::Phone(args) => args.run(),
            Command::Plan(args) => args.run(),
            Command::Token(args) => configuration().and_then(|config| args.run(&config)),
            Command::Docs(args) => args.run(),
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

fn configuration(file: &Path) -> Result<Config, Failure> {
    let config = Config::load(file)?;
    // Which rules there are is the check's to know; a misspelt one is refused by every command all the same.
    lint::Levels::new(&config.lint)?;
    Ok(config)
}

/// Runs what waits for the database.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let failed = |error| Failure::because("the runtime can't be started", error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    Ok(runtime.block_on(work))
}

/// Packs and settings as they are on disk now.
fn load_generation(config: &Config) -> Result<Generation, Failure> {
    Ok(Generation::load(&config.templates, &config.profiles, 1)?)
}
