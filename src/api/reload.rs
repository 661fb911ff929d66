//! `/reload`: packs, profiles and certificates anew, as SIGHUP does it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::problem::{Kind, Mistake};
use super::query::{Nothing, Query};
use super::{Api, Problem};
use crate::tokens::{Caller, Scope};

/// What was loaded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// The generation that is in force now.
    generation: u64,
}

/// Load packs, profiles and certificates anew.
///
/// A bad edit is refused with all that is wrong with it, and what was loaded before goes on serving. Takes the scope `write`
/// and a token of the whole fleet.
#[utoipa::path(post, path = "/reload", tag = "server", responses(
    (status = 200, body = Reloaded),
    (status = 422, description = "What is on disk can't be loaded", body = super::problem::Document, content_type = "application/problem+json"),
))]
pub async fn post_reload(State(api): State<Api>, caller: Caller, _: Query<Nothing>) -> Result<Json<Reloaded>, Problem> {
    caller.needs(Scope::Write)?;
    caller.needs_whole_fleet()?;
    let before = api.pipeline().generation().number;
    let result = api.reload().await;
    let (action, after) = match &result {
        Ok(generation) => ("reload", *generation),
        Err(_) => ("reload-refused", before),
    };
    let json = |number: u64| Some(format!("{{\"generation\":{number}}}"));
    let (before, after) = (json(before), json(after));
    api.record(&caller, OffsetDateTime::now_utc(), action, "generation", "", before, after).await?;
    result
        .map(|generation| Json(Reloaded { generation }))
        .map_err(|problems| Problem::of(Kind::Invalid, problems.iter().map(Mistake::from).collect()))
}
