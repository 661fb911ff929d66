//! `resyncd explain`: which layer set what.

use std::io::{self, Write};

use serde_json::json;

use super::{Ending, Failure, output, render, snapshot};
use crate::config::Config;
use crate::model::MacAddr;
use crate::packs::{Audience, Source};
use crate::render::{Parameter, Shown};
use crate::resync::{Device, Explained, Generation, ParameterTrace, Provenance};
use crate::settings::Step;

/// Tell which file and line set what.
///
/// Shows every setting that holds for a phone with the file and line that set it and what it overrode; or traces one
/// setting, or one of the phone's own parameters, back to where it comes from. Secrets are not shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    /// A setting (`lines.1.proxy`), a section (`delivery`), or a parameter of the phone's (`Proxy_1_`).
    key: Option<String>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
    /// Leave the database out: what files alone make of it.
    #[arg(long)]
    files_only: bool,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let generation = snapshot::load(config, self.mac, self.files_only)?;
        let device = generation.profiles.device(self.mac).ok_or_else(|| render::no_device(self.mac))?;
        let provenance = Provenance::new(&generation, device)
            .ok_or_else(|| Failure::Other(format!("the model of {} is in no pack", self.mac)))?;
        let limit = config.limits.profile_bytes;
        let explaining = Explaining { generation: &generation, device, provenance, limit };
        let settings = explaining.settings(self.key.as_deref());
        if !settings.is_empty() {
            match self.format {
                output::Format::Json => output::json(&settings.iter().map(as_json).collect::<Vec<_>>())?,
                output::Format::Human => {
                    output::write(|out| settings.iter().try_for_each(|setting| describe(setting, out, "")))?;
                }
            }
            return Ok(Ending::Fine);
        }
        let Some(name) = &self.key else { return Err(Failure::Other(format!("{} has no settings", self.mac))) };
        let traces = explaining.parameter(name)?;
        if traces.is_empty() {
            eprintln!("resyncd: {} has no setting and no parameter \"{name}\"", self.mac);
            return Ok(Ending::Findings);
        }
        match self.format {
            output::Format::Json => output::json(&traces.iter().map(OfFile::as_json).collect::<Vec<_>>())?,
            output::Format::Human => output::write(|out| traces.iter().try_for_each(|trace| trace.describe(out)))?,
        }
        Ok(Ending::Fine)
    }
}

struct Explaining<'g> {
    generation: &'g Generation,
    device: &'g Device,
    provenance: Provenance<'g>,
    limit: usize,
}

/// One parameter of a file, and how it came about.
struct OfFile<'g> {
    path: String,
    parameter: Parameter,
    trace: ParameterTrace<'g>,
}

impl<'g> Explaining<'g> {
    /// Every setting that holds, or those at or under a dotted name.
    fn settings(&self, name: Option<&str>) -> Vec<Explained> {
        name.map_or_else(|| self.provenance.all(), |name| self.provenance.under(name))
    }

    /// The parameter in each of the device's files that has it.
    fn parameter(&self, name: &str) -> Result<Vec<OfFile<'g>>, Failure> {
        let Some((pack, model)) = self.generation.packs.pack_and_model(self.device.model) else {
            return Ok(Vec::new());
        };
        let mut traces = Vec::new();
        for file in pack.files.iter().filter(|file| file.is_for(self.device.model.model)) {
            let Source::Template { mapping: Some(mapping), .. } = &file.source else { continue };
            let first = file.paths.first();
            let path =
                first.and_then(|path| path.fill(Some(self.device.mac), self.device.serial.as_ref(), &model.name));
            let path = path.unwrap_or_default();
            let model_index =
                (file.audience == Audience::Device || path.contains(&*model.name)).then_some(self.device.model.model);
            let found = render::Found { file, pack: self.device.model.pack, model: model_index, path };
            let rendered = found.render(self.generation, self.device, Shown::Masked, self.limit.into())?;
            let Some(parameter) = rendered.parameters.into_iter().find(|parameter| &*parameter.name == name) else {
                continue;
            };
            let trace = self.provenance.of_parameter(pack.mappings.get(mapping), &parameter);
            traces.push(OfFile { path: found.path, parameter, trace });
        }
        Ok(traces)
    }
}

fn describe(explained: &Explained, out: &mut dyn Write, indent: &str) -> io::Result<()> {
    let (key, mut steps) = (&explained.key, explained.steps.iter().rev());
    match steps.next() {
        Some(Step::Set(setting)) => {
            writeln!(out, "{indent}{key} = {}\n{indent}    {}", explained.shown(setting), setting.origin)?;
        }
        Some(Step::Unset(origin, prefix)) => {
            writeln!(out, "{indent}{key} is unset\n{indent}    {origin} unsets {prefix}")?;
        }
        None => writeln!(out, "{indent}{key} is not set")?,
    }
    for step in steps {
        match step {
            Step::Set(setting) => {
                writeln!(out, "{indent}    overrides {} of {}", explained.shown(setting), setting.origin)?;
            }
            Step::Unset(origin, prefix) => writeln!(out, "{indent}    {origin} had unset {prefix}")?,
        }
    }
    Ok(())
}

fn as_json(explained: &Explained) -> serde_json::Value {
    let steps: Vec<_> = explained
        .steps
        .iter()
        .map(|step| match step {
            Step::Set(setting) => json!({
                "file": setting.origin.source.display().to_string(), "line": setting.origin.line,
                "value": explained.shown(setting).to_string(),
            }),
            Step::Unset(origin, prefix) => json!({
                "file": origin.source.display().to_string(), "line": origin.line, "unsets": prefix.to_string(),
            }),
        })
        .collect();
    json!({ "key": explained.key.to_string(), "layers": steps })
}

impl OfFile<'_> {
    fn describe(&self, out: &mut dyn Write) -> io::Result<()> {
        let ParameterTrace { made_by, expression, settings, unset } = &self.trace;
        writeln!(out, "{} = {:?} in {}", self.parameter.name, self.parameter.value, self.path)?;
        writeln!(out, "    {made_by}")?;
        if let Some(expression) = expression {
            writeln!(out, "    {}", expression.trim().replace('\n', "\n    "))?;
        }
        if !settings.is_empty() {
            writeln!(out, "  from")?;
        }
        settings.iter().try_for_each(|setting| describe(setting, out, "    "))?;
        if !unset.is_empty() {
            writeln!(out, "  not set: {}", unset.join(", "))?;
        }
        Ok(())
    }

    fn as_json(&self) -> serde_json::Value {
        json!({
            "parameter": &*self.parameter.name, "value": self.parameter.value, "access": self.parameter.access.as_deref(),
            "path": self.path, "made_by": self.trace.made_by, "expression": self.trace.expression,
            "settings": self.trace.settings.iter().map(as_json).collect::<Vec<_>>(), "not_set": self.trace.unset,
        })
    }
}
