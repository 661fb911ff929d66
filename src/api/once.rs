//! `Idempotency-Key`: a request that makes something, sent again because its answer was lost, makes nothing more and is
//! answered as it was the first time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::BodyExt;
use sha2::Sha256;
use time::OffsetDateTime;

use super::Api;
use super::body::collect;
use super::problem::{Kind, Mistake, Problem};
use crate::store::{Begun, Store, Stored};
use crate::tokens::Caller;

/// The header, as documents write it.
pub const HEADER: &str = "Idempotency-Key";

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Stands in an answer that is given again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key, in characters.
const KEY_LENGTH: usize = 255;

/// Headers of an answer that are given again with it.
const KEPT: [HeaderName; 3] = [axum::http::header::CONTENT_TYPE, axum::http::header::ETAG, LOCATION];

/// Put among an answer's extensions, it keeps the answer out of the database: it holds a secret. The request can then not
/// be answered again, but is not carried out twice either.
#[derive(Debug, Clone, Copy)]
pub struct Secretive;

/// Forgets, every hour, the keys that are old enough: those of tokens that don't ask any more too. For ever.
pub async fn prune_hourly(store: Store) {
    let mut hours = tokio::time::interval(Duration::from_secs(3_600));
    let mut clock = store.steady_clock().await;
    loop {
        hours.tick().await;
        if let Err(error) = store.prune_requests(clock.now()).await {
            // It is tried again in an hour, and nothing is lost by that but room.
            tracing::warn!("old idempotency keys can't be deleted: {error}");
        }
    }
}

/// Looks after requests that have the header.
pub async fn once(Extension(api): Extension<Api>, request: Request, next: Next) -> Response {
    let makes = matches!(*request.method(), Method::POST | Method::PUT);
    if !makes || !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    match answer(&api, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(api: &Api, request: Request, next: Next) -> Result<Response, Problem> {
    let name = key(request.headers())?;
    let caller = request.extensions().get::<Caller>().cloned().ok_or_else(Problem::no_token)?;
    let (parts, body) = request.into_parts();
    let body = collect(body, api.body_bytes()).await?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let digest = digest(&caller, &parts.method, target, &parts.headers, &body);
    let token = caller.bearer.digest();
    match api.store().begin_request(&token, &name, &digest, OffsetDateTime::now_utc()).await? {
        Begun::New => {}
        Begun::Answered(stored) => return replay(stored),
        Begun::InFlight => {
            return Err(Problem::new(Kind::InFlight, "ask again in a moment, and get its answer")
                .header(axum::http::header::RETRY_AFTER, "1"));
        }
        Begun::Other => {
            return Err(Problem::new(
                Kind::KeyReused,
                "this Idempotency-Key was sent with another request; take a new one",
            ));
        }
        Begun::TooMany => {
            return Err(Problem::too_many(
                "this token has sent as many Idempotency-Keys in a day as are remembered",
                3_600,
            ));
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    // Our own answers, in memory already: nothing here can fail or grow.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let secretive = parts.extensions.get::<Secretive>().is_some();
    let stored = parts.status.is_success().then(|| Stored {
        status: if secretive { StatusCode::CONFLICT.as_u16() } else { parts.status.as_u16() },
        headers: KEPT
            .iter()
            .filter_map(|name| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned())))
            .collect(),
        body: if secretive { String::new() } else { String::from_utf8_lossy(&body).into_owned() },
    });
    if let Err(error) = api.store().end_request(&token, &name, stored.as_ref()).await {
        // What was done is done, and the client may know; the key frees itself after a while.
        tracing::warn!("the answer to a request could not be kept for its idempotency key: {error}");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let text = values.next().and_then(|value| value.to_str().ok()).filter(|_| values.next().is_none());
    let fits = |text: &&str| (1..=KEY_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    text.filter(fits).map(str::to_owned).ok_or_else(|| {
        let message = format!("has to be one text of 1 to {KEY_LENGTH} visible ASCII characters");
        Problem::of(Kind::Malformed, vec![Mistake::of_key("Idempotency-Key", message)])
    })
}

/// Of everything that makes the request this one. Keyed by the token, which the database doesn't have: a body may hold a
/// password that could be found by trying.
fn digest(caller: &Caller, method: &Method, target: &str, headers: &HeaderMap, body: &[u8]) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(caller.bearer.expose()) else { return String::new() };
    let conditions =
        [IF_MATCH, IF_NONE_MATCH].map(|name| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default());
    for part in [method.as_str().as_bytes(), target.as_bytes(), conditions[0], conditions[1], body] {
        mac.update(&u64::try_from(part.len()).unwrap_or_default().to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn replay(stored: Stored) -> Result<Response, Problem> {
    if stored.status == StatusCode::CONFLICT.as_u16() {
        return Err(Problem::new(
            Kind::Conflict,
            "this was done already, and its answer, which held a secret, was not kept",
        ));
    }
    let mut response = Response::new(Body::from(stored.body));
    *response.status_mut() = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    for (name, value) in stored.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
