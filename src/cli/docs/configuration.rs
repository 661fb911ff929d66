//! docs/configuration.md: every key of `resyncd.toml`.

use super::{first_row, heading, row};
use crate::config::reference::{Key, Kind, Otherwise, PREFIX, RESERVED, RESERVED_PREFIXES, RESERVED_URL, TABLES};

const INTRODUCTION: &str = r#"The configuration is one TOML file: `resyncd.toml` where the program is started, or what `--config FILE` names. Every
key has a default except those that are marked required, so this is a whole configuration:

```toml
[[listener]]
name = "http"
address = "0.0.0.0:8080"
```

An unknown key, a wrong value, or two that contradict each other are refused, all of them in one go, each with its line
and its dotted key.

- A **path** is relative to the folder of the file.
- A **length of time** is a number and its unit: `"500ms"`, `"30s"`, `"10m"`, `"24h"`, `"90d"`.
- A **size** is a number and its unit: `"1500 B"`, `"64 KiB"`, `"64 MiB"`, `"10 GiB"`.
- A **secret** is a text, `{ env = "NAME" }` (a variable of the environment) or `{ file = "PATH" }` (a line end at the
  file's end is not part of it).
"#;

pub fn page() -> String {
    let mut page = heading("resyncd.toml", "src/config/reference.rs");
    page += INTRODUCTION;
    for table in TABLES {
        let title =
            if table.heading.is_empty() { "At the top of the file".to_owned() } else { format!("`{}`", table.heading) };
        page += &format!("\n## {title}\n\n{}\n\n", table.about);
        page += &first_row(&["key", "type", "default", "meaning"]);
        for key in table.keys {
            page += &row(&[&format!("`{}`", key.name), &key.kind.to_string(), &otherwise(key), key.about]);
        }
    }
    page += &environment();
    page
}

/// The default, as it would be written.
fn otherwise(key: &Key) -> String {
    match key.otherwise {
        Otherwise::Value(text) if matches!(key.kind, Kind::Texts(_)) => {
            format!("`[{}]`", text.split(',').map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", "))
        }
        Otherwise::Value(text) if key.kind.is_quoted() => format!("`\"{text}\"`"),
        Otherwise::Value(text) => format!("`{text}`"),
        Otherwise::Required => "required".to_owned(),
        Otherwise::Nothing(meaning) => meaning.to_owned(),
    }
}

fn environment() -> String {
    let mut text = format!(
        r#"
## Variables of the environment

Every key can be overridden by a variable: `{PREFIX}`, then the dotted key in upper case with `_` for what a variable can't
hold. A listener's keys have the listener's name in theirs. The exceptions are a listener's `name`, and what is written as
`[[listener.tls.name]]`, `[[webhook]]` or `[[folder]]`.

| key | variable |
| --- | --- |
| `data_dir` | `RESYNCD_DATA_DIR` |
| `limits.connections` | `RESYNCD_LIMITS_CONNECTIONS` |
| `address` of the listener `https` | `RESYNCD_LISTENER_HTTPS_ADDRESS` |
| `tls.key` of the listener `old-phones` | `RESYNCD_LISTENER_OLD_PHONES_TLS_KEY` |

Values are written without quotes; what is in a list has commas between. A variable that is set counts, even when
it is empty. One that begins with `{PREFIX}` and overrides nothing is refused, so that a slip of the pen is not a setting
that silently doesn't hold. For the same reason secrets of `profiles/` should stand in variables that begin otherwise.
These are not refused:

"#
    );
    text += &first_row(&["variable", "meaning"]);
    for reserved in RESERVED {
        text += &row(&[&format!("`{}`", reserved.name), reserved.about]);
    }
    let beside = "Set by Kubernetes and Docker beside a service that is called `resyncd`";
    for prefix in RESERVED_PREFIXES {
        text += &row(&[&format!("`{prefix}…`"), &format!("{beside}.")]);
    }
    text += &row(&[&format!("`{RESERVED_URL}`"), &format!("{beside}; only if it holds a URL.")]);
    text += &row(&["what `{ env = \"NAME\" }` in this file names", "The secret."]);
    text
}
