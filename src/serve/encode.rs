//! Texts of requests become vectors, scores and explanations: permits, tokens, the queue, and what
//! it cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use splade_model::{CrossEncoder, Encoder, Explanation, Side};
use splade_sparse::SparseVector;
use splade_text::{Encoding, PairEncoding};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use utoipa::ToSchema;

use super::blocking::blocking;
use super::compute::{Computed, Reply, Work};
use super::error::{ApiError, ErrorType};
use super::metrics::Cost;
use super::model::Model;
use super::state::App;
use super::trace;
use crate::error::Error;

/// The length from which a text is tokenized on a thread of its own, in bytes. Shorter ones take
/// less time than the change of threads.
const LONG_TEXT: usize = 8192;

/// A text, or its token ids.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum InputText {
    /// A text.
    Text(String),
    /// The ids of its tokens, special tokens included.
    Ids(Vec<u32>),
}

impl InputText {
    fn characters(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::Ids(ids) => ids.len(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Ids(ids) => ids.is_empty(),
        }
    }
}

/// One text, or several.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Input {
    /// One text.
    One(InputText),
    /// Several texts.
    Many(Vec<InputText>),
}

impl Input {
    /// The texts. A request of many must have some, but not too many.
    pub(crate) fn texts(self, app: &App, name: &str) -> Result<Vec<InputText>, ApiError> {
        let texts = match self {
            Self::One(text) => {
                app.metrics.request_count.with_label_values(&["single"]).inc();
                vec![text]
            }
            Self::Many(texts) => {
                app.metrics.request_count.with_label_values(&["batch"]).inc();
                check_count(texts.len(), app, name)?;
                texts
            }
        };
        match texts.iter().any(InputText::is_empty) {
            true => Err(ApiError::empty(name)),
            false => Ok(texts),
        }
    }
}

/// Refuses a request without texts, or with too many.
pub(crate) fn check_count(count: usize, app: &App, name: &str) -> Result<(), ApiError> {
    let most = app.options.limits.max_client_batch_size;
    match count {
        0 => Err(ApiError::empty(name)),
        count if count > most => Err(ApiError::validation(format!(
            "batch size {count} > maximum allowed batch size {most}"
        ))),
        _ => Ok(()),
    }
}

/// Which end of a text that is too long is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) enum TruncationDirection {
    /// The start.
    #[serde(alias = "left")]
    Left,
    /// The end.
    #[serde(alias = "right")]
    Right,
}

/// The tower that encodes a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SideName {
    /// The tower of queries.
    #[serde(alias = "search")]
    Query,
    /// The tower of documents.
    #[serde(alias = "passage", alias = "corpus")]
    Document,
}

impl From<SideName> for Side {
    fn from(name: SideName) -> Self {
        match name {
            SideName::Query => Self::Query,
            SideName::Document => Self::Document,
        }
    }
}

/// How texts are encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) side: Side,
    /// Whether a text that is too long is cut; else it is an error.
    pub(crate) truncate: bool,
    /// Which end is cut; the model's own choice if none.
    pub(crate) direction: Option<TruncationDirection>,
}

impl How {
    /// The defaults of the service for a side, or for its default side.
    pub(crate) fn new(app: &App, side: Option<Side>) -> Self {
        let truncate = app.options.auto_truncate;
        Self { side: side.unwrap_or(app.side), truncate, direction: None }
    }

    /// Tokenizes a text and cuts it.
    fn ids(&self, tower: &Encoder, text: InputText) -> Result<Encoding, ApiError> {
        let ids = match text {
            InputText::Text(text) => tower.token_ids(&text).map_err(Error::from)?,
            InputText::Ids(ids) => {
                if let Some(id) = ids.iter().find(|id| **id as usize >= tower.vocab()) {
                    let message = format!(
                        "there is no token {id}: the vocabulary has {} tokens",
                        tower.vocab()
                    );
                    return Err(ApiError::new(ErrorType::Tokenizer, message));
                }
                ids
            }
        };
        let (longest, given) = (tower.max_length(), ids.len());
        if given > longest && !self.truncate {
            return Err(too_long(longest, given));
        }
        let left = match self.direction {
            Some(direction) => direction == TruncationDirection::Left,
            None => tower.tokenizer().truncates_left(),
        };
        Ok(Encoding { ids: tower.truncate(ids, left), truncated: given > longest })
    }
}

/// Vectors with what they cost.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) vectors: Vec<SparseVector>,
    pub(crate) cost: Cost,
}

