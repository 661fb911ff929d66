use std::time::Duration;

use time::OffsetDateTime;

use super::tasks::{as_json, line, write_task};
use super::what::What;
use crate::acs::task::{Order, TaskError, Tasks};
use crate::cli::fleet::{actor, block_on, open};
use crate::cli::{Ending, Failure, output};
use crate::config::Config;
use crate::document::parse_duration;
use crate::model::MacAddr;
use crate::store::{TaskRow, TaskState};

/// How often it is looked whether a task is over that is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Ask a phone for something at its next session with the ACS.
///
/// The task waits in the database. A running server asks the phone to come, unless --no-call is given; else the phone comes when its
/// interval is over, or when it starts.
///
/// Exit code 1 if the phone can't do it, or with --wait, if it was not done.
#[derive(Debug, clap::Args)]
pub struct Task {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    #[command(flatten)]
    how: How,
    /// Wait until it is over, so long at most: 30s, 10m.
    #[arg(long, value_name = "DURATION", value_parser = duration, global = true)]
    wait: Option<Duration>,
    #[arg(long, value_enum, default_value_t = output::Format::Human, global = true)]
    format: output::Format,
    #[command(subcommand)]
    what: What,
}

/// How a task is done.
#[derive(Debug, clap::Args)]
pub struct How {
    /// Not before this long: 2h.
    #[arg(long, value_name = "DURATION", value_parser = duration, global = true)]
    after: Option<Duration>,
    /// How long it may wait and take.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d", global = true)]
    expires: Duration,
    /// How often it is tried where it fails for a reason that may pass. Between tries a minute goes by, then four, then sixteen …
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100), global = true)]
    tries: u32,
    /// Don't ask the phone to come: it comes by itself.
    #[arg(long, global = true)]
    no_call: bool,
}

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("write a number and its unit: 30s, 10m, 24h, 7d")
}

impl How {
    /// The order for what was typed.
    pub(super) fn order(&self, what: &What) -> Result<Order, Failure> {
        Ok(Order {
            spec: what.spec()?,
            due: self.after.map(|after| OffsetDateTime::now_utc() + after),
            expires: self.expires,
            tries: self.tries,
            call: !self.no_call,
        })
    }
}

impl Task {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let order = self.how.order(&self.what)?;
        block_on(async {
            let tasks = Tasks::new(open(config).await?);
            let task = match tasks.order(self.mac, &order, &actor()).await {
                Ok(task) => task,
                Err(error) => return refused(error),
            };
            let Some(wait) = self.wait else {
                return self.tell(&task).map(|()| Ending::Fine);
            };
            let over = tokio::time::Instant::now() + wait;
            let mut last = task;
            while last.state.is_open() && tokio::time::Instant::now() < over {
                tokio::time::sleep(LOOK).await;
                last = tasks.get(&last.id).await.map_err(failed)?.unwrap_or(last);
            }
            self.tell(&last)?;
            Ok(if last.state == TaskState::Done { Ending::Fine } else { Ending::Findings })
        })
    }

    fn tell(&self, task: &TaskRow) -> Result<(), Failure> {
        match self.format {
            output::Format::Json => output::json(&as_json(task)),
            output::Format::Human if self.wait.is_some() => write_task(task),
            output::Format::Human => output::write(|out| writeln!(out, "{}", line(task))),
        }
    }
}

pub(super) fn failed(error: TaskError) -> Failure {
    Failure::Other(error.to_string())
}

/// What can't be done is told, each mistake on its line.
pub(super) fn refused(error: TaskError) -> Result<Ending, Failure> {
    match error {
        TaskError::Invalid(mistakes) => {
            for mistake in mistakes {
                eprintln!("{mistake}");
            }
            Ok(Ending::Findings)
        }
        error @ (TaskError::NoDevice(_) | TaskError::NotManaged(_) | TaskError::TooMany { .. }) => {
            eprintln!("resyncd: {error}");
            Ok(Ending::Findings)
        }
        error => Err(failed(error)),
    }
}
