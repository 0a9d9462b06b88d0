//! What `/metrics` tells, in the text form of Prometheus. Names that begin with `te_` are those of
//! text-embeddings-inference.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::error::{Error, invalid};

/// The counters, gauges and histograms of the service.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) request_count: IntCounterVec,
    pub(crate) request_success: IntCounterVec,
    pub(crate) request_failure: IntCounterVec,
    pub(crate) embed_count: IntCounter,
    pub(crate) embed_success: IntCounter,
    pub(crate) predict_count: IntCounter,
    pub(crate) predict_success: IntCounter,
    pub(crate) request_duration: Histogram,
    pub(crate) tokenization_duration: Histogram,
    pub(crate) queue_duration: Histogram,
    pub(crate) inference_duration: Histogram,
    pub(crate) input_length: Histogram,
    pub(crate) batch_texts: Histogram,
    pub(crate) batch_tokens: Histogram,
    pub(crate) queue_size: IntGauge,
    pub(crate) search_duration: HistogramVec,
    pub(crate) commit_duration: HistogramVec,
    pub(crate) changed_documents: IntCounterVec,
    pub(crate) dropped_spans: IntCounter,
}

impl Metrics {
    /// Makes all of them, at zero.
    pub(crate) fn new() -> Result<Self, Error> {
        Self::register().map_err(|error| invalid(format!("cannot make the metrics: {error}")))
    }

    fn register() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(histogram.clone())).map(|()| histogram)
        };
        let histograms = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(durations()?);
            let histograms = HistogramVec::new(options, &["index"])?;
            registry.register(Box::new(histograms.clone())).map(|()| histograms)
        };
        let sizes = || prometheus::exponential_buckets(1.0, 2.0, 16);
        let queue_size = IntGauge::new("te_queue_size", "Texts that wait to be computed")?;
        registry.register(Box::new(queue_size.clone()))?;
        Ok(Self {
            request_count: counters("te_request_count", "Requests", &["method"])?,
            request_success: counters(
                "te_request_success",
                "Requests that succeeded",
                &["method"],
            )?,
            request_failure: counters("te_request_failure", "Requests that failed", &["err"])?,
            embed_count: counter("te_embed_count", "Texts to encode")?,
            embed_success: counter("te_embed_success", "Texts that were encoded")?,
            predict_count: counter("te_predict_count", "Pairs to score")?,
            predict_success: counter("te_predict_success", "Pairs that were scored")?,
            request_duration: histogram(
                "te_request_duration",
                "Seconds of a request",
                durations()?,
            )?,
            tokenization_duration: histogram(
                "te_request_tokenization_duration",
                "Seconds of tokenization, the mean of a request's texts",
                durations()?,
            )?,
            queue_duration: histogram(
                "te_request_queue_duration",
                "Seconds in the queue, the mean of a request's texts",
                durations()?,
            )?,
            inference_duration: histogram(
                "te_request_inference_duration",
                "Seconds of computing, the mean of a request's texts",
                durations()?,
            )?,
            input_length: histogram("te_request_input_length", "Tokens of a text", sizes()?)?,
            batch_texts: histogram("te_batch_next_size", "Texts of a batch", sizes()?)?,
            batch_tokens: histogram("te_batch_next_tokens", "Tokens of a batch", sizes()?)?,
            queue_size,
            search_duration: histograms("ls_search_duration", "Seconds of a search in an index")?,
            commit_duration: histograms("ls_commit_duration", "Seconds of a commit of an index")?,
            changed_documents: counters(
                "ls_changed_documents",
                "Documents that were added, replaced or deleted",
                &["index"],
            )?,
            dropped_spans: counter("ls_dropped_spans", "Spans of traces that could not be sent")?,
            registry,
        })
    }

    /// The text that Prometheus reads.
    pub(crate) fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// The bounds of the buckets of times, in seconds: 1.5 to the power of 1 to 35, times 10 µs.
fn durations() -> prometheus::Result<Vec<f64>> {
    prometheus::exponential_buckets(1.5e-5, 1.5, 35)
}

/// What a request cost. Its headers and metrics are those of text-embeddings-inference.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) characters: usize,
    pub(crate) tokens: usize,
    /// The mean times of the texts.
    pub(crate) tokenization: Duration,
    pub(crate) queue: Duration,
    pub(crate) inference: Duration,
}

impl Metrics {
    /// Notes what a request cost.
    pub(crate) fn observe(&self, cost: &Cost, total: Duration) {
        self.request_duration.observe(total.as_secs_f64());
        self.tokenization_duration.observe(cost.tokenization.as_secs_f64());
        self.queue_duration.observe(cost.queue.as_secs_f64());
        self.inference_duration.observe(cost.inference.as_secs_f64());
    }
}
