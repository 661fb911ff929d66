//! Phones whose tasks are due are asked to come: each task's once for each of its tries, by one of the servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::request::{Call, NotNow, Outcome, Requests};
use crate::model::MacAddr;
use crate::records::Records;
use crate::resync::{Lookup, Pipeline};
use crate::store::Store;

/// How often it is looked for tasks that have become due.
const LOOK: Duration = Duration::from_secs(1);

/// Tasks that are taken at a time, and phones that are asked at a time.
const MOST: u32 = 64;

/// How long a phone is waited for.
const WAIT: Duration = Duration::from_secs(30);

/// How long the database is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long those are waited for that are being asked when the server stops.
const REST: Duration = Duration::from_secs(2);

/// The longest that a phone is left alone that was asked just now.
const PAUSE: Duration = Duration::from_secs(60);

/// Asks phones to come for their tasks. Clones share everything.
#[derive(Debug, Clone)]
pub struct TaskCalls {
    store: Store,
    records: Arc<Records>,
    pipeline: Arc<Pipeline>,
    requests: Requests,
}

impl TaskCalls {
    pub fn new(records: Arc<Records>, pipeline: Arc<Pipeline>, requests: Requests) -> Self {
        Self { store: records.store().clone(), records, pipeline, requests }
    }

    /// Asks until the server stops.
    pub async fn keep_asking(self, mut stopping: watch::Receiver<bool>) {
        let mut asking = JoinSet::new();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // An error means that the server is gone: a reason to stop as well.
                _ = stopping.wait_for(|stop| *stop) => break,
            }
            while asking.try_join_next().is_some() {}
            let free = MOST.saturating_sub(u32::try_from(asking.len()).unwrap_or(MOST));
            if free == 0 {
                continue;
            }
            let taken = self.store.take_calls(OffsetDateTime::now_utc(), free);
            let taken = match self.store.in_time(PATIENCE, taken).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::debug!("whose tasks are due can't be told: {error}");
                    continue;
                }
            };
            let mut phones = BTreeMap::<MacAddr, Vec<String>>::new();
            for (id, mac) in taken {
                phones.entry(mac).or_default().push(id);
            }
            for (mac, ids) in phones {
                let (calls, stopping) = (self.clone(), stopping.clone());
                asking.spawn(async move { calls.call(mac, &ids, stopping).await });
            }
        }
        // Requests end now, and whose phone has not come is for another server, or for the next start.
        let rest = async { while asking.join_next().await.is_some() {} };
        if tokio::time::timeout(REST, rest).await.is_err() {
            tracing::debug!("some phones that were to be asked to come are not any more");
        }
    }

    async fn call(&self, mac: MacAddr, tasks: &[String], mut stopping: watch::Receiver<bool>) {
        let (told, again) = match self.ask(mac).await {
            Ok(Outcome::Stopping) => (Outcome::Stopping.to_string(), true),
            Ok(outcome) => (outcome.to_string(), false),
            Err(Ok(not_now)) => {
                let pause = if let NotNow::TooSoon(rest) = &not_now { (*rest).min(PAUSE) } else { LOOK };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = stopping.wait_for(|stop| *stop) => {}
                }
                (not_now.to_string(), true)
            }
            Err(Err(why)) => (why, false),
        };
        for id in tasks {
            let noted = self.store.note_call(id, &told, again);
            if let Err(error) = self.store.in_time(PATIENCE, noted).await {
                tracing::warn!(%mac, "what came of asking the phone to come can't be noted: {error}");
            }
        }
    }

    /// What came of it; or why it is not asked now, or at all.
    async fn ask(&self, mac: MacAddr) -> Result<Outcome, Result<NotNow, String>> {
        let generation = self.pipeline.generation();
        let device = match self.records.lookup(&generation, mac).await {
            Lookup::File => generation.profiles.device(mac).cloned(),
            Lookup::Record(device) => Some(device),
            Lookup::Nothing | Lookup::Broken(_) => None,
            Lookup::Away => return Err(Err("the database did not answer".to_owned())),
        };
        let device = device.ok_or_else(|| Err("there is no such device, or its record is broken".to_owned()))?;
        let settings = generation.settings(&device);
        let call = Call::of(&generation, &device, &settings, WAIT);
        let call = call.ok_or_else(|| Err("no ACS manages phones of its model".to_owned()))?;
        self.requests.request(call).await.map(|report| report.outcome).map_err(Ok)
    }
}
