//! How commands write what they found: stdout is data, in a form for people or for scripts.

use std::io::{self, BufWriter, Write};

use super::Failure;

/// How a command's result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Human,
    Json,
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure.
pub fn write(body: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match body(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::because("stdout", error)),
        _ => Ok(()),
    }
}

/// Writes a value as indented JSON.
pub fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::because("JSON", error))?;
    write(|out| writeln!(out, "{text}"))
}
