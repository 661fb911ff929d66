//! Invitations: codes by which phones from a shop become devices.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::once::Secretive;
use super::page::{List, Page, limit};
use super::problem::{Kind, Mistake};
use super::query::{Nothing, Query};
use super::schema::SettingsTree;
use super::{Api, BASE, Problem};
use crate::events::{EventId, rfc3339};
use crate::model::MacAddr;
use crate::onboarding::{Invitation, LONGEST, MOST_USES, OnboardingError};
use crate::records::Tree;
use crate::store::CodeRow;
use crate::tokens::{Caller, Scope};

/// How long a code is good for unless it is said otherwise.
const USUAL_DAYS: u32 = 7;

/// An invitation. What it sets for the device is not shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationView {
    id: String,
    /// For this phone only; null: for whichever comes with the code.
    #[schema(required = true)]
    mac: Option<String>,
    /// The group that the device comes into.
    #[schema(required = true)]
    group: Option<String>,
    /// Phones that have come with the code.
    #[schema(minimum = 0)]
    uses: i64,
    /// How many may.
    #[schema(minimum = 1)]
    max_uses: i64,
    /// How often the right code came from the wrong phone.
    #[schema(minimum = 0)]
    failures: i64,
    /// A phone that is somebody's device already changes hands.
    take_over: bool,
    #[schema(format = DateTime)]
    created: String,
    /// `token:NAME`, `cli:USER`.
    created_by: String,
    #[schema(format = DateTime)]
    expires: String,
    /// `open`, `used`, `expired` or `blocked`.
    state: &'static str,
    /// What the customer gives to the phone, `https://prov.example.com/cisco-init/CODE`. Told once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// An invitation to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationChange {
    /// For this phone only. It may be a device already: then the code only brings its profile.
    #[schema(pattern = "^[0-9a-f]{12}$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    /// The model, where the phone can't tell.
    #[schema(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// The group that the device comes into.
    #[schema(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The tree of a device's file.
    #[schema(value_type = Option<SettingsTree>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Map<String, Value>>,
    /// How many phones may come with the code; 1 if not given.
    #[schema(minimum = 1, maximum = 10000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u32>,
    /// Days that the code is good for; 7 if not given.
    #[schema(minimum = 1, maximum = 366)]
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    /// A phone that is somebody's device already changes hands. Takes a token of the whole fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    take_over: Option<bool>,
}

/// A page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Most items of the page; 100 if not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// List invitations, the newest first.
#[utoipa::path(get, path = "/invitations", tag = "onboarding", params(Asked),
    responses((status = 200, body = Page<InvitationView>)))]
pub async fn list_invitations(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<InvitationView>>, Problem> {
    let limit = limit(asked.limit)?;
    let list = List::new("invitations", &[]);
    let before = asked.cursor.as_deref().map(|cursor| list.position(cursor)).transpose()?;
    let most = u32::try_from(limit).unwrap_or(u32::MAX);
    let rows = api.store().codes(before.as_deref(), most).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| list.cursor(&row.id));
    let seen = rows.iter().filter(|row| api.sees(&caller, row.group.as_deref()));
    Ok(Json(Page { items: seen.map(|row| view(row, None)).collect(), next }))
}

/// Invite a phone.
///
/// The answer has the code, which is told once: the database keeps a hash of it. Takes the scope `write`; the device of a
/// token that is bound to a group comes into that, or a group within it.
#[utoipa::path(post, path = "/invitations", tag = "onboarding", request_body = InvitationChange,
    responses((status = 201, description = "Made", body = InvitationView)))]
