//! `resyncd acs`: phones as the auto-configuration server knows them, and what they are asked for.

mod bulk;
mod list;
mod show;
mod task;
mod tasks;
mod what;

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
    Task(task::Task),
    Bulk(bulk::Bulk),
    /// Look at tasks, and cancel them.
    #[command(subcommand)]
    Tasks(Tasks),
}

#[derive(Debug, clap::Subcommand)]
enum Tasks {
    List(tasks::List),
    Show(tasks::Show),
    Cancel(tasks::Cancel),
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        match &self.command {
            Command::List(list) => list.run(config),
            Command::Show(show) => show.run(config),
            Command::Task(task) => task.run(config),
            Command::Bulk(bulk) => bulk.run(config),
            Command::Tasks(Tasks::List(list)) => list.run(config),
            Command::Tasks(Tasks::Show(show)) => show.run(config),
            Command::Tasks(Tasks::Cancel(cancel)) => cancel.run(config),
        }
    }
}
