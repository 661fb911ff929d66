//! Reloading: a new generation is loaded and validated whole, then swapped. A bad one is refused, and the old goes on.

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};

use crate::config::Config;
use crate::document::Problems;
use crate::events::Metrics;
use crate::resync::{Generation, GroupLayer, Pipeline};
use crate::tls::Acceptor;

/// Loads new generations. Clones share everything.
#[derive(Clone)]
pub struct Reloader {
    config: Arc<Config>,
    pipeline: Arc<Pipeline>,
    acceptors: Arc<[Arc<Acceptor>]>,
    metrics: Arc<Metrics>,
    /// Held while a generation is being loaded: two reloads come one after the other.
    loading: Arc<Mutex<()>>,
    /// The groups that are set at run time. Held while a generation is put in force, and no longer: groups are set while
    /// another is being loaded.
    groups: Arc<Mutex<Vec<GroupLayer>>>,
    reloaded: Arc<Notify>,
}

impl Reloader {
    pub fn new(
        config: Arc<Config>,
        pipeline: Arc<Pipeline>,
        acceptors: Vec<Arc<Acceptor>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            config,
            pipeline,
            acceptors: acceptors.into(),
            metrics,
            loading: Arc::default(),
            groups: Arc::default(),
            reloaded: Arc::default(),
        }
    }

    /// Told when a generation was loaded.
    pub(super) fn reloaded(&self) -> Arc<Notify> {
        self.reloaded.clone()
    }

    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Loads packs, settings and certificates anew. Returns the new generation's number, or all that is wrong; then
    /// everything stays as it was. Listeners, limits and paths are those of the start: they take a restart.
    pub async fn reload(&self) -> Result<u64, Problems> {
        let _loading = self.loading.lock().await;
        let number = self.pipeline.generation().number + 1;
        let this = self.clone();
        // Reading a hundred thousand files takes seconds, and resyncs must not wait for it.
        let loaded = tokio::task::spawn_blocking(move || {
            let generation = Generation::load(&this.config.templates, &this.config.profiles, number)?;
            let mut problems = Problems::default();
            for acceptor in this.acceptors.iter() {
                problems.extend(acceptor.reload().err().into_iter().flatten());
                for warning in acceptor.warnings() {
                    tracing::warn!("{warning}");
                }
            }
            problems.into_result(generation)
        });
        let result = match loaded.await {
            Ok(result) => result,
            Err(error) => {
                let problem =
                    crate::document::Problem::file(self.config.profiles.clone(), format!("loading broke off: {error}"));
                Err(problem.into())
            }
        };
        match result {
            Ok(generation) => {
                let groups = self.groups.lock().await;
                let profiles = generation.profiles.with_groups(&groups);
                self.pipeline.swap(generation.with_profiles(profiles));
                drop(groups);
                self.announce();
                self.reloaded.notify_one();
                Ok(number)
            }
            Err(problems) => {
                for problem in problems.iter().take(MOST_TOLD) {
                    tracing::error!("not reloaded: {problem}");
                }
                tracing::error!(problems = problems.len(), "the old generation goes on serving");
                Err(problems)
            }
        }
    }

    /// Puts the groups in force that are set at run time. Profiles of devices that are in none that has changed stay ready.
    pub async fn set_groups(&self, layers: Vec<GroupLayer>) {
        let mut groups = self.groups.lock().await;
        *groups = layers;
        let generation = self.pipeline.generation();
        let profiles = generation.profiles.with_groups(&groups);
        self.pipeline.swap(generation.with_profiles(profiles));
    }

    /// Tells log and metrics of the generation in force.
    pub fn announce(&self) {
        let generation = self.pipeline.generation();
        let models = generation
            .packs
            .iter()
            .flat_map(|pack| pack.models.list.iter().map(move |model| (pack.vendor.as_str(), &*model.name)));
        self.metrics.set_models(models);
        self.metrics.set_generation(generation.number);
        tracing::info!(
            generation = generation.number,
            devices = generation.profiles.device_count(),
            packs = generation.packs.iter().count(),
            "generation {} is in force: {} devices",
            generation.number,
            generation.profiles.device_count()
        );
    }
}

/// Problems that one reload writes into the log; `resyncd check` tells them all.
const MOST_TOLD: usize = 20;
