//! `resyncd group`: groups that are set at run time.

use std::io::{self, Write};

use clap::Subcommand;
use serde_json::{Map, Value};

use super::device::settings_lines;
use super::fleet::{Manner, block_on, carry_out, open, open_read_only};
use super::table::{Align, Layout, csv_line};
use super::{Ending, Failure, assignment, output};
use crate::config::Config;
use crate::document::Problems;
use crate::events::rfc3339;
use crate::fleet::{Edit, Expect, Group, Name, Secrecy, Shown, What};
use crate::model::Escaped;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Set(Set),
    Show(Show),
    List(List),
    Rm(Remove),
}

/// Make a group in the database, or change it.
///
/// What is set here is stronger than the group's file in profiles/groups, if it has one. What isn't named stays as it is.
/// Secrets are best written as SETTING=@FILE or SETTING=@-: see `resyncd device add --help`.
#[derive(Debug, clap::Args)]
pub struct Set {
    name: String,
    /// The group that it lies within.
    #[arg(long, value_name = "NAME")]
    parent: Option<String>,
    /// Settings by their dotted names: lines.1.proxy=sip.example.com. Lists have ; between.
    #[arg(value_name = "SETTING=VALUE")]
    settings: Vec<String>,
    /// Take a setting (or a section, or parent) out of what was set at run time.
    #[arg(long, value_name = "SETTING")]
    unset: Vec<String>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Show a group: its file, and what was set at run time.
#[derive(Debug, clap::Args)]
pub struct Show {
    name: String,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
    /// Write secrets as they are.
    #[arg(long)]
    show_secrets: bool,
}

/// List groups, whether files have them or the database.
#[derive(Debug, clap::Args)]
pub struct List {
    /// How they are written. Secrets are masked.
    #[arg(long, value_enum, default_value_t = output::Rows::Table)]
    format: output::Rows,
}

/// Remove groups from the database.
///
/// Where a group has a file, too, what its file says holds again. One that is in use is not removed.
#[derive(Debug, clap::Args)]
pub struct Remove {
    #[arg(required = true)]
    names: Vec<String>,
    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub fn run(self, config: &Config) -> Result<Ending, Failure> {
        match self.command {
            Command::Set(args) => args.run(config),
            Command::Show(args) => args.run(config),
            Command::List(args) => args.run(config),
            Command::Rm(args) => args.run(config),
        }
    }
}

impl Set {
    fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let mut object: Map<String, Value> =
            self.parent.iter().map(|parent| ("parent".to_owned(), parent.clone().into())).collect();
        let mut settings = assignment::read(&self.settings)?;
        assignment::without(&mut settings, &mut object, &self.unset);
        object.insert("settings".to_owned(), settings.into());
        let what = What::Merge(object);
        let edit = Edit { row: None, name: Name::Group(self.name.clone()), what, expect: Expect::Any };
        let manner = Manner { dry_run: self.dry_run, ..Manner::default() };
        block_on(async { carry_out(&open(config).await?, vec![edit], Problems::default(), manner).await })
    }
}

impl Remove {
    fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let remove = |name: &String| Edit {
            row: None,
            name: Name::Group(name.clone()),
            what: What::Remove,
            expect: Expect::Any,
        };
        let edits = self.names.iter().map(remove).collect();
        let manner = Manner { dry_run: self.dry_run, ..Manner::default() };
        block_on(async { carry_out(&open(config).await?, edits, Problems::default(), manner).await })
    }
}

impl Show {
    fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let (group, secrecy) = block_on(async {
            let fleet = open_read_only(config).await?;
            let group = fleet.group(&self.name).await?;
            Ok((group, Secrecy::new(&fleet.generation().packs)))
        })?;
        let Some(group) = group else {
            eprintln!("resyncd: there is no group \"{}\"; `resyncd group list` lists them", Escaped(&self.name));
            return Ok(Ending::Findings);
        };
        let shown = if self.show_secrets { Shown::Real } else { Shown::Masked };
        match self.format {
            output::Format::Json => output::json(&group.json(&secrecy, shown))?,
            output::Format::Human => output::write(|out| describe(&group, &secrecy, shown, out))?,
        }
        Ok(Ending::Fine)
    }
}

fn describe(group: &Group, secrecy: &Secrecy, shown: Shown, out: &mut dyn Write) -> io::Result<()> {
    let line = |out: &mut dyn Write, name: &str, text: &str| writeln!(out, "{name:8}{}", Escaped(text));
    line(out, "name", &group.name)?;
    if let Some(parent) = &group.parent {
        line(out, "parent", parent)?;
    }
    if let Some(file) = &group.file {
        line(out, "file", &file.display().to_string())?;
    }
    if let Some(problem) = &group.problem {
        line(out, "problem", &format!("what is in it is not served: {problem}"))?;
    }
    let Some(stored) = &group.record else { return Ok(()) };
    let (created, changed) = (rfc3339(stored.created), rfc3339(stored.changed));
    line(out, "record", &format!("revision {}, created {created}, changed {changed}", stored.revision))?;
    let settings = &stored.record.settings;
    let settings = if shown == Shown::Real { settings.clone() } else { secrecy.masked(settings) };
    settings_lines(&settings, out)
}

const COLUMNS: [&str; 4] = ["name", "parent", "from", "problem"];

impl List {
    fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let (groups, secrecy) = block_on(async {
            let fleet = open_read_only(config).await?;
            Ok((fleet.groups().await?, Secrecy::new(&fleet.generation().packs)))
        })?;
        let rows: Vec<Vec<String>> = groups.iter().map(row).collect();
        let header = COLUMNS.map(str::to_owned).to_vec();
        match self.format {
            output::Rows::Json => {
                let groups = groups.iter().map(|group| Value::Object(group.json(&secrecy, Shown::Masked)));
                output::json_rows(groups)?;
            }
            output::Rows::Csv => {
                let mut lines = std::iter::once(&header).chain(&rows).map(|row| csv_line(row));
                output::write(|out| lines.try_for_each(|line| out.write_all(line.as_bytes())))?;
            }
            output::Rows::Table => {
                let mut layout = Layout::new(&COLUMNS.map(|name| (name.to_uppercase(), Align::Left)));
                layout.fit(&rows);
                let header = layout.header();
                let mut lines = std::iter::once(&header).chain(&rows).map(|row| layout.line(row));
                output::write(|out| lines.try_for_each(|line| out.write_all(line.as_bytes())))?;
            }
        }
        Ok(Ending::Fine)
    }
}

fn row(group: &Group) -> Vec<String> {
    let from = match (&group.file, group.has_record) {
        (Some(_), true) => "file and database",
        (Some(_), false) => "file",
        (None, _) => "database",
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![group.name.clone(), text(&group.parent), from.to_owned(), text(&group.problem)]
}
