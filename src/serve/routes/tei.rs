//! The rest of text-embeddings-inference: re-ranking, classes of pairs, and what is served.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use splade_model::CrossEncoder;
use utoipa::ToSchema;

use crate::serve::body::{Json, Object};
use crate::serve::encode::{TruncationDirection, check_count, check_reranker, finish, score};
use crate::serve::error::{ApiError, ErrorBody, ErrorType};
use crate::serve::metrics::Cost;
use crate::serve::routes::sparse::{SparseRequest, sparse};
use crate::serve::state::App;

/// What is served, and its limits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Info {
    model_id: String,
    /// The commit of a model of the hub.
    model_sha: Option<String>,
    /// The arithmetic: `float32` or `int8`.
    model_dtype: String,
    served_model_name: String,
    /// `{"embedding": {"pooling": "splade"}}`.
    model_type: Value,
    max_concurrent_requests: usize,
    /// The longest text in tokens.
    max_input_length: usize,
    max_batch_tokens: usize,
    max_batch_requests: Option<usize>,
    max_client_batch_size: usize,
    auto_truncate: bool,
    tokenization_workers: usize,
    version: &'static str,
    sha: Option<String>,
    docker_label: Option<String>,
    /// The size of the vocabulary: the dimension of the vectors.
    vocabulary: usize,
    /// The re-ranker.
    reranker: Option<String>,
    /// The names of the indexes.
    indexes: Vec<String>,
}

/// Tells what is served, and its limits.
#[utoipa::path(
    get,
    path = "/info",
    tag = "text-embeddings-inference",
    responses(
        (status = 200, description = "What is served", body = Info),
        (status = 503, description = "The model is loading", body = ErrorBody),
    )
)]
pub(crate) async fn info(State(app): State<App>) -> Result<Reply<Info>, ApiError> {
    let model = app.model()?;
    let limits = &app.options.limits;
    let dtype = match app.options.encoder.precision {
        splade_model::Precision::F32 => "float32",
        splade_model::Precision::Int8 => "int8",
        splade_model::Precision::Bf16 => "bfloat16",
    };
    Ok(Reply(Info {
        model_id: model.name().display().to_string(),
        model_sha: model.revision.clone(),
        model_dtype: dtype.to_owned(),
        served_model_name: app.served_name(),
        model_type: json!({"embedding": {"pooling": "splade"}}),
        max_concurrent_requests: limits.max_concurrent_requests,
        max_input_length: model.tower(splade_model::Side::Document).max_length(),
        max_batch_tokens: limits.max_batch_tokens,
        max_batch_requests: limits.max_batch_requests,
        max_client_batch_size: limits.max_client_batch_size,
        auto_truncate: app.options.auto_truncate,
        tokenization_workers: std::thread::available_parallelism().map_or(1, usize::from),
        version: env!("CARGO_PKG_VERSION"),
        sha: None,
        docker_label: None,
        vocabulary: model.encoder.vocab(),
        reranker: app.options.reranker.as_ref().map(|name| name.display().to_string()),
        indexes: app.indexes.all().iter().map(|index| index.name().to_owned()).collect(),
    }))
}

/// A request to order texts by how well they answer a query.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RerankRequest {
    #[schema(example = "日本の首都")]
    query: String,
    #[schema(example = json!(["東京は日本の首都です。", "大阪の天気"]), min_items = 1)]
    texts: Vec<String>,
    /// Whether a pair that is too long is cut off; else it is an error. The default is that of the
    /// service, `auto_truncate` of `/info`.
    #[serde(default)]
    truncate: Option<bool>,
    /// Must be absent or `right`.
    #[serde(default)]
    truncation_direction: Option<TruncationDirection>,
    /// Returns logits instead of probabilities.
    #[serde(default)]
    raw_scores: bool,
    /// Adds the texts to the reply.
    #[serde(default)]
    return_text: bool,
}

/// A text with its score.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rank {
    /// The place of the text in the request.
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    score: f32,
}

