//! `resyncd packs data-model`: data models in the XML form that vendors and ACSs exchange.

use std::path::PathBuf;

use super::named;
use crate::cli::{Ending, Failure, data_file};
use crate::config::Config;
use crate::packs::Packs;
use crate::packs::data_model::{DataModel, xml};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Export(Export),
    Import(Import),
}

/// Write a pack's data model as XML, as some ACSs want it before a phone may connect.
///
/// Types, sizes and ranges have no place in that form; they stand in the descriptions, where an import finds them.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The pack.
    pack: String,
    /// Only what this model has.
    #[arg(long)]
    model: Option<String>,
    /// The file to write; left out: standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Read a vendor's data model in XML, and write its parameters as entries of a tr069.toml.
///
/// With --pack only those that the pack's data model doesn't have; where the two tell different things of one, the command
/// says so and ends with 1.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The vendor's file; - for standard input.
    file: PathBuf,
    /// The pack to compare with.
    #[arg(long)]
    pack: Option<String>,
    /// The file to write; left out: standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Command {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        match self {
            Self::Export(args) => args.run(config),
            Self::Import(args) => args.run(config),
        }
    }
}

fn data_model<'p>(packs: &'p Packs, pack: &str) -> Result<&'p DataModel, Failure> {
    let pack = named(packs, pack)?;
    pack.data_model.as_ref().ok_or_else(|| {
        Failure::Other(format!(
            "the pack {} has no data model: there is no {}",
            pack.name,
            pack.folder.join("tr069.toml").display()
        ))
    })
}

impl Export {
    fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let packs = Packs::load(&config.templates, &config.profiles)?;
        let data_model = data_model(&packs, &self.pack)?;
        let model = match &self.model {
            None => None,
            Some(name) => {
                let models = &named(&packs, &self.pack)?.models.list;
                let found = models.iter().enumerate().find(|(_, model)| model.is_called(name));
                let (at, model) =
                    found.ok_or_else(|| Failure::Other(format!("the pack {} has no model \"{name}\"", self.pack)))?;
                if !data_model.is_for(at) {
                    return Err(Failure::Other(format!("a {} knows no ACS", model.name)));
                }
                Some(model)
            }
        };
        let text = xml::export(data_model, model);
        data_file::write(self.output.as_deref(), text.as_bytes(), data_file::Privacy::Public)?;
        Ok(Ending::Fine)
    }
}

impl Import {
    fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let bytes = data_file::read_at_most(&self.file, xml::LARGEST as u64)?;
        let file = data_file::name(&self.file);
        let text = String::from_utf8(bytes).map_err(|_| Failure::because(&file, "is not UTF-8"))?;
        let mut parameters = xml::import(&text).map_err(|error| Failure::because(&file, error))?;
        let mut ending = Ending::Fine;
        if let Some(pack) = &self.pack {
            let packs = Packs::load(&config.templates, &config.profiles)?;
            let known = data_model(&packs, pack)?;
            parameters.retain(|parameter| {
                // A pattern is no path; as one its numbers are 1.
                let Some(own) = known.get(&parameter.path.replace("{i}", "1")) else { return true };
                let told = parameter.kind.filter(|kind| *kind != own.kind);
                if own.access.is_writable() != parameter.access.is_writable() || told.is_some() {
                    ending = Ending::Findings;
                    let kind = parameter.kind.map(|kind| format!("{kind}, ")).unwrap_or_default();
                    eprintln!(
                        "resyncd: {}: {kind}{} in {file}; {}, {} in {}:{}",
                        parameter.path,
                        parameter.access.word(),
                        own.kind,
                        own.access.word(),
                        known.source.display(),
                        own.line
                    );
                }
                false
            });
        }
        let text = xml::as_toml(&parameters);
        data_file::write(self.output.as_deref(), text.as_bytes(), data_file::Privacy::Public)?;
        Ok(ending)
    }
}
