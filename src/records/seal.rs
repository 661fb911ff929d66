//! Secrets of a tree, sealed and opened. In the place of a sealed value stands `{"sealed": "…"}`; what is sealed is the
//! value's JSON, so that a number comes back as one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::record::RecordError;
use super::tree::Tree;
use crate::vault::{SEALED, Vault, VaultError, is_sealed};

/// Seals the values at these paths, as far as they are there.
pub fn seal(mut tree: Tree, secret: &BTreeSet<Vec<String>>, place: &str, vault: &Vault) -> Result<Tree, RecordError> {
    for path in secret {
        if let Some(value) = tree.get_mut(path) {
            let sealed = vault.seal(&format!("{place}/{}", path.join(".")), value.to_string().as_bytes())?;
            *value = json!({ SEALED: sealed });
        }
    }
    Ok(tree)
}

/// Opens every sealed value.
pub fn open(mut tree: Tree, place: &str, vault: &Vault) -> Result<Tree, RecordError> {
    tree.replace_objects(|path, object| {
        let Some(sealed) = sealed_text(object) else { return Ok(None) };
        let place = format!("{place}/{path}");
        let opened = vault.open(&place, sealed)?;
        match serde_json::from_slice(opened.expose()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(RecordError::Vault(VaultError::Damaged { place })),
        }
    })?;
    Ok(tree)
}

/// The text of an object that stands for a sealed value.
pub fn sealed_text(object: &Map<String, Value>) -> Option<&str> {
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((name, Value::String(text))), None) if name == SEALED && is_sealed(text) => Some(text),
        _ => None,
    }
}
