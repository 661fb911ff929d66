//! All packs of a `templates/` folder.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::data_model::{DataModel, ProductClass};
use super::identify::{Identified, Patterns};
use super::manifest::{FileEntry, Model, Models, Source, files, models};
use super::mapping::Mapping;
use super::parameters::ParameterList;
use super::path::Captures;
use super::reads::reads_request;
use super::upload::{UploadEntry, uploads};
use crate::document::{Document, Problem, Problems, Reader, nearest};
use crate::identity::Subject;
use crate::settings::{Layer, LayerKind, read_layer};

/// A template's text, under the name that manifests and `include` call it by.
#[derive(Debug, Clone)]
pub struct TemplateText {
    pub name: String,
    pub file: PathBuf,
    pub text: String,
}

/// One phone family.
#[derive(Debug)]
pub struct Pack {
    /// The folder's name.
    pub name: String,
    pub folder: PathBuf,
    pub vendor: String,
    pub description: String,
    /// Names of the roots that may vouch for its phones, besides those without a name.
    pub roots: Vec<String>,
    pub models: Models,
    pub files: Vec<FileEntry>,
    pub uploads: Vec<UploadEntry>,
    pub mappings: BTreeMap<String, Mapping>,
    pub parameters: ParameterList,
    /// `tr069.toml`; none where its phones know no ACS.
    pub data_model: Option<DataModel>,
    /// `defaults.toml`.
    pub defaults: Layer,
    pub templates: Vec<TemplateText>,
    patterns: Patterns,
    /// Whether any of its templates or expressions may read what a phone posts.
    pub reads_request: bool,
    /// Changes when any file of the pack does.
    pub fingerprint: u64,
}

/// A model of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId {
    pub pack: usize,
    pub model: usize,
}

/// A file that answers to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub pack: usize,
    pub file: usize,
    pub captures: Captures,
}

/// All packs, in the order of their names.
#[derive(Debug, Default)]
pub struct Packs {
    list: Vec<Pack>,
    /// Every model name and alias in lower case.
    models: HashMap<String, ModelId>,
}

/// The longest User-Agent that patterns are tried on, in bytes; the longest seen has 130.
const USER_AGENT_LIMIT: usize = 512;

impl Packs {
    /// Loads every pack of a folder. Problems of all packs are reported in one go.
    pub fn load(folder: &Path, profiles: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut packs = Self::default();
        for folder in pack_folders(folder)? {
            match Pack::load(&folder, profiles) {
                Ok(pack) => packs.list.push(pack),
                Err(found) => problems.extend(found),
            }
        }
        if packs.list.is_empty() && problems.is_empty() {
            problems.push(
                Problem::file(folder, "holds no pack: no folder with a pack.toml")
                    .help("set `templates` in the configuration"),
            );
        }
        for (index, pack) in packs.list.iter().enumerate() {
            for (model_index, model) in pack.models.list.iter().enumerate() {
                let id = ModelId { pack: index, model: model_index };
                for name in model.names() {
                    let taken = packs.models.insert(name.to_ascii_lowercase(), id).filter(|other| *other != id);
                    if let Some(other) = taken.and_then(|other| packs.list.get(other.pack)) {
                        problems.push(
                            Problem::file(
                                pack.folder.join("pack.toml"),
                                format!("\"{name}\" is already a model of the pack {}", other.name),
                            )
                            .key(format!("models.{}", model.name)),
                        );
                    }
                }
            }
        }
        if problems.is_empty() {
            packs.own_templates(&profiles.join("templates"), &mut problems);
        }
        problems.into_result(packs)
    }

