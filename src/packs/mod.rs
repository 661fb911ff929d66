//! Packs: folders of `templates/` that teach the program a phone family each. Data only; docs/packs.md has the format.
//!
//! A pack is read and checked here, and asked which of its files answers to a path and what it makes of a User-Agent or
//! certificate. Rendering is [`crate::render`]'s.

pub mod data_model;
mod format;
mod identify;
mod manifest;
mod mapping;
mod pack;
mod parameters;
mod path;
mod reads;
mod upload;

pub use format::Format;
pub use identify::Identified;
pub use manifest::{Audience, FileEntry, Model, Source};
pub use mapping::{Entry, Expressions, Mapping};
pub use pack::{Candidate, ModelId, Pack, Packs, TemplateText};
pub use parameters::{BoolWords, ByName, Dialect, Effect, Effects, Parameter, ParameterList, Type};
pub use path::{Captures, PathPattern};
pub use reads::sources_of;
pub use upload::{ParseUploadKindError, UploadEntry, UploadKind};
