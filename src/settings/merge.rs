//! Layers merged into the settings that hold, weakest first: tables merge, everything else replaces.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::key::{Key, Prefix};
use super::layer::Layer;
use super::value::{SecretError, SecretSource, Value};
use crate::model::Secret;

/// The place that a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub source: Arc<Path>,
    /// Counted from 1; 0 where there are no lines: in a record.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => self.source.display().fmt(f),
            line => write!(f, "{}:{line}", self.source.display()),
        }
    }
}

/// A setting that holds, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub value: Value,
    pub origin: Origin,
}

/// The settings that hold after all layers.
#[derive(Debug, Clone, Default)]
pub struct Effective {
    /// Those that were merged first. Devices of a model and group have them in common, and none copies them.
    shared: Arc<BTreeMap<Key, Setting>>,
    /// What is laid over them; none where it takes a setting away.
    over: BTreeMap<Key, Option<Setting>>,
    /// Combines the layers' fingerprints: equal where every layer is.
    fingerprint: u64,
    outside: bool,
}

impl Effective {
    /// Merges layers, weakest first.
    pub fn merge<'l>(layers: impl IntoIterator<Item = &'l Layer>) -> Self {
        let mut effective = Self::default();
        for layer in layers {
            effective.apply(layer);
        }
        effective.settle();
        effective
    }

    /// Lays one more layer over what is there: what it unsets goes first, then its own settings come.
    pub fn apply(&mut self, layer: &Layer) {
        for (prefix, _) in &layer.unset {
            self.over.retain(|key, _| !prefix.covers(key));
            let covered = self.shared.keys().filter(|key| prefix.covers(key));
            self.over.extend(covered.map(|key| (key.clone(), None)));
        }
        for leaf in &layer.leaves {
            let origin = Origin { source: layer.source.clone(), line: leaf.line };
            self.over.insert(leaf.key.clone(), Some(Setting { value: leaf.value.clone(), origin }));
        }
        self.fingerprint = self.fingerprint_with(layer);
        self.outside |= layer.outside;
    }

    /// Puts what is laid over into the rest, so that copies have all of it in common.
    fn settle(&mut self) -> &mut BTreeMap<Key, Setting> {
        let settings = Arc::make_mut(&mut self.shared);
        for (key, setting) in std::mem::take(&mut self.over) {
            match setting {
                Some(setting) => settings.insert(key, setting),
                None => settings.remove(&key),
            };
        }
        settings
    }

    /// What copies of the same merge have in common.
    pub fn shared(&self) -> &Arc<BTreeMap<Key, Setting>> {
        &self.shared
    }

    /// What is laid over those, in the order of the keys; none where it takes a setting away.
    pub fn over(&self, keys: Range<Key>) -> impl Iterator<Item = (&Key, Option<&Setting>)> {
        self.over.range(keys).map(|(key, setting)| (key, setting.as_ref()))
    }

    /// Changes when the text of any layer does.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What the fingerprint would be with one more layer, without the work of merging it.
    pub fn fingerprint_with(&self, layer: &Layer) -> u64 {
        self.fingerprint.rotate_left(7) ^ layer.fingerprint
    }

    /// Whether a value can change while the layers do not: a secret in a file or the environment.
    pub fn has_outside_values(&self) -> bool {
        self.outside
    }

    /// Puts another secret in the place of each, so that what is made of the settings tells nothing of the real ones.
    pub fn replace_secrets(&mut self, with: impl Fn(&SecretSource) -> Secret) {
        for setting in self.settle().values_mut() {
            if let Value::Secret(source) = &setting.value {
                setting.value = Value::Secret(SecretSource::Text(with(source)));
            }
        }
    }

    /// Puts another text in the place of one, if there is one. It stays where it came from.
    pub fn replace_text(&mut self, dotted: &str, with: impl FnOnce(&str) -> String) {
        let setting = Key::parse(dotted).and_then(|key| self.settle().get_mut(&key));
        if let Some(setting) = setting
            && let Value::Text(text) = &setting.value
        {
            setting.value = Value::Text(with(text).into());
        }
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Setting)> {
        let mut shared = self.shared.iter().peekable();
        let mut over = self.over.iter().peekable();
        std::iter::from_fn(move || {
            loop {
                let is_shared = match (shared.peek(), over.peek()) {
                    (Some((shared, _)), Some((over, _))) => shared < over,
                    (shared, _) => shared.is_some(),
                };
                if is_shared {
                    return shared.next();
                }
                let (key, setting) = over.next()?;
                shared.next_if(|(shared, _)| *shared == key);
                if let Some(setting) = setting {
                    return Some((key, setting));
                }
            }
        })
    }

    pub fn get(&self, key: &Key) -> Option<&Setting> {
        match self.over.get(key) {
            Some(over) => over.as_ref(),
            None => self.shared.get(key),
        }
    }

    /// The setting of a dotted name, `delivery.gzip`.
    pub fn named(&self, dotted: &str) -> Option<&Setting> {
        self.get(&Key::parse(dotted)?)
    }

    pub fn text(&self, dotted: &str) -> Option<&str> {
        match &self.named(dotted)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn boolean(&self, dotted: &str) -> Option<bool> {
        match self.named(dotted)?.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub fn integer(&self, dotted: &str) -> Option<i64> {
        match self.named(dotted)?.value {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }

    /// The texts of a list; empty where there is none.
    pub fn texts(&self, dotted: &str) -> impl Iterator<Item = &str> {
        let items = match self.named(dotted).map(|setting| &setting.value) {
            Some(Value::List(items)) => &**items,
            _ => &[],
        };
        items.iter().filter_map(|item| match item {
            Value::Text(text) => Some(&**text),
            _ => None,
        })
    }

    /// Puts a stand-in for every secret that can't be had here.
    pub fn stand_in_for_secrets(&mut self) {
        for setting in self.settle().values_mut() {
            if let Value::Secret(source) = &setting.value
                && let Some(stand_in) = source.stand_in()
            {
                setting.value = Value::Secret(stand_in);
            }
        }
    }

    /// The bytes of a secret, fetched from where it stands.
    pub fn secret_bytes(&self, dotted: &str) -> Option<Result<Secret, SecretError>> {
        match &self.named(dotted)?.value {
            Value::Secret(source) => Some(source.bytes()),
            _ => None,
        }
    }
}

/// What one layer did to a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Set(Setting),
    Unset(Origin, Prefix),
}

/// What each layer did to a setting, weakest first; the last `Set` after the last `Unset` is what holds.
pub fn trace<'l>(layers: impl IntoIterator<Item = &'l Layer>, key: &Key) -> Vec<Step> {
    let mut steps = Vec::new();
    for layer in layers {
        let origin = |line| Origin { source: layer.source.clone(), line };
        let unset = layer.unset.iter().find(|(prefix, _)| prefix.covers(key));
        if let Some((prefix, line)) = unset.filter(|_| steps.iter().any(|step| matches!(step, Step::Set(_)))) {
            steps.push(Step::Unset(origin(*line), prefix.clone()));
        }
        if let Some(leaf) = layer.get(key) {
            steps.push(Step::Set(Setting { value: leaf.value.clone(), origin: origin(leaf.line) }));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::layer::{LayerKind, read};
    use super::*;
    use crate::document::Document;

    fn layer(name: &str, text: &str) -> Layer {
        let document = Document::from_text(name, text.to_owned());
        read(&document, LayerKind::Defaults, Path::new("")).unwrap().1
    }

    #[test]
    fn tables_merge_and_everything_else_replaces() {
        let layers = [
            layer("a", "[lines.1]\nproxy = \"a\"\ncodecs = [\"g722\", \"pcmu\"]\n[params]\nFoo = \"1\"\nBar = \"2\"\n"),
            layer("b", "unset = [\"params.Foo\"]\n[lines.1]\nuser = \"u\"\ncodecs = [\"pcma\"]\n"),
        ];
        let effective = Effective::merge(&layers);
        assert_eq!(effective.text("lines.1.proxy"), Some("a"));
        assert_eq!(effective.text("lines.1.user"), Some("u"));
        assert_eq!(effective.texts("lines.1.codecs").collect::<Vec<_>>(), ["pcma"]);
        assert_eq!(effective.named("params.Foo"), None);
        assert_eq!(effective.text("params.Bar"), Some("2"));
    }

    #[test]
    fn what_is_laid_over_a_shared_merge_is_as_if_all_had_been_merged() {
        let layers = [
            layer("a", "[lines.1]\nproxy = \"a\"\nuser = \"x\"\n[params]\nFoo = \"1\"\nBar = \"2\"\nBaz = \"3\"\n"),
            layer("b", "unset = [\"params\", \"lines.1.user\"]\n[params]\nBar = \"4\"\n"),
            layer("c", "unset = [\"params.Bar\"]\n[lines.1]\nuser = \"u\"\n[params]\nFoo = \"5\"\nQux = \"6\"\n"),
        ];
        let whole = Effective::merge(&layers);
        let told = |settings: &Effective| -> Vec<_> {
            settings.iter().map(|(key, setting)| format!("{key} {} {}", setting.value, setting.origin)).collect()
        };
        for shared in 0..layers.len() {
            let (below, above) = layers.split_at(shared);
            let mut settings = Effective::merge(below);
            above.iter().for_each(|layer| settings.apply(layer));
            assert_eq!(told(&settings), told(&whole), "{shared}");
            assert_eq!(settings.fingerprint(), whole.fingerprint());
            for (key, setting) in whole.iter() {
                assert_eq!(settings.get(key), Some(setting));
            }
            assert_eq!(settings.named("params.Bar"), None);
            settings.replace_text("lines.1.user", |user| format!("{user}!"));
            assert_eq!(settings.text("lines.1.user"), Some("u!"));
        }
    }

    #[test]
    fn a_trace_tells_every_layer_that_had_a_say() {
        let layers = [
            layer("a", "[params]\nFoo = \"1\"\n"),
            layer("b", "unset = [\"params\"]\n"),
            layer("c", "[params]\nFoo = \"3\"\n"),
        ];
        let steps = trace(&layers, &Key::parse("params.Foo").unwrap());
        let told: Vec<_> = steps
            .iter()
            .map(|step| match step {
                Step::Set(setting) => format!("{} {}", setting.origin, setting.value),
                Step::Unset(origin, prefix) => format!("{origin} unset {prefix}"),
            })
            .collect();
        assert_eq!(told, ["a:2 \"1\"", "b:1 unset params", "c:2 \"3\""]);
    }

    #[test]
    fn the_fingerprint_tells_layers_apart_and_their_order() {
        let (a, b) = (layer("a", "[params]\nFoo = \"1\"\n"), layer("b", "[params]\nFoo = \"2\"\n"));
        let of = |layers: &[&Layer]| Effective::merge(layers.iter().copied()).fingerprint();
        assert_eq!(of(&[&a, &b]), of(&[&a, &b]));
        assert_ne!(of(&[&a, &b]), of(&[&b, &a]));
        assert_ne!(of(&[&a]), of(&[&b]));
    }
}
