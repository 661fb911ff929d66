//! `resyncd check`: find what is wrong before a phone does.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::{Ending, Failure, output};
use crate::config::Config;
use crate::lint::{self, Finding, Severity};
use crate::model::Escaped;
use crate::resync::Generation;

/// Find what is wrong before a phone does.
///
/// Loads configuration, packs and settings, and renders every file of every device. Secrets that stand in the environment
/// or in files need not be there. Exit code 1 if there is an error among the findings.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How findings are written. JSON: an array of {rule, severity, message, file, line, key, help, device}.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

impl Args {
    /// Exit code 1 if there is an error among the findings.
    pub fn run(&self, config_file: &Path) -> Result<Ending, Failure> {
        let (findings, summary) = look(config_file);
        match self.format {
            output::Format::Json => output::json(&findings)?,
            output::Format::Human => output::write(|out| describe(out, &findings))?,
        }
        eprintln!("{summary}");
        let has_error = findings.iter().any(|finding| finding.severity == Severity::Error);
        Ok(if has_error { Ending::Findings } else { Ending::Fine })
    }
}

fn look(config_file: &Path) -> (Vec<Finding>, String) {
    let config = match Config::load(config_file) {
        Ok(config) => config,
        Err(problems) => return done(lint::loading("configuration", problems), "configuration"),
    };
    match Generation::load(&config.templates, &config.profiles, 1) {
        Err(problems) => done(lint::loading("settings", problems), "packs and settings"),
        Ok(generation) => {
            let findings = lint::rendering(&generation, config.limits.profile_bytes);
            let (devices, packs) = (generation.profiles.device_count(), generation.packs.iter().count());
            done(findings, &format!("{devices} devices and {packs} packs"))
        }
    }
}

fn done(findings: Vec<Finding>, what: &str) -> (Vec<Finding>, String) {
    let summary = match findings.len() {
        0 => format!("{what}: nothing found"),
        1 => format!("{what}: 1 finding"),
        count => format!("{what}: {count} findings"),
    };
    (findings, summary)
}

/// Findings of one place and message that many devices share are written once, with how many.
fn describe(out: &mut dyn Write, findings: &[Finding]) -> io::Result<()> {
    let mut shared: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let place = finding.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        let key = finding.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default();
        let text = format!("{place}{line}: {} [{}] {key}{}", word(finding.severity), finding.rule, finding.message);
        shared.entry(text).or_default().push(finding);
    }
    for (text, findings) in shared {
        writeln!(out, "{}", Escaped(&text))?;
        if let Some(help) = findings.first().and_then(|finding| finding.help.as_ref()) {
            writeln!(out, "    {}", Escaped(help))?;
        }
        let devices: Vec<_> = findings.iter().filter_map(|finding| finding.device).map(|mac| mac.to_string()).collect();
        match devices.as_slice() {
            [] => {}
            [first] => writeln!(out, "    device {first}")?,
            [first, ..] => writeln!(out, "    {} devices, {first} among them", devices.len())?,
        }
    }
    Ok(())
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
