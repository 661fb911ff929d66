//! `mapping.toml`: which expression makes which of the phone's own parameters.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::manifest::{Model, Models};
use super::parameters::ParameterList;
use super::reads::{Scope, reads, unbalanced};
use crate::document::{DeValue, Document, Problem, Problems, Reader, nearest};

/// One parameter's expression.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As mapping.toml has it, `Proxy_{n}_`.
    pub pattern: Arc<str>,
    /// A Tera template.
    pub expression: String,
    /// The line of mapping.toml.
    pub line: u32,
    /// Dotted names of the settings that the expression reads, `lines.{n}.proxy`.
    pub reads: Vec<String>,
    /// The parameter's name for n = 1, 2, …; none where there is no such. One name, the first, for what is made once.
    pub names: Vec<Option<Arc<str>>>,
}

/// What is wrong with a parameter's name, and what may have been meant; none where it can be made.
pub(super) type Refuse<'r> = dyn Fn(&str) -> Option<(String, Option<String>)> + 'r;

/// The expressions for the models of one family, each list in the order in which it is written.
#[derive(Debug, Clone, Default)]
pub struct Expressions {
    pub once: Vec<Entry>,
    pub line: Vec<Entry>,
    pub key: Vec<Entry>,
}

impl Expressions {
    /// Every entry, whichever scope it stands in.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.once.iter().chain(&self.line).chain(&self.key)
    }
}

/// One mapping file.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The file, as messages name it.
    pub source: Arc<Path>,
    families: HashMap<String, Expressions>,
}

impl Mapping {
    /// The expressions for a family's models.
    pub fn of_family(&self, family: &str) -> Option<&Expressions> {
        self.families.get(family)
    }

    pub fn families(&self) -> impl Iterator<Item = (&str, &Expressions)> {
        self.families.iter().map(|(name, found)| (name.as_str(), found))
    }

    pub fn read(path: &Path, models: &Models, parameters: &ParameterList) -> Result<Self, Problems> {
        let document = Document::read(path)?;
        let table = document.parse()?;
        let problems = RefCell::new(Problems::default());
        let reader = Reader::new(&document, &table, &problems);
        let (names, written) = (reader.table("names"), reader.table("parameters"));
        let refuse = |name: &str| {
            if parameters.open || parameters.get(name).is_some() {
                return None;
            }
            let help = nearest(name, parameters.names()).map(|name| format!("did you mean \"{name}\"?"));
            Some((format!("{name} is not in parameters.toml, which says that it is complete"), help))
        };
        let mut found = Problems::default();
        let mapping = Self::of_tables(document.path(), names, written, models, &refuse, &mut found);
        reader.finish();
        let mut problems = problems.into_inner();
        problems.extend(found);
        problems.into_result(mapping)
    }

    /// A mapping without expressions.
    pub(super) fn empty(source: &Arc<Path>) -> Self {
        Self { source: source.clone(), families: HashMap::new() }
    }

    /// The mapping of a file's tables of names and expressions. What `refuse` says of a parameter's name is wrong with its
    /// expression.
    pub(super) fn of_tables(
        source: &Arc<Path>,
        names: Option<Reader<'_>>,
        written: Option<Reader<'_>>,
        models: &Models,
        refuse: &Refuse<'_>,
        problems: &mut Problems,
    ) -> Self {
        let families = families(&models.list);
        let names = names.map(|table| per_family(table, &families, Names::read)).unwrap_or_default();
        let written = written.map(|table| per_family(table, &families, Written::read)).unwrap_or_default();
        let mut mapping = Self::empty(source);
        let mut found = Problems::default();
        for family in &families {
            let mut building = Building {
                models: models.list.iter().filter(|model| model.family == *family).collect(),
                names: [names.get(""), names.get(family)].into_iter().flatten().collect(),
                refuse,
                source: &mapping.source,
                problems: &mut found,
            };
            let mut expressions = Expressions::default();
            let own = if family.is_empty() { None } else { written.get(family) };
            for written in [written.get(""), own].into_iter().flatten() {
                building.add(&mut expressions.once, &written.once, Scope::Once);
                building.add(&mut expressions.line, &written.line, Scope::Line);
                building.add(&mut expressions.key, &written.key, Scope::Key);
            }
            mapping.families.insert(family.clone(), expressions);
        }
        for problem in found {
            // What is common to all families is wrong once, not once a family.
            if !problems.iter().any(|known| *known == problem) {
                problems.push(problem);
            }
        }
        mapping
    }
}

fn families(models: &[Model]) -> Vec<String> {
    let mut families: Vec<String> = models.iter().map(|model| model.family.clone()).collect();
    // Files for anyone are made for no model in particular where their path names none.
    families.push(String::new());
    families.sort_unstable();
    families.dedup();
    families
}

/// A table's own content under "", and that of each `family.NAME` in it under the family's name.
fn per_family<T>(table: Reader<'_>, families: &[String], read: impl Fn(&Reader<'_>) -> T) -> HashMap<String, T> {
    let mut found = HashMap::new();
    if let Some(nested) = table.table("family") {
        for (name, _) in nested.entries() {
            if !families.iter().any(|family| family == name) {
                let help =
                    nearest(name, families.iter().map(String::as_str)).map(|name| format!("did you mean \"{name}\"?"));
                nested.problem(name, "no model is of this family", help);
            }
            if let Some(own) = nested.table(name) {
                found.insert(name.to_owned(), read(&own));
            }
        }
    }
    found.insert(String::new(), read(&table));
    found
}

