//! Changes of the fleet on their way to the outbox. What a webhook has been told of is kept as a position among the changes,
//! moved in the transaction that lays the messages out: none is missed, and none comes twice, whichever server does it.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::message::message;
use super::{Office, Target};
use crate::config::WebhookEvents;
use crate::model::MacAddr;
use crate::store::{AuditFilter, Change, ChangeKind, Message, Position, StoreError};

/// Between two looks at the fleet's revision.
const PERIOD: Duration = Duration::from_millis(500);

/// The pause after the database could not be asked, or the outbox was full.
const PAUSE: Duration = Duration::from_secs(5);

/// Changes that are laid out at a time.
const BATCH: u32 = 1_000;

/// Lays changes out for ever.
pub async fn follow(office: Office) {
    let mut seen = -1;
    loop {
        let pause = match look(&office, &mut seen).await {
            Ok(true) => PERIOD,
            Ok(false) => PAUSE,
            Err(error) => {
                tracing::warn!("webhooks are not told of changes until the database answers: {error}");
                PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Lays out everything that is new. False where an outbox is full: then there is more.
async fn look(office: &Office, seen: &mut i64) -> Result<bool, StoreError> {
    let now = office.store.fleet_revision().await?;
    if now == *seen {
        return Ok(true);
    }
    let mut all = true;
    for target in office.targets.iter().filter(|target| target.tells_changes()) {
        all &= catch_up(office, target, now).await?;
    }
    if all {
        *seen = now;
    }
    Ok(all)
}

async fn catch_up(office: &Office, target: &Target, now: i64) -> Result<bool, StoreError> {
    loop {
        let at = office.store.webhook_position(target.name(), now).await?;
        if at.revision() > now {
            // The database was restored from a backup, and has not been where the webhook is.
            office.store.lay_out_changes(target.name(), &[], &at, &Position::at(now)).await?;
            return Ok(true);
        }
        let room = target.config.queue.saturating_sub(office.store.count_messages(target.name()).await?);
        let room = u32::try_from(room).unwrap_or(u32::MAX).min(BATCH);
        let changes = office.store.changes_after(&at, room.max(1)).await?;
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else { return Ok(true) };
        if room == 0 {
            return Ok(false);
        }
        if first.revision > at.revision() + 1 {
            tracing::warn!("webhook {}: it was away for so long that some changes are no longer known", target.name());
        }
        let to = Position::of(last);
        let mut messages = Vec::new();
        for change in &changes {
            messages.extend(message_of(office, target, change).await?);
        }
        // Where another server was faster, its position is read anew.
        if office.store.lay_out_changes(target.name(), &messages, &at, &to).await? && !messages.is_empty() {
            target.waiting.notify_one();
        }
    }
}

/// What a webhook is told of a change; none where it is not told of it.
async fn message_of(office: &Office, target: &Target, change: &Change) -> Result<Option<Message>, StoreError> {
    let wanted = match change.kind {
        ChangeKind::Device => WebhookEvents::Device,
        ChangeKind::Group => WebhookEvents::Group,
        // Nobody else has to know which phone has got another token.
        ChangeKind::Token => return Ok(None),
    };
    if !target.config.events.contains(&wanted) {
        return Ok(None);
    }
    let now = match change.kind {
        ChangeKind::Device | ChangeKind::Token => device(office, change).await?,
        ChangeKind::Group => group(office, change).await?,
    };
    let within = |name: Option<&str>| match &target.config.group {
        None => true,
        Some(own) => office.fleet.is_within(name, own),
    };
    // What has left the webhook's group, or is gone, is told too; of where it went, nothing.
    let is_within = within(now.group.as_deref());
    if !is_within && !was_within(office, target, change).await? {
        return Ok(None);
    }
    let kind = match (&now.created, is_within) {
        (None, _) => "removed",
        (Some(created), true) if *created == change.revision => "created",
        (Some(_), true) => "changed",
        (Some(_), false) => "left",
    };
    let name = if change.kind == ChangeKind::Device { "mac" } else { "name" };
    let group = now.group.filter(|_| is_within && change.kind == ChangeKind::Device);
    let mut data = json!({ name: change.name, "revision": change.revision });
    if let (Value::Object(data), ChangeKind::Device) = (&mut data, change.kind) {
        data.insert("group".to_owned(), group.into());
    }
    let about = format!("{} {} {}", change.revision, change.kind.as_str(), change.name);
    let kind = format!("{}.{kind}", change.kind.as_str());
    Ok(Some(message(target.name(), &about, &kind, OffsetDateTime::now_utc(), &data)))
}

/// What has become of what was changed.
struct Now {
    /// The revision, if this change has made it and nothing changed it since; 0 where it was made before. None: it is gone.
    created: Option<i64>,
    /// The group that it is in, or that it is.
    group: Option<String>,
}

async fn device(office: &Office, change: &Change) -> Result<Now, StoreError> {
    let Ok(mac) = change.name.parse::<MacAddr>() else { return Ok(Now { created: None, group: None }) };
    let row = office.store.device(mac).await?;
    let generation = office.pipeline.generation();
    let of_file = || {
        let group = generation.profiles.device(mac)?.group?;
        Some(generation.profiles.group(group)?.name.to_string())
    };
    let created = row.as_ref().map(|row| if row.created == row.changed { row.revision } else { 0 });
    Ok(Now { created, group: row.and_then(|row| row.group).or_else(of_file) })
}

async fn group(office: &Office, change: &Change) -> Result<Now, StoreError> {
    let row = office.store.groups().await?.into_iter().find(|row| row.name == change.name);
    let created = row.as_ref().map(|row| if row.created == row.changed { row.revision } else { 0 });
    Ok(Now { created, group: Some(change.name.clone()) })
}

/// Whether what was changed lately was in the webhook's group before.
async fn was_within(office: &Office, target: &Target, change: &Change) -> Result<bool, StoreError> {
    let Some(own) = &target.config.group else { return Ok(true) };
    let filter = AuditFilter {
        kind: Some(change.kind.as_str().to_owned()),
        name: Some(change.name.clone()),
        ..AuditFilter::default()
    };
    let key = if change.kind == ChangeKind::Device { "group" } else { "parent" };
    let rows = office.store.audit(&filter, 1).await?;
    let before = rows.first().and_then(|row| serde_json::from_str::<Value>(row.before.as_deref()?).ok());
    let before = before.as_ref().and_then(|before| before.get(key)?.as_str());
    Ok(office.fleet.is_within(before, own))
}
