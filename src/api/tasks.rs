//! What phones are asked for by their ACS: ordered for one or for many, looked at, cancelled.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::page::{List, Page, limit};
use super::problem::{Kind, Mistake};
use super::query::{Nothing, Query, parse};
use super::reach::Mac;
use super::{Api, BASE, Problem};
use crate::acs::task::{BulkOrder, Order, Spec, TaskError, shown};
use crate::events::{EventId, rfc3339};
use crate::fleet;
use crate::store::{TaskFilter, TaskRow, TaskState};
use crate::tokens::{Caller, Scope};

/// Where nothing is said: how long a task may wait and take, and how often it is tried.
const USUAL_HOURS: u32 = 7 * 24;
const USUAL_TRIES: u32 = 5;

/// The most.
const MOST_HOURS: u32 = 366 * 24;
const MOST_TRIES: u32 = 100;

/// A task.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    #[schema(pattern = "^[0-9a-f]{12}$")]
    mac: String,
    /// What was asked for. Secrets are `***`.
    #[schema(value_type = Object)]
    task: Value,
    /// `waiting`, `running`, `started` (the phone will tell), `done`, `failed`, `expired` or `cancelled`.
    state: &'static str,
    /// How often it was begun.
    tries: u32,
    /// How often it may be.
    most_tries: u32,
    /// Not before.
    #[schema(format = DateTime)]
    due: String,
    #[schema(format = DateTime)]
    expires: String,
    #[schema(format = DateTime)]
    created: String,
    /// `token:NAME` or `cli:USER`.
    created_by: String,
    /// The bulk that it is one of.
    #[schema(required = true)]
    bulk: Option<String>,
    /// What came of asking the phone to come.
    #[schema(required = true)]
    called: Option<String>,
    /// What the phone answered. Secrets are `***`.
    #[schema(value_type = Option<Object>, required = true)]
    result: Option<Value>,
    /// The phone's code: 9005 and so on.
    #[schema(required = true)]
    fault: Option<u16>,
    /// Why it failed, or was put off.
    #[schema(required = true)]
    why: Option<String>,
    #[schema(required = true, format = DateTime)]
    finished: Option<String>,
}

/// A task to be done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskOrder {
    task: Spec,
    /// Hours that it may wait and take; 168 if not given.
    #[schema(minimum = 1, maximum = 8784)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hours: Option<u32>,
    /// How often it is tried where it fails for a reason that may pass; 5 if not given.
    #[schema(minimum = 1, maximum = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    /// Not before so many seconds.
    #[schema(minimum = 0, maximum = 31536000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    after_seconds: Option<u32>,
    /// Whether the phone is asked to come; true if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<bool>,
}

/// The same for many phones.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskBulkOrder {
    order: TaskOrder,
    /// Devices of this group, and of groups within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Devices of this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Devices with this somewhere in MAC, serial number, model, group, users and names.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// True, where it is for all devices that the token sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<bool>,
    /// So many phones a minute; all at once if not given.
    #[schema(minimum = 1, maximum = 1000000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    /// Cancel what is left when so many have failed.
    #[schema(minimum = 1, maximum = 1000000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_after: Option<u32>,
}

/// A bulk that was ordered.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskBulkOrdered {
    /// Null where there is no phone that it could be asked of.
    #[schema(required = true)]
    id: Option<String>,
    tasks: u64,
    /// Devices that can't do it; the first hundred of them.
    refused: Vec<TaskRefused>,
    /// How many more there are.
    refused_more: u64,
}

/// A device that can't do what a bulk asks for.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskRefused {
    mac: String,
    why: String,
}

/// How far a bulk is.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskBulkView {
    id: String,
    /// How many tasks are in which state; those that none is in are left out.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    states: serde_json::Map<String, Value>,
}

/// Which tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// In this state.
    #[param(pattern = "^(waiting|running|started|done|failed|expired|cancelled)$")]
    state: Option<String>,
    /// Most items of the page; 100 if not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// List what a phone is asked for, the newest first.
#[utoipa::path(get, path = "/devices/{mac}/tasks", tag = "tasks",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Asked),
    responses((status = 200, body = Page<TaskView>)))]
