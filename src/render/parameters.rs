//! The list of a phone's parameters: what the mapping makes of the settings, and `[params]` laid over it.

use std::sync::Arc;

use tera::{Context, Tera, Value};

use super::context::{Built, MASK, Shown};
use super::engine::Bounded;
use super::error::RenderError;
use super::guard::{self, Limit};
use super::params::{self, OwnParams, SharedParams, Written};
use super::{escape, filters};
use crate::packs::{ByName, Entry, Format, Mapping, Parameter as Known, ParameterList, sources_of};
use crate::settings::{Effective, Key, Origin, Value as Own};

/// One parameter of a profile, not yet escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: Arc<str>,
    pub value: String,
    pub access: Option<Arc<str>>,
    pub made: Made,
    /// Whether the value may be shown.
    pub secret: bool,
}

/// What a parameter's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// An expression of the mapping: its line, and the n it was made for.
    Mapping { line: u32, pattern: Arc<str>, n: u16 },
    /// `[params]` of the settings.
    Params(Origin),
}

/// Parts the values of one scope. No value holds it: control characters are refused when settings are read.
const SEPARATOR: char = '\u{1e}';

/// One family's expressions, compiled: all expressions of a scope are one template, which costs a fraction of one
/// template each.
#[derive(Debug)]
pub struct Compiled {
    once: Scope,
    line: Scope,
    key: Scope,
}

#[derive(Debug)]
struct Scope {
    template: String,
    entries: Vec<Entry>,
    /// The template's line at which each entry's expression begins.
    starts: Vec<usize>,
}

impl Compiled {
    /// Compiles a family's expressions into `tera`. An error names the expression that is wrong.
    pub fn new(tera: &mut Tera, mapping: &Mapping, file: &str, family: &str) -> Result<Self, RenderError> {
        let expressions = mapping.of_family(family).cloned().unwrap_or_default();
        let scopes = [("once", expressions.once), ("line", expressions.line), ("key", expressions.key)];
        let [once, line, key] =
            scopes.map(|(scope, entries)| Scope::new(tera, format!("{file}/{family}/{scope}"), entries, mapping));
        Ok(Self { once: once?, line: line?, key: key? })
    }
}

impl Scope {
    fn new(tera: &mut Tera, template: String, entries: Vec<Entry>, mapping: &Mapping) -> Result<Self, RenderError> {
        let mut text = String::new();
        let mut starts = Vec::with_capacity(entries.len());
        let mut line = 1;
        for entry in &entries {
            starts.push(line);
            line += entry.expression.matches('\n').count();
            // What an expression sets must not hold in the next one; a loop is what Tera has for a scope.
            let guarded = guard::guarded(&entry.expression);
            if entry.expression.contains("set ") {
                text.push_str("{% for _ in [0] %}");
                text.push_str(&guarded.text);
                text.push_str("{% endfor %}");
            } else {
                text.push_str(&guarded.text);
            }
            text.push(SEPARATOR);
        }
        let scope = Self { template, entries, starts };
        if let Some((entry, message)) = scope.entries.iter().find_map(|entry| {
            let refused = filters::forbidden(&entry.expression).or_else(|| guard::unstoppable(&entry.expression));
            Some((entry, refused?.1))
        }) {
            return Err(failed(mapping, entry, message));
        }
        if let Err(error) = tera.add_raw_template(&scope.template, &text) {
            // All expressions share a template; compiled one by one, the wrong one shows.
            for entry in &scope.entries {
                if let Err(error) = tera.add_raw_template("expression", &entry.expression) {
                    return Err(failed(mapping, entry, super::engine::message_of(&error).0));
                }
            }
            return Err(RenderError::Template {
                place: mapping.source.display().to_string(),
                message: super::engine::message_of(&error).0,
            });
        }
        Ok(scope)
    }

