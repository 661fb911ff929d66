//! Phones that were first seen in a staging network, and wait for somebody's approval. Which group they will be in nobody
//! knows yet, so they are for tokens of the whole fleet.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Body;
use super::query::{Nothing, Query};
use super::reach::Mac;
use super::schema::SettingsTree;
use super::{Api, Problem};
use crate::events::rfc3339;
use crate::onboarding::OnboardingError;
use crate::store::WaitingRow;
use crate::tokens::{Caller, Scope};

/// A phone that waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingView {
    #[schema(pattern = "^[0-9a-f]{12}$")]
    mac: String,
    /// As its User-Agent says. So with serial number and firmware.
    model: String,
    #[schema(required = true)]
    serial: Option<String>,
    #[schema(required = true)]
    firmware: Option<String>,
    user_agent: String,
    /// The address that it was last seen at.
    peer: String,
    #[schema(format = DateTime)]
    first_seen: String,
    #[schema(format = DateTime)]
    last_seen: String,
}

/// All that wait.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingList {
    items: Vec<WaitingView>,
}

/// What is to be set for a phone that is approved, beside what it said itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The group that the device comes into.
    #[schema(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The tree of a device's file.
    #[schema(value_type = Option<SettingsTree>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Map<String, Value>>,
}

/// List phones that wait for approval, those first that have waited longest.
#[utoipa::path(get, path = "/waiting", tag = "onboarding", responses((status = 200, body = WaitingList)))]
pub async fn list_waiting(
    State(api): State<Api>,
    caller: Caller,
    _: Query<Nothing>,
) -> Result<Json<WaitingList>, Problem> {
    caller.needs_whole_fleet()?;
    let items = api.onboarding().waiting().await?.into_iter().map(WaitingView::from).collect();
    Ok(Json(WaitingList { items }))
}

/// Approve a phone that waits: it becomes a device.
///
/// Takes the scope `write` and a token of the whole fleet.
#[utoipa::path(post, path = "/waiting/{mac}/approve", tag = "onboarding",
    params(("mac" = String, Path, description = "The phone's MAC, in any spelling")), request_body = Approval,
    responses((status = 204, description = "It is a device now")))]
pub async fn approve_waiting(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
    body: Body<Approval>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    caller.needs_whole_fleet()?;
    let group = body.value.group.map(|group| ("group".to_owned(), Value::from(group)));
    let mut device: Map<String, Value> = group.into_iter().collect();
    device.insert("settings".to_owned(), body.value.settings.unwrap_or_default().into());
    match api.onboarding().approve(mac, device, &caller.actor()).await {
        Ok(Some(_)) => Ok(StatusCode::NO_CONTENT),
        Ok(None) => Err(Problem::not_found()),
        Err(OnboardingError::Refused(refused)) => Err(super::change::refusal(&caller, refused)),
        Err(error) => Err(error.into()),
    }
}

/// Take a phone off the list. If it asks again, it waits again.
///
/// Takes the scope `write` and a token of the whole fleet.
#[utoipa::path(delete, path = "/waiting/{mac}", tag = "onboarding",
    params(("mac" = String, Path, description = "The phone's MAC, in any spelling")),
    responses((status = 204, description = "It waits no longer")))]
pub async fn delete_waiting(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    caller.needs_whole_fleet()?;
    if api.onboarding().dismiss(mac).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

impl From<WaitingRow> for WaitingView {
    fn from(row: WaitingRow) -> Self {
        Self {
            mac: row.mac.to_string(),
            model: row.model,
            serial: row.serial.map(|serial| serial.to_string()),
            firmware: row.firmware,
            user_agent: row.user_agent,
            peer: row.peer,
            first_seen: rfc3339(row.first_seen),
            last_seen: rfc3339(row.last_seen),
        }
    }
}