    /// The operator's templates lie in folders named as the packs; in any other nobody would look.
    fn own_templates(&self, folder: &Path, problems: &mut Problems) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let mut folders: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        for folder in folders {
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('.') || self.named(&name).is_some() {
                continue;
            }
            let near = nearest(&name, self.iter().map(|pack| pack.name.as_str()));
            let help = near.map_or_else(
                || "`resyncd packs` lists them all".to_owned(),
                |near| format!("did you mean \"{near}\"? `resyncd packs` lists them all"),
            );
            problems.push(Problem::file(folder, format!("there is no pack \"{name}\"")).help(help));
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Pack> {
        self.list.iter()
    }

    pub fn get(&self, index: usize) -> Option<&Pack> {
        self.list.get(index)
    }

    pub fn named(&self, name: &str) -> Option<&Pack> {
        self.list.iter().find(|pack| pack.name == name)
    }

    /// The model of that name or alias, in any case.
    pub fn model(&self, name: &str) -> Option<ModelId> {
        self.models.get(&name.to_ascii_lowercase()).copied()
    }

    pub fn pack_and_model(&self, id: ModelId) -> Option<(&Pack, &Model)> {
        let pack = self.list.get(id.pack)?;
        Some((pack, pack.models.get(id.model)?))
    }

    /// The model name most like `name`.
    pub fn nearest_model(&self, name: &str) -> Option<&str> {
        nearest(name, self.list.iter().flat_map(|pack| pack.models.list.iter()).map(|model| &*model.name))
    }

    /// Every file that answers to a path (decoded, without the query), packs in order.
    pub fn matches(&self, path: &str) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (pack_index, pack) in self.list.iter().enumerate() {
            for (file_index, file) in pack.files.iter().enumerate() {
                let captures = file.paths.iter().find_map(|pattern| pattern.matches(path, &pack.models));
                if let Some(captures) = captures {
                    candidates.push(Candidate { pack: pack_index, file: file_index, captures });
                }
            }
        }
        candidates
    }

    /// Every upload that may come to a path (decoded, without the query) by this method, packs in order. The candidates'
    /// `file` is the index of the upload.
    pub fn matches_upload(&self, path: &str, method: &str) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (pack_index, pack) in self.list.iter().enumerate() {
            for (index, upload) in pack.uploads.iter().enumerate().filter(|(_, upload)| upload.takes(method)) {
                let captures = upload.paths.iter().find_map(|pattern| pattern.matches(path, &pack.models));
                if let Some(captures) = captures {
                    candidates.push(Candidate { pack: pack_index, file: index, captures });
                }
            }
        }
        candidates
    }

    /// The pack of a phone that an ACS knows by this OUI and product class, and its model where the class names one. A pack
    /// that names no OUI is told by the model alone. Nothing where several packs could be meant.
    pub fn identify_cpe(&self, oui: &str, product_class: &str) -> Option<(usize, Option<ModelId>)> {
        let oui = oui.to_ascii_uppercase();
        let named = self.model(product_class);
        let mut candidates = Vec::new();
        for (index, pack) in self.list.iter().enumerate() {
            let Some(data_model) = &pack.data_model else { continue };
            let quirks = data_model.quirks(None);
            let model = named.filter(|model| {
                model.pack == index && quirks.product_class == ProductClass::Model && data_model.is_for(model.model)
            });
            match (quirks.oui.contains(&oui), model) {
                (true, Some(_)) => return Some((index, model)),
                (false, Some(_)) if quirks.oui.is_empty() => candidates.push((index, model)),
                (true, None) => candidates.push((index, None)),
                (false, _) => {}
            }
        }
        match candidates.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// What the packs read from a User-Agent, and which pack did.
    pub fn identify_user_agent(&self, text: &str) -> Option<(usize, Identified)> {
        if text.len() > USER_AGENT_LIMIT {
            return None;
        }
        self.first(|pack| pack.patterns.user_agent(text, &pack.vendor, &pack.models))
    }

    /// The same of a certificate that a root of this name vouches for, by those packs alone that list it. A root without a
    /// name may vouch for any.
    pub fn identify_vouched(&self, subject: &Subject, root: Option<&str>) -> Option<(usize, Identified)> {
        self.first(|pack| {
            let takes = pack.takes_root(root);
            takes.then(|| pack.patterns.certificate(subject, &pack.vendor, &pack.models)).flatten()
        })
    }

    /// What the packs read from a certificate's subject, and which pack did.
    pub fn identify_certificate(&self, subject: &Subject) -> Option<(usize, Identified)> {
        self.first(|pack| pack.patterns.certificate(subject, &pack.vendor, &pack.models))
    }

    fn first(&self, identify: impl Fn(&Pack) -> Option<Identified>) -> Option<(usize, Identified)> {
        self.list.iter().enumerate().find_map(|(index, pack)| identify(pack).map(|found| (index, found)))
    }
}

