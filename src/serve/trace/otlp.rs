//! Spans are sent to a collector: the OpenTelemetry protocol (OTLP) over HTTP, as Protocol Buffers
//! ([specification](https://opentelemetry.io/docs/specs/otlp/#otlphttp)). A thread collects spans and
//! sends them together. Requests never wait for it: spans that find no place in its queue are dropped
//! and counted.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::IntCounter;
use prost::Message as _;
use splade_http::{Address, Again, Content, Http, HttpOptions, Redirects, Request};
use splade_io::{Event, Observer};

use super::span::{EndedSpan, Value};
use crate::error::{Error, advised};
use crate::serve::options::OtlpOptions;

/// The spans that may wait, those that are sent together, and the longest time that one waits: the
/// defaults of OpenTelemetry's batch processor.
const QUEUE: usize = 2048;
const TOGETHER: usize = 512;
const DELAY: Duration = Duration::from_secs(5);
/// The time that is left for spans when the service stops.
const LAST: Duration = Duration::from_secs(5);
/// The time after which a collector that does not answer is given up.
const SILENCE: Duration = Duration::from_secs(10);
/// Collectors that are busy are asked again so many times.
const RETRIES: u32 = 2;
/// The largest answer of a collector that is read.
const ANSWER: usize = 1 << 16;

/// What the thread gets.
#[derive(Debug)]
enum Order {
    Send(Box<EndedSpan>),
    Close,
}

/// The queue of spans that are sent.
#[derive(Debug)]
pub(crate) struct Exporter {
    orders: SyncSender<Order>,
    dropped: IntCounter,
    /// Set when the service stops.
    closed: Arc<OnceLock<Instant>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Starts the thread that sends spans to the collector.
    pub(crate) fn start(options: &OtlpOptions, dropped: IntCounter) -> Result<Self, Error> {
        let (orders, received) = sync_channel(QUEUE);
        let closed = Arc::new(OnceLock::new());
        let mut collector = Collector::new(options, Patience(Arc::clone(&closed)))?;
        let count = dropped.clone();
        let thread = std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || collector.run(&received, &count))
            .map_err(|error| Error::Threads(Box::new(error)))?;
        Ok(Self { orders, dropped, closed, thread: Mutex::new(Some(thread)) })
    }

    /// Sends a span later, or drops it where too many are waiting.
    pub(crate) fn send(&self, span: EndedSpan) {
        if let Err(TrySendError::Full(_)) = self.orders.try_send(Order::Send(Box::new(span))) {
            self.dropped.inc();
        }
    }

    /// Sends what is waiting, and ends the thread.
    pub(crate) fn close(&self) {
        _ = self.closed.set(Instant::now());
        _ = self.orders.send(Order::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            _ = thread.join();
        }
    }
}

/// Gives requests up some time after the service has begun to stop.
#[derive(Debug)]
struct Patience(Arc<OnceLock<Instant>>);

impl Observer for Patience {
    fn event(&mut self, _: Event<'_>) {}

    fn stop(&mut self) -> bool {
        self.0.get().is_some_and(|closed| closed.elapsed() > LAST)
    }
}

/// The collector that spans are sent to.
struct Collector {
    http: Http,
    address: Address,
    headers: Vec<(&'static str, String)>,
    service: String,
    patience: Patience,
    /// Whether the last spans could not be sent.
    failing: bool,
}

impl Collector {
    fn new(options: &OtlpOptions, patience: Patience) -> Result<Self, Error> {
        let wrong =
            |problem: String| advised(problem, "give the address of a collector: http://HOST:4318");
        let endpoint = options.endpoint.trim_end_matches('/');
        let path = if endpoint.ends_with("/v1/traces") { "" } else { "/v1/traces" };
        let address = Address::parse(&format!("{endpoint}{path}"));
        let address = address.map_err(|error| wrong(format!("traces cannot be sent: {error}")))?;
        if endpoint.ends_with(":4317") {
            tracing::warn!(
                "traces are sent by OTLP over HTTP, but port 4317 is usually for OTLP over gRPC; \
                 collectors take HTTP at port 4318"
            );
        }
        let mut headers = vec![("Content-Type", "application/x-protobuf".to_owned())];
        for (name, value) in &options.headers {
            // Names of headers live as long as the process, and are read once.
            let value = percent_encoding::percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| {
                advised(
                    format!("the header {name} of traces is not UTF-8 after its percent-encoding is undone"),
                    "write its value as URLs are written: %20 is a blank",
                )
            })?;
            headers.push((String::leak(name.clone()), value.into_owned()));
        }
        let mut http = HttpOptions::from_env();
        (http.retries, http.silence) = (RETRIES, SILENCE);
        let (http, service) = (Http::new(http), options.service_name.clone());
        Ok(Self { http, address, headers, service, patience, failing: false })
    }

