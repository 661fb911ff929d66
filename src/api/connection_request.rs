//! `/devices/{mac}/connection-request`: a phone is asked to open a session now.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::problem::{Kind, Mistake};
use super::query::Query;
use super::reach::Mac;
use super::{Api, Problem};
use crate::acs::request::{Call, NotNow, Report};
use crate::tokens::{Caller, Scope};

/// How long the phone is waited for unless it is said otherwise, in seconds.
const USUAL_WAIT: u64 = 30;

/// The longest.
const MOST_WAIT: u64 = 300;

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Seconds that the phone is waited for; 30 if not given.
    #[param(minimum = 0, maximum = 300)]
    wait: Option<u64>,
}

/// What came of asking a phone to open a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionRequestView {
    /// `informed`: the phone came. `accepted`, `sent`: it was asked, and did not come in the time that was waited. `refused`: it
    /// knows this server by another user or password. `busy`, `status`, `unreachable`, `no-answer`: what it answered, or didn't.
    /// `no-address`, `bad-address`, `not-allowed`, `not-heard`, `no-credentials`, `failed`, `stopping`: it was not asked.
    #[schema(pattern = "^[a-z-]+$")]
    outcome: &'static str,
    /// The same in a sentence.
    detail: String,
    /// `http` or `udp`; null where it was not asked.
    #[schema(required = true)]
    way: Option<&'static str>,
    /// The address and port that were asked.
    #[schema(required = true)]
    address: Option<String>,
    /// Which rule is against its address, where the outcome is `not-allowed`: `loopback`, `own-network`, `denied` …
    #[schema(required = true)]
    rule: Option<&'static str>,
}

/// Ask a phone to open a session.
///
/// Over HTTP, or through its NAT where this server is its STUN server. Takes the scope `write`. That the phone was asked is
/// answered with 200, whatever came of it: `outcome` tells.
#[utoipa::path(post, path = "/devices/{mac}/connection-request", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Asked),
    responses((status = 200, description = "What came of it", body = ConnectionRequestView)))]
pub async fn post_connection_request(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    Query(asked): Query<Asked>,
) -> Result<Json<ConnectionRequestView>, Problem> {
    caller.needs(Scope::Write)?;
    let wait = asked.wait.unwrap_or(USUAL_WAIT);
    if wait > MOST_WAIT {
        let mistake = Mistake::of_key("wait", format!("must be from 0 to {MOST_WAIT}"));
        return Err(Problem::of(Kind::Malformed, vec![mistake]));
    }
    let (generation, device) = api.device(&caller, mac).await?;
    let data_model = generation.packs.get(device.model.pack).and_then(|pack| pack.data_model.as_ref());
    let Some(data_model) = data_model.filter(|data_model| data_model.is_for(device.model.model)) else {
        return Err(Problem::new(Kind::Conflict, "no ACS manages phones of its model"));
    };
    let settings = generation.settings(&device);
    let hears = data_model.quirks(Some(device.model.model)).connection_request;
    let call = Call { mac, settings: &settings, hears, wait: Duration::from_secs(wait) };
    let report = api.requests().request(call).await?;
    let view = view(&report);
    let after = serde_json::to_string(&view).ok();
    api.record(&caller, OffsetDateTime::now_utc(), "connection-request", "device", &mac.to_string(), None, after)
        .await?;
    Ok(Json(view))
}

fn view(report: &Report) -> ConnectionRequestView {
    ConnectionRequestView {
        outcome: report.outcome.word(),
        detail: report.outcome.to_string(),
        way: report.to.map(|(way, _)| way.word()),
        address: report.to.map(|(_, address)| address.to_string()),
        rule: report.outcome.rule(),
    }
}

impl From<NotNow> for Problem {
    fn from(not_now: NotNow) -> Self {
        let told = not_now.to_string();
        match not_now {
            NotNow::UnderWay => Self::new(Kind::Conflict, told),
            NotNow::TooSoon(rest) => Self::too_many(told, rest.as_secs() + 1),
            NotNow::TooMany => Self::too_many(told, 1),
            NotNow::Store(error) => error.into(),
        }
    }
}
