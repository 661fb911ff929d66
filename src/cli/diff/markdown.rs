//! The changes as a comment on a pull request. Whatever stands in a value or a name shows as itself: no markup of it, no
//! link and no mention comes to life.

use std::fmt::Write;

use super::{BESIDE, headline, meaning, origin, phones, shown, subject, summary, thousands, whom};
use crate::diff::{Common, Group, Kind, Report, Section};
use crate::model::Escaped;
use crate::packs::Effect;

/// GitHub takes no comment of more characters. Ours are counted in bytes, which are never fewer.
const LIMIT: usize = 65_536;

/// Room that is kept for saying what was left out.
const RESERVE: usize = 512;

/// Longer values are cut: the place to read them is the file.
const VALUE: usize = 300;

/// The bytes that one file's changes take at most, beyond its first table.
const SECTION: usize = 20_000;

/// The bytes after which a table takes no more changes.
const TABLE: usize = 12_000;

/// The changes of a table that are written at most, so that one doesn't take the room of all others.
const ROWS: usize = 60;

/// The phones of a table that are named at most.
const PHONES: usize = 500;

/// The whole comment, with a line end.
pub fn report(report: &Report, (old, new): (&str, &str), shown: usize) -> String {
    let mut text = String::from("### What changes for the phones\n\n");
    let _ = writeln!(text, "{}, from {} to {}.", escaped(&summary(report)), code(old), code(new));
    if report.groups.is_empty() {
        return text;
    }
    text.push_str(&counts(report));
    let sections = report.sections();
    let mut left = sections.as_slice();
    while let Some((section, rest)) = left.split_first() {
        let entry = entry(section, shown);
        if text.len() + entry.len() + RESERVE > LIMIT {
            break;
        }
        text.push_str(&entry);
        left = rest;
    }
    if !left.is_empty() {
        let devices: usize = left.iter().map(|section| section.devices().len()).sum();
        let entries = if left.len() == 1 { "entry" } else { "entries" };
        let _ = writeln!(
            text,
            "\n… and {} more {entries}, for {}; `resyncd diff` tells them all.",
            thousands(left.len()),
            phones(devices)
        );
    }
    text
}

fn counts(report: &Report) -> String {
    let mut columns: Vec<(String, usize)> = Vec::new();
    for kind in [Kind::Changed, Kind::Added, Kind::Removed, Kind::Moved, Kind::Unrendered] {
        columns.push((kind.word().to_owned(), report.count(kind)));
    }
    columns
        .extend(Effect::ALL.map(|effect| (format!("{} {}", symbol(effect), meaning(effect)), report.count_of(effect))));
    columns.retain(|(_, count)| *count > 0);
    if columns.is_empty() {
        return String::new();
    }
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let names = row(columns.iter().map(|(name, _)| name.clone()).collect());
    let rule = row(columns.iter().map(|_| "---:".to_owned()).collect());
    let counts = row(columns.iter().map(|(_, count)| thousands(*count)).collect());
    format!("\n{names}{rule}{counts}")
}

fn symbol(effect: Effect) -> &'static str {
    match effect {
        Effect::Reboot => "🔄",
        Effect::Register => "☎️",
        Effect::Resync => "📥",
    }
}

fn entry(section: &Section<'_>, shown: usize) -> String {
    let has = |effect: &Effect| section.effects().has(*effect);
    let marks: String =
        Effect::ALL.into_iter().filter(has).map(|effect| format!(" {} {}", symbol(effect), effect.word())).collect();
    let models = section.groups.iter().map(|group| group.models.len()).sum();
    let whom = whom(section.devices().len(), models);
    let mut text = format!("\n<details><summary>{}: {whom}{marks}</summary>\n\n", code(&headline(section)));
    for (index, group) in section.groups.iter().enumerate() {
        let table = table(group, shown);
        if text.len() + table.len() > SECTION && index > 0 {
            let _ = writeln!(text, "\n… and {} more of this file.", thousands(section.groups.len() - index));
            break;
        }
        text.push_str(&table);
    }
    text.push_str("\n</details>\n");
    text
}

