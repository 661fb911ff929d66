//! Which settings of a record may not be shown, and records without them.

use std::collections::BTreeSet;

use crate::lint::SecretNames;
use crate::packs::Packs;
use crate::records::{MASK, Tree};
use crate::settings::{Key, Layer, Value};

/// Whether secrets are shown as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Masked,
    Real,
}

/// Tells secret settings from others: by the schema, by the packs' lists of parameters, and `vars` by how they are called.
#[derive(Debug)]
pub struct Secrecy(SecretNames);

impl Secrecy {
    pub fn new(packs: &Packs) -> Self {
        Self(SecretNames::new(packs))
    }

    /// Where the secrets of a tree stand; `layer` is what was read from it.
    pub fn paths(&self, tree: &Tree, layer: &Layer) -> BTreeSet<Vec<String>> {
        let secret = layer.leaves.iter().filter(|leaf| match (&leaf.key, &leaf.value) {
            (_, Value::Secret(_)) => true,
            (Key::Param(name) | Key::AcsParam(name) | Key::Var(name), _) => self.0.holds(name),
            _ => false,
        });
        secret.map(|leaf| tree.path_of(&leaf.key)).collect()
    }

    /// The tree with its secrets masked. One that can't be read as settings shows nothing.
    pub fn masked(&self, tree: &Tree) -> Tree {
        let Ok(layer) = tree.layer("") else { return Tree::default() };
        let mut masked = tree.clone();
        for path in self.paths(tree, &layer) {
            if let Some(place) = masked.get_mut(&path) {
                *place = MASK.into();
            }
        }
        masked
    }
}
