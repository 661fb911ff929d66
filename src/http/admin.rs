//! The admin listener: health and metrics. It answers on an address of its own, on loopback by default.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::events::Metrics;
use crate::tls::Bounds;

/// `/healthz`: the process answers. `/readyz`: phones are being served. `/metrics`: Prometheus' text form.
pub fn router(metrics: Arc<Metrics>, bounds: Bounds) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        // The listener opens only once a generation is in force and every phone listener is bound.
        .route("/readyz", get(|| async { "ready\n" }))
        .route("/metrics", get(encoded))
        .with_state((metrics, bounds))
}

async fn encoded(State((metrics, bounds)): State<(Arc<Metrics>, Bounds)>) -> impl IntoResponse {
    metrics.set_connections(bounds.open_connections());
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.encode())
}
