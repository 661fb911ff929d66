//! Findings as JUnit XML, the form in which CI servers take results of tests: a suite per rule, and in it a case per finding,
//! or one that passed. What is as bad as `--fail-on` is a failure; what is less is told in the case's output.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use super::message;
use crate::cli::{Failure, output};
use crate::lint::{self, Finding, Report, Severity};
use crate::model::Escaped;

pub fn write(report: &Report, fail_on: Severity) -> Result<(), Failure> {
    output::write(|out| describe(out, report, fail_on))
}

fn describe(out: &mut dyn Write, report: &Report, fail_on: Severity) -> io::Result<()> {
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="resyncd check">"#)?;
    for about in lint::abouts() {
        let found: Vec<&Finding> = report.findings.iter().filter(|finding| finding.rule == about.id).collect();
        let failures = found.iter().filter(|finding| finding.severity >= fail_on).count();
        let (id, tests) = (about.id, found.len().max(1));
        writeln!(out, r#"  <testsuite name="{id}" tests="{tests}" failures="{failures}" errors="0" skipped="0">"#)?;
        if found.is_empty() {
            writeln!(out, r#"    <testcase classname="{id}" name="{}"/>"#, Quoted(&about.summary()))?;
        }
        for finding in found {
            case(out, finding, fail_on)?;
        }
        if let Some(count) = report.omitted.get(id) {
            writeln!(out, "    <system-out>{count} more findings are not shown</system-out>")?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn case(out: &mut dyn Write, finding: &Finding, fail_on: Severity) -> io::Result<()> {
    let place = place(finding);
    let name = if place.is_empty() { finding.message.clone() } else { format!("{place}: {}", finding.message) };
    writeln!(out, r#"    <testcase classname="{}" name="{}">"#, finding.rule, Quoted(&name))?;
    let (title, text) = (Quoted(&finding.message), format!("{place}\n{}", message(finding)));
    let severity = finding.severity.as_str();
    if finding.severity >= fail_on {
        writeln!(out, r#"      <failure message="{title}" type="{severity}">{}</failure>"#, Quoted(&text))?;
    } else {
        writeln!(out, "      <system-out>{severity}: {}</system-out>", Quoted(&text))?;
    }
    writeln!(out, "    </testcase>")
}

fn place(finding: &Finding) -> String {
    let mut place = finding.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    if let Some(line) = finding.line {
        // Writing to a text can't fail.
        let _ = write!(place, ":{line}");
    }
    place
}

/// A text in XML, between quotes or tags. What XML can't hold is spelt out.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            for character in Escaped(line).to_string().chars() {
                match character {
                    '&' => f.write_str("&amp;")?,
                    '<' => f.write_str("&lt;")?,
                    '>' => f.write_str("&gt;")?,
                    '"' => f.write_str("&quot;")?,
                    // Characters that no XML may hold.
                    '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                    other => f.write_char(other)?,
                }
            }
            f.write_str(end)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Quoted;

    #[test]
    fn no_text_breaks_out() {
        assert_eq!(Quoted("\"><&\u{1}\u{ffff}\nb").to_string(), "&quot;&gt;&lt;&amp;\\u{1}\u{fffd}\nb");
    }
}
