//! `resyncd diff`: what would change for the phones.

mod human;
mod json;
mod markdown;

use std::io::IsTerminal;
use std::path::Path;

use super::amounts::thousands;
use super::{Ending, Failure, output};
use crate::diff::{self, Kind, Report, Section, Side, Told};
use crate::model::MacAddr;
use crate::packs::Effect;
use crate::revision::{Deployment, RevisionError};

/// Tell what would change for the phones.
///
/// Compares two states of packs and settings, device by device and parameter by parameter. OLD and NEW are revisions of
/// the git repository that holds the configuration, or folders that hold one by the same name; a folder goes before a
/// revision (./main is the folder, refs/heads/main the branch). Secrets are not shown and need not be there, only that
/// they change. What an effect is marked with stands in the packs: reboot, register (again), resync (elsewhere, at other
/// times or in another way).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to compare with: a git revision (HEAD, main, v1.2) or a folder.
    old: String,
    /// What it would become; left out: the files as they are now.
    new: Option<String>,
    /// How the changes are written. Markdown is made for a comment on a pull request.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// End with exit code 1 if something changes for a phone.
    #[arg(long)]
    exit_code: bool,
    /// Name every phone of an entry, and not just the first few.
    #[arg(long)]
    devices: bool,
    /// Look at this phone alone, by its MAC address.
    #[arg(long, value_name = "MAC")]
    device: Option<MacAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Human,
    Json,
    Markdown,
}

/// Changes that are in no file: how the files are served.
const BESIDE: &str = "beside the files";

/// How many phones of an entry are named without --devices.
const FIRST: usize = 3;

impl Args {
    /// Exit code 1 if something changes and --exit-code is given.
    pub fn run(&self, config: &Path) -> Result<Ending, Failure> {
        let old = Deployment::named(&self.old, config)?;
        let new = match &self.new {
            Some(new) => Deployment::named(new, config)?,
            None => Deployment::here(config),
        };
        let (loaded_old, loaded_new) = (old.load()?, new.load()?);
        let generations = [&loaded_old, &loaded_new].map(|loaded| &loaded.generation.profiles);
        if let Some(mac) = self.device.filter(|mac| generations.iter().all(|profiles| profiles.device(*mac).is_none()))
        {
            return Err(Failure::Other(format!("there is no device {mac} in {} or {}", old.name(), new.name())));
        }
        let side = |deployment, loaded| Side::of(deployment, loaded);
        let limit = loaded_new.config.limits.profile_bytes;
        let report = diff::compare(side(&old, &loaded_old), side(&new, &loaded_new), limit, self.device)
            .map_err(|error| Failure::because("the operating system gives no random bytes", error))?;
        let shown = if self.devices { usize::MAX } else { FIRST };
        let names = (old.name(), new.name());
        match self.format {
            Format::Json => output::json(&json::report(&report, names, shown))?,
            Format::Markdown => output::write(|out| out.write_all(markdown::report(&report, names, shown).as_bytes()))?,
            Format::Human => {
                let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
                output::write(|out| human::Writing { out, colours, shown }.report(&report))?;
            }
        }
        Ok(if self.exit_code && !report.groups.is_empty() { Ending::Findings } else { Ending::Fine })
    }
}

impl From<RevisionError> for Failure {
    fn from(error: RevisionError) -> Self {
        match error {
            RevisionError::Problems(problems) => Self::Problems(problems),
            other => Self::Other(other.to_string()),
        }
    }
}

/// How many phones change, and how, as one line.
fn summary(report: &Report) -> String {
    if report.groups.is_empty() {
        return format!("nothing changes for {}", phones(report.devices));
    }
    let mut parts = Vec::new();
    for kind in [Kind::Added, Kind::Removed, Kind::Moved] {
        parts.extend(Some(report.count(kind)).filter(|count| *count > 0).map(|count| {
            let count = thousands(count);
            format!("{count} {}", kind.word())
        }));
    }
    let unrendered = report.count(Kind::Unrendered);
    parts.extend((unrendered > 0).then(|| format!("{} with a file that can't be made", thousands(unrendered))));
    for effect in Effect::ALL {
        let count = report.count_of(effect);
        parts.extend((count > 0).then(|| format!("{} {}", thousands(count), meaning(effect))));
    }
    let total = format!("{} of {} change", thousands(report.concerned()), phones(report.devices));
    if parts.is_empty() { total } else { format!("{total}: {}", parts.join(", ")) }
}

fn meaning(effect: Effect) -> &'static str {
    match effect {
        Effect::Reboot => "reboot",
        Effect::Register => "register again",
        Effect::Resync => "resync elsewhere or otherwise",
    }
}

fn phones(count: usize) -> String {
    if count == 1 { "1 phone".to_owned() } else { format!("{} phones", thousands(count)) }
}

/// Where the changes were made: a file, each phone's own, or what became of the phones.
fn headline(section: &Section<'_>) -> String {
    let Some(group) = section.groups.first() else { return String::new() };
    match (&group.source, group.kind) {
        (Some(source), Kind::Changed) => source.to_string(),
        (Some(source), kind) => format!("{}: {source}", kind.word()),
        (None, Kind::Changed) if group.own => "each phone's own file".to_owned(),
        (None, Kind::Changed) => "several causes".to_owned(),
        (None, kind) => kind.word().to_owned(),
    }
}

/// Whom it concerns: so many phones, or anyone.
fn whom(devices: usize, models: usize) -> String {
    match (devices, models) {
        (0, 0) => "for anyone".to_owned(),
        (0, 1) => "for anyone, 1 model".to_owned(),
        (0, models) => format!("for anyone, {models} models"),
        (devices, _) => phones(devices),
    }
}

/// One side as it is shown; none where there is nothing. `***` for a secret that is only masked, and an empty text as such.
fn shown(side: &Told) -> Option<&str> {
    match side {
        Told::Absent => None,
        Told::Is(text) if text.is_empty() => Some("\"\""),
        Told::Is(text) => Some(text),
        Told::Varies => Some("(differs from phone to phone)"),
    }
}

/// What the change is of, in words.
fn subject(change: &diff::Common) -> String {
    match &change.subject {
        diff::Subject::Access(name) => format!("access of {name}"),
        diff::Subject::Line => "line".to_owned(),
        diff::Subject::Layout if change.secret => "a secret in it".to_owned(),
        diff::Subject::Layout => "the same values, laid out in another way".to_owned(),
        diff::Subject::Failure => "can't be made".to_owned(),
        other => other.name().to_owned(),
    }
}

/// Where it was set, beyond the entry's file: the setting and the line.
fn origin(change: &diff::Common) -> String {
    let line = change.line.map(|line| format!("line {line}"));
    let setting = change.setting.as_ref().map(ToString::to_string);
    setting.into_iter().chain(line).collect::<Vec<_>>().join(", ")
}