/// Returns the texts in descending order of their scores for the query. It needs a re-ranker.
#[utoipa::path(
    post,
    path = "/rerank",
    tag = "text-embeddings-inference",
    request_body = RerankRequest,
    responses(
        (status = 200, description = "The best text first", body = Vec<Rank>),
        (status = 400, description = "There are no texts", body = ErrorBody),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 424, description = "No re-ranker is loaded", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn rerank(
    State(app): State<App>,
    Json(request): Json<RerankRequest>,
) -> Result<(HeaderMap, Reply<Vec<Rank>>), ApiError> {
    let start = Instant::now();
    let (ranks, cost) = ranks(&app, request).await?;
    Ok((finish(&app, start, &cost), Reply(ranks)))
}

async fn ranks(app: &App, request: RerankRequest) -> Result<(Vec<Rank>, Cost), ApiError> {
    if request.texts.is_empty() {
        return Err(ApiError::empty("texts"));
    }
    check_direction(request.truncation_direction)?;
    check_count(request.texts.len(), app, "texts")?;
    if request.query.is_empty() && request.texts.iter().any(String::is_empty) {
        return Err(ApiError::empty("texts"));
    }
    app.metrics.request_count.with_label_values(&["batch"]).inc();
    let model = app.model()?;
    check_reranker(&model)?;
    let pairs = request.texts.iter().map(|text| (request.query.clone(), text.clone())).collect();
    let truncate = request.truncate.unwrap_or(app.options.auto_truncate);
    let (logits, cost) = score(app, &model, pairs, truncate).await?;
    app.metrics.request_success.with_label_values(&["batch"]).inc();
    let scores = logits.iter().filter_map(|logits| logits.first());
    let rank = |(index, (logit, text)): (usize, (&f32, String))| Rank {
        index,
        text: request.return_text.then_some(text),
        score: if request.raw_scores { *logit } else { sigmoid(*logit) },
    };
    let mut ranks: Vec<Rank> = scores.zip(request.texts).enumerate().map(rank).collect();
    ranks.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok((ranks, cost))
}

/// Refuses to cut pairs off at their starts.
fn check_direction(direction: Option<TruncationDirection>) -> Result<(), ApiError> {
    match direction {
        Some(TruncationDirection::Left) => Err(ApiError::validation(
            "pairs are cut off at their ends: leave out `truncation_direction`",
        )),
        _ => Ok(()),
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The probabilities of classes: the sigmoid of a single logit, the softmax of several.
fn probabilities(logits: &[f32]) -> Vec<f32> {
    if let [logit] = logits {
        return vec![sigmoid(*logit)];
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// A request for the classes of pairs.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PredictRequest {
    /// A pair of texts, or a list of pairs.
    #[schema(example = json!([["日本の首都", "東京は日本の首都です。"]]))]
    inputs: PredictInput,
    /// Whether a pair that is too long is cut off; else it is an error. The default is that of the
    /// service, `auto_truncate` of `/info`.
    #[serde(default)]
    truncate: Option<bool>,
    /// Must be absent or `right`.
    #[serde(default)]
    truncation_direction: Option<TruncationDirection>,
    /// Returns logits instead of probabilities.
    #[serde(default)]
    raw_scores: bool,
}

/// A query and a text.
type Pair = (String, String);

/// A pair, or a list of pairs. Single texts have the same forms in text-embeddings-inference, but a
/// cross-encoder cannot score them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum PredictInput {
    Text(String),
    One(Vec<String>),
    Many(Vec<Vec<String>>),
}

impl PredictInput {
    /// The pairs, and the method by which requests are counted.
    fn pairs(self) -> Result<(Vec<Pair>, &'static str), ApiError> {
        let pair = |texts: Vec<String>| match <[String; 2]>::try_from(texts) {
            Ok([first, second]) if first.is_empty() && second.is_empty() => {
                Err(ApiError::empty("inputs"))
            }
            Ok([first, second]) => Ok((first, second)),
            Err(texts) => Err(ApiError::validation(format!(
                "`inputs` has {} where the cross-encoder takes pairs of texts",
                if texts.len() == 1 {
                    "one text".to_owned()
                } else {
                    format!("{} texts", texts.len())
                }
            ))),
        };
        match self {
            Self::Text(text) => pair(vec![text]).map(|pair| (vec![pair], "single")),
            Self::One(texts) if texts.is_empty() => Err(ApiError::empty("inputs")),
            Self::One(texts) => pair(texts).map(|pair| (vec![pair], "single")),
            Self::Many(pairs) => {
                let pairs = pairs.into_iter().map(pair).collect::<Result<_, _>>()?;
                Ok((pairs, "batch"))
            }
        }
    }
}

/// A class with its score.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Prediction {
    score: f32,
    label: String,
}

/// The classes of one pair, or of each of several.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Predictions {
    One(Vec<Prediction>),
    Many(Vec<Vec<Prediction>>),
}

/// Returns the classes of pairs, the most probable first. It needs a re-ranker.
#[utoipa::path(
    post,
    path = "/predict",
    tag = "text-embeddings-inference",
    request_body = PredictRequest,
    responses(
        (status = 200, description = "The most probable class first", body = Predictions),
        (status = 400, description = "There are no pairs", body = ErrorBody),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 424, description = "No re-ranker is loaded", body = ErrorBody),
        (status = 429, description = "Too many pairs are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn predict(
    State(app): State<App>,
    Json(request): Json<PredictRequest>,
) -> Result<(HeaderMap, Reply<Predictions>), ApiError> {
    let start = Instant::now();
    let (predictions, cost) = predictions(&app, request).await?;
    Ok((finish(&app, start, &cost), Reply(predictions)))
}

async fn predictions(app: &App, request: PredictRequest) -> Result<(Predictions, Cost), ApiError> {
    check_direction(request.truncation_direction)?;
    let (pairs, method) = request.inputs.pairs()?;
    check_count(pairs.len(), app, "inputs")?;
    app.metrics.request_count.with_label_values(&[method]).inc();
    let model = app.model()?;
    let names = model.reranker.as_ref().map(CrossEncoder::label_names);
    let names = names
        .ok_or_else(|| ApiError::new(ErrorType::Backend, "model is not a classifier model"))?;
    let truncate = request.truncate.unwrap_or(app.options.auto_truncate);
    let (logits, cost) = score(app, &model, pairs, truncate).await?;
    app.metrics.request_success.with_label_values(&[method]).inc();
    let classes = |logits: &Vec<f32>| {
        let scores = if request.raw_scores { logits.clone() } else { probabilities(logits) };
        let class = |(score, label): (f32, &String)| Prediction { score, label: label.clone() };
        let mut classes: Vec<Prediction> = scores.into_iter().zip(names).map(class).collect();
        classes.sort_by(|a, b| b.score.total_cmp(&a.score));
        classes
    };
    let mut all: Vec<Vec<Prediction>> = logits.iter().map(classes).collect();
    let predictions = match method {
        "single" => Predictions::One(all.pop().unwrap_or_default()),
        _ => Predictions::Many(all),
    };
    Ok((predictions, cost))
}

/// Requests of Vertex AI, each like one of `/rerank` or `/embed_sparse`.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct VertexRequest {
    #[schema(min_items = 1)]
    instances: Vec<Value>,
}

