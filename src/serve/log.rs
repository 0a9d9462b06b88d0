//! One line of the log for each request, with an id that the client gets, too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::body::Reserved;
use super::state::App;
use super::trace::{Span, Value};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id of a client that is taken over.
const LONGEST: usize = 128;

/// Answers a request, and writes the line.
pub(crate) async fn request(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let reserved = Reserved::default();
    request.extensions_mut().insert(reserved.clone());
    let sent = request.headers().get(&REQUEST_ID).filter(|id| id.len() <= LONGEST).cloned();
    let id = sent.unwrap_or_else(new_id);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // What machines ask all the time.
    let is_probe = matches!(path.as_str(), "/health" | "/ping" | "/metrics");
    let mut span = if is_probe { Span::none() } else { app.tracer.request(&request) };
    let mut response = span.within(next.run(request)).await;
    drop(reserved);
    let status = response.status();
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let shown = id.to_str().unwrap_or("?");
    let failed = status.is_client_error() || status.is_server_error();
    if failed {
        app.metrics.request_failure.with_label_values(&[status.as_str()]).inc();
    }
    span.set("http.response.status_code", usize::from(status.as_u16()));
    span.set("http.request.header.x-request-id", Value::Texts(vec![shown.to_owned()]));
    if status.is_server_error() {
        span.fail();
    }
    let (trace_id, status) = (span.trace_id(), status.as_u16());
    if is_probe {
        tracing::debug!(request_id = shown, %method, path, status, milliseconds);
    } else if failed {
        tracing::warn!(request_id = shown, trace_id, %method, path, status, milliseconds);
    } else {
        tracing::info!(request_id = shown, trace_id, %method, path, status, milliseconds);
    }
    span.tell(response.headers_mut());
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// An id that no other request of this service has: the time of its start and a number.
fn new_id() -> HeaderValue {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = format!("{:x}-{number:x}", time.as_micros());
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("0"))
}
