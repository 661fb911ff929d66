//! Who changed what, when and from where.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::events::moment;
use super::page::{List, Page, limit};
use super::problem::Kind;
use super::query::Query;
use super::{Api, Problem};
use crate::events::{EventIds, rfc3339};
use crate::store::{AuditFilter, AuditRow};
use crate::tokens::{Caller, Scope};

/// Which changes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Not before: a time (`2026-03-01T10:00:00Z`) or an age (`24h`).
    #[param(pattern = "^([0-9]{1,6}(s|m|h|d)|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)$")]
    since: Option<String>,
    /// Before, written likewise.
    #[param(pattern = "^([0-9]{1,6}(s|m|h|d)|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)$")]
    until: Option<String>,
    /// By whom: `token:NAME`, `cli:USER`, `phone:MAC`.
    actor: Option<String>,
    /// Of what: `device`, `group`, `token` …
    kind: Option<String>,
    /// Of which: a MAC, a name.
    name: Option<String>,
    /// Most items of the page; 100 if not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// One change. Secrets in it are masked.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    id: String,
    #[schema(format = DateTime)]
    time: String,
    /// `token:NAME`, `cli:USER`, `phone:MAC`.
    actor: String,
    /// The address that it came from; null: the server's own machine.
    #[schema(required = true)]
    peer: Option<String>,
    /// `create`, `change`, `remove`, `reload` …
    action: String,
    /// `device`, `group`, `token` …
    kind: String,
    name: String,
    /// What it was; null where there was nothing.
    #[schema(required = true)]
    before: Value,
    /// What it is; null where there is nothing any more.
    #[schema(required = true)]
    after: Value,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        let json = |text: Option<String>| {
            text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(Value::String(text)))
        };
        Self {
            id: row.id,
            time: rfc3339(row.time),
            actor: row.actor,
            peer: row.peer,
            action: row.action,
            kind: row.kind,
            name: row.name,
            before: json(row.before),
            after: json(row.after),
        }
    }
}

/// List changes, the newest first.
///
/// Takes the scope `write` and a token of the whole fleet.
#[utoipa::path(get, path = "/audit", tag = "server", params(Asked), responses((status = 200, body = Page<AuditView>)))]
pub async fn list_audit(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<AuditView>>, Problem> {
    caller.needs(Scope::Write)?;
    caller.needs_whole_fleet()?;
    let limit = limit(asked.limit)?;
    let filters = [&asked.since, &asked.until, &asked.actor, &asked.kind, &asked.name].map(|filter| filter.as_deref());
    let list = List::new("audit", &filters);
    let now = OffsetDateTime::now_utc();
    let filter = AuditFilter {
        since: moment("since", asked.since.as_deref(), now)?,
        until: moment("until", asked.until.as_deref(), now)?,
        before_id: asked.cursor.as_deref().map(|cursor| list.position(cursor)).transpose()?,
        actor: asked.actor,
        kind: asked.kind,
        name: asked.name,
    };
    // One more than asked for tells whether more follow.
    let mut rows = api.store().audit(&filter, u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| list.cursor(&row.id));
    Ok(Json(Page { items: rows.into_iter().map(AuditView::from).collect(), next }))
}

impl Api {
    /// Records what was done that is no change of the fleet, which records its own.
    #[expect(clippy::too_many_arguments, reason = "they are the row's columns")]
    pub async fn record(
        &self,
        caller: &Caller,
        time: OffsetDateTime,
        action: &str,
        kind: &str,
        name: &str,
        before: Option<String>,
        after: Option<String>,
    ) -> Result<(), Problem> {
        let ids = EventIds::new().map_err(|error| {
            tracing::error!("the operating system gives no random numbers: {error}");
            Problem::new(Kind::Internal, "the server's log tells what it was")
        })?;
        let row = AuditRow {
            id: ids.next(time).to_string(),
            time,
            actor: format!("token:{}", caller.token.name),
            peer: Some(caller.peer.to_string()),
            action: action.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            before,
            after,
        };
        Ok(self.store().record_audit(&[row]).await?)
    }
}
