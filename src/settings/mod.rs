//! Settings: the schema, the layers that hold values, their merge, and where every value came from. Pure: files are
//! given as [`Document`](crate::document::Document)s, and nothing here knows of packs, requests or databases.

mod key;
mod layer;
mod merge;
pub mod schema;
mod value;
pub mod zone;

pub use key::{Key, Prefix};
pub use layer::{Head, Layer, LayerKind, Leaf, read as read_layer, read_record};
pub use merge::{Effective, Origin, Setting, Step, trace};
pub use value::{SecretError, SecretSource, Value};
