//! `resyncd docs`: the reference pages, written from the tables that the program itself goes by, so that they can't tell
//! anything else than it does.

pub mod capacity;
mod commands;
mod configuration;
mod events;
mod rules;
mod settings;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Ending, Failure};

/// Write the reference pages, or check that they are as they would be written
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// Write nothing; name the pages that differ, and end with 1 if any does
    #[arg(long)]
    check: bool,
    /// The folder of the pages
    #[arg(value_name = "DIR", default_value = "docs")]
    folder: PathBuf,
}

impl Args {
    /// Writes or checks.
    ///
    /// # Errors
    /// When a page can't be read or written.
    pub fn run(self) -> Result<Ending, Failure> {
        if !self.check {
            return write(&self.folder).map(|()| Ending::Fine);
        }
        let stale = stale(&self.folder)?;
        for page in &stale {
            println!("{} is not what the code says", page.display());
        }
        if stale.is_empty() {
            return Ok(Ending::Fine);
        }
        eprintln!("write them with: cargo run -- docs {}", self.folder.display());
        Ok(Ending::Findings)
    }
}

/// The page that a benchmark writes a part of.
const CAPACITY: &str = "capacity.md";

/// The name of every page, and its text.
pub fn pages() -> [(&'static str, String); 7] {
    [
        (CAPACITY, capacity::page()),
        ("configuration.md", configuration::page()),
        ("settings.md", settings::page()),
        ("events.md", events::page()),
        ("rules.md", rules::page()),
        ("commands.md", commands::page()),
        ("openapi.json", crate::api::document_text()),
    ]
}

/// Writes every page into the folder.
///
/// # Errors
/// When one can't be written.
pub fn write(folder: &Path) -> Result<(), Failure> {
    for (name, text) in pages() {
        let path = folder.join(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(found) if name == CAPACITY => capacity::with_runs_of(&text, &found),
            _ => text,
        };
        std::fs::write(&path, text).map_err(|error| Failure::because(path.display(), error))?;
    }
    Ok(())
}

/// The pages of the folder that are not there, or not what would be written.
///
/// # Errors
/// When one is there and can't be read.
pub fn stale(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut stale = Vec::new();
    for (name, text) in pages() {
        let path = folder.join(name);
        match std::fs::read_to_string(&path) {
            Ok(found) if found == text => {}
            Ok(found) if name == CAPACITY && found == capacity::with_runs_of(&text, &found) => {}
            Ok(_) => stale.push(path),
            Err(error) if error.kind() == ErrorKind::NotFound => stale.push(path),
            Err(error) => return Err(Failure::because(path.display(), error)),
        }
    }
    Ok(stale)
}

/// What every page begins with.
fn heading(title: &str, source: &str) -> String {
    format!("<!-- Written by `resyncd docs` from {source}. Edit that, not this. -->\n\n# {title}\n\n")
}

/// A row of a table. A bar within a cell would end it.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The first row of a table, and the line below it.
fn first_row(cells: &[&str]) -> String {
    row(cells) + "|" + &" --- |".repeat(cells.len()) + "\n"
}