/// Further placeholders of names: for each scope and name, one value per n.
#[derive(Debug, Default)]
struct Names {
    line: BTreeMap<String, Vec<String>>,
    key: BTreeMap<String, Vec<String>>,
}

impl Names {
    fn read(table: &Reader<'_>) -> Self {
        Self { line: Self::scope(table, "line"), key: Self::scope(table, "key") }
    }

    fn scope(table: &Reader<'_>, scope: &str) -> BTreeMap<String, Vec<String>> {
        let mut names = BTreeMap::new();
        let Some(table) = table.table(scope) else { return names };
        for (name, found) in table.entries() {
            let DeValue::Array(items) = found.value else {
                table.problem(name, "must be a list: one value per n", None);
                continue;
            };
            let values = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.as_str().to_owned(),
                _ => {
                    table.problem(name, "holds something that is neither a number nor a text", None);
                    String::new()
                }
            });
            names.insert(name.to_owned(), values.collect());
        }
        names
    }
}

struct WrittenEntry {
    pattern: String,
    expression: String,
    line: u32,
}

/// Expressions as the file has them.
#[derive(Default)]
struct Written {
    once: Vec<WrittenEntry>,
    line: Vec<WrittenEntry>,
    key: Vec<WrittenEntry>,
}

impl Written {
    fn read(table: &Reader<'_>) -> Self {
        let mut written = Self::default();
        if let Some(each) = table.table("each") {
            written.line = each.table("line").map(|scope| Self::scope(&scope)).unwrap_or_default();
            written.key = each.table("key").map(|scope| Self::scope(&scope)).unwrap_or_default();
            each.finish();
        }
        written.once = Self::scope(table);
        written
    }

    fn scope(table: &Reader<'_>) -> Vec<WrittenEntry> {
        let mut entries = Vec::new();
        for (pattern, found) in table.entries() {
            if matches!((pattern, found.value), ("each" | "family", DeValue::Table(_))) {
                continue;
            }
            if let Some(expression) = table.text(pattern) {
                entries.push(WrittenEntry { pattern: pattern.to_owned(), expression, line: found.line });
            }
        }
        entries
    }
}

/// Turns what is written into the entries of one family.
struct Building<'b> {
    models: Vec<&'b Model>,
    names: Vec<&'b Names>,
    refuse: &'b Refuse<'b>,
    source: &'b Arc<Path>,
    problems: &'b mut Problems,
}

impl Building<'_> {
    /// Adds entries; one for a name that is already there takes its place.
    fn add(&mut self, entries: &mut Vec<Entry>, written: &[WrittenEntry], scope: Scope) {
        for entry in written {
            let entry = self.entry(entry, scope);
            match entries.iter_mut().find(|other| other.pattern == entry.pattern) {
                Some(other) => *other = entry,
                None => entries.push(entry),
            }
        }
    }

    fn problem(&mut self, entry: &WrittenEntry, message: String, help: Option<String>) {
        self.problems.push(Problem {
            file: self.source.clone(),
            line: Some(entry.line),
            key: Some(entry.pattern.clone()),
            message,
            help,
            rule: None,
        });
    }

    fn entry(&mut self, written: &WrittenEntry, scope: Scope) -> Entry {
        let count = match scope {
            Scope::Once => 1,
            Scope::Line => self.models.iter().map(|model| model.lines).max().unwrap_or(0),
            Scope::Key => self.models.iter().map(|model| model.keys).max().unwrap_or(0),
        };
        let names: Vec<Option<Arc<str>>> = (1..=count).map(|n| self.name(&written.pattern, scope, n)).collect();
        if names.iter().all(Option::is_none) && count > 0 && written.pattern.contains('{') && scope == Scope::Once {
            self.problem(written, "has a placeholder outside of each.line and each.key".to_owned(), None);
        }
        if let Some((message, help)) = names.iter().flatten().find_map(|name| (self.refuse)(name)) {
            self.problem(written, message, help);
        }
        if written.expression.contains("set_global") {
            let message = "an expression can't set a variable for others: {% set_global %}".to_owned();
            self.problem(written, message, Some("use {% set %}, which holds within the expression".to_owned()));
        }
        if let Some(message) = unbalanced(&written.expression) {
            self.problem(written, message, None);
        }
        let (reads, unknown) = reads(&written.expression, scope);
        for (name, help) in unknown {
            self.problem(written, format!("reads \"{name}\", which is no setting"), help);
        }
        Entry {
            pattern: written.pattern.as_str().into(),
            expression: written.expression.clone(),
            line: written.line,
            reads,
            names,
        }
    }

    /// The name for one n, if all its placeholders have a value.
    fn name(&self, pattern: &str, scope: Scope, n: u16) -> Option<Arc<str>> {
        let mut name = String::new();
        let mut rest = pattern;
        while let Some((literal, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}')?;
            name.push_str(literal);
            match (placeholder, scope) {
                (_, Scope::Once) => return None,
                ("n", _) => name.push_str(&n.to_string()),
                _ => name.push_str(self.named(placeholder, scope, n).filter(|value| !value.is_empty())?),
            }
            rest = after;
        }
        name.push_str(rest);
        Some(name.into())
    }

    fn named(&self, placeholder: &str, scope: Scope, n: u16) -> Option<&str> {
        // The family's own names stand last and win.
        self.names
            .iter()
            .rev()
            .find_map(|names| {
                let table = if scope == Scope::Line { &names.line } else { &names.key };
                table.get(placeholder)
            })
            .and_then(|values| values.get(usize::from(n).checked_sub(1)?))
            .map(String::as_str)
    }
}
