//! The profile that is measured: one that a phone gives out itself, with two of its four lines, about 40 kB.

use std::fs;
use std::path::Path;

/// The phones' model, and the settings of all of them: a profile as phones of this make give it out themselves.
pub const MODEL: &str = "CP-6861-3PCC";
const SETTINGS: &str = "templates/cisco-mpp/samples/open-format/device.toml";

/// The settings of the model.
pub fn settings() -> String {
    of_two_lines(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SETTINGS)).unwrap())
}

/// What the sample says of all phones and two of its four lines: a profile of about 40 kB.
fn of_two_lines(sample: &str) -> String {
    let mut table = "";
    let mut text = String::new();
    for line in sample.lines() {
        if line.starts_with('[') {
            table = line;
        }
        let of_one = table.is_empty() && (line.starts_with("model = ") || line.starts_with("mac = "));
        let of_others = ["[lines.3]", "[lines.4]", "[keys.3]", "[keys.4]"].contains(&table)
            || line.split(" = ").next().is_some_and(|name| name.ends_with("_3_") || name.ends_with("_4_"));
        if !of_one && !of_others {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}
