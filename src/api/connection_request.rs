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
    /// `informed`: the phone came. `accepted`, `sent`: it was asked, and did not come in the time that was waited. `refused`: it, or
    /// the SIP proxy, knows this server by another user or password. `busy`, `status`, `unreachable`, `not-registered`, `no-answer`:
    /// what it answered, or didn't. `no-address`, `bad-address`, `not-allowed`, `not-heard`, `not-configured`, `no-credentials`,
    /// `failed`, `stopping`: it was not asked.
    #[schema(pattern = "^[a-z-]+$")]
    outcome: &'static str,
    /// The same in a sentence.
    detail: String,
    /// `http`, `udp` or `notify`; null where it was not asked.
    #[schema(required = true)]
    way: Option<&'static str>,
    /// The address and port that were asked; of `notify`, the SIP proxy's.
    #[schema(required = true)]
    address: Option<String>,
    /// Which rule is against its address, where the outcome is `not-allowed`: `loopback`, `own-network`, `denied` …
    #[schema(required = true)]
    rule: Option<&'static str>,
    /// The job that the phone was told with a NOTIFY; null where it was told none.
    #[schema(required = true)]
    job: Option<String>,
    /// Whether the phone has asked for its action URI with that job by now; null where there is none.
    #[schema(required = true)]
    called: Option<bool>,
}

/// Ask a phone to open a session.
///
/// Over HTTP, through its NAT where this server is its STUN server, or by a SIP NOTIFY. Takes the scope `write`. That the phone was asked is
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
    // Who asks may go away meanwhile: that it was asked is recorded all the same.
    let asking = tokio::spawn(async move {
        let settings = generation.settings(&device);
        let Some(call) = Call::of(&generation, &device, &settings, Duration::from_secs(wait)) else {
            return Err(Problem::new(Kind::Conflict, "no ACS manages phones of its model"));
        };
        let report = api.requests().request(call).await?;
        let view = view(&report);
        let after = serde_json::to_string(&view).ok();
        let now = OffsetDateTime::now_utc();
        api.record(&caller, now, "connection-request", "device", &mac.to_string(), None, after).await?;
        Ok(Json(view))
    });
    asking.await.unwrap_or_else(|_| Err(Problem::new(Kind::Internal, "the phone could not be asked")))
}

fn view(report: &Report) -> ConnectionRequestView {
    ConnectionRequestView {
        outcome: report.outcome.word(),
        detail: report.outcome.to_string(),
        way: report.to.map(|(way, _)| way.word()),
        address: report.to.map(|(_, address)| address.to_string()),
        rule: report.outcome.rule(),
        job: report.job.as_ref().map(|job| job.id().to_owned()),
        called: report.job.as_ref().map(|job| job.was_called()),
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
