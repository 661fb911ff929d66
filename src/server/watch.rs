//! Reloading by itself when files change.

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
    /// Watches packs and settings. To be called within a tokio runtime.
    pub fn start(config: &Config, reloader: Reloader) -> Result<Self, notify_debouncer_full::notify::Error> {
        let (changed, mut changes) = mpsc::channel(1);
        let mut debouncer = new_debouncer(SETTLED, None, move |result: DebounceEventResult| match result {
            Ok(events) if events.iter().all(|event| event.kind.is_access()) => {}
            // A full channel means that a reload is due already.
            Ok(_) => drop(changed.try_send(())),
            Err(errors) => errors.iter().for_each(|error| tracing::warn!(%error, "watching files")),
        })?;
        debouncer.watch(&config.templates, RecursiveMode::Recursive)?;
        debouncer.watch(&config.profiles, RecursiveMode::Recursive)?;
        tokio::spawn(async move {
            while changes.recv().await.is_some() {
                // What is wrong has been logged; the next change tries again.
                let _ = reloader.reload().await;
            }
        });
        Ok(Self(debouncer))
    }
}
