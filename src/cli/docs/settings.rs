//! docs/settings.md: every setting of a phone.

use super::{first_row, heading, row};
use crate::settings::schema::{SECTIONS, Setting, Shape, TOP};

const INTRODUCTION: &str = r#"Settings are what a profile is rendered from, in words that all phones share; the pack translates them. They come in
layers, the weakest first:

1. the pack's `defaults.toml`
2. `profiles/defaults.toml`
3. `profiles/models/<model>.toml`
4. `profiles/groups/<name>.toml`, from the outermost group to the device's own
5. `profiles/devices/<mac>.toml`
6. the device's record in the database

Tables merge, everything else replaces. A setting that no layer holds is unset: templates see `none`, and the phone's
parameter is left out of the profile. `resyncd explain MAC` tells which layer set what.

A **secret** is a text, `{ env = "NAME" }`, `{ file = "PATH" }`, `{ hex = "…" }` or `{ base64url = "…" }`. It is shown
nowhere but in the profile of its own phone.
"#;

pub fn page() -> String {
    let mut page = heading("Settings", "src/settings/schema.rs");
    page += INTRODUCTION;
    page += "\n## At the top of a file\n\n";
    page += &table(TOP);
    for section in SECTIONS {
        page +=
            &format!("\n## `{}`\n\n{}\n\n{}\n\n", section.name, section.about, written(section.shape, section.name));
        page += &format!("```toml\n{}```\n", section.example);
        if !section.settings.is_empty() {
            page += "\n";
            page += &table(section.settings);
        }
    }
    page
}

fn written(shape: Shape, name: &str) -> String {
    match shape {
        Shape::Table => format!("Written `[{name}]`."),
        Shape::Numbered => format!("Written `[{name}.N]`, N counted from 1."),
        Shape::Params => {
            format!("Written `[{name}]`; names and values are checked against the pack's list of parameters.")
        }
        Shape::Free => format!("Written `[{name}]`, with any names and values."),
    }
}

fn table(settings: &[Setting]) -> String {
    let mut table = first_row(&["setting", "kind", "meaning"]);
    for setting in settings {
        table += &row(&[&format!("`{}`", setting.name), &setting.kind.to_string(), setting.about]);
    }
    table
}