pub async fn list_tasks(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<TaskView>>, Problem> {
    api.device(&caller, mac).await?;
    let limit = limit(asked.limit)?;
    let name = mac.to_string();
    let list = List::new("tasks", &[Some(name.as_str()), asked.state.as_deref()]);
    let before = asked.cursor.as_deref().map(|cursor| list.position(cursor)).transpose()?;
    let state = parse::<TaskState>("state", asked.state.as_deref())?;
    let filter = TaskFilter { mac: Some(mac), state, bulk: None, before };
    let rows = api.tasks().list(&filter, limit as u64).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| list.cursor(&row.id));
    Ok(Json(Page { items: rows.iter().map(view).collect(), next }))
}

/// Ask a phone for something at its next session with the ACS.
///
/// Takes the scope `write`.
#[utoipa::path(post, path = "/devices/{mac}/tasks", tag = "tasks", request_body = TaskOrder,
    params(("mac" = String, Path, description = "The MAC address, in any spelling")),
    responses((status = 201, description = "Ordered", body = TaskView),
        (status = 409, description = "It has too much to do, or no ACS manages its model", body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn post_task(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
    body: Body<TaskOrder>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Write)?;
    api.device(&caller, mac).await?;
    let task = api.tasks().order(mac, &order(body.value, "")?, &caller.actor()).await?;
    let place = format!("{BASE}/tasks/{}", task.id);
    Ok((StatusCode::CREATED, [(LOCATION, place)], Json(view(&task))).into_response())
}

/// Read a task: what was asked for, and what came of it.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The task's id")), responses((status = 200, body = TaskView)))]
pub async fn get_task(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<Json<TaskView>, Problem> {
    Ok(Json(view(&seen(&api, &caller, &id).await?)))
}

/// Cancel a task that is not over.
///
/// What the phone was told already, it does all the same. Takes the scope `write`.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "tasks", params(("id" = String, Path, description = "The task's id")),
    responses((status = 204, description = "Cancelled"),
        (status = 409, description = "It is over", body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn delete_task(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    let task = seen(&api, &caller, &id).await?;
    match api.tasks().cancel(&task.id, &caller.actor()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(Kind::Conflict, "it is over")),
    }
}

/// Ask many phones for something, each at its next session with the ACS.
///
/// For all devices that the filters let through and the token sees. Takes the scope `write`.
#[utoipa::path(post, path = "/task-bulks", tag = "tasks", request_body = TaskBulkOrder,
    responses((status = 201, description = "Ordered for those who can do it", body = TaskBulkOrdered)))]
pub async fn post_task_bulk(
    State(api): State<Api>,
    caller: Caller,
    _: Query<Nothing>,
    body: Body<TaskBulkOrder>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Write)?;
    let TaskBulkOrder { order: wanted, group, model, text, all, rate, stop_after } = body.value;
    let is_all = group.is_none() && model.is_none() && text.is_none();
    if is_all && all != Some(true) {
        let mistake = Mistake::at("/all", "say which devices: by group, model or text, or all = true");
        return Err(Problem::of(Kind::Invalid, vec![mistake]));
    }
    for (pointer, text) in [("/group", &group), ("/model", &model), ("/text", &text)] {
        // A text like any other, but one that no database takes.
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(Problem::of(Kind::Invalid, vec![Mistake::at(pointer, "may not hold U+0000")]));
        }
    }
    for (pointer, number) in [("/rate", rate), ("/stop_after", stop_after)] {
        within(pointer, number, 1, 1_000_000)?;
    }
    let query = fleet::Query { group, model, text, within: caller.token.group.clone(), ..fleet::Query::default() };
    let bulk = BulkOrder { order: order(wanted, "/order")?, rate, stop_after };
    let ordered = api.tasks().order_bulk(&query, &bulk, &caller.actor()).await?;
    let refused = ordered.refused.into_iter().map(|(mac, why)| TaskRefused { mac: mac.to_string(), why });
    let view = TaskBulkOrdered {
        id: ordered.id,
        tasks: ordered.tasks,
        refused: refused.collect(),
        refused_more: ordered.refused_more,
    };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// Read how far a bulk is.