    /// The value of each entry.
    fn values(&self, making: &Making<'_>, context: &Context) -> Result<Vec<String>, RenderError> {
        let (tera, mapping) = (making.tera, making.mapping);
        let mut out = Bounded::new(making.limit.bytes);
        if let Err(error) = tera.render_to(&self.template, context, &mut out) {
            if let Some(stopped) = out.stopped() {
                return Err(super::engine::stopped_at(mapping.source.display().to_string(), stopped, making.limit));
            }
            let (message, line) = super::engine::message_of(&error);
            // Entries on one line of the template share it; the last that begins there or before is close enough to
            // look at, and one that fails alone is named exactly.
            let alone = self.entries.iter().find_map(|entry| {
                let mut tera = tera.clone();
                tera.add_raw_template("expression", &guard::guarded(&entry.expression).text).ok()?;
                let error = tera.render("expression", context).err()?;
                Some(failed(mapping, entry, super::engine::message_of(&error).0))
            });
            return Err(alone.unwrap_or_else(|| {
                let at = self.starts.partition_point(|start| line.is_some_and(|line| *start <= line)).saturating_sub(1);
                match self.entries.get(at) {
                    Some(entry) => failed(mapping, entry, message.clone()),
                    None => RenderError::Template { place: mapping.source.display().to_string(), message },
                }
            }));
        }
        let text = String::from_utf8_lossy(&out.bytes);
        let mut values: Vec<String> = text.split(SEPARATOR).map(str::to_owned).collect();
        // What follows the last separator.
        values.pop();
        if values.len() != self.entries.len() {
            // A value would stand under another parameter's name.
            let message = "an expression reaches into the next one: each has to be whole in itself".to_owned();
            return Err(RenderError::Template { place: mapping.source.display().to_string(), message });
        }
        Ok(values)
    }
}

fn failed(mapping: &Mapping, entry: &Entry, message: String) -> RenderError {
    RenderError::Expression {
        place: format!("{}:{}", mapping.source.display(), entry.line),
        parameter: entry.pattern.to_string(),
        message,
    }
}

/// What the parameters of one file are made from.
pub struct Making<'m> {
    pub tera: &'m Tera,
    pub compiled: Option<&'m Compiled>,
    pub mapping: &'m Mapping,
    pub list: &'m ParameterList,
    pub format: Format,
    pub settings: &'m Effective,
    /// Those of `[params]` that many devices have in common.
    pub shared: Option<&'m SharedParams>,
    pub params: bool,
    pub shown: Shown,
    /// What one scope may render.
    pub limit: Limit,
}

