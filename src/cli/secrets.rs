//! `resyncd secrets`: the secrets that the database holds.

use clap::Subcommand;

use super::{Ending, Failure, output};
use crate::config::Config;
use crate::store::Store;
use crate::vault::{self, Rotation, Vault};

/// Look after the secrets in the database.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Rotate(RotateArgs),
}

/// Seal every secret in the database with the present master key.
///
/// To change the key: make a new one (`openssl rand -hex 32`), set it as secrets.master_key and put the old one into
/// secrets.read_keys, restart every server, and run this, with the servers running. What a killed run has done stays
/// done: run it again. At the end it says which keys may leave secrets.read_keys. Backups that were made before still need
/// the old key.
#[derive(Debug, clap::Args)]
struct RotateArgs {
    /// Say what would be sealed anew, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        match &self.command {
            Command::Rotate(args) => args.run(config),
        }
    }
}

impl RotateArgs {
    fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let rotation = super::block_on(async {
            let failed = |error: &dyn std::fmt::Display| Failure::Other(error.to_string());
            // A database that isn't there is not made for this.
            let mut store = Store::open_read_only(&config.database).await.map_err(|error| failed(&error))?;
            if !self.dry_run {
                store.close().await;
                store = Store::open(&config.database).await.map_err(|error| failed(&error))?;
            }
            let rotation = vault::rotate(&Vault::new(&config.secrets), &store, self.dry_run).await;
            store.close().await;
            rotation.map_err(|error| failed(&error))
        })??;
        for error in &rotation.named {
            eprintln!("resyncd: {error}");
        }
        output::write(|out| out.write_all(report(&rotation, self.dry_run).as_bytes()))?;
        Ok(if rotation.damaged == 0 { Ending::Fine } else { Ending::Findings })
    }
}

fn report(rotation: &Rotation, is_dry_run: bool) -> String {
    let mut text = String::new();
    let mut say = |line: String| text += &(line + "\n");
    for (key, count) in &rotation.secrets {
        say(format!("sealed with key {key}: {}", secrets(*count)));
    }
    say(match (rotation.rotated, is_dry_run) {
        (0, _) => "nothing to seal anew".to_owned(),
        (count, true) => format!("to be sealed anew: {}", secrets(count)),
        (count, false) => format!("sealed anew: {}", secrets(count)),
    });
    if rotation.damaged > 0 {
        say(format!("left as they are, since they don't open: {}", secrets(rotation.damaged)));
    }
    for key in &rotation.unused {
        say(match is_dry_run {
            true => format!("key {key} will be needed no more: then it may leave secrets.read_keys"),
            false => format!("key {key} is needed no more: it may leave secrets.read_keys"),
        });
    }
    for key in &rotation.used {
        say(format!("key {key} is still needed: secrets are sealed with it"));
    }
    text
}

fn secrets(count: u64) -> String {
    if count == 1 { "1 secret".to_owned() } else { format!("{count} secrets") }
}
