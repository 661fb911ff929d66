//! What the commands that edit the fleet share: opening it, telling what a plan comes to, and carrying it out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use super::{Ending, Failure, output};
use crate::config::Config;
use crate::document::Problems;
use crate::fleet::{Action, Actor, Applied, Edit, Fleet, FleetError, Liberties, Plan, Planned};
use crate::model::Escaped;

/// What is wrong is told one by one up to so many.
const MOST_TOLD: usize = 100;

/// Runs a command that asks the database.
pub fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::because("no runtime", error))?.block_on(command)
}

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Problems(problems) => Self::Problems(problems),
            error => Self::Other(error.to_string()),
        }
    }
}

/// The fleet, to be changed; its database is made if need be.
pub async fn open(config: &Config) -> Result<Fleet, Failure> {
    let (fleet, made) = Fleet::open(Arc::new(config.clone())).await?;
    if let Some(path) = made {
        eprintln!("made the key of the database's secrets, {}; keep a copy of it elsewhere", path.display());
    }
    Ok(fleet)
}

/// The fleet, to be looked at.
pub async fn open_read_only(config: &Config) -> Result<Fleet, Failure> {
    Ok(Fleet::open_read_only(Arc::new(config.clone())).await?)
}

/// Who works at the command line.
pub fn actor() -> Actor {
    let name = whoami::username().unwrap_or_else(|_| format!("uid {}", rustix::process::geteuid().as_raw()));
    Actor { name: format!("cli:{name}"), peer: None }
}

/// How changes are carried out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Shown, and not made.
    pub dry_run: bool,
    pub liberties: Liberties,
    /// So many that they are counted where they are made, and not named.
    pub many: bool,
}

/// Plans changes, tells what is wrong with them, and makes or shows them. `wrong` is what is wrong already: then nothing is
/// made, and what else is wrong is told all the same.
pub async fn carry_out(fleet: &Fleet, edits: Vec<Edit>, wrong: Problems, manner: Manner) -> Result<Ending, Failure> {
    let places: HashMap<String, usize> =
        edits.iter().enumerate().filter_map(|(place, edit)| Some((edit.row.clone()?, place))).collect();
    let mut plan = fleet.plan(edits, manner.liberties).await?;
    plan.refused.sort_by_key(|refused| refused.row.as_ref().and_then(|row| places.get(row).copied()));
    if !wrong.is_empty() || !plan.refused.is_empty() {
        refuse(&wrong, &plan);
        return Ok(Ending::Findings);
    }
    if manner.dry_run {
        output::write(|out| plan.planned.iter().try_for_each(|planned| describe(planned, out)))?;
        tell_notes(&plan.planned);
        eprintln!("nothing was written: {}", counted(&count(&plan), "to be "));
        return Ok(Ending::Fine);
    }
    let done: Vec<String> = if manner.many { Vec::new() } else { plan.planned.iter().map(done).collect() };
    let notes = notes(&plan.planned);
    match fleet.apply(plan, &actor()).await {
        Ok(applied) => {
            eprint!("{notes}");
            output::write(|out| {
                done.iter().try_for_each(|line| writeln!(out, "{line}"))?;
                if manner.many { writeln!(out, "{}", counted(&applied, "")) } else { Ok(()) }
            })?;
            Ok(Ending::Fine)
        }
        Err(FleetError::Write(
            error @ (crate::store::WriteError::Changed { .. } | crate::store::WriteError::SerialTaken),
        )) => {
            eprintln!("resyncd: {error}; nothing was changed");
            Ok(Ending::Findings)
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells everything that is wrong, each with its row.
fn refuse(wrong: &Problems, plan: &Plan) {
    let of_file = wrong.iter().map(ToString::to_string);
    let of_plan = plan.refused.iter().map(|refused| match &refused.row {
        Some(row) => format!("{}: {}", Escaped(row), refused.problem),
        None => refused.problem.to_string(),
    });
    for line in of_file.chain(of_plan).take(MOST_TOLD) {
        eprintln!("{line}");
    }
    let all = wrong.len() + plan.refused.len();
    if all > MOST_TOLD {
        eprintln!("… and {} more", all - MOST_TOLD);
    }
    eprintln!("resyncd: nothing was changed: {all} {} wrong", if all == 1 { "thing is" } else { "things are" });
}

/// One change as a dry run shows it.
fn describe(planned: &Planned, out: &mut dyn Write) -> io::Result<()> {
    if planned.action == Action::Keep {
        return Ok(());
    }
    writeln!(out, "{} {}", planned.action.as_str(), planned.name)?;
    let keys: Vec<_> =
        planned.differences.iter().map(|one| one.key.strip_prefix("settings.").unwrap_or(&one.key)).collect();
    let widest = keys.iter().map(|key| key.chars().count()).max().unwrap_or_default();
    for (key, one) in keys.into_iter().zip(&planned.differences) {
        let side = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or("(none)".to_owned(), |value| match value.as_str() {
                Some(text) if text == crate::records::MASK => text.to_owned(),
                _ => Escaped(&value.to_string()).to_string(),
            })
        };
        writeln!(out, "    {:widest$}  {} -> {}", Escaped(key).to_string(), side(&one.before), side(&one.after))?;
    }
    Ok(())
}

fn done(planned: &Planned) -> String {
    let name = &planned.name;
    match planned.action {
        Action::Create => format!("created {name}"),
        Action::Change => format!("changed {name}"),
        Action::Remove => format!("removed {name}"),
        Action::Keep => format!("kept {name}: it is so already"),
    }
}

/// What else happens, and what isn't as good as it could be; a line each.
fn notes(planned: &[Planned]) -> String {
    let notes: Vec<String> = planned
        .iter()
        .flat_map(|planned| {
            planned.notes.iter().map(move |note| {
                let row = planned.row.as_ref().map(|row| format!("{}: ", Escaped(row))).unwrap_or_default();
                format!("{row}{}: {}", planned.name, Escaped(note))
            })
        })
        .collect();
    let mut text = String::new();
    for note in notes.iter().take(MOST_TOLD) {
        let _ = writeln!(text, "{note}");
    }
    if let Some(more) = notes.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        let _ = writeln!(text, "… and {more} more");
    }
    text
}

fn tell_notes(planned: &[Planned]) {
    eprint!("{}", notes(planned));
}

fn count(plan: &Plan) -> Applied {
    let of = |action: Action| plan.planned.iter().filter(|planned| planned.action == action).count();
    Applied {
        created: of(Action::Create),
        changed: of(Action::Change),
        removed: of(Action::Remove),
        kept: of(Action::Keep),
        revision: None,
    }
}

fn counted(applied: &Applied, before: &str) -> String {
    let Applied { created, changed, removed, kept, .. } = applied;
    format!("{created} {before}created, {changed} {before}changed, {removed} {before}removed, {kept} kept")
}
