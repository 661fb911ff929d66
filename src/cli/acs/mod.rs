//! `resyncd acs`: phones as the auto-configuration server knows them.

mod list;
mod show;

use super::{Ending, Failure};
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        match &self.command {
            Command::List(list) => list.run(config),
            Command::Show(show) => show.run(config),
        }
    }
}
