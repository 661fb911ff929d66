//! The changes for people.

use std::io::{self, Write};

use super::{BESIDE, headline, origin, shown, subject, summary, whom};
use crate::diff::{Common, Kind, Report, Section, Subject, Told};
use crate::model::{Escaped, MacAddr};

/// Writes to a terminal or a file.
pub struct Writing<'w> {
    pub out: &'w mut dyn Write,
    pub colours: bool,
    /// How many devices of an entry are named.
    pub shown: usize,
}

/// MACs on one line.
const IN_A_LINE: usize = 7;

#[derive(Debug, Clone, Copy)]
enum Colour {
    Bold,
    Red,
    Green,
    Yellow,
}

impl Writing<'_> {
    pub fn report(&mut self, report: &Report) -> io::Result<()> {
        let summary = self.painted(Colour::Bold, &summary(report));
        writeln!(self.out, "{summary}")?;
        report.sections().iter().try_for_each(|section| self.section(section))
    }

    fn painted(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Bold => 1,
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
        };
        let text = Escaped(text);
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    fn section(&mut self, section: &Section<'_>) -> io::Result<()> {
        let Some(first) = section.groups.first() else { return Ok(()) };
        let colour = match first.kind {
            Kind::Unrendered | Kind::Removed => Colour::Red,
            Kind::Added => Colour::Green,
            Kind::Moved | Kind::Changed => Colour::Bold,
        };
        let devices = section.devices();
        let models = section.groups.iter().map(|group| group.models.len()).sum();
        let head = self.painted(colour, &headline(section));
        let is_one = section.groups.len() == 1;
        let named = if is_one { self.named(&devices) } else { String::new() };
        writeln!(self.out, "\n{head}: {}{named}", whom(devices.len(), models))?;
        for group in &section.groups {
            let files = group.files.join(", ");
            let named = self.named(&group.devices);
            match (is_one, files.is_empty()) {
                (true, true) => {}
                (true, false) => writeln!(self.out, "  {}", Escaped(&files))?,
                (false, _) => {
                    let files = if files.is_empty() { BESIDE } else { &files };
                    let whom = whom(group.devices.len(), group.models.len());
                    writeln!(self.out, "  {}: {whom}{named}", Escaped(files))?;
                }
            }
            if !group.models.is_empty() {
                writeln!(self.out, "    {}", Escaped(&group.models.join(", ")))?;
            }
            group.changes.iter().try_for_each(|change| self.change(change))?;
            if self.shown == usize::MAX {
                let macs: Vec<String> = group.devices.iter().map(ToString::to_string).collect();
                for line in macs.chunks(IN_A_LINE) {
                    writeln!(self.out, "      {}", line.join(" "))?;
                }
            }
        }
        Ok(())
    }

    /// The first few, in brackets; nothing where all are listed below.
    fn named(&self, devices: &[MacAddr]) -> String {
        if devices.is_empty() || self.shown == usize::MAX {
            return String::new();
        }
        let named: Vec<String> = devices.iter().take(self.shown).map(ToString::to_string).collect();
        let rest = if named.len() < devices.len() { ", …" } else { "" };
        format!(" ({}{rest})", named.join(", "))
    }

    fn change(&mut self, change: &Common) -> io::Result<()> {
        let (old, new) = (shown(&change.old), shown(&change.new));
        let (sign, values) = match (old, new) {
            (_, Some(new)) if change.subject == Subject::Failure => ("!", format!("  {new}")),
            (None, None) => ("~", String::new()),
            (None, Some(new)) => ("+", format!("  {new}")),
            (Some(old), None) => ("-", format!("  {old}")),
            (Some(old), Some(_)) if change.old == Told::Varies && change.new == Told::Varies => {
                ("~", format!("  {old}"))
            }
            (Some(old), Some(new)) if old == new && change.secret => ("~", format!("  {new} (another secret)")),
            (Some(old), Some(new)) => ("~", format!("  {old} → {new}")),
        };
        let marks = change.effects.words().collect::<Vec<_>>().join(", ");
        let marks =
            if marks.is_empty() { String::new() } else { format!("  [{}]", self.painted(Colour::Yellow, &marks)) };
        let origin = origin(change);
        let origin = if origin.is_empty() { String::new() } else { format!("  ({origin})") };
        writeln!(self.out, "    {sign} {}{}{marks}{}", Escaped(&subject(change)), Escaped(&values), Escaped(&origin))
    }
}
