//! Which settings an expression reads, found without running it: for `explain`, and to refuse a misspelt name when the
//! pack is loaded and not when the thousandth phone asks.

use std::sync::LazyLock;

use regex::Regex;

use crate::document::nearest;
use crate::settings::schema::{SECTIONS, Shape, section};

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Once,
    Line,
    Key,
}

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)\{\{.*?\}\}|\{%.*?%\}").unwrap());

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""[^"]*"|'[^']*'|`[^`]*`|\.?[A-Za-z_][A-Za-z0-9_]*(?:\??\.[A-Za-z0-9_]+)*"#).unwrap()
});

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static OWN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\bfor\s+([A-Za-z_]\w*)(?:\s*,\s*([A-Za-z_]\w*))?\s+in\b|\{%[-~]?\s*set(?:_global)?\s+([A-Za-z_]\w*)")
        .unwrap()
});

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)\{#.*?#\}|\{%[-~]?\s*(?<end>end)?(?<word>if|for|filter|block|raw|set_global|set|component)\b(?<rest>.*?)%\}").unwrap()
});

/// What expressions see beside the settings.
const BESIDE: [&str; 5] = ["model", "device", "file", "loop", "request"];

/// The block of an expression that is begun and not ended, or ended and not begun. All expressions of a scope are
/// rendered as one text, and one must not reach into the next.
pub fn unbalanced(expression: &str) -> Option<String> {
    let mut open = Vec::new();
    for found in BLOCK.captures_iter(expression) {
        let Some(word) = found.name("word").map(|word| word.as_str()) else { continue };
        if found.name("end").is_some() {
            if open.pop() != Some(word) {
                return Some(format!("has {{% end{word} %}} where no {word} is open"));
            }
        } else if !(word.starts_with("set") && found.name("rest").is_some_and(|rest| rest.as_str().contains('='))) {
            open.push(if word == "set_global" { "set" } else { word });
        }
    }
    open.pop().map(|word| format!("begins {{% {word} … %}} and has no {{% end{word} %}}"))
}

/// Values that are derived from the settings and stand beside them.
const DERIVED: &[(&str, &[&str])] = &[("time", &["offset", "posix", "abbreviation", "rule"])];

/// Whether a template or expression may read the request: what it makes is then not the same for every one. The word may
/// stand there for something else; that costs no more than the keeping of what is made.
pub fn reads_request(text: &str) -> bool {
    text.contains("request") || text.contains("__tera_context")
}

/// Dotted names of the settings that are read (`lines.{n}.proxy`), and the names that are no settings, each with what
/// may have been meant.
pub fn reads(expression: &str, scope: Scope) -> (Vec<String>, Vec<(String, Option<String>)>) {
    let mut found = Vec::new();
    let mut unknown: Vec<(String, Option<String>)> = Vec::new();
    let own: Vec<&str> = OWN
        .captures_iter(expression)
        .flat_map(|set| [1, 2, 3].map(|group| set.get(group)))
        .flatten()
        .map(|name| name.as_str())
        .collect();
    for tag in TAG.find_iter(expression) {
        for name in NAME.find_iter(tag.as_str()).map(|name| name.as_str()) {
            if name.starts_with(['"', '\'', '`', '.']) {
                continue;
            }
            let mut parts = name.split('.').map(|part| part.trim_end_matches('?'));
            let root = parts.next().unwrap_or_default();
            let field = parts.next();
            let (section_name, read) = match (root, scope) {
                ("line", Scope::Line) => ("lines", field.map(|field| format!("lines.{{n}}.{field}"))),
                ("key", Scope::Key) => ("keys", field.map(|field| format!("keys.{{n}}.{field}"))),
                (root, _) => (root, field.map(|field| format!("{root}.{field}"))),
            };
            let (Some(field), Some(read)) = (field, read) else { continue };
            let Some(section) = section(section_name) else {
                if !BESIDE.contains(&root) && !own.contains(&root) {
                    let help = match root {
                        "line" | "key" => Some(format!("there is a {root} only within [parameters.each.{root}]")),
                        _ => nearest(root, SECTIONS.iter().map(|section| section.name).chain(BESIDE))
                            .map(|name| format!("did you mean \"{name}\"?")),
                    };
                    unknown.push((format!("{root}.{field}"), help));
                }
                continue;
            };
            if own.contains(&root) {
                continue;
            }
            let numbered_by_hand = section.shape == Shape::Numbered && root == section_name;
            let is_free = matches!(section.shape, Shape::Free | Shape::Params) || numbered_by_hand;
            let is_derived = DERIVED.iter().any(|(of, fields)| *of == section_name && fields.contains(&field))
                || (section.shape == Shape::Numbered && field == "n");
            if !is_free && !is_derived && section.setting(field).is_none() {
                let help = nearest(field, section.settings.iter().map(|setting| setting.name))
                    .map(|name| format!("did you mean \"{name}\"?"));
                unknown.push((format!("{root}.{field}"), help));
            } else if !found.contains(&read) {
                found.push(read);
            }
        }
    }
    (found, unknown)
}

