//! What a phone reports, compared with what it should have.

use axum::Json;
use axum::extract::State;

use super::problem::Kind;
use super::query::{Nothing, Query};
use super::reach::Mac;
use super::{Api, Problem};
use crate::drift::{Drift, DriftError, of_device};
use crate::tokens::Caller;

/// Compare what a phone reports with what it should have.
///
/// The newest report that the phone has sent, against its profile, parameter by parameter, as `resyncd drift` tells it. Secrets
/// are compared and not shown.
#[utoipa::path(get, path = "/devices/{mac}/drift", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling")),
    responses((status = 200, body = Object),
        (status = 409, description = "It has sent no report that can be read, or its record can't be used", body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn get_drift(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
) -> Result<Json<Drift>, Problem> {
    let (generation, device) = api.device(&caller, mac).await?;
    let changed = api.store().device(mac).await?.map(|row| row.changed);
    let limit = api.rendering();
    let drift = of_device(&generation, &device, api.store(), api.uploads(), changed, limit).await;
    drift.map(Json).map_err(|error| match error {
        DriftError::Store(error) => error.into(),
        DriftError::Upload(error) => error.into(),
        error => Problem::new(Kind::Conflict, error.to_string()),
    })
}
