use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Finding, Findings, Mark, Rule};
use crate::packs::Type;
use crate::settings::{Key, Value};

rule! {
    /// A character that looks like another or like nothing, or one beyond ASCII where protocols have no place for it.
    ///
    /// # What the phone does
    ///
    /// It sends the character as it is, in a SIP user, a host name or a dial plan where nobody expects it: the
    /// registration fails, the number isn't dialled, and the line looks right to whoever reads it.
    ///
    /// # How to mend it
    ///
    /// Type the value anew. Blanks that don't break, blanks without width, curly quotes and long dashes come from
    /// documents and chats that it was copied from.
    ///
    /// Names that people read (`display_name`, `label`) may hold any letter.
    pub struct NonAscii = "non-ascii", Warning;
}

/// Settings that protocols carry.
const CARRIED: [&str; 14] = [
    "user",
    "auth_user",
    "realm",
    "proxy",
    "outbound_proxy",
    "backup_proxy",
    "voicemail",
    "dial_plan",
    "pickup",
    "url",
    "hostname",
    "domain",
    "server",
    "stun",
];

impl Rule for NonAscii {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for (key, setting) in view.settings.iter() {
            let Value::Text(text) = &setting.value else { continue };
            if text.is_ascii() {
                continue;
            }
            let carried = match key {
                Key::Param(name) => view.pack.parameters.get(name).is_some_and(|known| is_for_machines(known.kind)),
                _ => key.schema().is_some_and(|(_, setting)| CARRIED.contains(&setting.name)),
            };
            let found =
                text.char_indices().find(|(_, character)| is_deceptive(*character) || carried && !character.is_ascii());
            let Some((at, character)) = found else { continue };
            let what =
                if is_deceptive(character) { "looks like another or like nothing" } else { "is no ASCII character" };
            let finding = Finding::new(format!("{key} holds U+{:04X}, which {what}", u32::from(character)));
            let mark = Mark::Within(at..at + character.len_utf8());
            findings.report(finding.at(&setting.origin).key(key).mark(mark));
        }
    }
}

/// Blanks that are none, quotes and dashes of typesetting, marks without width.
fn is_deceptive(character: char) -> bool {
    matches!(character, '\u{a0}' | '\u{ad}' | '\u{2000}'..='\u{2015}' | '\u{2018}'..='\u{201f}' | '\u{2028}'..='\u{202f}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{2212}' | '\u{3000}' | '\u{feff}')
}

fn is_for_machines(kind: Type) -> bool {
    !matches!(kind, Type::Text | Type::MacroText | Type::Choice | Type::StatusTemplate)
}
