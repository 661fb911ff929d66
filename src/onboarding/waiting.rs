//! Phones that nobody knows yet, in a network that is trusted with that: they wait for somebody's approval.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Onboarding, OnboardingError};
use crate::events::{Event, Outcome, Refusal};
use crate::fleet::{Actor, Applied, Edit, Expect, Liberties, Name, What};
use crate::model::MacAddr;
use crate::packs::Identified;
use crate::store::WaitingRow;

/// How long it can still be looked up what became of an invitation, and a phone waits that isn't there any more.
const KEEP: Duration = Duration::from_secs(30 * 86_400);

const EVERY: Duration = Duration::from_secs(3_600);

impl Onboarding {
    /// A phone to let wait: one that nobody knows, in a staging network, whose User-Agent tells its model and no other MAC than
    /// it asked for.
    pub fn newcomer(&self, event: &Event, said: impl FnOnce() -> Option<Identified>) -> Option<WaitingRow> {
        let peer = event.peer.ip().to_canonical();
        let is_unknown = event.outcome == Outcome::Refused(Refusal::UnknownDevice);
        if !is_unknown || !self.staging.iter().any(|network| network.contains(&peer)) {
            return None;
        }
        let (mac, said) = (event.asked_mac?, said()?);
        if said.mac.is_some_and(|said| said != mac) {
            return None;
        }
        Some(WaitingRow {
            mac,
            model: said.model.clone()?,
            serial: said.serial.clone(),
            firmware: said.firmware.clone(),
            // A phone that asks for a session need not have one.
            user_agent: event.user_agent.clone().unwrap_or_default(),
            peer: peer.to_string(),
            first_seen: event.time,
            last_seen: event.time,
        })
    }

    /// Lets a phone wait, if there is room.
    pub async fn wait(&self, phone: &WaitingRow) {
        let store = self.fleet.store();
        // Its answer waits for this.
        match store.in_time(super::PATIENCE, store.add_waiting(phone, self.most_waiting)).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                mac = %phone.mac,
                "{} phones wait for approval, and {} is not among them: approve or dismiss some",
                self.most_waiting,
                phone.mac
            ),
            Err(error) => tracing::warn!("a phone can't be let wait for approval: {error}"),
        }
    }

    /// All that wait, those first that have waited longest.
    pub async fn waiting(&self) -> Result<Vec<WaitingRow>, OnboardingError> {
        Ok(self.fleet.store().waiting().await?)
    }

    /// Makes a device of a phone that waits; `device` says what is to be set for it beside what the phone said. None where it
    /// doesn't wait.
    pub async fn approve(
        &self,
        mac: MacAddr,
        device: Map<String, Value>,
        actor: &Actor,
    ) -> Result<Option<Applied>, OnboardingError> {
        let Some(phone) = self.waiting().await?.into_iter().find(|phone| phone.mac == mac) else { return Ok(None) };
        let mut wanted = Map::from_iter([("model".to_owned(), Value::from(phone.model))]);
        wanted.extend(phone.serial.map(|serial| ("serial".to_owned(), Value::from(serial.as_str()))));
        wanted.extend(device);
        let edit = Edit { row: None, name: Name::Device(mac), what: What::Put(wanted), expect: Expect::Absent };
        let plan = self.fleet.plan(vec![edit], Liberties::default()).await?;
        if !plan.refused.is_empty() {
            return Err(OnboardingError::Refused(plan.refused));
        }
        let applied = self.fleet.apply(plan, actor).await?;
        self.fleet.store().remove_waiting(mac).await?;
        Ok(Some(applied))
    }

    /// Takes a phone off the list. If it asks again, it waits again. False where it isn't on it.
    pub async fn dismiss(&self, mac: MacAddr) -> Result<bool, OnboardingError> {
        Ok(self.fleet.store().remove_waiting(mac).await?)
    }

    /// Forgets, now and every hour, invitations and tokens that expired long ago, and phones that have not been seen since.
    pub async fn prune_hourly(self) {
        let mut hours = tokio::time::interval(EVERY);
        hours.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let store = self.fleet.store();
        let mut clock = store.steady_clock().await;
        loop {
            hours.tick().await;
            let before = clock.now() - KEEP;
            for pruned in [
                store.prune_codes(before).await,
                store.prune_waiting(before).await,
                store.prune_url_tokens(before).await,
            ] {
                if let Err(error) = pruned {
                    // It is tried again in an hour, and nothing is lost by that but room.
                    tracing::warn!("old invitations, tokens and waiting phones can't be deleted: {error}");
                }
            }
        }
    }
}
