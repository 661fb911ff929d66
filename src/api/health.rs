//! `/health`: how the server is.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::{Nothing, Query};
use super::{Api, Problem};
use crate::tokens::Caller;

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` where the database does not answer.
    #[schema(pattern = "^(ok|degraded)$")]
    status: &'static str,
    /// The program's, and that of the OpenSSL in it.
    version: String,
    /// Of packs and profiles: counted from 1, raised by each reload.
    generation: u64,
    /// Devices that have a file; null for a token that is bound to a group.
    #[schema(required = true)]
    device_files: Option<usize>,
    /// Devices that have a record in the database; likewise.
    #[schema(required = true)]
    device_records: Option<usize>,
    packs: usize,
}

/// Tell how the server is.
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, body = Health)))]
pub async fn get_health(State(api): State<Api>, caller: Caller, _: Query<Nothing>) -> Result<Json<Health>, Problem> {
    let generation = api.pipeline().generation();
    let whole = caller.needs_whole_fleet().is_ok();
    Ok(Json(Health {
        status: if api.records().is_away() { "degraded" } else { "ok" },
        version: crate::VERSION.clone(),
        generation: generation.number,
        device_files: whole.then(|| generation.profiles.device_count()),
        device_records: whole.then(|| api.records().count()),
        packs: generation.packs.iter().count(),
    }))
}
