//! `resyncd device`: devices as records in the database.

mod credentials;
mod edit;
mod export;
mod filter;
mod import;
mod invite;
mod list;
mod show;
mod token;
mod waiting;

pub(super) use filter::Filter;

use clap::Subcommand;

use super::{Ending, Failure};
use crate::config::Config;

pub use show::settings_lines;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(edit::Add),
    Set(edit::Set),
    Show(show::Args),
    List(list::Args),
    Rm(edit::Remove),
    Credentials(credentials::Args),
    Import(import::Args),
    Export(export::Args),
    Invite(invite::Invite),
    Invites(invite::List),
    Withdraw(invite::Withdraw),
    Token(token::Token),
    Waiting(waiting::Waiting),
    Approve(waiting::Approve),
    Dismiss(waiting::Dismiss),
}

impl Args {
    pub fn run(self, config: &Config) -> Result<Ending, Failure> {
        match self.command {
            Command::Add(args) => args.run(config),
            Command::Set(args) => args.run(config),
            Command::Show(args) => args.run(config),
            Command::List(args) => args.run(config),
            Command::Rm(args) => args.run(config),
            Command::Credentials(args) => args.run(config),
            Command::Import(args) => args.run(config),
            Command::Export(args) => args.run(config),
            Command::Invite(args) => args.run(config),
            Command::Invites(args) => args.run(config),
            Command::Withdraw(args) => args.run(config),
            Command::Token(args) => args.run(config),
            Command::Waiting(args) => args.run(config),
            Command::Approve(args) => args.run(config),
            Command::Dismiss(args) => args.run(config),
        }
    }
}
