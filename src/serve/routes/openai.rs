//! Sparse vectors in an envelope like that of OpenAI's embeddings, as vLLM's sparse models send them.

use std::time::Instant;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::serve::body::Json;
use crate::serve::encode::{self, Input, SideName, finish};
use crate::serve::error::{ApiError, OpenAiErrorBody};
use crate::serve::routes::sparse::how;
use crate::serve::state::App;

/// A request like those for OpenAI's embeddings.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EmbeddingsRequest {
    /// A text, token ids, or a list of either.
    #[schema(example = json!(["大阪万博"]))]
    input: Input,
    /// The name of the model. Another name than that of the served model is noted in the log only.
    #[serde(default)]
    model: Option<String>,
    /// Must be absent, `float` or `base64`. It changes nothing: OpenAI's library asks for `base64` of
    /// itself, and sparse vectors have no such form.
    #[serde(default)]
    encoding_format: Option<String>,
    /// Must be absent.
    #[serde(default)]
    dimensions: Option<usize>,
    /// The tower that encodes the texts.
    #[serde(default)]
    side: Option<SideName>,
}

/// The vectors of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingsReply {
    object: &'static str,
    data: Vec<SparseEmbedding>,
    model: String,
    usage: Usage,
}

/// The vector of a text.
#[derive(Debug, Serialize, ToSchema)]
struct SparseEmbedding {
    object: &'static str,
    index: usize,
    sparse_embedding: Vec<SparseToken>,
}

/// A term of a vector.
#[derive(Debug, Serialize, ToSchema)]
struct SparseToken {
    token_id: u32,
    weight: f32,
    token: String,
}

/// What a request took.
#[derive(Debug, Serialize, ToSchema)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// Returns sparse vectors under `data[].sparse_embedding`. There is no dense `embedding`.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "OpenAI and vLLM",
    request_body = EmbeddingsRequest,
    responses(
        (status = 200, description = "One vector for each text", body = EmbeddingsReply),
        (status = 422, description = "The request is not valid", body = OpenAiErrorBody),
        (status = 429, description = "Too many texts are waiting", body = OpenAiErrorBody),
    )
)]
pub(crate) async fn embeddings(
    State(app): State<App>,
    request: Result<Json<EmbeddingsRequest>, ApiError>,
) -> Response {
    match answer(&app, request).await {
        Ok((headers, reply)) => (headers, Reply(reply)).into_response(),
        Err(error) => error.openai(),
    }
}

async fn answer(
    app: &App,
    request: Result<Json<EmbeddingsRequest>, ApiError>,
) -> Result<(HeaderMap, EmbeddingsReply), ApiError> {
    let start = Instant::now();
    let Json(request) = request?;
    if request.dimensions.is_some() {
        return Err(ApiError::validation("`dimensions` is not available for SPLADE models"));
    }
    let is_known = |format: &String| matches!(format.as_str(), "float" | "base64");
    if !request.encoding_format.as_ref().is_none_or(is_known) {
        return Err(ApiError::validation("`encoding_format` must be `float` or `base64`"));
    }
    let served = app.served_name();
    if let Some(asked) = request.model.filter(|asked| *asked != served) {
        tracing::warn!(asked, served, "a request names another model than the one that is served");
    }
    let how = how(app, request.side, None)?;
    let texts = request.input.texts(app, "input")?;
    let model = app.model()?;
    let encoded = encode::encode(app, &model, texts, how).await?;
    app.metrics.request_success.with_label_values(&["batch"]).inc();
    let embedding = |(index, vector): (usize, &splade_sparse::SparseVector)| {
        let token = |(term, weight): (splade_sparse::TermId, f32)| SparseToken {
            token_id: term.0,
            weight,
            token: model.encoder.token(term),
        };
        let sparse_embedding = vector.iter().map(token).collect();
        SparseEmbedding { object: "embedding", index, sparse_embedding }
    };
    let tokens = encoded.cost.tokens;
    let reply = EmbeddingsReply {
        object: "list",
        data: encoded.vectors.iter().enumerate().map(embedding).collect(),
        model: served,
        usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
    };
    Ok((finish(app, start, &encoded.cost), reply))
}
