//! Whether the service is well, and what it has done.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::serve::error::{ApiError, ErrorBody, ErrorType};
use crate::serve::state::{App, Phase};

/// Tells whether the service answers: status 200 and no body, or 503 with `starting` or `draining`.
#[utoipa::path(
    get,
    path = "/health",
    tag = "Service",
    responses(
        (status = 200, description = "The service is ready"),
        (status = 503, description = "The service is starting or draining", body = ErrorBody),
    )
)]
pub(crate) async fn health(State(app): State<App>) -> Response {
    let what = match app.phase() {
        Phase::Ready => return StatusCode::OK.into_response(),
        Phase::Starting => "starting",
        Phase::Draining => "draining",
    };
    ApiError::new(ErrorType::Unhealthy, what).into_response()
}

/// Returns the metrics in the text form of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Service",
    responses((status = 200, description = "Metrics for Prometheus", body = String))
)]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render())
        .into_response()
}
