//! `[process]`: what the server runs as.

use super::table::{Table, Wrong};
use crate::config::Process;

/// Longest name that Linux has for a user or group, in bytes.
const NAME_LENGTH: usize = 32;

pub fn read(table: Table<'_>) -> Option<Process> {
    let user = table.has("user").then(|| table.parsed("user", name));
    let group = table.has("group").then(|| table.parsed("group", name));
    let keep_root = table.boolean("keep_root");
    if group.is_some() && user.is_none() {
        table.problem("group", Wrong::new("a group without process.user").help("write the user that has it"));
    }
    if keep_root == Some(true) && user.is_some() {
        let wrong = Wrong::new("either it becomes process.user, or it keeps root");
        table.problem("keep_root", wrong.help("remove one of the two"));
    }
    table.finish();
    Some(Process {
        user: user.map_or(Some(None), |user| user.map(Some))?,
        group: group.flatten(),
        keep_root: keep_root?,
    })
}

fn name(text: &str) -> Result<String, Wrong> {
    let is_name = (1..=NAME_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.$@".contains(&byte));
    let wrong =
        || Wrong::new(format!("\"{text}\" is no name of a user or group")).help("write its name, not its number");
    if is_name && !text.bytes().all(|byte| byte.is_ascii_digit()) { Ok(text.to_owned()) } else { Err(wrong()) }
}
