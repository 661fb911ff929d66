//! `resyncd explain`: which layer set what.

use std::io::{self, Write};

use serde_json::json;

use super::{Ending, Failure, load_generation, output, render};
use crate::config::Config;
use crate::model::MacAddr;
use crate::packs::{Audience, FileEntry, Mapping, Source, sources_of};
use crate::render::{Made, Parameter, Shown};
use crate::resync::{Device, Generation};
use crate::settings::{Key, Step, trace};

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
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let generation = load_generation(config)?;
        let device = generation.profiles.device(self.mac).ok_or_else(|| render::no_device(self.mac))?;
        let explaining = Explaining { generation: &generation, device, limit: config.limits.profile_bytes };
        let settings = explaining.settings(self.key.as_deref());
        if !settings.is_empty() {
            match self.format {
                output::Format::Json => output::json(&settings.iter().map(Explained::as_json).collect::<Vec<_>>())?,
                output::Format::Human => {
                    output::write(|out| settings.iter().try_for_each(|setting| setting.describe(out, "")))?;
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
            output::Format::Json => output::json(&traces.iter().map(ParameterTrace::as_json).collect::<Vec<_>>())?,
            output::Format::Human => output::write(|out| traces.iter().try_for_each(|trace| trace.describe(out)))?,
        }
        Ok(Ending::Fine)
    }
}

struct Explaining<'g> {
    generation: &'g Generation,
    device: &'g Device,
    limit: usize,
}

/// One setting, and what every layer did to it, weakest first.
struct Explained {
    key: Key,
    steps: Vec<Step>,
}

/// One parameter of a file, and how it came about.
struct ParameterTrace<'g> {
    path: String,
    parameter: Parameter,
    mapping: Option<&'g Mapping>,
    expression: Option<String>,
    settings: Vec<Explained>,
    /// Settings that the expression reads and nothing sets.
    unset: Vec<String>,
}

impl<'g> Explaining<'g> {
    fn explained(&self, key: &Key) -> Explained {
        Explained { key: key.clone(), steps: trace(self.generation.layers(self.device), key) }
    }

    /// Every setting that holds, or those at or under a dotted name.
    fn settings(&self, name: Option<&str>) -> Vec<Explained> {
        let settings = self.generation.settings(self.device);
        let wanted = |key: &Key| {
            let Some(name) = name else { return true };
            key.to_string().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let keys: Vec<_> = settings.iter().map(|(key, _)| key).filter(|key| wanted(key)).cloned().collect();
        keys.iter().map(|key| self.explained(key)).collect()
    }

    /// The parameter in each of the device's files that has it.
    fn parameter(&self, name: &str) -> Result<Vec<ParameterTrace<'g>>, Failure> {
        let Some((pack, model)) = self.generation.packs.pack_and_model(self.device.model) else {
            return Ok(Vec::new());
        };
        let mut traces = Vec::new();
        let is_mapped = |file: &&FileEntry| matches!(file.source, Source::Template { mapping: Some(_), .. });
        for file in pack.files.iter().filter(is_mapped).filter(|file| file.is_for(self.device.model.model)) {
            let first = file.paths.first();
            let path =
                first.and_then(|path| path.fill(Some(self.device.mac), self.device.serial.as_ref(), &model.name));
            let path = path.unwrap_or_default();
            let model_index =
                (file.audience == Audience::Device || path.contains(&*model.name)).then_some(self.device.model.model);
            let found = render::Found { file, pack: self.device.model.pack, model: model_index, path };
            let rendered = found.render(self.generation, self.device, Shown::Masked, self.limit)?;
            let Some(parameter) = rendered.parameters.into_iter().find(|parameter| &*parameter.name == name) else {
                continue;
            };
            let Source::Template { mapping: Some(mapping), .. } = &file.source else { continue };
            let mapping = pack.mappings.get(mapping);
            let (expression, reads) = match (&parameter.made, mapping) {
                (Made::Mapping { pattern, n, .. }, Some(mapping)) => {
                    let entry = mapping
                        .of_family(&model.family)
                        .and_then(|expressions| expressions.iter().find(|entry| entry.pattern == *pattern));
                    let reads = entry.map(|entry| entry.reads.clone()).unwrap_or_default();
                    let reads: Vec<_> = reads.iter().map(|read| read.replace("{n}", &n.to_string())).collect();
                    (entry.map(|entry| entry.expression.clone()), reads)
                }
                _ => (None, vec![Key::Param(parameter.name.clone()).to_string()]),
            };
            let (mut settings, mut unset) = (Vec::new(), Vec::new());
            for read in reads.iter().flat_map(|read| sources_of(read)) {
                let under = self.settings(Some(&read));
                if under.is_empty() && !unset.contains(&read) {
                    unset.push(read);
                } else {
                    settings.extend(under);
                }
            }
            traces.push(ParameterTrace { path: found.path, parameter, mapping, expression, settings, unset });
        }
        Ok(traces)
    }
}

