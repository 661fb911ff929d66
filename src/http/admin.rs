//! The admin listener: health, metrics, and the API. It answers on an address of its own, on loopback by default. Without a
//! token it tells how it is, and nothing else.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::body::Incoming;
use ipnet::IpNet;
use tower::ServiceExt;

use super::work::Work;
use crate::api::{self, Api, Peer, Problem};
use crate::brakes::Brakes;
use crate::events::Metrics;
use crate::records::Records;
use crate::resync::Connection;
use crate::tls::Bounds;

/// Answers the operator's people and machines. Clones share everything.
#[derive(Clone)]
pub struct Admin(Router);

/// What tells how much there is to do.
#[derive(Clone)]
pub struct Load {
    pub bounds: Bounds,
    pub brakes: Brakes,
    pub work: Work,
}

#[derive(Clone)]
struct Measured {
    metrics: Arc<Metrics>,
    load: Load,
    networks: Arc<[IpNet]>,
    api: Api,
}

impl Admin {
    /// `/healthz`: the process answers. `/readyz`: every phone is served; 503 while the database does not answer. `/metrics`: Prometheus' text form, for those in
    /// `networks` or with a token. `/api/v1/…`: the API.
    pub fn new(metrics: Arc<Metrics>, load: Load, networks: &[IpNet], records: Arc<Records>, api: Api) -> Self {
        let measured = Measured { metrics, load, networks: networks.into(), api: api.clone() };
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(move || ready(records.clone())))
            .route("/metrics", get(encoded))
            .with_state(measured)
            .merge(api::router(api));
        Self(router)
    }

    /// Answers one request.
    pub async fn answer(&self, connection: Connection, request: http::Request<Incoming>) -> Response<Body> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(connection.peer));
        match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The listener opens only once a generation is in force and every phone listener is bound. Without the database those are
/// served that are known here: a load balancer sends phones to others, if there are others.
async fn ready(records: Arc<Records>) -> impl IntoResponse {
    if records.is_away() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer; phones that are known here are served\n",
        );
    }
    (StatusCode::OK, "ready\n")
}

async fn encoded(
    State(measured): State<Measured>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    if !measured.networks.iter().any(|network| network.contains(&peer.ip())) {
        measured.api.authenticate(&headers, peer.ip()).await?.needs_whole_fleet()?;
    }
    let Load { bounds, brakes, work } = &measured.load;
    measured.metrics.set_connections(bounds.open_connections());
    measured.metrics.set_load(brakes.waiting(), work.in_work());
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, content_type)], measured.metrics.encode()))
}
