//! docs/rules.md: every rule of the check, as its type is documented.

use super::{first_row, heading, row};
use crate::lint::abouts;

const INTRODUCTION: &str = r#"What `resyncd check` looks for. A finding is an error (the check fails), a warning or a note.

For a whole deployment the configuration says what a rule's findings are, or that there are none:

```toml
[lint]
severity = { "unknown-parameter" = "warning", "unused-layer" = "off" }
```

In one place a comment allows a finding, with its reason. It stands in the line of the setting, or on a line of its own
before it; in a template it is written `{# resyncd: allow(RULE) reason #}`. Before everything else in a file it allows findings of
the file as a whole, too.

```toml
[delivery]
key = "demo"    # resyncd: allow(weak-key) a demonstration, serves no phone
```
"#;

pub fn page() -> String {
    let mut page = heading("Rules of the check", "src/lint/rules/");
    page += INTRODUCTION;
    page += "\n";
    page += &first_row(&["rule", "severity", "what is found"]);
    for about in abouts() {
        let link = format!("[{}](#{})", about.id, about.id);
        page += &row(&[&link, about.severity.as_str(), &about.summary()]);
    }
    for about in abouts() {
        page += &format!("\n## {}\n\n", about.id);
        let lines: Vec<_> = about.lines().collect();
        // Headings of the types stand below those of the page.
        let text = lines.join("\n").replace("\n# ", "\n### ");
        page += &format!("*{}.* {}\n", about.severity.as_str(), text.trim_end());
    }
    page
}