/// The settings that a derived value is made of, for `explain`.
pub fn sources_of(read: &str) -> Vec<String> {
    let Some((section, field)) = read.split_once('.') else { return Vec::new() };
    let derived = DERIVED.iter().any(|(of, fields)| *of == section && fields.contains(&field));
    if derived && SECTIONS.iter().any(|known| known.name == section) {
        return vec!["time.zone".to_owned(), "time.dst".to_owned()];
    }
    if let Some(line) = read.strip_suffix(".label").filter(|line| line.starts_with("lines.")) {
        return vec![read.to_owned(), format!("{line}.display_name"), format!("{line}.user")];
    }
    if let Some(line) = read
        .strip_suffix(".auth_user")
        .or_else(|| read.strip_suffix(".enabled"))
        .filter(|line| line.starts_with("lines."))
    {
        return vec![read.to_owned(), format!("{line}.user")];
    }
    vec![read.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_and_texts_are_not() {
        let (found, unknown) = reads(
            "{% if line.transport == \"tls.not\" %}{{ line.proxy }};{{ provisioning.url }}{% endif %} line.nope",
            Scope::Line,
        );
        assert_eq!(found, ["lines.{n}.transport", "lines.{n}.proxy", "provisioning.url"]);
        assert!(unknown.is_empty());
        assert_eq!(
            reads("{{ time.rule.start.month }}{{ vars.site.floor }}", Scope::Once).0,
            ["time.rule", "vars.site"]
        );
    }

    #[test]
    fn a_misspelt_setting_is_found() {
        let (_, unknown) = reads("{{ line.proxi }}", Scope::Line);
        assert_eq!(unknown, [("line.proxi".to_owned(), Some("did you mean \"proxy\"?".to_owned()))]);
        let (_, unknown) = reads("{{ provisioning.intervall }}", Scope::Once);
        assert_eq!(unknown.len(), 1);
        let (_, unknown) = reads("{{ sysolg.server }}{{ line.user }}{{ model.facts.psn }}", Scope::Once);
        assert_eq!(unknown[0], ("sysolg.server".to_owned(), Some("did you mean \"syslog\"?".to_owned())));
        assert!(unknown[1].1.as_deref().is_some_and(|help| help.contains("each.line")), "{unknown:?}");
        assert_eq!(unknown.len(), 2);
        let (_, unknown) = reads(
            "{% set a = time.rule %}{% for b, c in keys %}{{ a.x }}{{ b.y }}{{ c.z }}{% endfor %}{{ [d.e for d in lines] }}",
            Scope::Once,
        );
        assert_eq!(unknown, []);
    }

    #[test]
    fn every_block_is_ended_where_it_begins() {
        for fine in
            ["{% if a %}1{% elif b %}{% for c in d %}{% endfor %}{% endif %}", "{% set a = 1 %}", "{# {% if #}", "1"]
        {
            assert_eq!(unbalanced(fine), None, "{fine}");
        }
        for wrong in ["{% if a %}1", "2{% endif %}", "{%- for a in b %}{% endif %}", "{% set a %}x"] {
            assert!(unbalanced(wrong).is_some(), "{wrong}");
        }
    }
}
