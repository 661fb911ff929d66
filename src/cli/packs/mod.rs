//! `resyncd packs`: which phones the program knows, and which files they ask for.

mod data_model;

use std::io::Write;

use serde_json::json;

use super::{Ending, Failure, output};
use crate::config::Config;
use crate::packs::{Audience, Pack, Packs, UploadEntry};

/// List the phone families, their models and their files.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only this pack, with its files.
    pack: Option<String>,
    /// How the list is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Exchange TR-069 data models with vendors and other ACSs.
    #[command(subcommand)]
    DataModel(data_model::Command),
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        if let Some(Command::DataModel(command)) = &self.command {
            return command.run(config);
        }
        let packs = Packs::load(&config.templates, &config.profiles)?;
        let chosen: Vec<&Pack> = match &self.pack {
            None => packs.iter().collect(),
            Some(name) => vec![named(&packs, name)?],
        };
        match self.format {
            output::Format::Json => output::json(&chosen.iter().map(|pack| as_json(pack)).collect::<Vec<_>>())?,
            output::Format::Human => {
                output::write(|out| chosen.iter().try_for_each(|pack| describe(out, pack, self.pack.is_some())))?
            }
        }
        Ok(Ending::Fine)
    }
}

fn named<'p>(packs: &'p Packs, name: &str) -> Result<&'p Pack, Failure> {
    packs.named(name).ok_or_else(|| {
        let names: Vec<_> = packs.iter().map(|pack| pack.name.as_str()).collect();
        Failure::Other(format!("there is no pack \"{name}\"; there are {}", names.join(", ")))
    })
}

fn describe(out: &mut dyn Write, pack: &Pack, whole: bool) -> std::io::Result<()> {
    writeln!(out, "{}: {}", pack.name, pack.description)?;
    if !whole {
        let names: Vec<_> = pack.models.list.iter().map(|model| &*model.name).collect();
        return writeln!(out, "  {}\n", names.join(" "));
    }
    writeln!(out, "\nmodel                family       lines  keys  also called")?;
    for model in &pack.models.list {
        let aliases = model.aliases.join(" ");
        writeln!(out, "{:<20} {:<12} {:>5} {:>5}  {aliases}", model.name, model.family, model.lines, model.keys)?;
    }
    writeln!(out, "\nfile             for     format              path")?;
    for file in &pack.files {
        let audience = if file.audience == Audience::Device { "device" } else { "anyone" };
        let paths: Vec<_> = file.paths.iter().map(ToString::to_string).collect();
        writeln!(out, "{:<16} {audience:<7} {:<19} {}", file.name, file.format.as_str(), paths.join(" "))?;
    }
    if pack.uploads.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nupload           by        kind              path")?;
    for upload in &pack.uploads {
        let paths: Vec<_> = upload.paths.iter().map(ToString::to_string).collect();
        let by = methods(upload).join(", ");
        writeln!(out, "{:<16} {by:<9} {:<17} {}", upload.name, upload.kind.as_str(), paths.join(" "))?;
    }
    Ok(())
}

fn methods(upload: &UploadEntry) -> Vec<&'static str> {
    [("put", upload.put), ("post", upload.post)].into_iter().filter(|(_, takes)| *takes).map(|(name, _)| name).collect()
}

fn as_json(pack: &Pack) -> serde_json::Value {
    let models: Vec<_> = pack
        .models
        .list
        .iter()
        .map(|model| {
            json!({
                "name": &*model.name, "family": model.family, "lines": model.lines, "keys": model.keys,
                "aliases": model.aliases,
            })
        })
        .collect();
    let files: Vec<_> = pack
        .files
        .iter()
        .map(|file| {
            json!({
                "name": file.name, "format": file.format.as_str(), "content_type": file.content_type,
                "audience": if file.audience == Audience::Device { "device" } else { "anyone" },
                "paths": file.paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    let uploads: Vec<_> = pack
        .uploads
        .iter()
        .map(|upload| {
            json!({
                "name": upload.name, "kind": upload.kind.as_str(), "methods": methods(upload), "partial": upload.partial,
                "paths": upload.paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "name": pack.name, "vendor": pack.vendor, "description": pack.description, "models": models, "files": files,
        "uploads": uploads,
    })
}
