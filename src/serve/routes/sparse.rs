//! Vectors in the forms of text-embeddings-inference, and explanations.

use std::sync::Arc;
use std::time::Instant;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use splade_model::{Explanation, Side};
use splade_sparse::SparseVector;
use splade_text::Encoding;
use utoipa::ToSchema;

use crate::serve::body::{Json, Object};
use crate::serve::encode::{
    self, How, Input, InputText, SideName, TruncationDirection, check_count, finish,
};
use crate::serve::error::{ApiError, ErrorBody, ErrorType};
use crate::serve::metrics::Cost;
use crate::serve::model::Model;
use crate::serve::state::App;

/// A request for sparse vectors.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SparseRequest {
    /// A text, token ids, or a list of either.
    #[schema(example = "大阪万博は2025年に開催されます。")]
    pub(crate) inputs: Input,
    /// Whether a text that is too long is cut off; else it is an error. The default is that of the
    /// service, `auto_truncate` of `/info`.
    #[serde(default)]
    pub(crate) truncate: Option<bool>,
    /// Which end of a text that is too long is cut off; the model's own choice by default.
    #[serde(default)]
    pub(crate) truncation_direction: Option<TruncationDirection>,
    /// The name of the prompt that is put before the texts: `query` or `document`. It selects the
    /// tower of the same name, too.
    #[serde(default)]
    pub(crate) prompt_name: Option<SideName>,
    /// The tower that encodes the texts.
    #[serde(default)]
    pub(crate) side: Option<SideName>,
    /// Returns the terms with the largest weights only, at most so many.
    #[serde(default)]
    pub(crate) top_k: Option<usize>,
    /// Returns the terms with at least this weight only.
    #[serde(default)]
    pub(crate) threshold: Option<f32>,
    /// Adds the token of each term.
    #[serde(default)]
    pub(crate) return_tokens: bool,
    /// Adds for each term the token of the text that gave it its weight.
    #[serde(default)]
    pub(crate) explain: bool,
}

/// A term of a sparse vector.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SparseValue {
    /// The id of the term in the model's vocabulary.
    index: u32,
    /// Its weight, above zero.
    value: f32,
    /// Its token, if the request asked for tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The place of the token of the text that gave the weight, if the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    /// That token.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// Finds the side and the truncation that a request asks for.
pub(crate) fn how(
    app: &App,
    side: Option<SideName>,
    prompt_name: Option<SideName>,
) -> Result<How, ApiError> {
    let (side, named) = (side.map(Side::from), prompt_name.map(Side::from));
    if let (Some(a), Some(b)) = (side, named)
        && a != b
    {
        return Err(ApiError::validation("`side` and `prompt_name` name different towers"));
    }
    Ok(How::new(app, side.or(named)))
}

/// Leaves the terms of a vector that a request asks for.
pub(crate) fn pruned(
    vector: SparseVector,
    top_k: Option<usize>,
    threshold: Option<f32>,
) -> SparseVector {
    crate::pruning::Pruning { top_k, threshold, ..Default::default() }.apply(vector)
}

fn values(model: &Model, vector: &SparseVector, tokens: bool) -> Vec<SparseValue> {
    let value = |(term, weight): (splade_sparse::TermId, f32)| SparseValue {
        index: term.0,
        value: weight,
        token: tokens.then(|| model.encoder.token(term)),
        position: None,
        source: None,
    };
    vector.iter().map(value).collect()
}

/// Returns the sparse vectors of texts, terms in ascending order of their ids.
#[utoipa::path(
    post,
    path = "/embed_sparse",
    tag = "text-embeddings-inference",
    request_body = SparseRequest,
    responses(
        (status = 200, description = "One vector for each text", body = Vec<Vec<SparseValue>>),
        (status = 400, description = "There are no texts, or no valid JSON", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is not JSON", body = ErrorBody),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 424, description = "The model failed", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
        (status = 503, description = "The model is loading", body = ErrorBody),
    )
)]
pub(crate) async fn embed_sparse(
    State(app): State<App>,
    Json(request): Json<SparseRequest>,
) -> Result<(HeaderMap, Reply<Vec<Vec<SparseValue>>>), ApiError> {
    let start = Instant::now();
    let (vectors, cost) = sparse(&app, request).await?;
    Ok((finish(&app, start, &cost), Reply(vectors)))
}

