//! What a family's phones are to an ACS: `tr069.toml`, with the parameters of their data model, how settings become these,
//! the procedures and files they know, and their quirks. docs/packs.md has the format.
//!
//! Nothing here speaks CWMP; making the values for a device is [`crate::render`]'s.

mod kind;
mod near;
mod parameter;
mod quirks;
mod rpc;
pub mod xml;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub use kind::{Kind, date_time_of};
pub use parameter::{Access, Counts, DataParameter, Notification};
pub use quirks::{ConnectionRequest, Identity, Notifying, ProductClass, Quirks, Retry};
pub use rpc::{Content, FileType, FileTypes, Rpc, RpcSupport};

use super::manifest::{FileEntry, Model, Models};
use super::mapping::Mapping;
use super::upload::UploadEntry;
use crate::document::{Document, Problems, Reader};
use crate::model::data_path as path;

/// The name of the file in a pack's folder.
pub const FILE: &str = "tr069.toml";

/// Everything that an ACS has to know of a family.
#[derive(Debug, Clone)]
pub struct DataModel {
    /// The file, as messages name it.
    pub source: Arc<Path>,
    /// `Device` or `InternetGatewayDevice`.
    pub root: String,
    /// The list of parameters is known to be incomplete.
    pub open: bool,
    pub rpc: RpcSupport,
    pub files: FileTypes,
    pub mapping: Mapping,
    /// For each model, in the order of the pack's, whether it knows an ACS at all.
    managed: Vec<bool>,
    /// Of no model in particular.
    quirks: Quirks,
    /// Of each model, in the order of the pack's.
    own_quirks: Vec<Quirks>,
    parameters: Vec<DataParameter>,
    /// Places of parameters by their path with `{i}` for whatever could be an instance number.
    by_shape: HashMap<String, Vec<usize>>,
}

/// Why a parameter can't be set to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The data model has no such path; the one that is nearest.
    Unknown {
        near: Option<String>,
    },
    /// It has, but not on this model.
    NotOfModel {
        model: Arc<str>,
    },
    ReadOnly,
    /// The value does not fit, for this reason.
    Value(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { near: None } => f.write_str("is not in the data model"),
            Self::Unknown { near: Some(near) } => write!(f, "is not in the data model (did you mean {near}?)"),
            Self::NotOfModel { model } => write!(f, "is not in the data model of a {model}"),
            Self::ReadOnly => f.write_str("is read-only"),
            Self::Value(why) => f.write_str(why),
        }
    }
}

