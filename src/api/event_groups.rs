//! Events put together: which User-Agents, models, firmware there are, and how they fare.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::events::{moment, outcome};
use super::page::limit;
use super::problem::{Kind, Mistake};
use super::query::Query;
use super::{Api, Problem};
use crate::document::nearest;
use crate::events::rfc3339;
use crate::store::{EventFilter, EventGroup, GroupBy};
use crate::tokens::Caller;

const BY: [(&str, GroupBy); 6] = [
    ("user-agent", GroupBy::UserAgent),
    ("model", GroupBy::Model),
    ("firmware", GroupBy::Firmware),
    ("device", GroupBy::Device),
    ("status", GroupBy::Status),
    ("refusal", GroupBy::Refusal),
];

/// How events are put together.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// By what: `user-agent`, `model`, `firmware`, `device`, `status` or `refusal`.
    #[param(pattern = "^(user-agent|model|firmware|device|status|refusal)$")]
    by: String,
    /// Not before: a time (`2026-03-01T10:00:00Z`) or an age (`24h`).
    #[param(pattern = "^([0-9]{1,6}(s|m|h|d)|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)$")]
    since: Option<String>,
    /// Before, written likewise.
    #[param(pattern = "^([0-9]{1,6}(s|m|h|d)|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)$")]
    until: Option<String>,
    /// That ended so.
    #[param(pattern = "^(served|not-modified|refused|failed|aborted)$")]
    outcome: Option<String>,
    /// Most groups, the largest first; 100 if not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Events put together.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventGroups {
    groups: Vec<EventGroupView>,
}

/// Events that have the same keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventGroupView {
    /// What they have in common, by name; null where they don't say.
    keys: std::collections::BTreeMap<String, Option<String>>,
    count: u64,
    /// Different MACs.
    devices: u64,
    served: u64,
    refused: u64,
    failed: u64,
    aborted: u64,
    #[schema(format = DateTime)]
    first: String,
    #[schema(format = DateTime)]
    last: String,
}

/// Count events by what they have in common.
///
/// Takes a token of the whole fleet.
#[utoipa::path(get, path = "/event-groups", tag = "events", params(Asked), responses((status = 200, body = EventGroups)))]
pub async fn list_event_groups(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<EventGroups>, Problem> {
    let limit = limit(asked.limit)?;
    let Some((_, by)) = BY.iter().find(|(word, _)| *word == asked.by) else {
        let near = nearest(&asked.by, BY.map(|(word, _)| word)).map(|near| format!("did you mean \"{near}\"?"));
        return Err(Problem::of(Kind::Malformed, vec![Mistake::of_key("by", "is nothing to count by").help(near)]));
    };
    let now = OffsetDateTime::now_utc();
    let filter = EventFilter {
        since: moment("since", asked.since.as_deref(), now)?,
        until: moment("until", asked.until.as_deref(), now)?,
        outcome: outcome(asked.outcome.as_deref())?,
        ..EventFilter::default()
    };
    caller.needs_whole_fleet()?;
    let groups = api.store().event_groups(*by, &filter, u64::try_from(limit).unwrap_or(u64::MAX)).await?;
    Ok(Json(EventGroups { groups: groups.into_iter().map(|group| view(*by, group)).collect() }))
}

fn view(by: GroupBy, group: EventGroup) -> EventGroupView {
    EventGroupView {
        keys: by.keys().iter().map(|key| (*key).to_owned()).zip(group.keys).collect(),
        count: group.count,
        devices: group.devices,
        served: group.served,
        refused: group.refused,
        failed: group.failed,
        aborted: group.aborted,
        first: rfc3339(group.first),
        last: rfc3339(group.last),
    }
}