/// Does the work of `/embed_sparse`.
pub(crate) async fn sparse(
    app: &App,
    request: SparseRequest,
) -> Result<(Vec<Vec<SparseValue>>, Cost), ApiError> {
    let method = if matches!(request.inputs, Input::One(_)) { "single" } else { "batch" };
    let model = app.model()?;
    let mut how = how(app, request.side, request.prompt_name)?;
    how.truncate = request.truncate.unwrap_or(how.truncate);
    how.direction = request.truncation_direction;
    let texts = request.inputs.texts(app, "inputs")?;
    let (top_k, threshold) = (request.top_k, request.threshold);
    if request.explain {
        let explained = explained(app, &model, texts, how, top_k, threshold).await?;
        app.metrics.request_success.with_label_values(&[method]).inc();
        return Ok(explained);
    }
    let encoded = encode::encode(app, &model, texts, how).await?;
    app.metrics.request_success.with_label_values(&[method]).inc();
    let vectors = encoded.vectors.into_iter();
    let vectors = vectors.map(|vector| pruned(vector, top_k, threshold));
    let values = vectors.map(|vector| values(&model, &vector, request.return_tokens)).collect();
    Ok((values, encoded.cost))
}

/// The vectors of texts with the token that gave each weight.
async fn explained(
    app: &App,
    model: &Arc<Model>,
    texts: Vec<InputText>,
    how: How,
    top_k: Option<usize>,
    threshold: Option<f32>,
) -> Result<(Vec<Vec<SparseValue>>, Cost), ApiError> {
    if texts.iter().any(|text| matches!(text, InputText::Ids(_))) {
        return Err(ApiError::validation("`explain` takes texts, not token ids"));
    }
    let (explained, cost) = encode::explain(app, model, texts, how).await?;
    let values = |(_, explanation): (_, Explanation)| {
        let kept = explanation.terms.iter().filter(|term| term.weight >= threshold.unwrap_or(0.0));
        let mut terms: Vec<_> = kept.take(top_k.unwrap_or(usize::MAX)).collect();
        terms.sort_by_key(|term| term.term);
        let value = |term: &splade_model::encoder::ExplainedTerm| SparseValue {
            index: term.term.0,
            value: term.weight,
            token: Some(model.encoder.token(term.term)),
            position: Some(term.position),
            source: explanation.tokens.get(term.position).cloned(),
        };
        terms.into_iter().map(value).collect()
    };
    Ok((explained.into_iter().map(values).collect(), cost))
}

/// A request for dense vectors.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EmbedRequest {
    #[serde(flatten)]
    sparse: SparseRequest,
    /// Must be false: vectors of SPLADE are not normalized.
    #[serde(default = "yes")]
    normalize: bool,
    /// Must be absent: the dimension is the size of the vocabulary.
    #[serde(default)]
    dimensions: Option<usize>,
}

fn yes() -> bool {
    true
}

/// Returns vectors as long as the vocabulary, with zeros. `/embed_sparse` sends less than a
/// hundredth of that.
#[utoipa::path(
    post,
    path = "/embed",
    tag = "text-embeddings-inference",
    request_body = EmbedRequest,
    responses(
        (status = 200, description = "One vector for each text", body = Vec<Vec<f32>>),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 424, description = "The model cannot do it", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn embed(
    State(app): State<App>,
    Json(request): Json<EmbedRequest>,
) -> Result<(HeaderMap, Reply<Vec<Vec<f32>>>), ApiError> {
    let start = Instant::now();
    if request.normalize {
        let message = "`normalize` is not available for SPLADE models";
        return Err(ApiError::new(ErrorType::Backend, message));
    }
    if request.dimensions.is_some() {
        return Err(ApiError::validation("`dimensions` is not available for SPLADE models"));
    }
    let vocab = app.model()?.encoder.vocab();
    let (vectors, cost) = sparse(&app, request.sparse).await?;
    let dense = |values: Vec<SparseValue>| {
        let mut vector = vec![0.0; vocab];
        values.iter().for_each(|value| vector[value.index as usize] = value.value);
        vector
    };
    let vectors = vectors.into_iter().map(dense).collect();
    Ok((finish(&app, start, &cost), Reply(vectors)))
}

/// Refuses: there is no vector of each token.
#[utoipa::path(
    post,
    path = "/embed_all",
    tag = "text-embeddings-inference",
    responses((status = 424, description = "SPLADE models pool their tokens", body = ErrorBody))
)]
pub(crate) async fn embed_all() -> ApiError {
    let message = "`/embed_all` is not available for SPLADE models";
    ApiError::new(ErrorType::Backend, message)
}

/// A request for the similarity of a sentence to others.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SimilarityRequest {
    #[schema(value_type = SimilarityInput)]
    inputs: Object<SimilarityInput>,
    #[serde(default)]
    #[schema(value_type = Option<SimilarityParameters>)]
    parameters: Option<Object<SimilarityParameters>>,
}