impl Making<'_> {
    /// The parameters in the order in which they are written, each name once; and the same as templates see them.
    pub fn make(&self, built: &mut Built) -> Result<(Vec<Parameter>, Value), RenderError> {
        let mut parameters = Parameters::default();
        if let Some(compiled) = self.compiled {
            self.scope(&compiled.once, &mut built.context, None, &[Value::none()], &mut parameters)?;
            self.scope(&compiled.line, &mut built.context, Some("line"), &built.lines, &mut parameters)?;
            self.scope(&compiled.key, &mut built.context, Some("key"), &built.keys, &mut parameters)?;
        }
        if self.params {
            self.lay_params(built, &mut parameters)?;
        }
        for (parameter, seen) in parameters.list.iter_mut().zip(&mut parameters.seen) {
            if self.shown == Shown::Masked && parameter.secret && !parameter.value.is_empty() {
                MASK.clone_into(&mut parameter.value);
                *seen = None;
            }
        }
        for parameter in &parameters.list {
            let why = escape::refusal(self.format, &parameter.value)
                .or_else(|| escape::name_refusal(self.format, &parameter.name));
            if let Some(why) = why {
                return Err(self.refused(parameter, why));
            }
        }
        let seen = parameters.as_value();
        Ok((parameters.list, seen))
    }

    /// Names the setting that a refused value comes from, and where it stands.
    fn refused(&self, parameter: &Parameter, why: &'static str) -> RenderError {
        let name = &parameter.name;
        let (line, pattern, n) = match &parameter.made {
            Made::Params(origin) => {
                return RenderError::Value { parameter: format!("params.{name}"), why, made_by: origin.to_string() };
            }
            Made::Mapping { line, pattern, n } => (*line, pattern, n.to_string()),
        };
        let scopes = self.compiled.iter().flat_map(|compiled| [&compiled.once, &compiled.line, &compiled.key]);
        let entry =
            scopes.flat_map(|scope| &scope.entries).find(|entry| entry.line == line && entry.pattern == *pattern);
        let reads: Vec<String> = entry
            .iter()
            .flat_map(|entry| &entry.reads)
            .flat_map(|read| sources_of(read))
            .map(|read| read.replace("{n}", &n))
            .collect();
        let is_read = |key: &Key| {
            let key = key.to_string();
            reads.iter().any(|read| {
                key.strip_prefix(read.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        match unfit(self.settings, self.format, is_read) {
            Some((key, origin)) => {
                RenderError::Value { parameter: format!("{key} (for {name})"), why, made_by: origin.to_string() }
            }
            None => RenderError::Value {
                parameter: name.to_string(),
                why,
                made_by: format!("{}:{line}", self.mapping.source.display()),
            },
        }
    }

    fn scope(
        &self,
        scope: &Scope,
        context: &mut Context,
        variable: Option<&'static str>,
        each: &[Value],
        parameters: &mut Parameters,
    ) -> Result<(), RenderError> {
        if scope.entries.is_empty() {
            return Ok(());
        }
        for (index, item) in each.iter().enumerate() {
            if let Some(variable) = variable {
                context.insert_value(variable, item.clone());
            }
            let values = scope.values(self, context)?;
            for (entry, value) in scope.entries.iter().zip(values) {
                let Some(Some(name)) = entry.names.get(index) else { continue };
                // Nothing rendered leaves the parameter out: an empty one could wipe a value on the phone.
                if value.trim().is_empty() {
                    continue;
                }
                let known = self.list.get(name);
                let spelled = self.list.spelled(known, &value);
                let n = u16::try_from(index + 1).unwrap_or(u16::MAX);
                let made = Made::Mapping { line: entry.line, pattern: entry.pattern.clone(), n };
                let value = if spelled == value { value } else { spelled.to_owned() };
                parameters.set(name, known, value, made, false);
            }
        }
        if let Some(variable) = variable {
            context.remove(variable);
        }
        Ok(())
    }

    /// Lays the operator's own parameters over the derived ones: in their place, or behind them in the list's order.
    fn lay_params(&self, built: &mut Built, parameters: &mut Parameters) -> Result<(), RenderError> {
        let shared = match self.shared {
            Some(shared) if shared.is_of(self.settings) => shared,
            _ => &SharedParams::of(self.settings, self.list),
        };
        for own in shared.with(&OwnParams::of(self.settings, self.list)) {
            let known = own.known(self.list);
            let made = Made::Params(own.origin.clone());
            match &own.value {
                Written::Plain { text, seen } => parameters.lay(&own.name, known, text.clone(), made, seen.clone()),
                Written::Secret(_) if self.shown == Shown::Masked => {
                    parameters.set(&own.name, known, MASK.to_owned(), made, true);
                }
                Written::Secret(_) if self.shown == Shown::Absent => {
                    return Err(RenderError::Value {
                        parameter: own.name.to_string(),
                        why: "is a secret, and this file is for anyone",
                        made_by: own.origin.to_string(),
                    });
                }
                Written::Secret(source) => {
                    let secret = source.text().map_err(|why| RenderError::Secret {
                        setting: Key::Param(own.name.clone()).to_string(),
                        origin: own.origin.clone(),
                        why,
                    })?;
                    let text = secret.expose_text().unwrap_or_default().to_owned();
                    built.secrets.push(secret);
                    parameters.set(&own.name, known, text, made, true);
                }
            }
        }
        for (key, setting) in self.settings.iter() {
            let (Key::ParamAccess(name), Own::Text(access)) = (key, &setting.value) else { continue };
            if !self.list.access_words.iter().any(|word| word == access) {
                return Err(RenderError::Value {
                    parameter: name.to_string(),
                    why: "has an access that the pack doesn't know; parameters.toml lists the words",
                    made_by: setting.origin.to_string(),
                });
            }
            parameters.give_access(name, access);
        }
        Ok(())
    }
}

/// The first setting of those asked for whose value the format can't carry.
pub fn unfit(settings: &Effective, format: Format, is_asked: impl Fn(&Key) -> bool) -> Option<(&Key, &Origin)> {
    fn is_unfit(format: Format, value: &Own) -> bool {
        match value {
            Own::Text(text) => escape::refusal(format, text).is_some(),
            Own::List(items) => items.iter().any(|item| is_unfit(format, item)),
            Own::Secret(source) => source
                .text()
                .is_ok_and(|secret| secret.expose_text().is_some_and(|text| escape::refusal(format, text).is_some())),
            Own::Bool(_) | Own::Integer(_) | Own::Float(_) => false,
        }
    }
    let mut asked = settings.iter().filter(|(key, _)| is_asked(key));
    asked.find(|(_, setting)| is_unfit(format, &setting.value)).map(|(key, setting)| (key, &setting.origin))
}

#[derive(Default)]
struct Parameters {
    list: Vec<Parameter>,
    /// Each as a template sees it, where that is known already.
    seen: Vec<Option<Value>>,
    at: ByName<usize>,
}

impl Parameters {
    fn set(&mut self, name: &Arc<str>, known: Option<&Known>, value: String, made: Made, secret: bool) {
        if let Some((parameter, seen)) = self.get_mut(name) {
            parameter.value = value;
            parameter.made = made;
            parameter.secret |= secret;
            *seen = None;
            return;
        }
        self.push(name, known, value, made, secret, None);
    }

    /// The same for a value that is no secret, with what a template sees of it as long as nothing else is known of the
    /// parameter.
    fn lay(&mut self, name: &Arc<str>, known: Option<&Known>, value: String, made: Made, seen: Value) {
        if self.at.contains_key(name) {
            self.set(name, known, value, made, false);
        } else {
            self.push(name, known, value, made, false, Some(seen));
        }
    }

    fn push(
        &mut self,
        name: &Arc<str>,
        known: Option<&Known>,
        value: String,
        made: Made,
        secret: bool,
        seen: Option<Value>,
    ) {
        self.at.insert(name.clone(), self.list.len());
        self.list.push(Parameter {
            name: name.clone(),
            value,
            access: known.and_then(|known| known.access.clone()),
            made,
            secret: secret || known.is_some_and(|known| known.secret),
        });
        self.seen.push(seen);
    }

    fn give_access(&mut self, name: &str, access: &Arc<str>) {
        if let Some((parameter, seen)) = self.get_mut(name) {
            parameter.access = Some(access.clone());
            *seen = None;
        }
    }

    fn get_mut(&mut self, name: &str) -> Option<(&mut Parameter, &mut Option<Value>)> {
        let at = *self.at.get(name)?;
        Some((self.list.get_mut(at)?, self.seen.get_mut(at)?))
    }

    /// The list as templates see it.
    fn as_value(&self) -> Value {
        let each = self.list.iter().zip(&self.seen);
        let seen = each.map(|(parameter, seen)| seen.clone().unwrap_or_else(|| seen_of(parameter)));
        Value::from(seen.collect::<Vec<_>>())
    }
}

/// A parameter as templates see it.
fn seen_of(parameter: &Parameter) -> Value {
    params::seen(&parameter.name, &parameter.value, parameter.access.as_deref())
}
