//! Findings as the workflow commands that GitHub Actions turns into annotations. It shows ten of each kind a step, so errors
//! come first, and the log has them all.

use std::cmp::Reverse;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

use super::message;
use crate::cli::{Failure, output};
use crate::lint::{Finding, Report, Severity};

pub fn write(report: &Report) -> Result<(), Failure> {
    output::write(|out| describe(out, report))
}

fn describe(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    findings.sort_by_key(|finding| Reverse(finding.severity));
    for finding in findings {
        let command = match finding.severity {
            Severity::Note => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let mut properties = Vec::new();
        let file = finding.file.as_ref().map(|file| file.display().to_string());
        properties.extend(file.map(|file| format!("file={}", Property(file.strip_prefix("./").unwrap_or(&file)))));
        properties.extend(finding.line.map(|line| format!("line={line}")));
        properties.extend(finding.column.map(|column| format!("col={column}")));
        // The end is the last column here, not the one after it.
        properties.extend(finding.end_column.map(|end| format!("endColumn={}", end.saturating_sub(1).max(1))));
        properties.push(format!("title={}", Property(finding.rule)));
        writeln!(out, "::{command} {}::{}", properties.join(","), Data(&message(finding)))?;
    }
    for (rule, count) in &report.omitted {
        writeln!(out, "::warning title={}::{count} more findings are not shown", Property(rule))?;
    }
    Ok(())
}

/// The text of a command.
struct Data<'t>(&'t str);

/// The value of a command's property.
struct Property<'t>(&'t str);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encoded(self.0, f, |_| false)
    }
}

impl fmt::Display for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encoded(self.0, f, |character| matches!(character, ':' | ','))
    }
}

/// What would end the text, or be taken for an encoded character, is encoded.
fn encoded(text: &str, f: &mut fmt::Formatter<'_>, also: impl Fn(char) -> bool) -> fmt::Result {
    for character in text.chars() {
        match character {
            '%' | '\r' | '\n' => write!(f, "%{:02X}", u32::from(character))?,
            other if also(other) => write!(f, "%{:02X}", u32::from(other))?,
            other => f.write_char(other)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Data, Property};

    #[test]
    fn no_text_ends_a_command() {
        assert_eq!(Data("100 %\n::error::x").to_string(), "100 %25%0A::error::x");
        assert_eq!(Property("a:b,c").to_string(), "a%3Ab%2Cc");
    }
}