fn pack_folders(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::file(folder, format!("can't be read: {error}")).help("set `templates` in the configuration")
    };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.join("pack.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

impl Pack {
    fn load(folder: &Path, profiles: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let document = Document::read(&folder.join("pack.toml"))?;
        let table = document.parse()?;
        let collected = RefCell::new(Problems::default());
        let reader = Reader::new(&document, &table, &collected);
        let vendor = reader.required_text("vendor").unwrap_or_default();
        let description = reader.required_text("description").unwrap_or_default();
        let roots = reader.texts("roots").unwrap_or_default();
        let models = models(&reader);
        let patterns = Patterns::read(&reader);
        let files = files(&reader, folder, &models);
        let uploads = uploads(&reader, &models, &files);
        reader.finish();
        problems.extend(collected.into_inner());

        let parameters = ParameterList::read(&folder.join("parameters.toml"), &models.list);
        let parameters = parameters.unwrap_or_else(|found| {
            problems.extend(found);
            // Everything is unknown to a list that can't be read; saying so of each name would hide the reason.
            ParameterList::unknown()
        });
        let mut mappings = BTreeMap::new();
        let named = files.iter().filter_map(|file| match &file.source {
            Source::Template { mapping, .. } => mapping.as_ref(),
            Source::Static(_) => None,
        });
        for mapping in named.collect::<BTreeSet<_>>() {
            let path = folder.join(mapping);
            if !path.is_file() {
                continue;
            }
            match Mapping::read(&path, &models, &parameters) {
                Ok(found) => {
                    mappings.insert(mapping.clone(), found);
                }
                Err(found) => problems.extend(found),
            }
        }
        let data_model = DataModel::read(folder, &models, &files, &uploads).unwrap_or_else(|found| {
            problems.extend(found);
            None
        });
        let defaults = folder.join("defaults.toml");
        let defaults = if defaults.is_file() {
            Document::read(&defaults)
                .map_err(Problems::from)
                .and_then(|document| read_layer(&document, LayerKind::Pack, folder).map(|(_, layer)| layer))
                .unwrap_or_else(|found| {
                    problems.extend(found);
                    Layer::empty(&defaults)
                })
        } else {
            Layer::empty(&defaults)
        };
        let templates = templates(folder, &profiles.join("templates").join(&name), &mut problems);
        let fingerprint = fingerprint(folder, &templates, &defaults);
        let reads_request = templates.iter().any(|template| reads_request(&template.text))
            || mappings.values().any(|mapping: &Mapping| {
                mapping.families().any(|(_, found)| found.iter().any(|entry| reads_request(&entry.expression)))
            });
        problems.into_result(Self {
            name,
            folder: folder.to_owned(),
            vendor,
            description,
            roots,
            models,
            files,
            uploads,
            mappings,
            parameters,
            data_model,
            defaults,
            templates,
            patterns,
            reads_request,
            fingerprint,
        })
    }

    /// Whether a root of this name may vouch for phones of the pack; one without a name may for any.
    pub fn takes_root(&self, root: Option<&str>) -> bool {
        root.is_none_or(|root| self.roots.iter().any(|own| own == root))
    }

    /// Whether any certificate tells the pack which phone it is.
    pub fn reads_certificates(&self) -> bool {
        self.patterns.reads_certificates()
    }

    /// The file of that name.
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// The pack's templates, with the operator's own in the place of those of the same name. The pack's own stay within
/// reach as `pack/NAME`, for templates that only add something.
fn templates(folder: &Path, own: &Path, problems: &mut Problems) -> Vec<TemplateText> {
    let mut found: BTreeMap<String, TemplateText> = BTreeMap::new();
    let mut take = |folder: &Path, pack: bool| {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for file in entries.flatten().map(|entry| entry.path()) {
            let Some(name) = file.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".tera"))
            else {
                continue;
            };
            match Document::read(&file) {
                Ok(document) => {
                    let text = document.text().to_owned();
                    let names =
                        if pack { vec![name.to_owned(), format!("pack/{name}")] } else { vec![name.to_owned()] };
                    for name in names {
                        found.insert(name.clone(), TemplateText { name, file: file.clone(), text: text.clone() });
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
    };
    take(folder, true);
    take(own, false);
    found.into_values().collect()
}

/// Over every file that a profile can depend on.
fn fingerprint(folder: &Path, templates: &[TemplateText], defaults: &Layer) -> u64 {
    let mut bytes = defaults.fingerprint.to_be_bytes().to_vec();
    let mut add = |name: &str, text: &[u8]| {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&crate::model::fingerprint(text).to_be_bytes());
    };
    for template in templates {
        add(&template.name, template.text.as_bytes());
    }
    if let Ok(entries) = std::fs::read_dir(folder) {
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
            if let (Some(name), Ok(text)) = (file.file_name().and_then(|name| name.to_str()), std::fs::read(file)) {
                add(name, &text);
            }
        }
    }
    crate::model::fingerprint(&bytes)
}
