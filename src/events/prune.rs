//! Events that are old enough to go, or too many.

use std::time::Duration;

use time::OffsetDateTime;

use crate::config;
use crate::store::{Store, StoreError};

const EVERY: Duration = Duration::from_secs(3_600);

/// Prunes now and every hour, for ever.
pub(super) async fn hourly(store: Store, events: config::Events) {
    let mut hours = tokio::time::interval(EVERY);
    hours.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut clock = store.steady_clock().await;
    loop {
        hours.tick().await;
        let was_doubted = clock.is_doubted();
        let now = clock.now();
        if clock.is_doubted() && !was_doubted {
            tracing::warn!(
                "the clock has run ahead of what is recorded: nothing is deleted for its age by it until it has stood so for a day"
            );
        }
        match prune(&store, &events, now).await {
            Ok(0) => {}
            Ok(pruned) => tracing::info!(pruned, "{pruned} events were old enough to go"),
            // It is tried again in an hour, and nothing is lost by that but room.
            Err(error) => tracing::warn!("old events can't be deleted: {error}"),
        }
    }
}

/// Deletes what is older than `events.keep`, and the oldest beyond `events.keep_rows`. Tells how many went.
pub async fn prune(store: &Store, events: &config::Events, now: OffsetDateTime) -> Result<u64, StoreError> {
    let before = events.keep.map(|keep| now.checked_sub(time::Duration::try_from(keep).unwrap_or(time::Duration::MAX)));
    // A time before the calendar's beginning keeps everything.
    store.prune_events(before.flatten(), events.keep_rows).await
}
