use serde_json::{Value, json};

use super::task::failed;
use crate::acs::task::{Spec, Tasks};
use crate::cli::fleet::{actor, block_on, open, open_read_only};
use crate::cli::table::write_rows;
use crate::cli::{Ending, Failure, output};
use crate::config::Config;
use crate::events::{Escaped, rfc3339};
use crate::model::MacAddr;
use crate::store::{Calling, TaskFilter, TaskRow, TaskState};

/// List what phones are asked for, the newest first.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Of one phone.
    mac: Option<MacAddr>,
    /// waiting, running, started, done, failed, expired or cancelled.
    #[arg(long, value_name = "STATE")]
    state: Option<TaskState>,
    /// Of one bulk; before them it is told how many are in which state.
    #[arg(long, value_name = "ID")]
    bulk: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    #[arg(long, value_enum, default_value_t = output::Rows::Table)]
    format: output::Rows,
}

/// Show a task: what was asked for, and what came of it.
///
/// Exit code 1 if there is no such task.
#[derive(Debug, clap::Args)]
pub struct Show {
    id: String,
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

/// Cancel a task, or all of a bulk, that is not over.
///
/// What a phone was told already, it does all the same. Exit code 1 if there is nothing to cancel.
#[derive(Debug, clap::Args)]
pub struct Cancel {
    /// The task, or the bulk.
    id: String,
}

const COLUMNS: [&str; 7] = ["id", "mac", "task", "state", "tries", "due", "why"];

impl List {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let filter = TaskFilter { mac: self.mac, state: self.state, bulk: self.bulk.clone(), before: None };
        let (rows, counts) = block_on(async {
            let tasks = Tasks::new(open_read_only(config).await?);
            let counts = match &self.bulk {
                Some(bulk) => tasks.bulk(bulk).await.map_err(failed)?.map(|bulk| bulk.counts),
                None => None,
            };
            Ok((tasks.list(&filter, self.limit).await.map_err(failed)?, counts))
        })?;
        if self.format == output::Rows::Json {
            return output::json_rows(rows.iter().map(as_json)).map(|()| Ending::Fine);
        }
        if let (Some(counts), output::Rows::Table) = (counts, self.format) {
            let told: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
            output::write(|out| writeln!(out, "{}", told.join(", ")))?;
        }
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        write_rows(&COLUMNS, &rows, self.format == output::Rows::Csv)?;
        Ok(Ending::Fine)
    }
}

impl Show {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let task = block_on(async {
            let tasks = Tasks::new(open_read_only(config).await?);
            tasks.get(&self.id).await.map_err(failed)
        })?;
        let Some(task) = task else {
            eprintln!("resyncd: there is no task {}", Escaped(&self.id));
            return Ok(Ending::Findings);
        };
        match self.format {
            output::Format::Json => output::json(&as_json(&task))?,
            output::Format::Human => write_task(&task)?,
        }
        Ok(Ending::Fine)
    }
}

impl Cancel {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let cancelled = block_on(async {
            let tasks = Tasks::new(open(config).await?);
            if tasks.cancel(&self.id, &actor()).await.map_err(failed)? {
                return Ok(1);
            }
            tasks.cancel_bulk(&self.id, &actor()).await.map_err(failed)
        })?;
        if cancelled == 0 {
            eprintln!("resyncd: there is no task or bulk {} that is not over", Escaped(&self.id));
            return Ok(Ending::Findings);
        }
        output::write(|out| writeln!(out, "{cancelled} cancelled"))?;
        Ok(Ending::Fine)
    }
}

/// What is to be done, in one word.
fn word(task: &TaskRow) -> &'static str {
    serde_json::from_str::<Spec>(&task.spec).map_or("?", |spec| spec.word())
}

/// A task in one line.
pub(super) fn line(task: &TaskRow) -> String {
    format!("task {}: {} for {}, {}", task.id, word(task), task.mac, task.state)
}

fn why(task: &TaskRow) -> String {
    match (task.fault, &task.why) {
        (Some(fault), Some(why)) => format!("{fault} {why}"),
        (None, Some(why)) => why.clone(),
        (Some(fault), None) => fault.to_string(),
        (None, None) => String::new(),
    }
}

fn row(task: &TaskRow) -> Vec<String> {
    let due = if task.state == TaskState::Waiting { rfc3339(task.due) } else { String::new() };
    let tries = format!("{}/{}", task.tries, task.most_tries);
    vec![task.id.clone(), task.mac.to_string(), word(task).to_owned(), task.state.to_string(), tries, due, why(task)]
}

/// A task as both the command line and scripts see it. What is sealed in it shows as `***`.
pub(super) fn as_json(task: &TaskRow) -> Value {
    json!({
        "id": task.id,
        "mac": task.mac,
        "task": crate::acs::task::shown(&task.spec),
        "state": task.state.as_str(),
        "tries": task.tries,
        "most_tries": task.most_tries,
        "due": rfc3339(task.due),
        "expires": rfc3339(task.expires),
        "created": rfc3339(task.created),
        "created_by": task.created_by,
        "bulk": task.bulk,
        "called": task.called,
        "result": task.result.as_deref().and_then(|result| serde_json::from_str::<Value>(result).ok()),
        "fault": task.fault,
        "why": task.why,
        "finished": task.finished.map(rfc3339),
    })
}

/// A task for people: what it is, then its result, a line each.
pub(super) fn write_task(task: &TaskRow) -> Result<(), Failure> {
    output::write(|out| {
        writeln!(out, "{}", line(task))?;
        let mut field = |name: &str, value: &str| {
            if value.is_empty() { Ok(()) } else { writeln!(out, "{name:<10} {}", Escaped(value)) }
        };
        if let Value::Object(asked) = crate::acs::task::shown(&task.spec) {
            for (key, value) in asked.iter().filter(|(key, _)| *key != "do") {
                field(key, &plain(value))?;
            }
        }
        field("created", &format!("{} by {}", rfc3339(task.created), task.created_by))?;
        if task.state == TaskState::Waiting {
            field("due", &rfc3339(task.due))?;
        }
        if task.state.is_open() {
            field("expires", &rfc3339(task.expires))?;
        }
        field("tries", &format!("{} of {}", task.tries, task.most_tries))?;
        match (&task.called, task.calling) {
            (Some(called), _) => field("called", called)?,
            (None, Calling::Wanted) => field("called", "not yet")?,
            (None, _) => {}
        }
        field("why", &why(task))?;
        field("finished", &task.finished.map(rfc3339).unwrap_or_default())?;
        let result = task.result.as_deref().and_then(|result| serde_json::from_str::<Value>(result).ok());
        if let Some(Value::Object(result)) = result {
            for (key, value) in &result {
                match value {
                    Value::Object(inner) => {
                        for (name, value) in inner {
                            writeln!(out, "{} = {}", Escaped(name), Escaped(&plain(value)))?;
                        }
                    }
                    value => writeln!(out, "{} = {}", Escaped(key), Escaped(&plain(value)))?,
                }
            }
        }
        Ok(())
    })
}

/// A value without the quotes of a text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
