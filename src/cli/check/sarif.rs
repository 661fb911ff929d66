//! Findings as SARIF 2.1.0 (OASIS): what code hosts show beside the changed lines.

use std::path::{Component, Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::message;
use crate::cli::{Failure, output};
use crate::lint::{self, About, Finding, Report, Severity};
use crate::model::fingerprint;

/// What stands for itself in a URI's path (RFC 3986).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Writes the report. A finding of no file is shown at the configuration, as hosts show none without a place.
pub fn write(report: &Report, config_file: &Path, fail_on: Severity) -> Result<(), Failure> {
    output::json(&log(report, config_file, fail_on))
}

fn log(report: &Report, config_file: &Path, fail_on: Severity) -> Value {
    let abouts = lint::abouts();
    let results: Vec<Value> = report.findings.iter().map(|finding| result(finding, &abouts, config_file)).collect();
    let notifications: Vec<Value> = report.omitted.iter().map(|(rule, count)| omitted(rule, *count)).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "resyncd",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": abouts.iter().map(|about| rule(about)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": true,
                "exitCode": i32::from(report.worst >= Some(fail_on)),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    })
}

fn rule(about: &About) -> Value {
    let doc: Vec<&str> = about.lines().collect();
    let sections = [about.why(), about.help()].into_iter().flatten().collect::<Vec<_>>();
    json!({
        "id": about.id,
        "shortDescription": { "text": about.summary() },
        "help": { "text": sections.join(" "), "markdown": doc.join("\n") },
        "defaultConfiguration": { "level": about.severity.as_str() },
    })
}

fn omitted(rule: &str, count: usize) -> Value {
    let text = format!("{count} more findings of {rule} are not shown");
    json!({ "level": "warning", "message": { "text": text }, "associatedRule": { "id": rule } })
}

fn result(finding: &Finding, abouts: &[&About], config_file: &Path) -> Value {
    let index = abouts.iter().position(|about| about.id == finding.rule);
    let file = finding.file.as_deref().unwrap_or(config_file);
    let mut location = json!({ "artifactLocation": { "uri": uri(file) } });
    if let (Some(line), Some(place)) = (finding.line, location.as_object_mut()) {
        place.insert("region".to_owned(), region(finding, line));
    }
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity.as_str(),
        "message": { "text": message(finding) },
        "locations": [{ "physicalLocation": location }],
        // The same finding stays the same when lines are put in above it.
        "partialFingerprints": { "resyncd/v1": format!("{:016x}", identity(finding)) },
        "properties": {
            "key": finding.key,
            "deviceCount": finding.device_count,
            "devices": finding.devices.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "path": finding.path,
            "renderedLine": finding.rendered_line,
        },
    })
}

fn region(finding: &Finding, line: u32) -> Value {
    let mut region = json!({ "startLine": line });
    let columns = [("startColumn", finding.column), ("endColumn", finding.end_column)];
    if let Some(fields) = region.as_object_mut() {
        for (name, column) in columns {
            fields.extend(column.map(|column| (name.to_owned(), json!(column))));
        }
        let snippet = finding.source.as_ref().map(|source| json!({ "text": source.text }));
        fields.extend(snippet.map(|snippet| ("snippet".to_owned(), snippet)));
    }
    region
}

fn identity(finding: &Finding) -> u64 {
    let file = finding.file.as_ref().map(|file| file.display().to_string());
    fingerprint(format!("{}\0{file:?}\0{:?}\0{}", finding.rule, finding.key, finding.message).as_bytes())
}

/// A file as a URI: relative ones stay so, for the host to find them in its checkout.
fn uri(file: &Path) -> String {
    let plain: std::path::PathBuf = file.components().filter(|part| *part != Component::CurDir).collect();
    let encoded = utf8_percent_encode(&plain.to_string_lossy(), KEPT).to_string();
    if plain.is_absolute() { format!("file://{encoded}") } else { encoded }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::uri;

    #[test]
    fn files_are_uris() {
        assert_eq!(uri(Path::new("./profiles/a b%.toml")), "profiles/a%20b%25.toml");
        assert_eq!(uri(Path::new("/srv/é.toml")), "file:///srv/%C3%A9.toml");
    }
}
