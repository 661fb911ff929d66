//! `resyncd check`: find what is wrong before a phone does. How findings are written is in a file for each format.

mod github;
mod human;
mod json;
mod junit;
pub mod progress;
mod sarif;

use std::collections::HashSet;
use std::path::Path;

use super::{Ending, Failure, snapshot};
use crate::config::Config;
use crate::diff::{self, Side};
use crate::lint::{self, Finding, Options, Report, Severity};
use crate::model::{Escaped, MacAddr};
use crate::records::Snapshot;
use crate::revision::{Deployment, RevisionError};
use crate::store::Store;
use crate::vault::Vault;

/// Find what is wrong before a phone does.
///
/// Loads configuration, packs and settings, renders every file of every device, and applies the rules of
/// docs/rules.md to them. Secrets that stand in the environment or in files need not be there. Exit code 1 if there
/// is a finding as bad as --fail-on says.
///
/// A finding is allowed by a comment in its line or on a line of its own before it: `# resyncd: allow(RULE) reason`.
/// What a rule's findings are (note, warning, error, off) can be set in the configuration's [lint].
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How findings are written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// From which severity on findings make the exit code 1.
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Severity::Error)]
    fail_on: Severity,
    /// Only this rule; may be given several times.
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<String>,
    /// Name every device that a finding is about, and not just the first few.
    #[arg(long)]
    all_devices: bool,
    /// Play every device's phone against its own files, too.
    #[arg(long)]
    emulate: bool,
    /// Only devices for which something changes against this revision of git, or this folder. What all devices share is
    /// looked at in any case.
    #[arg(long, value_name = "REVISION")]
    since: Option<String>,
    /// Every device of the database, too, as it would be served: findings then name database/devices/MAC. Left out, files
    /// alone are looked at.
    #[arg(long, conflicts_with = "since")]
    records: bool,
}

/// The formats of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people: the line that is meant, what the phone makes of it, and what to do.
    Human,
    /// An array of {rule, severity, message, why, help, file, line, column, end_column, key, device, device_count,
    /// devices, path, rendered_line}; null for what a finding has not.
    Json,
    /// SARIF 2.1.0, which code hosts show beside the changed lines.
    Sarif,
    /// JUnit XML for CI servers: what --fail-on names is a failed test case.
    Junit,
    /// Annotations of GitHub Actions.
    Github,
}

impl Args {
    /// Exit code 1 if there is a finding as bad as `--fail-on`.
    pub fn run(&self, config_file: &Path) -> Result<Ending, Failure> {
        if !config_file.is_file() {
            let help = "name yours with --config FILE";
            return Err(Failure::Other(format!("{}: there is no such file ({help})", config_file.display())));
        }
        for rule in &self.rules {
            self::known(rule)?;
        }
        let options = Options {
            all_devices: self.all_devices,
            rules: self.rules.clone(),
            emulate: self.emulate,
            records: if self.records { records(config_file)? } else { None },
            devices: self.since.as_ref().map(|revision| changed(revision, config_file)).transpose()?.flatten(),
        };
        let mut bar = progress::Bar::new();
        let report = lint::run(config_file, &options, &mut |all, seen| bar.tell(all, seen));
        bar.end();
        match self.format {
            Format::Human => human::write(&report)?,
            Format::Json => json::write(&report)?,
            Format::Sarif => sarif::write(&report, config_file, self.fail_on)?,
            Format::Junit => junit::write(&report, self.fail_on)?,
            Format::Github => github::write(&report)?,
        }
        eprintln!("{}", summary(&report));
        Ok(if report.worst >= Some(self.fail_on) { Ending::Findings } else { Ending::Fine })
    }
}

/// What the database has; none where it can't be told where that is, which is a finding anyway.
fn records(config_file: &Path) -> Result<Option<Snapshot>, Failure> {
    let Ok(config) = Config::load(config_file) else { return Ok(None) };
    let read = |store: Store, vault: Vault| async move { Snapshot::of_all(&store, &vault).await };
    snapshot::take(&config, "leave --records out to check the files alone", read)
}

/// The devices for which something changes against a revision; none where either side can't be loaded, so that all are
/// looked at: what is wrong with this side is then told, and what was wrong with the other may be what is mended here.
fn changed(revision: &str, config_file: &Path) -> Result<Option<HashSet<MacAddr>>, Failure> {
    let (old, new) = (Deployment::named(revision, config_file)?, Deployment::here(config_file));
    let loaded_old = match old.load() {
        Ok(loaded) => loaded,
        Err(RevisionError::Problems(_)) => {
            eprintln!("{revision} can't be loaded: looking at all devices");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let Ok(loaded_new) = new.load() else { return Ok(None) };
    let limit = loaded_new.config.limits.profile_bytes;
    let report = diff::compare(Side::of(&old, &loaded_old), Side::of(&new, &loaded_new), limit, None)
        .map_err(|error| Failure::because("the operating system gives no random bytes", error))?;
    Ok(Some(report.groups.into_iter().flat_map(|group| group.devices).collect()))
}

/// Refuses the name of no rule.
fn known(rule: &str) -> Result<(), Failure> {
    let ids: Vec<_> = lint::abouts().iter().map(|about| about.id).collect();
    if ids.contains(&rule) {
        return Ok(());
    }
    let near = crate::document::nearest(rule, ids.iter().copied());
    let help = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    Err(Failure::Other(format!("there is no rule \"{rule}\"{help}")))
}

/// In running text: what is wrong, what the phone does with it, and what to do.
fn message(finding: &Finding) -> String {
    let mut parts = vec![finding.message.clone()];
    parts.extend(finding.why.clone());
    parts.extend(finding.help.clone());
    match finding.devices.as_slice() {
        [] => {}
        [only] if finding.device_count == 1 => parts.push(format!("Device {only}.")),
        [first, ..] => parts.push(format!("{} devices, {first} among them.", finding.device_count)),
    }
    let ended = parts.iter().map(|part| {
        let part = Escaped(part).to_string();
        if part.ends_with(['.', '!', '?']) { part } else { part + "." }
    });
    ended.collect::<Vec<_>>().join(" ")
}

/// One line on the whole, for stderr.
fn summary(report: &Report) -> String {
    let omitted: usize = report.omitted.values().sum();
    let found = match report.findings.len() + omitted {
        0 => "nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    };
    let omitted = if omitted == 0 { String::new() } else { format!(", {omitted} of them not shown") };
    let allowed = if report.allowed == 0 { String::new() } else { format!(", {} allowed", report.allowed) };
    match (report.devices, report.packs) {
        (_, 0) => format!("not loaded: {found}{omitted}"),
        (devices, packs) => format!("{devices} devices and {packs} packs: {found}{omitted}{allowed}"),
    }
}
