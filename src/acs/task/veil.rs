//! What of a phone's answers nobody may see: the passwords among them.

use std::sync::Arc;

use crate::model::Secret;
use crate::packs::data_model::Access;
use crate::packs::{ModelId, Packs};

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// Parts of names that tell of a secret where the data model says nothing.
const TELLING: [&str; 6] = ["password", "passphrase", "privatekey", "private_key", "secret", "credential"];

/// Hides secrets in what a phone of one model says.
#[derive(Debug, Clone, Default)]
pub struct Veil {
    packs: Arc<Packs>,
    model: Option<ModelId>,
    /// What the phone was given in this session, which it may repeat.
    given: Vec<Secret>,
}

impl Veil {
    pub fn new(packs: Arc<Packs>, model: ModelId) -> Self {
        Self { packs, model: Some(model), given: Vec::new() }
    }

    /// The same, hiding these wherever they are repeated.
    pub fn hide(&mut self, secrets: impl IntoIterator<Item = Secret>) {
        self.given.extend(secrets.into_iter().filter(|secret| !secret.expose().is_empty()));
    }

    /// Whether a parameter holds a secret.
    pub fn is_secret(&self, path: &str) -> bool {
        let pack = self.model.and_then(|model| self.packs.get(model.pack));
        let known = pack.and_then(|pack| pack.data_model.as_ref()?.get(path));
        known.is_some_and(|known| known.secret || known.access == Access::WriteOnly) || sounds_secret(path)
    }

    /// A parameter's value as it may be kept. That a secret is empty is none.
    pub fn value(&self, path: &str, text: String) -> String {
        if !text.is_empty() && self.is_secret(path) { MASK.to_owned() } else { self.text(&text) }
    }

    /// A text of the phone's as it may be kept: one line.
    pub fn text(&self, text: &str) -> String {
        let mut shown = text.replace(char::is_control, " ");
        for secret in &self.given {
            if let Some(secret) = secret.expose_text().filter(|secret| shown.contains(secret)) {
                shown = shown.replace(secret, MASK);
            }
        }
        shown
    }
}

/// Whether the name of a parameter tells of a secret.
fn sounds_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
    TELLING.iter().any(|telling| name.contains(telling))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_by_their_names_and_wherever_they_are_repeated() {
        let mut veil = Veil::default();
        let shown = |veil: &Veil, path: &str, text: &str| veil.value(path, text.to_owned());
        assert_eq!(shown(&veil, "Device.X.Line.1.SIP.AuthPassword", "hunter2"), MASK);
        assert_eq!(shown(&veil, "Device.X.Line.1.SIP.AuthPassword", ""), "");
        assert_eq!(shown(&veil, "Device.X.Line.1.SIP.AuthUserName", "1001"), "1001");
        veil.hide([Secret::new("hunter2"), Secret::new("")]);
        assert_eq!(veil.text("no such\nvalue: hunter2"), "no such value: ***");
        assert_eq!(shown(&veil, "Device.X.Note", "is hunter2"), "is ***");
    }
}
