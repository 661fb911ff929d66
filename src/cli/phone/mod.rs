//! `resyncd phone`: phones that are played.

mod cwmp;
mod resync;
mod swarm;

use clap::Subcommand;

use super::{Ending, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Resync(Box<resync::Args>),
    Cwmp(Box<cwmp::Args>),
    Swarm(Box<swarm::Args>),
}

impl Args {
    pub fn run(self) -> Result<Ending, Failure> {
        match self.command {
            Command::Resync(args) => args.run(),
            Command::Cwmp(args) => args.run(),
            Command::Swarm(args) => args.run(),
        }
    }
}