/// Encodes texts. The request is refused at once if not all of them find a place in the queue.
pub(crate) async fn encode(
    app: &App,
    model: &Arc<Model>,
    texts: Vec<InputText>,
    how: How,
) -> Result<Encoded, ApiError> {
    let work = |ids, reply| Work::Encode(how.side, ids, reply);
    let (_, vectors, cost) = computed(app, model, texts, how, work).await?;
    Ok(Encoded { vectors, cost })
}

/// The tokens of texts, and which of them gave each term its weight.
pub(crate) type Explained = Vec<(Encoding, Explanation)>;

/// Explains the vectors of texts. The request is refused as one of [`encode`] is.
pub(crate) async fn explain(
    app: &App,
    model: &Arc<Model>,
    texts: Vec<InputText>,
    how: How,
) -> Result<(Explained, Cost), ApiError> {
    let work = |ids, reply| Work::Explain(how.side, ids, reply);
    let (tokens, explanations, cost) = computed(app, model, texts, how, work).await?;
    Ok((tokens.into_iter().zip(explanations).collect(), cost))
}

/// Tokenizes texts and computes something of the ids of each. Returns the tokens, the results and
/// what they cost.
async fn computed<T>(
    app: &App,
    model: &Arc<Model>,
    texts: Vec<InputText>,
    how: How,
    work: impl Fn(Vec<u32>, Reply<T>) -> Work,
) -> Result<(Vec<Encoding>, Vec<T>, Cost), ApiError> {
    let _permits = permits(app, texts.len())?;
    let characters = texts.iter().map(InputText::characters).sum();
    app.metrics.embed_count.inc_by(texts.len() as u64);
    let start = Instant::now();
    let span = trace::span("tokenize");
    let encodings = tokenize(app, model, texts, how).await?;
    drop(span);
    let tokenization = mean(start.elapsed(), encodings.len());
    let tokens = encodings.iter().map(|encoding| encoding.ids.len()).sum::<usize>();
    let mut span = trace::span("encode");
    span.set("splade.texts", encodings.len());
    span.set("splade.tokens", tokens);
    let mut replies = Vec::with_capacity(encodings.len());
    for Encoding { ids, .. } in &encodings {
        app.metrics.input_length.observe(ids.len() as f64);
        replies.push(send(app, model, |reply| work(ids.clone(), reply), ids.len()));
    }
    let (values, queue, inference) = all(replies).await?;
    span.set("splade.queue_seconds", queue.as_secs_f64());
    span.set("splade.batch_seconds", inference.as_secs_f64());
    app.metrics.embed_success.inc_by(values.len() as u64);
    Ok((encodings, values, Cost { characters, tokens, tokenization, queue, inference }))
}

/// Scores pairs of texts with the cross-encoder: the logits of every pair. A pair that is too long is cut
/// off, or with `truncate` false an error.
pub(crate) async fn score(
    app: &App,
    model: &Arc<Model>,
    pairs: Vec<(String, String)>,
    truncate: bool,
) -> Result<(Vec<Vec<f32>>, Cost), ApiError> {
    let _permits = permits(app, pairs.len())?;
    let characters = pairs.iter().map(|(a, b)| a.chars().count() + b.chars().count()).sum();
    app.metrics.predict_count.inc_by(pairs.len() as u64);
    let start = Instant::now();
    let span = trace::span("tokenize");
    let encodings = tokenize_pairs(app, model, pairs, truncate).await?;
    drop(span);
    let tokenization = mean(start.elapsed(), encodings.len());
    let tokens = encodings.iter().map(|encoding| encoding.ids.len()).sum::<usize>();
    let mut span = trace::span("score");
    span.set("splade.texts", encodings.len());
    span.set("splade.tokens", tokens);
    let mut replies = Vec::with_capacity(encodings.len());
    for encoding in encodings {
        let length = encoding.ids.len();
        app.metrics.input_length.observe(length as f64);
        replies.push(send(app, model, |reply| Work::Pair(encoding, reply), length));
    }
    let (logits, queue, inference) = all(replies).await?;
    span.set("splade.queue_seconds", queue.as_secs_f64());
    span.set("splade.batch_seconds", inference.as_secs_f64());
    app.metrics.predict_success.inc_by(logits.len() as u64);
    Ok((logits, Cost { characters, tokens, tokenization, queue, inference }))
}

