//! What phones asked for and got.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};

use super::page::{List, Page, limit};
use super::problem::{Kind, Mistake};
use super::query::Query;
use super::reach::mac;
use super::{Api, Problem};
use crate::document::{nearest, parse_duration};
use crate::events::{Entry, EventId, Outcome, rfc3339};
use crate::store::EventFilter;
use crate::tokens::Caller;

/// Events that are looked through for one page of a token that sees only some of them.
const LOOKED_THROUGH: u64 = 2_000;

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Not before: a time (`2026-03-01T10:00:00Z`) or an age (`24h`).
    #[param(pattern = "^([0-9]{1,6}(s|m|h|d)|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)$")]
    since: Option<String>,
    /// Before, written likewise.
    #[param(pattern = "^([0-9]{1,6}(s|m|h|d)|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)$")]
    until: Option<String>,
    /// Of one MAC, whether there is such a device or not.
    #[param(pattern = "^[0-9A-Fa-f][02468ACEace][0-9A-Fa-f]{10}$")]
    device: Option<String>,
    /// That ended so: `served`, `not-modified`, `refused`, `failed` or `aborted`.
    #[param(pattern = "^(served|not-modified|refused|failed|aborted)$")]
    outcome: Option<String>,
    /// Most items of the page; 100 if not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A request of a phone, or a connection that came to none. docs/events.md explains the words.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    id: String,
    #[schema(format = DateTime)]
    time: String,
    kind: String,
    listener: String,
    peer: String,
    method: String,
    target: String,
    status: u16,
    bytes: u64,
    duration_ms: f64,
    #[schema(required = true)]
    tls_version: Option<String>,
    #[schema(required = true)]
    tls_cipher: Option<String>,
    #[schema(required = true)]
    certificate: Option<String>,
    #[schema(required = true)]
    user_agent: Option<String>,
    #[schema(required = true)]
    vendor: Option<String>,
    #[schema(required = true)]
    model: Option<String>,
    #[schema(required = true)]
    firmware: Option<String>,
    #[schema(required = true)]
    device: Option<String>,
    #[schema(required = true)]
    asked_mac: Option<String>,
    #[schema(required = true)]
    file: Option<String>,
    generation: u64,
    #[schema(required = true)]
    encoding: Option<String>,
    outcome: String,
    #[schema(required = true)]
    refusal: Option<String>,
    #[schema(required = true)]
    reason: Option<String>,
    flags: Vec<String>,
}

impl From<Entry> for EventView {
    fn from(entry: Entry) -> Self {
        let duration_ms = entry.duration_ms();
        Self {
            id: entry.id.to_string(),
            time: rfc3339(entry.time),
            kind: entry.kind.to_string(),
            listener: entry.listener,
            peer: entry.peer.to_string(),
            method: entry.method,
            target: entry.target,
            status: entry.status,
            bytes: entry.bytes,
            duration_ms,
            tls_version: entry.tls_version.map(Into::into),
            tls_cipher: entry.tls_cipher,
            certificate: entry.certificate,
            user_agent: entry.user_agent,
            vendor: entry.vendor,
            model: entry.model,
            firmware: entry.firmware,
            device: entry.device.map(|mac| mac.to_string()),
            asked_mac: entry.asked_mac.map(|mac| mac.to_string()),
            file: entry.file,
            generation: entry.generation,
            encoding: entry.encoding.map(Into::into),
            outcome: entry.outcome.as_str().to_owned(),
            refusal: entry.outcome.refusal().map(|refusal| refusal.as_str().to_owned()),
            reason: entry.reason,
            flags: entry.flags.iter().map(|flag| flag.as_str().to_owned()).collect(),
        }
    }
}

/// List events, the newest first.
///
/// A token that is bound to a group sees the events of that group's devices. Its pages may be short or empty while more
/// follow: go on as long as there is a `next`.
#[utoipa::path(get, path = "/events", tag = "events", params(Asked), responses((status = 200, body = Page<EventView>)))]
pub async fn list_events(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<EventView>>, Problem> {
    let limit = limit(asked.limit)?;
    let filters = [&asked.since, &asked.until, &asked.device, &asked.outcome].map(|filter| filter.as_deref());
    let list = List::new("events", &filters);
    let mut filter = asked.filter(OffsetDateTime::now_utc())?;
    filter.before = match asked.cursor.as_deref() {
        Some(cursor) => Some(position(&list.position(cursor)?).ok_or_else(Problem::not_found)?),
        None => None,
    };
    if let (Some(device), Some(_)) = (filter.device, &caller.token.group) {
        // One that it doesn't see is none, and has no events.
        api.device(&caller, device).await?;
    }
    let bound = caller.token.group.is_some();
    // One more than asked for tells whether more follow.
    let wanted = if bound { LOOKED_THROUGH } else { u64::try_from(limit).unwrap_or(u64::MAX) } + 1;
    let mut entries = api.store().events(&filter, wanted).await?;
    // The store gives the newest last.
    entries.reverse();
    let mut more = entries.len() >= usize::try_from(wanted).unwrap_or(usize::MAX);
    if more {
        entries.pop();
    }
    let mut last = entries.last().map(|entry| (entry.time, entry.id));
    if bound {
        let mut seen = Vec::new();
        for entry in entries {
            last = Some((entry.time, entry.id));
            let device = match entry.device {
                Some(mac) => api.device(&caller, mac).await.ok(),
                None => None,
            };
            seen.extend(device.map(|_| entry));
            if seen.len() == limit {
                more = true;
                break;
            }
        }
        entries = seen;
    }
    let next = last.filter(|_| more).map(|(time, id)| list.cursor(&format!("{} {id}", rfc3339(time))));
    Ok(Json(Page { items: entries.into_iter().map(EventView::from).collect(), next }))
}

fn position(text: &str) -> Option<(OffsetDateTime, EventId)> {
    let (time, id) = text.split_once(' ')?;
    Some((OffsetDateTime::parse(time, &Rfc3339).ok()?, id.parse().ok()?))
}

impl Asked {
    fn filter(&self, now: OffsetDateTime) -> Result<EventFilter, Problem> {
        Ok(EventFilter {
            since: moment("since", self.since.as_deref(), now)?,
            until: moment("until", self.until.as_deref(), now)?,
            device: mac("device", self.device.as_deref())?,
            outcome: outcome(self.outcome.as_deref())?,
            before: None,
        })
    }
}

/// A time, or an age.
pub fn moment(name: &str, text: Option<&str>, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let ago = parse_duration(text).map(|age| {
        let age = time::Duration::try_from(age).unwrap_or(time::Duration::MAX);
        now.checked_sub(age).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    });
    let wrong = || {
        let help = "write 2026-03-01T10:00:00Z or 24h".to_owned();
        Problem::of(Kind::Invalid, vec![Mistake::of_key(name, "is no time").help(help)])
    };
    ago.or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok()).map(Some).ok_or_else(wrong)
}

/// One of an outcome's words.
pub fn outcome(text: Option<&str>) -> Result<Option<&'static str>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let word = Outcome::WORDS.iter().copied().find(|word| *word == text);
    word.map(Some).ok_or_else(|| {
        let near = nearest(text, Outcome::WORDS.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
        Problem::of(Kind::Malformed, vec![Mistake::of_key("outcome", "is no outcome").help(near)])
    })
}