/// The sentences.
#[derive(Debug, Deserialize, ToSchema)]
struct SimilarityInput {
    /// The sentence that the others are compared with.
    #[schema(example = "日本の首都")]
    source_sentence: String,
    #[schema(example = json!(["東京は日本の首都です。"]), min_items = 1)]
    sentences: Vec<String>,
}

/// How the sentences are encoded.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct SimilarityParameters {
    #[serde(default)]
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: Option<TruncationDirection>,
    #[serde(default)]
    prompt_name: Option<SideName>,
}

/// Returns the cosine of a sentence's vector and of each of the others.
#[utoipa::path(
    post,
    path = "/similarity",
    tag = "text-embeddings-inference",
    request_body = SimilarityRequest,
    responses(
        (status = 200, description = "One number for each sentence", body = Vec<f32>),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn similarity(
    State(app): State<App>,
    Json(request): Json<SimilarityRequest>,
) -> Result<(HeaderMap, Reply<Vec<f32>>), ApiError> {
    let start = Instant::now();
    let Object(SimilarityInput { source_sentence, sentences }) = request.inputs;
    if sentences.is_empty() {
        return Err(ApiError::empty("inputs.sentences"));
    }
    check_count(sentences.len() + 1, &app, "inputs.sentences")?;
    let parameters = request.parameters.map(|Object(parameters)| parameters).unwrap_or_default();
    let mut how = how(&app, None, parameters.prompt_name)?;
    how.truncate = parameters.truncate.unwrap_or(how.truncate);
    how.direction = parameters.truncation_direction;
    let texts = std::iter::once(source_sentence).chain(sentences).map(InputText::Text).collect();
    let texts = Input::Many(texts).texts(&app, "inputs.sentences")?;
    let model = app.model()?;
    let encoded = encode::encode(&app, &model, texts, how).await?;
    app.metrics.request_success.with_label_values(&["batch"]).inc();
    let (first, others) = encoded.vectors.split_first().ok_or_else(|| ApiError::empty("inputs"))?;
    let norm = |vector: &SparseVector| vector.dot(vector).sqrt();
    let cosine = |other: &SparseVector| {
        let norms = norm(first) * norm(other);
        if norms > 0.0 { first.dot(other) / norms } else { 0.0 }
    };
    let cosines = others.iter().map(cosine).collect();
    Ok((finish(&app, start, &encoded.cost), Reply(cosines)))
}

/// A request to explain the vector of a text.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ExplainRequest {
    #[schema(example = "大阪万博")]
    text: String,
    #[serde(default)]
    side: Option<SideName>,
}

/// The tokens of a text, and the terms that they gave a weight to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explained {
    /// The tokens of the text as the model reads it, special tokens included.
    tokens: Vec<String>,
    /// The ids of these tokens.
    ids: Vec<u32>,
    /// Whether each token is a special one.
    special: Vec<bool>,
    /// The terms in descending order of their weights.
    terms: Vec<ExplainedTerm>,
    /// Whether the text was too long and has been cut off.
    truncated: bool,
}

/// A term, and the token that gave it its weight.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedTerm {
    index: u32,
    token: String,
    weight: f32,
    /// The place of the token of the text that gave the weight.
    position: usize,
}

/// Tells for each term of a text's vector which token gave it its weight.
#[utoipa::path(
    post,
    path = "/v1/explain",
    tag = "light-splade",
    request_body = ExplainRequest,
    responses(
        (status = 200, description = "Tokens and terms", body = Explained),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 429, description = "Too many texts are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn explain(
    State(app): State<App>,
    Json(request): Json<ExplainRequest>,
) -> Result<Reply<Explained>, ApiError> {
    let model = app.model()?;
    let how = How { truncate: true, ..How::new(&app, request.side.map(Side::from)) };
    let texts = vec![InputText::Text(request.text)];
    let (mut explained, _) = encode::explain(&app, &model, texts, how).await?;
    let (Encoding { ids, truncated }, explanation) =
        explained.pop().ok_or_else(|| ApiError::empty("text"))?;
    let tower = model.tower(how.side);
    let special = tower.tokenizer().special_ids();
    let term = |term: &splade_model::encoder::ExplainedTerm| ExplainedTerm {
        index: term.term.0,
        token: model.encoder.token(term.term),
        weight: term.weight,
        position: term.position,
    };
    Ok(Reply(Explained {
        special: ids.iter().map(|id| special.contains(id)).collect(),
        truncated,
        ids,
        terms: explanation.terms.iter().map(term).collect(),
        tokens: explanation.tokens,
    }))
}