/// Answers requests of Vertex AI: `{"predictions": […]}`, one reply for each instance.
#[utoipa::path(
    post,
    path = "/vertex",
    tag = "text-embeddings-inference",
    request_body = VertexRequest,
    responses(
        (status = 200, description = "One prediction for each instance", body = Value),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn vertex(
    State(app): State<App>,
    Json(request): Json<VertexRequest>,
) -> Result<Reply<BTreeMap<&'static str, Vec<Value>>>, ApiError> {
    check_count(request.instances.len(), &app, "instances")?;
    let mut predictions = Vec::with_capacity(request.instances.len());
    for instance in request.instances {
        let invalid = |error: serde_json::Error| ApiError::validation(error.to_string());
        let reply = match Object::<RerankRequest>::deserialize(&instance) {
            Ok(Object(rerank)) => serde_json::to_value(ranks(&app, rerank).await?.0),
            Err(_) => {
                let Object(request) =
                    Object::<SparseRequest>::deserialize(instance).map_err(invalid)?;
                serde_json::to_value(sparse(&app, request).await?.0)
            }
        };
        predictions.push(reply.map_err(invalid)?);
    }
    Ok(Reply(BTreeMap::from([("predictions", predictions)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_sigmoid_and_softmax() {
        assert_eq!(probabilities(&[0.0]), [0.5]);
        // By hand: 1 / (1 + e^-2) = 0.8808.
        assert!((probabilities(&[2.0])[0] - 0.880_797).abs() < 1e-6);
        // Softmax of (0, ln 3) is (1/4, 3/4), and it does not overflow.
        let two = probabilities(&[0.0, 3f32.ln()]);
        assert!((two[0] - 0.25).abs() < 1e-6 && (two[1] - 0.75).abs() < 1e-6);
        assert_eq!(probabilities(&[1000.0, 0.0]), [1.0, 0.0]);
    }
}
