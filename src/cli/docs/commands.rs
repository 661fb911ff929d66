//! docs/commands.md: the long help of every command.

use clap::{Command, CommandFactory};

use super::heading;
use crate::cli::Cli;

/// Columns, whatever terminal the page is written from.
const WIDTH: usize = 100;

const INTRODUCTION: &str = r#"What a command finds goes to stdout, what it says about its work to stderr. The exit code is 0 when all is fine, 1 for
findings or a refusal, and 2 when the command could not run.
"#;

pub fn page() -> String {
    let mut command = steady(Cli::command());
    command.build();
    let mut page = heading("Commands", "the help of each command, in src/cli/");
    page += INTRODUCTION;
    describe(&mut command, 2, &mut page);
    page
}

/// The same command with help that depends on neither the terminal nor the environment, which may hold a secret.
fn steady(command: Command) -> Command {
    command
        .term_width(WIDTH)
        .disable_help_subcommand(true)
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_subcommands(steady)
}

fn describe(command: &mut Command, depth: usize, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    // clap pads lines to their columns; a page has no use for that.
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    *page += &format!("\n{} {name}\n\n```text\n{}\n```\n", "#".repeat(depth), lines.join("\n"));
    for subcommand in command.get_subcommands_mut().filter(|subcommand| !subcommand.is_hide_set()) {
        describe(subcommand, depth + 1, page);
    }
}
