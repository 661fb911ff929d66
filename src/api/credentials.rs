//! A device's user and password for `access.password`: read, and made anew.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::once::Secretive;
use super::problem::Kind;
use super::query::Query;
use super::reach::Mac;
use super::{Api, Problem, change};
use crate::fleet::{DeviceCredentials, RotateError};
use crate::model::Secret;
use crate::records::MASK;
use crate::settings::SecretError;
use crate::tokens::{Caller, Scope};

/// Whether passwords are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Shown {
    /// Show passwords as they are; takes the scope `secrets`.
    secrets: Option<bool>,
}

/// How new ones are made.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Rotating {
    /// Show passwords as they are; takes the scope `secrets`.
    secrets: Option<bool>,
    /// Even if the phone has not used the last password yet: the one before that stops at once.
    force: Option<bool>,
}

/// User and password of a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct Credentials {
    /// 12 hexadecimal digits, lower case.
    #[schema(pattern = "^[0-9a-f]{12}$")]
    mac: String,
    #[schema(required = true)]
    user: Option<String>,
    /// `***` unless asked for; null where there is none.
    #[schema(required = true)]
    password: Option<String>,
    /// The password before, which holds as well until the phone has used the new one; null where there is none.
    #[schema(required = true)]
    previous: Option<String>,
    /// Whether they open anything: `access.password` of the device.
    opens: bool,
}

/// Read a device's user and password.
///
/// Passwords are masked, unless they are asked for with `secrets=true`, which takes the scope `secrets`.
#[utoipa::path(get, path = "/devices/{mac}/credentials", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Shown),
    responses((status = 200, body = Credentials)))]
pub async fn get_credentials(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    Query(asked): Query<Shown>,
) -> Result<Response, Problem> {
    let real = caller.may_show(asked.secrets)?;
    api.entry(&caller, mac).await?.ok_or_else(Problem::not_found)?;
    let found = api.fleet().credentials(mac).await.map_err(|error| problem(&caller, error))?;
    Ok(answer(&found, real))
}

/// Make a device a new password.
///
/// The phone gets it with its next profile; the password before holds as well until the phone has used the new one. A user is made
/// where there is none. Takes the scope `write`.
#[utoipa::path(post, path = "/devices/{mac}/credentials", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Rotating),
    responses((status = 200, description = "Made", body = Credentials)))]
pub async fn post_credentials(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    Query(asked): Query<Rotating>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Write)?;
    let real = caller.may_show(asked.secrets)?;
    api.entry(&caller, mac).await?.ok_or_else(Problem::not_found)?;
    let made = api.fleet().rotate_credentials(mac, asked.force.unwrap_or(false), &caller.actor()).await;
    Ok(answer(&made.map_err(|error| problem(&caller, error))?, real))
}

fn answer(found: &DeviceCredentials, real: bool) -> Response {
    let shown = |password: &Option<Result<Secret, SecretError>>| {
        password.as_ref().map(|password| match password {
            Ok(password) if real => password.expose_text().unwrap_or_default().to_owned(),
            _ => MASK.to_owned(),
        })
    };
    let body = Credentials {
        mac: found.mac.to_string(),
        user: found.user.clone(),
        password: shown(&found.password),
        previous: shown(&found.previous),
        opens: found.opens,
    };
    let mut response = (StatusCode::OK, Json(body)).into_response();
    if real {
        response.extensions_mut().insert(Secretive);
    }
    response
}

fn problem(caller: &Caller, error: RotateError) -> Problem {
    match error {
        RotateError::Unknown(_) => Problem::not_found(),
        RotateError::Broken(_) | RotateError::UnderWay | RotateError::Unreadable(_) => {
            Problem::new(Kind::Conflict, error.to_string())
        }
        RotateError::Refused(refused) => change::refusal(caller, refused),
        RotateError::Fleet(error) => error.into(),
    }
}
