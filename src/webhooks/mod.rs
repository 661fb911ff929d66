//! Webhooks: programs of the operator's are told of changes and resyncs. What is to be told lies in an outbox in the database
//! until it is taken or given up. Changes of the fleet get there by their revisions, so that none is missed whatever ends in
//! between; outcomes of resyncs through a bounded queue, and what finds that full is dropped and counted. Each webhook has a
//! task of its own, so that a slow receiver holds up nobody but itself; of several servers, one at a time has a message.

mod changes;
mod deliver;
mod message;
mod resyncs;
mod send;
mod sign;

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::config::{Webhook, WebhookEvents};
use crate::document::Problem;
use crate::events::{Entry, Metrics, Recorder};
use crate::fleet::Fleet;
use crate::model::Secret;
use crate::records::Records;
use crate::resync::Pipeline;
use crate::store::Store;
use crate::tls::{ClientTls, ClientTlsError};

pub use sign::{HEADERS, signature};

/// Events that may wait for the outbox.
const QUEUE: usize = 10_000;

/// How long messages stay that no server has a webhook for any more: the longest `max_age`.
const LONGEST: time::Duration = time::Duration::days(30);

/// One webhook, ready to be told.
struct Target {
    config: Webhook,
    secret: Secret,
    tls: Option<ClientTls>,
    /// Something was laid out for it.
    waiting: Notify,
}

/// What all tasks work with.
#[derive(Clone)]
struct Office {
    store: Store,
    records: Arc<Records>,
    pipeline: Arc<Pipeline>,
    fleet: Fleet,
    metrics: Arc<Metrics>,
    targets: Arc<[Arc<Target>]>,
}

/// Why webhooks can't be told.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("{0}")]
    Secret(Problem),
    #[error("webhook \"{name}\": {error}")]
    Tls { name: String, error: ClientTlsError },
}

/// What the server hands in.
pub struct Parts {
    pub store: Store,
    pub records: Arc<Records>,
    pub pipeline: Arc<Pipeline>,
    pub fleet: Fleet,
    pub metrics: Arc<Metrics>,
}

/// Starts the tasks, which end when `stopping` turns true. Nothing is started where there are no webhooks.
///
/// # Errors
/// When a secret, or the CAs of a receiver, are not to be had.
pub fn start(
    webhooks: &[Webhook],
    parts: Parts,
    recorder: &Recorder,
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> Result<(), WebhookError> {
    let targets = webhooks.iter().map(Target::new).collect::<Result<Vec<_>, _>>()?;
    if targets.is_empty() {
        return Ok(());
    }
    let Parts { store, records, pipeline, fleet, metrics } = parts;
    let office = Office { store, records, pipeline, fleet, metrics, targets: targets.into() };
    for target in office.targets.iter() {
        tasks.spawn(deliver::work(office.clone(), target.clone(), stopping.clone()));
    }
    if office.targets.iter().any(|target| target.tells_changes()) {
        tasks.spawn(until(stopping.clone(), changes::follow(office.clone())));
    }
    let wanted: Vec<WebhookEvents> = office.targets.iter().flat_map(|target| target.config.events.clone()).collect();
    let (send, receive) = mpsc::channel::<Entry>(QUEUE);
    let metrics = office.metrics.clone();
    recorder.tell(move |entry| {
        if wanted.iter().any(|events| resyncs::is_of(*events, entry)) && send.try_send(entry.clone()).is_err() {
            metrics.count_webhook("", "dropped");
        }
    });
    tasks.spawn(resyncs::lay_out(office.clone(), receive, stopping.clone()));
    tasks.spawn(until(stopping.clone(), prune(office)));
    Ok(())
}

impl Target {
    fn new(webhook: &Webhook) -> Result<Arc<Self>, WebhookError> {
        let secret = webhook.secret.clone().map_err(WebhookError::Secret)?;
        let is_tls = webhook.url.scheme_str() == Some("https");
        let tls = is_tls.then(|| ClientTls::new(webhook.ca.as_deref())).transpose();
        let tls = tls.map_err(|error| WebhookError::Tls { name: webhook.name.clone(), error })?;
        Ok(Arc::new(Self { config: webhook.clone(), secret, tls, waiting: Notify::new() }))
    }

    fn name(&self) -> &str {
        &self.config.name
    }

    fn tells_changes(&self) -> bool {
        self.config.events.iter().any(|events| matches!(events, WebhookEvents::Device | WebhookEvents::Group))
    }
}

/// Runs a task until it is time to stop.
async fn until(mut stopping: watch::Receiver<bool>, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        // An error means that the server is gone: a reason to stop as well.
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// Takes out what nobody delivers any more, every hour.
async fn prune(office: Office) {
    let mut hours = tokio::time::interval(std::time::Duration::from_secs(3_600));
    let mut clock = office.store.steady_clock().await;
    loop {
        hours.tick().await;
        let before = clock.now() - LONGEST;
        match office.store.prune_messages(before).await {
            Ok(0) => {}
            Ok(gone) => tracing::warn!("{gone} messages of webhooks that are no more were taken out"),
            Err(error) => tracing::warn!("old messages of webhooks can't be taken out: {error}"),
        }
    }
}
