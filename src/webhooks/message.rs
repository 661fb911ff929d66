//! What a receiver is told: `{"type", "timestamp", "data"}`, as Standard Webhooks proposes it.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::events::rfc3339;
use crate::store::Message;

/// A message for a webhook. `about` and the webhook's name make it this one: the same is never laid out twice.
pub fn message(webhook: &str, about: &str, kind: &str, time: OffsetDateTime, data: &Value) -> Message {
    let digest = Sha256::new().chain_update(about).chain_update("\0").chain_update(webhook).finalize();
    let digest: String = digest.iter().take(10).map(|octet| format!("{octet:02x}")).collect();
    let milliseconds = time.unix_timestamp_nanos() / 1_000_000;
    Message {
        // Sorts by time. No full stop may be in it: one parts it from the rest of what is signed.
        id: format!("msg_{milliseconds:012x}{digest}"),
        body: json!({ "type": kind, "timestamp": rfc3339(time), "data": data }).to_string(),
        created: time,
    }
}
