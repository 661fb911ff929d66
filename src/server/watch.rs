//! Reloading by itself when files change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_debouncer_full::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;

use super::Reloader;
use crate::config::Config;

/// Files come in flocks: an editor writes twice, `git pull` a thousand. One reload follows when they have settled.
const SETTLED: Duration = Duration::from_millis(500);

/// Watches until it is dropped.
pub struct Watching(
    #[expect(dead_code, reason = "held, not read: dropping it ends the watch")]
    Debouncer<RecommendedWatcher, RecommendedCache>,
);

impl Watching {
    /// Watches packs, settings, and the listeners' certificates, roots and revocation lists. To be called within a tokio
    /// runtime.
    pub fn start(config: &Config, reloader: Reloader) -> Result<Self, notify_debouncer_full::notify::Error> {
        let (changed, mut changes) = mpsc::channel(1);
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let tls = config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let files: BTreeSet<PathBuf> = tls.flat_map(|tls| tls.files().map(absolute)).collect();
        // A file that is replaced is another one: what is watched is its folder, and what else happens there is passed over.
        let folders: BTreeSet<PathBuf> = files.iter().filter_map(|file| file.parent().map(Path::to_owned)).collect();
        let trees = [absolute(&config.templates), absolute(&config.profiles)];
        let within = trees.clone();
        let concerns = move |path: &PathBuf| within.iter().any(|tree| path.starts_with(tree)) || files.contains(path);
        let mut debouncer = new_debouncer(SETTLED, None, move |result: DebounceEventResult| match result {
            Ok(events)
                if !events.iter().any(|event| {
                    !event.kind.is_access() && (event.paths.is_empty() || event.paths.iter().any(&concerns))
                }) => {}
            // A full channel means that a reload is due already.
            Ok(_) => drop(changed.try_send(())),
            Err(errors) => errors.iter().for_each(|error| tracing::warn!(%error, "watching files")),
        })?;
        for tree in &trees {
            debouncer.watch(tree, RecursiveMode::Recursive)?;
        }
        for folder in folders.iter().filter(|folder| !trees.iter().any(|tree| folder.starts_with(tree))) {
            debouncer.watch(folder, RecursiveMode::NonRecursive)?;
        }
        tokio::spawn(async move {
            while changes.recv().await.is_some() {
                // What is wrong has been logged; the next change tries again.
                let _ = reloader.reload().await;
            }
        });
        Ok(Self(debouncer))
    }
}