impl Explained {
    fn describe(&self, out: &mut dyn Write, indent: &str) -> io::Result<()> {
        let mut steps = self.steps.iter().rev();
        match steps.next() {
            Some(Step::Set(setting)) => {
                writeln!(out, "{indent}{} = {}\n{indent}    {}", self.key, setting.value, setting.origin)?;
            }
            Some(Step::Unset(origin, prefix)) => {
                writeln!(out, "{indent}{} is unset\n{indent}    {origin} unsets {prefix}", self.key)?
            }
            None => writeln!(out, "{indent}{} is not set", self.key)?,
        }
        for step in steps {
            match step {
                Step::Set(setting) => writeln!(out, "{indent}    overrides {} of {}", setting.value, setting.origin)?,
                Step::Unset(origin, prefix) => writeln!(out, "{indent}    {origin} had unset {prefix}")?,
            }
        }
        Ok(())
    }

    fn as_json(&self) -> serde_json::Value {
        let steps: Vec<_> = self
            .steps
            .iter()
            .map(|step| match step {
                Step::Set(setting) => json!({
                    "file": setting.origin.source.display().to_string(), "line": setting.origin.line,
                    "value": setting.value.to_string(),
                }),
                Step::Unset(origin, prefix) => json!({
                    "file": origin.source.display().to_string(), "line": origin.line, "unsets": prefix.to_string(),
                }),
            })
            .collect();
        json!({ "key": self.key.to_string(), "layers": steps })
    }
}

impl ParameterTrace<'_> {
    fn made_by(&self) -> String {
        match (&self.parameter.made, self.mapping) {
            (Made::Mapping { line, .. }, Some(mapping)) => format!("{}:{line}", mapping.source.display()),
            (Made::Mapping { line, .. }, None) => format!("line {line}"),
            (Made::Params(origin), _) => origin.to_string(),
        }
    }

    fn describe(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} = {:?} in {}", self.parameter.name, self.parameter.value, self.path)?;
        writeln!(out, "    {}", self.made_by())?;
        if let Some(expression) = &self.expression {
            writeln!(out, "    {}", expression.trim().replace('\n', "\n    "))?;
        }
        if !self.settings.is_empty() {
            writeln!(out, "  from")?;
        }
        self.settings.iter().try_for_each(|setting| setting.describe(out, "    "))?;
        if !self.unset.is_empty() {
            writeln!(out, "  not set: {}", self.unset.join(", "))?;
        }
        Ok(())
    }

    fn as_json(&self) -> serde_json::Value {
        json!({
            "parameter": &*self.parameter.name, "value": self.parameter.value, "access": self.parameter.access.as_deref(),
            "path": self.path, "made_by": self.made_by(), "expression": self.expression,
            "settings": self.settings.iter().map(Explained::as_json).collect::<Vec<_>>(), "not_set": self.unset,
        })
    }
}
