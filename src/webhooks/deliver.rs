//! Telling a receiver: what is due is claimed, sent, and taken out or put off.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::send::{Refused, send};
use super::{Office, Target};
use crate::store::{Delivery, StoreError};

/// Messages that are under way to one receiver at a time.
const AT_ONCE: u32 = 8;

/// How often it is looked for what another server has left.
const PERIOD: Duration = Duration::from_secs(5);

/// The first delay, what it grows by with each try, and where that ends.
const FIRST_DELAY: Duration = Duration::from_secs(5);
const GROWTH: u32 = 3;
const LONGEST_DELAY: Duration = Duration::from_secs(6 * 3_600);

/// Beyond a try's own time: what writing down how it went may take.
const LEASE_REST: Duration = Duration::from_secs(30);

/// Delivers until it is time to stop. What is under way then is finished first.
pub async fn work(office: Office, target: Arc<Target>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        match round(&office, &target).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!("webhook {}: the database can't be asked: {error}", target.name()),
        }
        let due = office.store.next_due(target.name()).await.ok().flatten();
        let wait = due.map_or(PERIOD, |due| {
            let wait = due - OffsetDateTime::now_utc();
            Duration::try_from(wait).unwrap_or(Duration::from_millis(50)).min(PERIOD)
        });
        tokio::select! {
            () = target.waiting.notified() => {}
            () = tokio::time::sleep(wait) => {}
            // An error means that the server is gone: a reason to stop as well.
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

/// Delivers what is due. False where nothing is.
async fn round(office: &Office, target: &Arc<Target>) -> Result<bool, StoreError> {
    let now = OffsetDateTime::now_utc();
    let until = now + target.config.timeout + LEASE_REST;
    let claimed = office.store.claim_messages(target.name(), now, until, AT_ONCE).await?;
    if claimed.is_empty() {
        return Ok(false);
    }
    let mut under_way = JoinSet::new();
    for delivery in claimed {
        under_way.spawn(deliver(office.clone(), target.clone(), delivery));
    }
    while under_way.join_next().await.is_some() {}
    Ok(true)
}

async fn deliver(office: Office, target: Arc<Target>, delivery: Delivery) {
    let (message, tries) = (&delivery.message, delivery.tries.saturating_add(1));
    let sent = tokio::time::timeout(target.config.timeout, send(&target, message));
    let sent = sent.await.unwrap_or_else(|_| Err(Refused::slow(target.config.timeout)));
    let (name, now) = (target.name(), OffsetDateTime::now_utc());
    let written = match sent {
        Ok(()) => {
            office.metrics.count_webhook(name, "delivered");
            office.store.take_out(&message.id).await
        }
        Err(refused) if tries >= target.config.max_tries || now - message.created >= target.config.max_age => {
            office.metrics.count_webhook(name, "given-up");
            tracing::error!("webhook {name}: {} is given up after {tries} tries: {}", message.id, refused.why);
            office.store.take_out(&message.id).await
        }
        Err(refused) => {
            office.metrics.count_webhook(name, "failed");
            let delay = delay(tries).max(refused.retry_after.unwrap_or_default().min(LONGEST_DELAY));
            tracing::warn!(
                "webhook {name}: {} was not taken and is tried again in {} s: {}",
                message.id,
                delay.as_secs(),
                refused.why
            );
            office.store.put_off(&message.id, tries, now + delay).await
        }
    };
    if let Err(error) = written {
        // The receiver may be told again: it knows the message by its id.
        tracing::warn!("webhook {name}: how {} went can't be written down: {error}", message.id);
    }
}

/// The time from a try to the next, with up to a tenth of chance, so that not everything that failed at once comes at once.
fn delay(tries: u32) -> Duration {
    let delay = FIRST_DELAY.saturating_mul(GROWTH.saturating_pow(tries.saturating_sub(1))).min(LONGEST_DELAY);
    delay.mul_f64(1.0 + fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_end_somewhere() {
        let seconds: Vec<u64> = [1, 2, 3, 10, u32::MAX].map(|tries| delay(tries).as_secs()).to_vec();
        assert!((5..=5).contains(&seconds[0]) && (15..=16).contains(&seconds[1]) && (45..=49).contains(&seconds[2]));
        for seconds in &seconds[3..] {
            assert!((21_600..=23_760).contains(seconds), "{seconds}");
        }
    }
}
