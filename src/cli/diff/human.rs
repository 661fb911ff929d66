//! The changes for people.

use std::io::{self, Write};

use super::{headline, origin, phones, shown, subject, summary, whom};
use crate::diff::{Common, Group, Kind, Report};
use crate::model::Escaped;

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
        report.groups.iter().try_for_each(|group| self.group(group))
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

    fn group(&mut self, group: &Group) -> io::Result<()> {
        let named: Vec<String> = group.devices.iter().take(self.shown).map(ToString::to_string).collect();
        let rest = if named.len() < group.devices.len() { ", …" } else { "" };
        let whom = match named.as_slice() {
            [] => whom(group),
            [one] if rest.is_empty() => one.clone(),
            _ if self.shown == usize::MAX => whom(group),
            named => format!("{} ({}{rest})", whom(group), named.join(", ")),
        };
        let colour = match group.kind {
            Kind::Unrendered | Kind::Removed => Colour::Red,
            Kind::Added => Colour::Green,
            Kind::Moved | Kind::Changed => Colour::Bold,
        };
        let head = headline(group);
        let head = self.painted(colour, &head);
        let joint = if head.is_empty() { "" } else { ": " };
        writeln!(self.out, "\n{head}{joint}{whom}")?;
        if !group.files.is_empty() {
            writeln!(self.out, "  {}", Escaped(&group.files.join(", ")))?;
        }
        if !group.models.is_empty() {
            writeln!(self.out, "  {}", Escaped(&group.models.join(", ")))?;
        }
        for change in &group.changes {
            self.change(change)?;
        }
        if self.shown == usize::MAX && named.len() > 1 {
            writeln!(self.out, "  {}:", phones(named.len()))?;
            for line in named.chunks(IN_A_LINE) {
                writeln!(self.out, "    {}", line.join(" "))?;
            }
        }
        Ok(())
    }

    fn change(&mut self, change: &Common) -> io::Result<()> {
        let (old, new) = (shown(&change.old), shown(&change.new));
        let (sign, values) = match (old, new) {
            (None, None) => ("~", String::new()),
            (None, Some(new)) => ("+", format!("  {new}")),
            (Some(old), None) => ("-", format!("  {old}")),
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