///
/// Takes a token of the whole fleet.
#[utoipa::path(get, path = "/task-bulks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The bulk's id")), responses((status = 200, body = TaskBulkView)))]
pub async fn get_task_bulk(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<Json<TaskBulkView>, Problem> {
    caller.needs_whole_fleet()?;
    let bulk = api.tasks().bulk(&known(&id)?).await?.ok_or_else(Problem::not_found)?;
    let states = bulk.counts.iter().map(|(state, count)| (state.as_str().to_owned(), Value::from(*count)));
    Ok(Json(TaskBulkView { states: states.collect(), id: bulk.id }))
}

/// Cancel all of a bulk that are not over.
///
/// Takes the scope `write` and a token of the whole fleet.
#[utoipa::path(delete, path = "/task-bulks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The bulk's id")),
    responses((status = 204, description = "Nothing of it is open any more")))]
pub async fn delete_task_bulk(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    caller.needs_whole_fleet()?;
    let bulk = api.tasks().bulk(&known(&id)?).await?.ok_or_else(Problem::not_found)?;
    api.tasks().cancel_bulk(&bulk.id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An id as the database has it.
fn known(id: &str) -> Result<String, Problem> {
    id.parse::<EventId>().map(|id| id.to_string()).map_err(|_| Problem::not_found())
}

/// A task of a device that the caller sees.
async fn seen(api: &Api, caller: &Caller, id: &str) -> Result<TaskRow, Problem> {
    let task = api.tasks().get(&known(id)?).await?.ok_or_else(Problem::not_found)?;
    // One of a device that is no more is the whole fleet's.
    if caller.token.group.is_some() {
        api.device(caller, task.mac).await.map_err(|_| Problem::not_found())?;
    }
    Ok(task)
}

fn within(pointer: &str, number: Option<u32>, least: u32, most: u32) -> Result<(), Problem> {
    match number {
        Some(number) if !(least..=most).contains(&number) => {
            let mistake = Mistake::at(pointer, format!("must be from {least} to {most}"));
            Err(Problem::of(Kind::Invalid, vec![mistake]))
        }
        _ => Ok(()),
    }
}

/// What is ordered. `place`: where it stands in the body.
fn order(wanted: TaskOrder, place: &str) -> Result<Order, Problem> {
    within(&format!("{place}/hours"), wanted.hours, 1, MOST_HOURS)?;
    within(&format!("{place}/tries"), wanted.tries, 1, MOST_TRIES)?;
    within(&format!("{place}/after_seconds"), wanted.after_seconds, 0, 31_536_000)?;
    let after = wanted.after_seconds.map(|seconds| time::Duration::seconds(i64::from(seconds)));
    Ok(Order {
        spec: wanted.task,
        due: after.map(|after| OffsetDateTime::now_utc() + after),
        expires: Duration::from_secs(3_600) * wanted.hours.unwrap_or(USUAL_HOURS),
        tries: wanted.tries.unwrap_or(USUAL_TRIES),
        call: wanted.call.unwrap_or(true),
    })
}

fn view(row: &TaskRow) -> TaskView {
    TaskView {
        id: row.id.clone(),
        mac: row.mac.to_string(),
        task: shown(&row.spec),
        state: row.state.as_str(),
        tries: row.tries,
        most_tries: row.most_tries,
        due: rfc3339(row.due),
        expires: rfc3339(row.expires),
        created: rfc3339(row.created),
        created_by: row.created_by.clone(),
        bulk: row.bulk.clone(),
        called: row.called.clone(),
        result: row.result.as_deref().and_then(|result| serde_json::from_str(result).ok()),
        fault: row.fault,
        why: row.why.clone(),
        finished: row.finished.map(rfc3339),
    }
}

impl From<TaskError> for Problem {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Invalid(mistakes) => {
                let mistakes = mistakes.into_iter().map(|mistake| Mistake::of_key(mistake.key, mistake.message));
                Self::of(Kind::Invalid, mistakes.collect())
            }
            TaskError::NoDevice(_) => Self::new(Kind::NotFound, error.to_string()),
            TaskError::NotManaged(_) | TaskError::TooMany { .. } => Self::new(Kind::Conflict, error.to_string()),
            TaskError::Store(error) => error.into(),
            TaskError::Fleet(error) => error.into(),
            TaskError::Vault(_) | TaskError::Json(_) => {
                tracing::error!("the API could not write a task down: {error}");
                Self::new(Kind::Internal, "the server's log tells what it was")
            }
        }
    }
}
