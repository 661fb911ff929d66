//! Who asks, and what every answer has in common. Without a token that holds nothing is told, not even what there is.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use time::OffsetDateTime;

use super::problem::{Kind, Problem};
use super::{Api, once};
use crate::store::Store;
use crate::tokens::{Bearer, Caller, Scope};

/// The other end of a request's connection: put among its extensions by whoever accepted it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// How long an answer may take to be made.
const PATIENCE: Duration = Duration::from_secs(60);

/// Puts everything that a router has behind the guard.
pub fn guarded(router: Router<Api>, api: Api) -> Router<Api> {
    router
        // Only what is there, and can be done, is remembered by its key.
        .route_layer(from_fn_with_state(api.clone(), once::once))
        .layer(from_fn_with_state(api, guard))
        .layer(from_fn(finish))
}

/// What isn't there.
pub async fn nothing() -> Problem {
    Problem::not_found()
}

async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        tracing::error!("a request came without its peer");
        return Problem::new(Kind::Internal, "the server's log tells what it was").into_response();
    };
    let caller = match api.authenticate(request.headers(), peer.ip()).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if !is_read(request.method()) && !accepts(request.headers(), "application/json") {
        return not_acceptable();
    }
    let name = caller.token.name.clone();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(caller);
    // A task of its own: what was begun is carried through, also where the client goes away.
    let answer = tokio::spawn(tokio::time::timeout(PATIENCE, next.run(request))).await;
    let response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(%method, path, "an answer of the API took longer than {} s", PATIENCE.as_secs());
            Problem::new(Kind::Unavailable, "it took too long").into_response()
        }
        Err(error) => {
            tracing::error!(%method, path, %error, "an answer of the API broke off");
            Problem::new(Kind::Internal, "the server's log tells what it was").into_response()
        }
    };
    if !is_read(&method) {
        let status = response.status().as_u16();
        tracing::info!(token = name, peer = %peer.ip(), %method, path, status, "{method} {path} by {name}: {status}");
    }
    response
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// What every answer has: no copy of it is kept on the way, nobody guesses at its type, and an error is a problem.
async fn finish(request: Request, next: Next) -> Response {
    let (is_read, headers) = (is_read(request.method()), request.headers().get(ACCEPT).cloned());
    let mut response = next.run(request).await;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = response.headers_mut().remove(ALLOW);
        response = Problem::new(Kind::Method, "the header Allow tells what can be done").into_response();
        response.headers_mut().extend(allow.map(|allow| (ALLOW, allow)));
    }
    if is_read && response.status().is_success() {
        let own = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let accept: HeaderMap = headers.map(|accept| (ACCEPT, accept)).into_iter().collect();
        if own.is_some_and(|own| !accepts(&accept, own.split(';').next().unwrap_or_default())) {
            response = not_acceptable();
        }
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    );
    response
}

const CONTENT_SECURITY_POLICY: HeaderName = axum::http::header::CONTENT_SECURITY_POLICY;

fn not_acceptable() -> Response {
    Problem::new(Kind::NotAcceptable, "the header Accept lets nothing through that there is of it").into_response()
}

/// Whether an `Accept` header lets a type through: RFC 9110, 12.5.1. Preferences don't matter where there is one form.
fn accepts(headers: &HeaderMap, own: &str) -> bool {
    let mut ranges =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let kind = own.split('/').next().unwrap_or_default();
    let mut any = false;
    let fits = ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        any |= !range.is_empty();
        let refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
            quality.is_some_and(|quality| quality <= 0.0)
        });
        !refused && (range == "*/*" || range == own || range.strip_suffix("/*") == Some(kind))
    });
    fits || !any
}

impl Api {
    /// Finds out whose token a request comes with.
    ///
    /// # Errors
    /// 401 without a token that holds, 429 for who has tried too many, 503 where the database can't be asked.
    pub async fn authenticate(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Caller, Problem> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Err(Problem::no_token()) };
        let wait = self.brake().wait(peer, Instant::now());
        let bearer = bearer(value).filter(|_| values.next().is_none());
        let trusted = |bearer: &Bearer| self.brake().is_trusted(bearer.digest().as_str(), Instant::now());
        if let Some(wait) = wait
            && !bearer.as_ref().is_some_and(trusted)
        {
            let seconds = wait.as_secs() + 1;
            return Err(Problem::too_many("too many wrong tokens came from this address", seconds));
        }
        let Some(bearer) = bearer else { return Err(self.wrong(peer)) };
        let (digest, now) = (bearer.digest(), OffsetDateTime::now_utc());
        let token = self.store().token(&digest).await?.filter(|token| !token.is_expired(now));
        let Some(token) = token else { return Err(self.wrong(peer)) };
        self.brake().right(digest.as_str(), Instant::now());
        if Store::is_use_due(&token, now) {
            let store = self.store().clone();
            tokio::spawn(async move {
                if let Err(error) = store.use_token(&digest, now).await {
                    tracing::warn!("the use of a token could not be noted: {error}");
                }
            });
        }
        Ok(Caller { token, bearer, peer })
    }

    fn wrong(&self, peer: IpAddr) -> Problem {
        if self.brake().wrong(peer, Instant::now()) {
            tracing::warn!(%peer, "{peer} has presented many wrong tokens, and is not listened to for a minute");
        }
        Problem::wrong_token()
    }
}

/// The token of an `Authorization` header, if it can be one.
fn bearer(value: &HeaderValue) -> Option<Bearer> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    Bearer::parse(token.trim_ascii())
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        // The guard has put it there, or the request would not have come this far.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::no_token)
    }
}

impl Caller {
    /// # Errors
    /// 403 where the token's scope is less.
    pub fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.token.scope >= scope {
            return Ok(());
        }
        Err(Problem::forbidden(format!("this takes a token of scope {scope}; this one has {}", self.token.scope)))
    }

    /// # Errors
    /// 403 where the token is bound to a group.
    pub fn needs_whole_fleet(&self) -> Result<(), Problem> {
        match &self.token.group {
            None => Ok(()),
            Some(group) => Err(Problem::forbidden(format!(
                "this concerns the whole fleet, and the token is bound to the group \"{group}\""
            ))),
        }
    }

    /// # Errors
    /// 403 where secrets are asked for and the scope doesn't let them through.
    pub fn may_show(&self, secrets: Option<bool>) -> Result<bool, Problem> {
        let secrets = secrets.unwrap_or(false);
        if secrets {
            self.needs(Scope::Secrets)?;
        }
        Ok(secrets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accept_header_lets_through_what_it_names() {
        let accepts = |accept: &'static str| {
            accepts(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]), "application/json")
        };
        for fits in ["", "*/*", "application/json", "text/html, application/*;q=0.5", "Application/JSON; q=1"] {
            assert!(accepts(fits), "{fits}");
        }
        for differs in ["text/html", "application/json;q=0", "application/xml, text/*"] {
            assert!(!accepts(differs), "{differs}");
        }
    }

    #[test]
    fn only_a_token_is_taken_for_one() {
        let text = String::from_utf8(Bearer::generate().unwrap().expose().to_vec()).unwrap();
        let read = |value: String| bearer(&HeaderValue::from_str(&value).unwrap()).is_some();
        assert!(read(format!("Bearer {text}")) && read(format!("bearer  {text}")));
        for wrong in [text.clone(), format!("Basic {text}"), format!("Bearer{text}"), "Bearer ".to_owned()] {
            assert!(!read(wrong.clone()), "{wrong}");
        }
    }
}