impl DataModel {
    /// Reads a pack's `tr069.toml`; none where there is no such file: the phones know no ACS.
    pub(super) fn read(
        folder: &Path,
        models: &Models,
        files: &[FileEntry],
        uploads: &[UploadEntry],
    ) -> Result<Option<Self>, Problems> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        Self::of(&Document::read(&path)?, models, files, uploads).map(Some)
    }

    fn of(
        document: &Document,
        models: &Models,
        files: &[FileEntry],
        uploads: &[UploadEntry],
    ) -> Result<Self, Problems> {
        let table = document.parse()?;
        let collected = RefCell::new(Problems::default());
        let reader = Reader::new(document, &table, &collected);
        let root = reader.required_text("root").unwrap_or_else(|| path::ROOTS[0].to_owned());
        if !path::ROOTS.contains(&root.as_str()) {
            reader.problem("root", format!("must be {}", path::ROOTS.join(" or ")), None);
        }
        let open = reader.boolean("open").unwrap_or(false);
        let without = reader.texts("without").unwrap_or_default();
        let is_called = |model: &Model, name: &String| model.is_called(name) || model.family == *name;
        for name in without.iter().filter(|name| !models.list.iter().any(|model| is_called(model, name))) {
            reader.problem("without", format!("the pack has no model or family \"{name}\""), None);
        }
        let managed = models.list.iter().map(|model| !without.iter().any(|name| is_called(model, name))).collect();
        let rpc = RpcSupport::read(reader.table("rpc"));
        let files = FileTypes::read(reader.table("files"), files, uploads);
        let quirks = reader.table("quirks");
        let (common, own_quirks) = Quirks::read(quirks.as_ref(), &models.list);
        if let Some(quirks) = quirks {
            quirks.finish();
        }
        let (mut parameters, mut by_shape) = (Vec::new(), HashMap::<String, Vec<usize>>::new());
        if let Some(list) = reader.table("parameters") {
            for (name, _) in list.entries() {
                if let Err(error) = path::check_pattern(name, &root) {
                    list.problem(name, error.to_string(), None);
                    continue;
                }
                let Some(parameter) = list.table(name).and_then(|entry| DataParameter::read(entry, name, &models.list))
                else {
                    continue;
                };
                by_shape.entry(path::shape(name)).or_default().push(parameters.len());
                parameters.push(parameter);
            }
        }
        let mut data_model = Self {
            source: document.path().clone(),
            root,
            open,
            rpc,
            files,
            mapping: Mapping::empty(document.path()),
            managed,
            quirks: common,
            own_quirks,
            parameters,
            by_shape,
        };
        let mut found = Problems::default();
        let (names, written) = (reader.table("names"), reader.table("mapping"));
        let refuse = |path: &str| data_model.refuses(path);
        let mapping = Mapping::of_tables(document.path(), names, written, models, &refuse, &mut found);
        data_model.mapping = mapping;
        reader.finish();
        found.extend(collected.into_inner());
        quirks::once(found).into_result(data_model)
    }

    /// Why the mapping can't make this parameter, and what may have been meant.
    fn refuses(&self, path: &str) -> Option<(String, Option<String>)> {
        match self.find(path) {
            Some((parameter, _)) if parameter.access.is_writable() => None,
            Some(_) => Some((format!("{path} is read-only, and can't be set"), None)),
            None if self.open => None,
            None => {
                let help = self.nearest(path).map(|near| format!("did you mean \"{near}\"?"));
                Some((format!("{path} is not among [parameters], and the list is complete"), help))
            }
        }
    }

    pub fn parameters(&self) -> impl Iterator<Item = &DataParameter> {
        self.parameters.iter()
    }

    /// The parameter of a path with all its instance numbers.
    pub fn get(&self, path: &str) -> Option<&DataParameter> {
        self.find(path).map(|(parameter, _)| parameter)
    }

    /// The parameter of a path, and its instance numbers in their order.
    pub fn find(&self, path: &str) -> Option<(&DataParameter, Vec<u32>)> {
        let places = self.by_shape.get(&path::shape(path))?;
        let found = places.iter().filter_map(|at| {
            let parameter = self.parameters.get(*at)?;
            Some((parameter, path::instances(&parameter.path, path)?))
        });
        // Of several the one that says most of the path itself.
        found.min_by_key(|(_, instances)| instances.len())
    }

    /// The place of a parameter in the list: what no mapping makes is set in the list's order.
    pub fn position(&self, path: &str) -> usize {
        let is_it = |at: &&usize| {
            self.parameters.get(**at).is_some_and(|parameter| path::instances(&parameter.path, path).is_some())
        };
        self.by_shape
            .get(&path::shape(path))
            .and_then(|places| places.iter().find(is_it))
            .copied()
            .unwrap_or(usize::MAX)
    }

    /// The known path that is most like this one, with its instance numbers.
    pub fn nearest(&self, path: &str) -> Option<String> {
        near::nearest(path, self.parameters.iter().map(|parameter| &*parameter.path))
    }

    /// Looks whether a parameter may be set to a value on phones of this model, and gives the value's canonical form. Where
    /// the list is open, an unknown path takes any text.
    ///
    /// # Errors
    /// Why it may not. The value is not repeated.
    pub fn check(&self, path: &str, value: &str, model: &Model) -> Result<String, Refusal> {
        self.writable(path, model)?
            .map_or_else(|| Ok(value.to_owned()), |parameter| parameter.fitted(value).map_err(Refusal::Value))
    }

    /// Looks whether a parameter may be set on phones of this model, to whatever value; none where nothing is known of it.
    ///
    /// # Errors
    /// Why it may not.
    pub fn writable(&self, path: &str, model: &Model) -> Result<Option<&DataParameter>, Refusal> {
        match self.find(path) {
            None if self.open => Ok(None),
            None => Err(Refusal::Unknown { near: self.nearest(path) }),
            Some((parameter, instances)) if !parameter.is_of(model, &instances) => {
                Err(Refusal::NotOfModel { model: model.name.clone() })
            }
            Some((parameter, _)) if !parameter.access.is_writable() => Err(Refusal::ReadOnly),
            Some((parameter, _)) => Ok(Some(parameter)),
        }
    }

    /// Whether two values of a parameter are the same: by its type, or as texts where nothing is known of it.
    pub fn equal(&self, path: &str, one: &str, other: &str) -> bool {
        self.get(path).map_or(Kind::String, |parameter| parameter.kind).equal(one, other)
    }

    /// Whether a model, by its place in the pack, knows an ACS at all.
    pub fn is_for(&self, model: usize) -> bool {
        self.managed.get(model).copied().unwrap_or(false)
    }

    /// What is peculiar to a model, by its place in the pack; of none in particular: to the family.
    pub fn quirks(&self, model: Option<usize>) -> &Quirks {
        model.and_then(|model| self.own_quirks.get(model)).unwrap_or(&self.quirks)
    }

    /// Whether the phones take a notification attribute for a path.
    pub fn is_notifiable(&self, path: &str, model: Option<usize>) -> bool {
        match self.quirks(model).notifications {
            Notifying::All => true,
            Notifying::None => false,
            Notifying::Listed => self.get(path).is_some_and(|parameter| parameter.notifiable),
        }
    }
}

#[cfg(test)]
mod tests;
