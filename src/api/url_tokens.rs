//! Tokens in the URLs of phones that show no certificate.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::body::Body;
use super::once::Secretive;
use super::problem::{Kind, Mistake};
use super::query::{Nothing, Query};
use super::reach::Mac;
use super::{Api, Problem};
use crate::events::rfc3339;
use crate::store::UrlTokenRow;
use crate::tokens::{Caller, Scope};

/// How long a token for the first contact is good for unless it is said otherwise.
const USUAL_DAYS: u32 = 7;

/// The longest.
const MOST_DAYS: u32 = 366;

/// A token in a phone's URLs. What it is, nobody knows.
#[derive(Debug, Serialize, ToSchema)]
pub struct UrlTokenView {
    /// `first-contact` or `resync`.
    r#for: &'static str,
    #[schema(format = DateTime)]
    created: String,
    /// `token:NAME`, `cli:USER`, or `phone:MAC` for one that came in a profile.
    created_by: String,
    #[schema(required = true, format = DateTime)]
    expires: Option<String>,
    /// When it was first used.
    #[schema(required = true, format = DateTime)]
    used: Option<String>,
    /// The address that it was first used from.
    #[schema(required = true)]
    used_from: Option<String>,
    /// `new`, `used`, `renewing` or `expired`.
    state: &'static str,
}

/// The tokens of a device, the oldest first. There are few.
#[derive(Debug, Serialize, ToSchema)]
pub struct UrlTokens {
    items: Vec<UrlTokenView>,
}

/// A token for the first contact to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstContactChange {
    /// Days that it is good for; 7 if not given.
    #[schema(minimum = 1, maximum = 366)]
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
}

/// A token for the first contact, told this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct FirstContactView {
    /// What the phone is to ask for.
    url: String,
    /// The same without the file, for phones that are given a folder.
    server: String,
    #[schema(format = DateTime)]
    expires: String,
}

/// List the tokens in a device's URLs.
#[utoipa::path(get, path = "/devices/{mac}/tokens", tag = "onboarding",
    params(("mac" = String, Path, description = "The MAC address, in any spelling")),
    responses((status = 200, body = UrlTokens)))]
pub async fn list_url_tokens(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
) -> Result<Json<UrlTokens>, Problem> {
    api.device(&caller, mac).await?;
    let now = OffsetDateTime::now_utc();
    let rows = api.onboarding().url_tokens(mac).await?;
    Ok(Json(UrlTokens { items: rows.into_iter().map(|row| view(row, now)).collect() }))
}

/// Make a token for the first contact of a device.
///
/// It is good for one profile, once; that brings the phone a token of its own. Takes the scope `write`, and `access.token` of
/// the device's settings.
#[utoipa::path(post, path = "/devices/{mac}/tokens", tag = "onboarding", request_body = FirstContactChange,
    params(("mac" = String, Path, description = "The MAC address, in any spelling")),
    responses((status = 201, description = "Made", body = FirstContactView),
        (status = 409, description = "The device is not opened by tokens", body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn post_url_token(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
    body: Body<FirstContactChange>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Write)?;
    api.device(&caller, mac).await?;
    let days = body.value.days.unwrap_or(USUAL_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        let mistake = Mistake::of_key("days", format!("must be from 1 to {MOST_DAYS}"));
        return Err(Problem::of(Kind::Invalid, vec![mistake]));
    }
    let valid = Duration::from_secs(86_400) * days;
    let made = api.onboarding().first_contact(mac, valid, &caller.actor()).await?;
    let view = FirstContactView { url: made.url, server: made.server, expires: rfc3339(made.expires) };
    let mut response = (StatusCode::CREATED, Json(view)).into_response();
    response.extensions_mut().insert(Secretive);
    Ok(response)
}

/// Let a device's next profile bring it another token.
///
/// The old one is good until the phone has used the new. Takes the scope `write`. 409 where it has none.
#[utoipa::path(post, path = "/devices/{mac}/tokens/rotate", tag = "onboarding",
    params(("mac" = String, Path, description = "The MAC address, in any spelling")),
    responses((status = 204, description = "The next profile brings it"),
        (status = 409, description = "It has no token", body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn rotate_url_tokens(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    api.device(&caller, mac).await?;
    match api.onboarding().renew_url_tokens(mac, &caller.actor()).await? {
        0 => Err(Problem::new(Kind::Conflict, "it has no token: make one for its first contact")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Take all tokens of a device away.
///
/// They are good for nothing any more, on every server, and the phone has to be set up again. Takes the scope `write`.
#[utoipa::path(delete, path = "/devices/{mac}/tokens", tag = "onboarding",
    params(("mac" = String, Path, description = "The MAC address, in any spelling")),
    responses((status = 204, description = "It has none any more")))]
pub async fn delete_url_tokens(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    api.device(&caller, mac).await?;
    api.onboarding().revoke_url_tokens(mac, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(row: UrlTokenRow, now: OffsetDateTime) -> UrlTokenView {
    let (r#for, state) = (row.purpose(), row.state(now));
    let (used, used_from) = row.used.map(|(time, from)| (rfc3339(time), from)).unzip();
    UrlTokenView {
        r#for,
        created: rfc3339(row.created),
        created_by: row.created_by,
        expires: row.expires.map(rfc3339),
        used,
        used_from,
        state,
    }
}
