//! Outcomes of resyncs on their way to the outbox.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::message::message;
use super::{Office, Target};
use crate::config::WebhookEvents;
use crate::events::{Entry, Kind};
use crate::resync::Lookup;
use crate::store::Message;

/// Events that go to the outbox at a time.
const BATCH: usize = 256;

/// Whether an event is one of these.
pub fn is_of(events: WebhookEvents, entry: &Entry) -> bool {
    entry.kind == Kind::Resync
        && match events {
            WebhookEvents::Resync => true,
            WebhookEvents::ResyncOutcome(word) => entry.outcome.as_str() == word,
            WebhookEvents::Device | WebhookEvents::Group => false,
        }
}

/// Lays events out until it is time to stop; then those that are waiting still.
pub async fn lay_out(office: Office, mut events: mpsc::Receiver<Entry>, mut stopping: watch::Receiver<bool>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let taken = tokio::select! {
            taken = events.recv_many(&mut batch, BATCH) => taken,
            // An error means that the server is gone: a reason to stop as well.
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        if taken == 0 {
            return;
        }
        told(&office, &mut batch).await;
    }
    events.close();
    while events.recv_many(&mut batch, BATCH).await > 0 {
        told(&office, &mut batch).await;
    }
}

async fn told(office: &Office, batch: &mut Vec<Entry>) {
    for target in office.targets.iter() {
        let mut messages = Vec::new();
        for entry in batch.iter() {
            if target.config.events.iter().any(|events| is_of(*events, entry)) && concerns(office, target, entry).await
            {
                messages.extend(message_of(target, entry));
            }
        }
        if !messages.is_empty() {
            office.lay_out(target, messages).await;
        }
    }
    batch.clear();
}

/// Whether an event is about a device that the webhook is told of.
async fn concerns(office: &Office, target: &Target, entry: &Entry) -> bool {
    let Some(group) = &target.config.group else { return true };
    let Some(mac) = entry.device else { return false };
    let generation = office.pipeline.generation();
    let device = match office.records.lookup(&generation, mac).await {
        Lookup::File => generation.profiles.device(mac).cloned(),
        Lookup::Record(device) => Some(device),
        _ => None,
    };
    let own = device.and_then(|device| generation.profiles.group(device.group?).map(|group| group.name.clone()));
    office.fleet.is_within(own.as_deref(), group)
}

fn message_of(target: &Target, entry: &Entry) -> Option<Message> {
    // An event is made of texts and numbers, which JSON can always hold.
    let data = serde_json::to_value(entry).ok()?;
    let kind = format!("resync.{}", entry.outcome.as_str());
    Some(message(target.name(), &entry.id.to_string(), &kind, entry.time, &data))
}

impl Office {
    /// Lays out what may be dropped, as far as there is room.
    async fn lay_out(&self, target: &Arc<Target>, mut messages: Vec<Message>) {
        let drop_all = |count: usize| (0..count).for_each(|_| self.metrics.count_webhook(target.name(), "dropped"));
        let waiting = match self.store.count_messages(target.name()).await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::warn!("webhook {}: outcomes of resyncs are dropped: {error}", target.name());
                return drop_all(messages.len());
            }
        };
        let room = usize::try_from(target.config.queue.saturating_sub(waiting)).unwrap_or(usize::MAX);
        drop_all(messages.len().saturating_sub(room));
        messages.truncate(room);
        if let Err(error) = self.store.lay_out(target.name(), &messages).await {
            tracing::warn!("webhook {}: outcomes of resyncs are dropped: {error}", target.name());
            return drop_all(messages.len());
        }
        target.waiting.notify_one();
    }
}
