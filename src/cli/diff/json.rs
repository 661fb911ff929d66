//! The changes for scripts.

use serde_json::{Value, json};

use crate::diff::{Common, Group, Kind, Report, Told};
use crate::packs::Effect;

/// The whole report; `shown` is how many devices of an entry are named.
pub fn report(report: &Report, (old, new): (&str, &str), shown: usize) -> Value {
    let effects: serde_json::Map<String, Value> =
        Effect::ALL.into_iter().map(|effect| (effect.word().to_owned(), report.count_of(effect).into())).collect();
    json!({
        "old": old, "new": new,
        "devices": report.devices,
        "concerned": report.concerned(),
        "changed": report.count(Kind::Changed),
        "added": report.count(Kind::Added),
        "removed": report.count(Kind::Removed),
        "moved": report.count(Kind::Moved),
        "unrendered": report.count(Kind::Unrendered),
        "effects": effects,
        "entries": report.groups.iter().map(|group| entry(group, shown)).collect::<Vec<_>>(),
    })
}

fn entry(group: &Group, shown: usize) -> Value {
    json!({
        "kind": group.kind.word(),
        "source": group.source,
        "own_files": group.own,
        "files": group.files,
        "effects": group.effects().words().collect::<Vec<_>>(),
        "device_count": group.devices.len(),
        "devices": group.devices.iter().take(shown).map(ToString::to_string).collect::<Vec<_>>(),
        "models": group.models,
        "changes": group.changes.iter().map(change).collect::<Vec<_>>(),
    })
}

fn change(change: &Common) -> Value {
    let text = |side: &Told| match side {
        Told::Is(text) => Value::from(text.as_str()),
        Told::Absent | Told::Varies => Value::Null,
    };
    json!({
        "what": change.subject.word(),
        "name": change.subject.name(),
        "old": text(&change.old),
        "new": text(&change.new),
        "varies": change.old == Told::Varies || change.new == Told::Varies,
        "secret": change.secret,
        "effects": change.effects.words().collect::<Vec<_>>(),
        "setting": change.setting,
        "line": change.line,
    })
}