pub async fn post_invitation(
    State(api): State<Api>,
    caller: Caller,
    _: Query<Nothing>,
    body: Body<InvitationChange>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Write)?;
    let wanted = body.value;
    let mistake = |key: &str, message: String| Problem::of(Kind::Invalid, vec![Mistake::of_key(key, message)]);
    let mac = wanted.mac.as_deref().map(str::parse::<MacAddr>).transpose();
    let mac = mac.map_err(|error| mistake("mac", error.to_string()))?;
    let uses = wanted.uses.unwrap_or(1);
    if !(1..=MOST_USES).contains(&uses) {
        return Err(mistake("uses", format!("must be from 1 to {MOST_USES}")));
    }
    let days = wanted.days.unwrap_or(USUAL_DAYS);
    let valid = Duration::from_secs(86_400) * days;
    if days == 0 || valid > LONGEST {
        return Err(mistake("days", "must be from 1 to 366".to_owned()));
    }
    let takes_over = wanted.take_over.unwrap_or(false);
    if takes_over {
        caller.needs_whole_fleet()?;
    }
    if !api.sees(&caller, wanted.group.as_deref()) {
        let own = caller.token.group.as_deref().unwrap_or_default();
        let help = format!("name \"{own}\", or a group within it");
        let mistake = Mistake::of_key("group", "is none of the token's own").help(help);
        return Err(Problem::of(Kind::Invalid, vec![mistake]));
    }
    if let Some(mac) = mac
        && api.fleet().device(mac).await?.is_some_and(|entry| !api.sees(&caller, entry.group.as_deref()))
    {
        return Err(Problem::not_found());
    }
    let texts = [("model", wanted.model), ("group", wanted.group)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?))));
    let mut device: Map<String, Value> = texts.collect();
    device.insert("settings".to_owned(), wanted.settings.unwrap_or_default().into());
    let invitation = Invitation { mac, device: Tree::new(device), takes_over, uses, valid };
    let (code, row) = match api.onboarding().invite(&invitation, &caller.actor()).await {
        Ok(made) => made,
        Err(OnboardingError::Refused(refused)) => return Err(super::change::refusal(&caller, refused)),
        Err(error) => return Err(error.into()),
    };
    let place = format!("{BASE}/invitations/{}", row.id);
    let body = Json(view(&row, Some(code.written())));
    let mut response = (StatusCode::CREATED, [(LOCATION, place)], body).into_response();
    response.extensions_mut().insert(Secretive);
    Ok(response)
}

/// Withdraw an invitation.
///
/// Its code is good for nothing any more; phones that came with it stay the devices that they are. Takes the scope `write`.
#[utoipa::path(delete, path = "/invitations/{id}", tag = "onboarding",
    params(("id" = String, Path, description = "The invitation's id")),
    responses((status = 204, description = "Withdrawn")))]
pub async fn delete_invitation(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    let id: EventId = id.parse().map_err(|_| Problem::not_found())?;
    let row = api.store().code_of_id(&id.to_string()).await?;
    if !row.is_some_and(|row| api.sees(&caller, row.group.as_deref())) {
        return Err(Problem::not_found());
    }
    api.onboarding().withdraw(&id.to_string(), &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(row: &CodeRow, code: Option<String>) -> InvitationView {
    InvitationView {
        id: row.id.clone(),
        mac: row.mac.map(|mac| mac.to_string()),
        group: row.group.clone(),
        uses: row.uses,
        max_uses: row.max_uses,
        failures: row.failures,
        take_over: row.takes_over,
        created: rfc3339(row.created),
        created_by: row.created_by.clone(),
        expires: rfc3339(row.expires),
        state: row.state(OffsetDateTime::now_utc()),
        code,
    }
}

impl From<OnboardingError> for Problem {
    fn from(error: OnboardingError) -> Self {
        match error {
            OnboardingError::Store(error) => error.into(),
            OnboardingError::Fleet(error) => error.into(),
            OnboardingError::NoDevice(_) => Self::new(Kind::NotFound, error.to_string()),
            OnboardingError::Refused(_)
            | OnboardingError::TooMany
            | OnboardingError::NoTokens(_)
            | OnboardingError::NoFirstContact(_)
            | OnboardingError::NoServer(_) => Self::new(Kind::Conflict, error.to_string()),
            OnboardingError::Record(error) => crate::fleet::FleetError::from(error).into(),
            OnboardingError::Randomness(_) | OnboardingError::Damaged { .. } => {
                tracing::error!("the API could not see to an invitation: {error}");
                Self::new(Kind::Internal, "the server's log tells what it was")
            }
        }
    }
}
