//! Tokens with their weights: the forms that Elasticsearch and OpenSearch ask a service for.

use std::time::Instant;

use axum::Json as Reply;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::serve::body::Json;
use crate::serve::encode::{self, Encoded, Input, SideName, finish};
use crate::serve::error::{ApiError, ErrorBody};
use crate::serve::model::Model;
use crate::serve::routes::sparse::{how, pruned};
use crate::serve::state::App;

/// What the address of the request says, since the bodies of search engines are fixed.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The tower that encodes the texts.
    side: Option<SideName>,
    /// Returns the terms with the largest weights only, at most so many.
    top_k: Option<usize>,
    /// Returns the terms with at least this weight only.
    threshold: Option<f32>,
}

/// A request for tokens with their weights.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TokenWeightsRequest {
    /// One text or several.
    #[schema(example = json!(["大阪万博"]))]
    #[serde(alias = "input")]
    inputs: Input,
}

async fn encoded(
    app: &App,
    model: &std::sync::Arc<Model>,
    parameters: Parameters,
    request: TokenWeightsRequest,
) -> Result<Encoded, ApiError> {
    let how = how(app, parameters.side, None)?;
    let texts = request.inputs.texts(app, "inputs")?;
    let mut encoded = encode::encode(app, model, texts, how).await?;
    app.metrics.request_success.with_label_values(&["batch"]).inc();
    let vectors = encoded.vectors.into_iter();
    let pruned = vectors.map(|vector| pruned(vector, parameters.top_k, parameters.threshold));
    encoded.vectors = pruned.collect();
    Ok(encoded)
}

/// Returns an array with an object for each text: tokens and their weights. It is what
/// Elasticsearch's inference service `hugging_face` wants for the task `sparse_embedding`, and what
/// OpenSearch's connector passes to `neural_sparse`.
#[utoipa::path(
    post,
    path = "/v1/token_weights",
    tag = "Search engines",
    params(Parameters),
    request_body = TokenWeightsRequest,
    responses(
        (status = 200, description = "An object for each text", body = Vec<Value>,
            example = json!([{"万博": 2.1, "大阪": 1.9}])),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn array(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    Json(request): Json<TokenWeightsRequest>,
) -> Result<(HeaderMap, Reply<Vec<Value>>), ApiError> {
    let start = Instant::now();
    let model = app.model()?;
    let encoded = encoded(&app, &model, parameters, request).await?;
    let object = |vector: &splade_sparse::SparseVector| {
        let weights = vector.by_weight().into_iter();
        let weights =
            weights.map(|(term, weight)| (model.encoder.token(term), Value::from(weight)));
        Value::Object(weights.collect::<Map<_, _>>())
    };
    let objects = encoded.vectors.iter().map(object).collect();
    Ok((finish(&app, start, &encoded.cost), Reply(objects)))
}

/// Vectors under the root of an object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SparseEmbeddings {
    sparse_embeddings: Vec<TermList>,
}

/// The terms of a text.
#[derive(Debug, Serialize, ToSchema)]
struct TermList {
    /// The place of the text in the request.
    index: usize,
    embedding: Vec<TokenWeight>,
}

/// A term of a text.
#[derive(Debug, Serialize, ToSchema)]
struct TokenWeight {
    token: String,
    weight: f32,
}

/// Returns an object with a list of terms for each text: for Elasticsearch's inference service
/// `custom`, whose `json_parser` needs an object.
#[utoipa::path(
    post,
    path = "/v1/sparse_embeddings",
    tag = "Search engines",
    params(Parameters),
    request_body = TokenWeightsRequest,
    responses(
        (status = 200, description = "A list of terms for each text", body = SparseEmbeddings),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn object(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    Json(request): Json<TokenWeightsRequest>,
) -> Result<(HeaderMap, Reply<SparseEmbeddings>), ApiError> {
    let start = Instant::now();
    let model = app.model()?;
    let encoded = encoded(&app, &model, parameters, request).await?;
    let terms = |(index, vector): (usize, &splade_sparse::SparseVector)| TermList {
        index,
        embedding: vector
            .by_weight()
            .into_iter()
            .map(|(term, weight)| TokenWeight { token: model.encoder.token(term), weight })
            .collect(),
    };
    let sparse_embeddings = encoded.vectors.iter().enumerate().map(terms).collect();
    Ok((finish(&app, start, &encoded.cost), Reply(SparseEmbeddings { sparse_embeddings })))
}
