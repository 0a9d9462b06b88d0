//! Tokens with their weights: the forms that Elasticsearch and OpenSearch ask a service for.

use std::sync::Arc;
use std::time::Instant;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize, Serializer};
use splade_sparse::{SparseVector, TermId};
use utoipa::{IntoParams, ToSchema};

use crate::serve::body::{Json, Query};
use crate::serve::encode::{self, Encoded, Input, SideName, finish};
use crate::serve::error::{ApiError, ErrorBody};
use crate::serve::model::Model;
use crate::serve::routes::sparse::{how, pruned};
use crate::serve::state::App;

/// What the address of a request says, for search engines whose bodies are fixed. The body takes
/// precedence.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The tower that encodes the texts.
    side: Option<SideName>,
    /// Returns the terms with the largest weights only, at most so many.
    top_k: Option<usize>,
    /// Returns the terms with at least this weight only.
    threshold: Option<f32>,
    /// Whether terms are named by their tokens or by their ids.
    sparse_embedding_format: Option<TermFormat>,
}

/// How terms are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TermFormat {
    /// By their tokens.
    Word,
    /// By their ids in the vocabulary.
    TokenId,
}

impl TermFormat {
    fn name(self, model: &Model, term: TermId) -> String {
        match self {
            Self::Word => model.encoder.token(term),
            Self::TokenId => term.0.to_string(),
        }
    }
}

/// A request for tokens with their weights.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TokenWeightsRequest {
    /// One text or several.
    #[schema(example = json!(["大阪万博"]))]
    #[serde(alias = "input")]
    inputs: Input,
    /// The tower that encodes the texts.
    #[serde(default)]
    side: Option<SideName>,
    /// Returns the terms with the largest weights only, at most so many.
    #[serde(default)]
    top_k: Option<usize>,
    /// Returns the terms with at least this weight only.
    #[serde(default)]
    threshold: Option<f32>,
    /// Whether terms are named by their tokens or by their ids.
    #[serde(default)]
    sparse_embedding_format: Option<TermFormat>,
}

/// A JSON object of tokens with their weights, the largest weight first.
#[derive(Debug)]
pub(crate) struct TokenMap(Vec<(String, f32)>);

impl Serialize for TokenMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(token, weight)| (token, weight)))
    }
}

/// The vectors of a request, and how their terms are named.
async fn encoded(
    app: &App,
    model: &Arc<Model>,
    parameters: Parameters,
    request: TokenWeightsRequest,
) -> Result<(Encoded, TermFormat), ApiError> {
    let how = how(app, request.side.or(parameters.side), None)?;
    let top_k = request.top_k.or(parameters.top_k);
    let threshold = request.threshold.or(parameters.threshold);
    let format = request.sparse_embedding_format.or(parameters.sparse_embedding_format);
    let texts = request.inputs.texts(app, "inputs")?;
    let mut encoded = encode::encode(app, model, texts, how).await?;
    app.metrics.request_success.with_label_values(&["batch"]).inc();
    let vectors = encoded.vectors.into_iter();
    encoded.vectors = vectors.map(|vector| pruned(vector, top_k, threshold)).collect();
    Ok((encoded, format.unwrap_or(TermFormat::Word)))
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
        (status = 200, description = "An object for each text", body = Vec<BTreeMap<String, f32>>,
            example = json!([{"万博": 2.1, "大阪": 1.9}])),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn array(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    Json(request): Json<TokenWeightsRequest>,
) -> Result<(HeaderMap, Reply<Vec<TokenMap>>), ApiError> {
    let start = Instant::now();
    let model = app.model()?;
    let (encoded, format) = encoded(&app, &model, parameters, request).await?;
    let object = |vector: &SparseVector| {
        let weights = vector.by_weight().into_iter();
        TokenMap(weights.map(|(term, weight)| (format.name(&model, term), weight)).collect())
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
    let (encoded, format) = encoded(&app, &model, parameters, request).await?;
    let terms = |(index, vector): (usize, &SparseVector)| TermList {
        index,
        embedding: vector
            .by_weight()
            .into_iter()
            .map(|(term, weight)| TokenWeight { token: format.name(&model, term), weight })
            .collect(),
    };
    let sparse_embeddings = encoded.vectors.iter().enumerate().map(terms).collect();
    Ok((finish(&app, start, &encoded.cost), Reply(SparseEmbeddings { sparse_embeddings })))
}
