//! Traces: where the time of each request goes, as spans that a collector of OpenTelemetry gets.
//!
//! A request is a span, and its parts are spans below it: [`span()`] begins one wherever the work on a
//! request is. Where traces are not sent, nothing is recorded.

#[cfg(feature = "otel")]
mod otlp;
mod span;

use std::future::Future;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::metrics::Metrics;
use super::options::OtlpOptions;
use crate::error::Error;
#[cfg(feature = "otel")]
use otlp::Exporter;
pub(crate) use span::Value;
use span::{EndedSpan, SpanContext, SpanKind};

/// The header that says of which trace a request is a part.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A build that sends no traces has none.
#[cfg(not(feature = "otel"))]
#[derive(Debug)]
enum Exporter {}

#[cfg(not(feature = "otel"))]
impl Exporter {
    fn start(_: &OtlpOptions, _: prometheus::IntCounter) -> Result<Self, Error> {
        Err(crate::error::advised(
            "this build of light-splade sends no traces",
            "build it with the feature otel, or leave out the endpoint",
        ))
    }

    fn send(&self, _: EndedSpan) {
        match *self {}
    }

    fn close(&self) {
        match *self {}
    }
}

/// The way of spans to the collector; without one, spans are dropped at once.
#[derive(Debug, Clone)]
pub(crate) struct Tracer(Option<Arc<Exporter>>);

impl Tracer {
    /// Begins to send spans, if the options name a collector.
    pub(crate) fn start(options: Option<&OtlpOptions>, metrics: &Metrics) -> Result<Self, Error> {
        let start = |options| Exporter::start(options, metrics.dropped_spans.clone());
        Ok(Self(options.map(start).transpose()?.map(Arc::new)))
    }

    /// Begins the span of a request: below the caller's, if it names one. A caller that does not record
    /// its trace does not want this part of it either.
    pub(crate) fn request(&self, request: &Request) -> Span {
        let Some(exporter) = &self.0 else { return Span::none() };
        let caller = request.headers().get(&TRACEPARENT).and_then(|value| value.to_str().ok());
        let (context, parent) = match caller.and_then(SpanContext::parse) {
            Some((_, false)) => return Span::none(),
            Some((caller, true)) => (caller.child(), Some(caller.span)),
            None => (SpanContext::root(), None),
        };
        let (method, path) = (request.method().as_str(), request.uri().path());
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        // Names are few, so that spans can be compared: the route, and not the path with its names.
        let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let active = Active { exporter: Arc::clone(exporter), context };
        let mut span = Span::begin(active, parent, name, SpanKind::Server);
        span.set("http.request.method", method);
        span.set("url.path", path);
        if let Some(route) = route {
            span.set("http.route", route);
        }
        span
    }

    /// Sends what is waiting.
    pub(crate) fn close(&self) {
        if let Some(exporter) = &self.0 {
            exporter.close();
        }
    }
}

/// The span whose work is being done, and where its parts go.
#[derive(Debug, Clone)]
struct Active {
    exporter: Arc<Exporter>,
    context: SpanContext,
}

tokio::task_local! {
    static ACTIVE: Active;
}

/// Begins a span below the one whose work is being done.
pub(crate) fn span(name: &str) -> Span {
    let begin = |active: &Active| {
        let below = Active { context: active.context.child(), ..active.clone() };
        Span::begin(below, Some(active.context.span), name.to_owned(), SpanKind::Internal)
    };
    ACTIVE.try_with(begin).unwrap_or(Span::none())
}

/// A span that has begun. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Span(Option<Box<Begun>>);

#[derive(Debug)]
struct Begun {
    active: Active,
    begun: Instant,
    span: EndedSpan,
}

impl Span {
    /// A span that is not recorded.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    fn begin(active: Active, parent: Option<u64>, name: String, kind: SpanKind) -> Self {
        let (start, context) = (SystemTime::now(), active.context);
        let (attributes, failed) = (Vec::new(), false);
        let span = EndedSpan { context, parent, name, kind, start, end: start, attributes, failed };
        Self(Some(Box::new(Begun { active, begun: Instant::now(), span })))
    }

    /// Notes something about the span.
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(begun) = &mut self.0 {
            begun.span.attributes.push((key, value.into()));
        }
    }

    /// Notes that the service failed.
    pub(crate) fn fail(&mut self) {
        if let Some(begun) = &mut self.0 {
            begun.span.failed = true;
        }
    }

    /// Does work whose spans are parts of this one.
    pub(crate) async fn within<F: Future>(&self, work: F) -> F::Output {
        match &self.0 {
            Some(begun) => ACTIVE.scope(begun.active.clone(), work).await,
            None => work.await,
        }
    }

    /// The trace in hexadecimal digits, for the log.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|begun| format!("{:032x}", begun.span.context.trace))
    }

    /// Tells the client of which trace its request became a part.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let header = self.0.as_ref().map(|begun| begun.span.context.header());
        if let Some(value) = header.and_then(|header| HeaderValue::from_str(&header).ok()) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(begun) = self.0.take() {
            let Begun { active, begun, mut span } = *begun;
            // The clock of the system may have been set meanwhile.
            span.end = span.start + begun.elapsed();
            active.exporter.send(span);
        }
    }
}