    /// Sends spans until the service stops.
    fn run(&mut self, orders: &Receiver<Order>, dropped: &IntCounter) {
        let mut waiting: Vec<EndedSpan> = Vec::new();
        let mut due = Instant::now();
        loop {
            let order = match waiting.is_empty() {
                true => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => orders.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let ends = match order {
                Ok(Order::Send(span)) => {
                    if waiting.is_empty() {
                        due = Instant::now() + DELAY;
                    }
                    waiting.push(*span);
                    if waiting.len() < TOGETHER {
                        continue;
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => true,
            };
            if !waiting.is_empty() {
                let spans = std::mem::take(&mut waiting);
                let count = spans.len() as u64;
                let sent = self.send(spans);
                if sent.is_err() {
                    dropped.inc_by(count);
                }
                self.tell(sent);
            }
            if ends {
                return;
            }
        }
    }

    /// Says in the log when spans cannot be sent any more, and when they can be again.
    fn tell(&mut self, sent: Result<(), String>) {
        let address = &self.address;
        match (self.failing, &sent) {
            (false, Err(problem)) => tracing::warn!(
                "traces are lost, {address} does not take them: {problem}; it must be a collector \
                 that speaks OTLP over HTTP, usually at port 4318"
            ),
            (true, Ok(())) => tracing::info!("{address} takes traces again"),
            _ => {}
        }
        self.failing = sent.is_err();
    }

    /// Sends spans in one request. An error says what the collector answered.
    fn send(&mut self, spans: Vec<EndedSpan>) -> Result<(), String> {
        let body = proto::request(&self.service, spans).encode_to_vec();
        let request = Request {
            headers: self.headers.clone(),
            content: Content::Bytes(body.into()),
            // Headers may hold a key, which is for this server alone.
            redirects: Redirects::None,
            // A collector that has taken spans may still fail to answer: they would be there twice.
            again: Again::Busy,
            ..Request::new("POST", self.address.clone())
        };
        let answer = self.http.call(&request, &mut self.patience);
        let answer = answer.map_err(|error| error.to_string())?;
        if !answer.is_success() {
            return Err(format!("it answered with status {}", answer.status));
        }
        let body = answer.bytes(ANSWER, &mut self.patience).map_err(|error| error.to_string())?;
        // A body that cannot be read is that of another version: the spans were taken.
        let partial = proto::Response::decode(&*body).unwrap_or_default().partial_success;
        match partial.unwrap_or_default() {
            proto::PartialSuccess { rejected_spans: 0, .. } => Ok(()),
            proto::PartialSuccess { rejected_spans, error_message } => {
                Err(format!("it refused {rejected_spans} spans: {error_message}"))
            }
        }
    }
}

/// Nanoseconds since 1970.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX)
}

/// The messages of `opentelemetry/proto/collector/trace/v1/trace_service.proto` and of what it uses,
/// with the fields that are sent.
mod proto {
    use super::{EndedSpan, Value, nanoseconds};

    #[derive(prost::Message)]
    pub(super) struct Request {
        #[prost(message, repeated, tag = "1")]
        resource_spans: Vec<ResourceSpans>,
    }

    #[derive(prost::Message)]
    struct ResourceSpans {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        scope_spans: Vec<ScopeSpans>,
    }

    #[derive(prost::Message)]
    struct Resource {
        #[prost(message, repeated, tag = "1")]
        attributes: Vec<KeyValue>,
    }

    #[derive(prost::Message)]
    struct ScopeSpans {
        #[prost(message, optional, tag = "1")]
        scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")]
        spans: Vec<Span>,
    }

    #[derive(prost::Message)]
    struct Scope {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        version: String,
    }

    #[derive(prost::Message)]
    struct Span {
        #[prost(bytes = "vec", tag = "1")]
        trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        span_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "4")]
        parent_span_id: Vec<u8>,
        #[prost(string, tag = "5")]
        name: String,
        #[prost(int32, tag = "6")]
        kind: i32,
        #[prost(fixed64, tag = "7")]
        start_time_unix_nano: u64,
        #[prost(fixed64, tag = "8")]
        end_time_unix_nano: u64,
        #[prost(message, repeated, tag = "9")]
        attributes: Vec<KeyValue>,
        #[prost(message, optional, tag = "15")]
        status: Option<Status>,
    }

