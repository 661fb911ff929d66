//! The program's own log: to stderr, as text or JSON, by the level that `resyncd.toml` sets.

mod fields;

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "log.level: \"{level}\" is no filter ({error}); write a level (\"info\") or levels by module (\"warn,resyncd=debug\")"
    )]
    Level { level: String, error: ParseError },
    #[error("the log has been set up already")]
    Twice(#[from] SetGlobalDefaultError),
}

/// Begins to log. Colours only where a person looks: on a terminal, and not with `NO_COLOR` set.
pub fn init(log: &Log) -> Result<(), LogError> {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing::subscriber::set_global_default(subscriber(log, colour, std::io::stderr)?)?;
    Ok(())
}

/// What [`init`] sets up, with another place to write to.
pub fn subscriber<W>(log: &Log, colour: bool, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&log.level).map_err(|error| LogError::Level { level: log.level.clone(), error })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(writer);
    Ok(match log.format {
        LogFormat::Text if colour => Box::new(builder.finish()),
        LogFormat::Text => Box::new(builder.fmt_fields(fields::Fields).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_current_span(false).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_level_is_named() {
        let log = Log { format: LogFormat::Text, level: "resyncd=loud".to_owned() };
        let error = subscriber(&log, false, std::io::sink).err().unwrap().to_string();
        assert!(error.contains("log.level") && error.contains("resyncd=loud"), "{error}");
    }
}
