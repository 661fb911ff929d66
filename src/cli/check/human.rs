//! Findings for people: the line that is meant, what the phone makes of it, what to do, and how many devices it is
//! about.

use std::io::{self, IsTerminal, Write};

use crate::cli::{Failure, output};
use crate::lint::{Finding, Report, Severity, Source};
use crate::model::Escaped;

/// Findings of one rule that say the same of ever another file are told so often, and then counted.
const ALIKE: usize = 5;

pub fn write(report: &Report) -> Result<(), Failure> {
    // By the custom of no-color.org: set to anything but nothing.
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = if io::stdout().is_terminal() && !is_plain { &COLOURED } else { &PLAIN };
    output::write(|out| describe(out, report, colours))
}

struct Colours {
    error: &'static str,
    warning: &'static str,
    note: &'static str,
    bold: &'static str,
    faint: &'static str,
    end: &'static str,
}

const PLAIN: Colours = Colours { error: "", warning: "", note: "", bold: "", faint: "", end: "" };
const COLOURED: Colours = Colours {
    error: "\u{1b}[1;31m",
    warning: "\u{1b}[1;33m",
    note: "\u{1b}[1;36m",
    bold: "\u{1b}[1m",
    faint: "\u{1b}[34m",
    end: "\u{1b}[0m",
};

impl Colours {
    fn of(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Error => self.error,
            Severity::Warning => self.warning,
            Severity::Note => self.note,
        }
    }
}

fn describe(out: &mut dyn Write, report: &Report, colours: &Colours) -> io::Result<()> {
    let mut told: std::collections::HashMap<(&str, &str), usize> = std::collections::HashMap::new();
    for finding in &report.findings {
        let count = told.entry((finding.rule, finding.message.as_str())).or_default();
        *count += 1;
        if *count <= ALIKE {
            one(out, finding, colours)?;
        }
    }
    let mut more: Vec<_> = told.into_iter().filter(|(_, count)| *count > ALIKE).collect();
    more.sort_unstable();
    for ((rule, message), count) in more {
        writeln!(out, "{} more places: [{rule}] {}", count - ALIKE, Escaped(message))?;
    }
    for (rule, count) in &report.omitted {
        writeln!(out, "{count} more findings of {rule} are not shown")?;
    }
    Ok(())
}

fn one(out: &mut dyn Write, finding: &Finding, colours: &Colours) -> io::Result<()> {
    let Colours { bold, faint, end, .. } = colours;
    let colour = colours.of(finding.severity);
    let word = finding.severity.as_str();
    writeln!(out, "{colour}{word}[{}]{end}{bold}: {}{end}", finding.rule, Escaped(&finding.message))?;
    let number = finding.line.map(|line| line.to_string()).unwrap_or_default();
    let margin = " ".repeat(number.len());
    if let Some(file) = &finding.file {
        let file = file.display().to_string();
        write!(out, "{margin}{faint}-->{end} {}", Escaped(&file))?;
        if !number.is_empty() {
            write!(out, ":{number}")?;
        }
        if let Some(column) = finding.column {
            write!(out, ":{column}")?;
        }
        writeln!(out)?;
    }
    if let Some(source) = &finding.source {
        let (before, marked) = widths(source);
        writeln!(out, "{margin} {faint}|{end}")?;
        writeln!(out, "{faint}{number} |{end} {}", Escaped(&source.text))?;
        writeln!(out, "{margin} {faint}|{end} {}{colour}{}{end}", " ".repeat(before), "^".repeat(marked))?;
    }
    let mut say =
        |label: &str, text: &str| writeln!(out, "{margin} {faint}={end} {bold}{label}{end}: {}", Escaped(text));
    if finding.source.is_none()
        && let Some(key) = &finding.key
    {
        say("setting", key)?;
    }
    if let Some(why) = &finding.why {
        say("the phone", why)?;
    }
    if let Some(help) = &finding.help {
        say("help", help)?;
    }
    if let Some(devices) = devices(finding) {
        say("devices", &devices)?;
    }
    if let Some(path) = &finding.path {
        let line = finding.rendered_line.map(|line| format!(", line {line}")).unwrap_or_default();
        say("rendered", &format!("{path}{line}"))?;
    }
    writeln!(out)
}

/// Columns before the part that is meant, and those that it takes, as the line is shown.
fn widths(source: &Source) -> (usize, usize) {
    let shown = |text: Option<&str>| Escaped(text.unwrap_or_default()).to_string().chars().count();
    let before = shown(source.text.get(..source.span.start));
    (before, shown(source.text.get(source.span.clone())).max(1))
}

fn devices(finding: &Finding) -> Option<String> {
    let named: Vec<String> = finding.devices.iter().map(ToString::to_string).collect();
    match finding.device_count {
        0 => None,
        count if count > named.len() => Some(format!("{count}: {}, …", named.join(", "))),
        1 => Some(named.join(", ")),
        count => Some(format!("{count}: {}", named.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MacAddr;

    #[test]
    fn a_finding_shows_its_line_and_who_is_concerned() {
        let finding = Finding {
            rule: "some-rule",
            severity: Severity::Error,
            column: Some(8),
            why: Some("It waits.".to_owned()),
            source: Some(Source { text: "\tkey = 'é' # x".to_owned(), span: 7..11 }),
            ..Finding::new("is wrong")
                .in_line(std::path::Path::new("a.toml"), 12)
                .devices(["000e08000001", "000e08000002"].map(|mac| mac.parse::<MacAddr>().unwrap()).to_vec())
        };
        let report = Report { findings: vec![finding], ..Report::default() };
        let mut out = Vec::new();
        describe(&mut out, &report, &PLAIN).unwrap();
        let lines = [
            "error[some-rule]: is wrong",
            "  --> a.toml:12:8",
            "   |",
            "12 | \\tkey = 'é' # x",
            "   |         ^^^",
            "   = the phone: It waits.",
            "   = devices: 2: 000e08000001, 000e08000002",
            "\n",
        ];
        assert_eq!(String::from_utf8(out).unwrap(), lines.join("\n"));
    }
}