fn table(group: &Group, shown: usize) -> String {
    let mut text = String::new();
    let list = |items: Vec<String>| items.iter().map(|item| code(item)).collect::<Vec<_>>().join(", ");
    let files = list(group.files.iter().map(ToString::to_string).collect());
    let files = if files.is_empty() { BESIDE.to_owned() } else { files };
    let _ = writeln!(text, "{files}: {}\n", whom(group.devices.len(), group.models.len()));
    text.push_str("| | old | new | effect | set by |\n| --- | --- | --- | --- | --- |\n");
    let mut rows = 0;
    for change in group.changes.iter().take(ROWS) {
        if text.len() > TABLE {
            break;
        }
        text.push_str(&row(change));
        rows += 1;
    }
    if group.changes.len() > rows {
        let _ = writeln!(text, "\n… and {} more changes.", thousands(group.changes.len() - rows));
    }
    let named: Vec<String> = if group.devices.is_empty() {
        group.models.iter().take(PHONES).map(ToString::to_string).collect()
    } else {
        group.devices.iter().take(shown.min(PHONES)).map(ToString::to_string).collect()
    };
    if !named.is_empty() {
        let rest = group.devices.len().max(group.models.len()) - named.len();
        let rest = if rest == 0 { String::new() } else { format!(" … and {} more", thousands(rest)) };
        let _ = writeln!(text, "\n{}{rest}\n", list(named));
    }
    text
}

fn row(change: &Common) -> String {
    let (old, new) = (shown(&change.old), shown(&change.new));
    let cell = |side: Option<&str>| side.map(code).unwrap_or_default();
    let is_another = change.secret && old.is_some() && old == new;
    let after = if is_another { format!("{} (another secret)", cell(new)) } else { cell(new) };
    let marks = change.effects.words().collect::<Vec<_>>().join(", ");
    format!("| {} | {} | {after} | {marks} | {} |\n", code(&subject(change)), cell(old), escaped(&origin(change)))
}

/// Text that shows as it is, within `<code>`: mentions and links are looked for anywhere else.
fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

/// Text in which every character that markdown or HTML could take for markup is written as a number: such a one is never
/// structure. Line ends and invisible characters are spelt out first, and what is too long is cut.
fn escaped(text: &str) -> String {
    let shown = Escaped(text).to_string();
    let mut escaped = String::with_capacity(shown.len());
    for (index, character) in shown.chars().enumerate() {
        if index == VALUE {
            escaped.push('…');
            break;
        }
        match character {
            // Nothing begins with these; `:`, `.` and `@` would make addresses and mentions.
            ' ' | '-' | ',' | '/' | '(' | ')' | '=' | '%' | '+' | '?' | ';' => escaped.push(character),
            other if other.is_ascii_punctuation() => {
                let _ = write!(escaped, "&#{};", u32::from(other));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, code, report};
    use crate::diff::{Common, Group, Kind, Report, Subject, Told};
    use crate::model::MacAddr;
    use crate::packs::Effects;

    #[test]
    fn nothing_in_a_value_comes_to_life() {
        let shown = code("</code></details>|`*_[x](http://a.b)@team #1 www.x.org\n| a");
        let inner = shown.strip_prefix("<code>").unwrap().strip_suffix("</code>").unwrap();
        let without_numbers = regex::Regex::new("&#[0-9]+;").unwrap().replace_all(inner, "");
        assert!(
            !without_numbers.contains(['<', '>', '&', '|', '`', '*', '_', '[', '@', '#', '.', ':', '\n']),
            "{inner}"
        );
    }

    #[test]
    fn a_comment_is_never_too_long_and_says_what_is_missing() {
        let change = Common {
            subject: Subject::Parameter("Dial_Plan_1_".into()),
            old: Told::Is("<".repeat(1000)),
            new: Told::Is("|".repeat(1000)),
            secret: false,
            effects: Effects::default(),
            setting: None,
            line: Some(1),
        };
        let group = |n: u64| Group {
            kind: Kind::Changed,
            files: vec!["/a.xml".into()],
            source: Some(format!("devices/{n}.toml").into()),
            own: true,
            changes: vec![change.clone(); 3],
            devices: vec![format!("{n:012x}").parse::<MacAddr>().unwrap()],
            models: Vec::new(),
        };
        let all = Report { groups: (1..=100).map(group).collect(), devices: 100 };
        let text = report(&all, ("a", "b"), usize::MAX);
        assert!(text.len() <= LIMIT && text.chars().count() <= 65_536, "{}", text.len());
        assert!(text.contains("more entries, for "), "{text}");
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    }
}