async fn tokenize_pairs(
    app: &App,
    model: &Arc<Model>,
    pairs: Vec<(String, String)>,
    truncate: bool,
) -> Result<Vec<PairEncoding>, ApiError> {
    let bytes = pairs.iter().map(|(a, b)| a.len() + b.len()).sum();
    let model = Arc::clone(model);
    on_thread(app, bytes, move || {
        let reranker = model.reranker.as_ref().ok_or_else(no_reranker)?;
        let tokenizer = reranker.tokenizer();
        let encode = |(a, b): &(String, String)| {
            let encoding = tokenizer.encode_one(a, b).map_err(Error::from)?;
            if encoding.truncated && !truncate {
                let given = tokenizer.length_of(a, b).map_err(Error::from)?;
                return Err(too_long(tokenizer.max_length(), given));
            }
            Ok(encoding)
        };
        pairs.iter().map(encode).collect()
    })
    .await?
}

fn no_reranker() -> ApiError {
    ApiError::new(ErrorType::Backend, "model is not a re-ranker model")
}

fn too_long(longest: usize, given: usize) -> ApiError {
    ApiError::validation(format!("`inputs` must have less than {longest} tokens. Given: {given}"))
}

/// Refuses where there is no cross-encoder with a single class.
pub(crate) fn check_reranker(model: &Model) -> Result<(), ApiError> {
    match model.reranker.as_ref().map(CrossEncoder::labels) {
        Some(1) => Ok(()),
        _ => Err(no_reranker()),
    }
}

/// Takes a place in the queue for every text.
pub(crate) fn permits(app: &App, texts: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    let count = u32::try_from(texts).unwrap_or(u32::MAX);
    Arc::clone(&app.texts).try_acquire_many_owned(count).map_err(|_| ApiError::overloaded())
}

async fn tokenize(
    app: &App,
    model: &Arc<Model>,
    texts: Vec<InputText>,
    how: How,
) -> Result<Vec<Encoding>, ApiError> {
    let length = |text: &InputText| match text {
        InputText::Text(text) => text.len(),
        InputText::Ids(_) => 0,
    };
    let bytes = texts.iter().map(length).sum();
    let model = Arc::clone(model);
    on_thread(app, bytes, move || {
        let tower = model.tower(how.side);
        texts.into_iter().map(|text| how.ids(tower, text)).collect()
    })
    .await?
}

/// Works on texts of so many bytes: at once if they are short, else on one of a few threads that may
/// wait. Tokenization can take a hundred times the memory of its text.
pub(crate) async fn on_thread<T: Send + 'static>(
    app: &App,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    if bytes <= LONG_TEXT {
        return Ok(work());
    }
    let permit = Arc::clone(&app.long_texts).acquire_owned().await.map_err(|_| lost())?;
    let work = move || {
        let _permit = permit;
        work()
    };
    blocking(work).await
}

fn send<T>(
    app: &App,
    model: &Arc<Model>,
    work: impl FnOnce(Reply<T>) -> Work,
    tokens: usize,
) -> oneshot::Receiver<Result<Computed<T>, Error>> {
    let (reply, result) = oneshot::channel();
    app.compute.push(model, work(reply), tokens);
    result
}

/// Waits for all results, and returns them with their mean times in the queue and in a batch.
async fn all<T>(
    replies: Vec<oneshot::Receiver<Result<Computed<T>, Error>>>,
) -> Result<(Vec<T>, Duration, Duration), ApiError> {
    let count = replies.len();
    let (mut values, mut queue, mut inference) =
        (Vec::with_capacity(count), Duration::ZERO, Duration::ZERO);
    for reply in replies {
        let computed = reply.await.map_err(|_| lost())??;
        values.push(computed.value);
        queue += computed.queue;
        inference += computed.inference;
    }
    Ok((values, mean(queue, count), mean(inference, count)))
}

fn mean(total: Duration, count: usize) -> Duration {
    total / u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}

fn lost() -> ApiError {
    ApiError::new(ErrorType::Backend, "the computation was lost")
}

/// The headers that tell what a request cost, and the metrics of it.
pub(crate) fn finish(app: &App, start: Instant, cost: &Cost) -> HeaderMap {
    let total = start.elapsed();
    app.metrics.observe(cost, total);
    let mut headers = HeaderMap::new();
    headers.insert("x-compute-type", HeaderValue::from_static("cpu"));
    for (name, value) in [
        ("x-compute-time", total.as_millis()),
        ("x-compute-characters", cost.characters as u128),
        ("x-compute-tokens", cost.tokens as u128),
        ("x-total-time", total.as_millis()),
        ("x-tokenization-time", cost.tokenization.as_millis()),
        ("x-queue-time", cost.queue.as_millis()),
        ("x-inference-time", cost.inference.as_millis()),
    ] {
        let value = HeaderValue::from(u64::try_from(value).unwrap_or(u64::MAX));
        headers.insert(HeaderName::from_static(name), value);
    }
    headers
}