    #[derive(prost::Message)]
    struct Status {
        #[prost(int32, tag = "3")]
        code: i32,
    }

    /// `STATUS_CODE_ERROR`.
    const FAILED: i32 = 2;

    #[derive(prost::Message)]
    struct KeyValue {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(message, optional, tag = "2")]
        value: Option<AnyValue>,
    }

    #[derive(prost::Message)]
    struct AnyValue {
        #[prost(oneof = "Kind", tags = "1, 3, 4, 5")]
        kind: Option<Kind>,
    }

    #[derive(prost::Oneof)]
    enum Kind {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(int64, tag = "3")]
        Number(i64),
        #[prost(double, tag = "4")]
        Decimal(f64),
        #[prost(message, tag = "5")]
        Array(ArrayValue),
    }

    #[derive(prost::Message)]
    struct ArrayValue {
        #[prost(message, repeated, tag = "1")]
        values: Vec<AnyValue>,
    }

    #[derive(prost::Message)]
    pub(super) struct Response {
        #[prost(message, optional, tag = "1")]
        pub(super) partial_success: Option<PartialSuccess>,
    }

    #[derive(prost::Message)]
    pub(super) struct PartialSuccess {
        #[prost(int64, tag = "1")]
        pub(super) rejected_spans: i64,
        #[prost(string, tag = "2")]
        pub(super) error_message: String,
    }

    impl From<Value> for AnyValue {
        fn from(value: Value) -> Self {
            let kind = match value {
                Value::Text(text) => Kind::Text(text),
                Value::Number(number) => Kind::Number(number),
                Value::Decimal(number) => Kind::Decimal(number),
                Value::Texts(texts) => {
                    let values = texts.into_iter().map(|text| Value::Text(text).into());
                    Kind::Array(ArrayValue { values: values.collect() })
                }
            };
            Self { kind: Some(kind) }
        }
    }

    fn attribute((key, value): (&str, Value)) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(value.into()) }
    }

    impl From<EndedSpan> for Span {
        fn from(span: EndedSpan) -> Self {
            let bytes = |id: u64| id.to_be_bytes().to_vec();
            Self {
                trace_id: span.context.trace.to_be_bytes().to_vec(),
                span_id: bytes(span.context.span),
                parent_span_id: span.parent.map(bytes).unwrap_or_default(),
                name: span.name,
                kind: span.kind as i32,
                start_time_unix_nano: nanoseconds(span.start),
                end_time_unix_nano: nanoseconds(span.end),
                attributes: span.attributes.into_iter().map(attribute).collect(),
                status: span.failed.then_some(Status { code: FAILED }),
            }
        }
    }

    /// The request for spans of the service.
    pub(super) fn request(service: &str, spans: Vec<EndedSpan>) -> Request {
        let version = env!("CARGO_PKG_VERSION");
        let about = [("service.name", service.into()), ("service.version", version.into())];
        let resource = Resource { attributes: about.into_iter().map(attribute).collect() };
        let scope = Scope { name: "light-splade".to_owned(), version: version.to_owned() };
        let spans = spans.into_iter().map(Span::from).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        Request { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }
    }
}
