//! What Qdrant asks a self-hosted inference service for (`inference.address` of its config).

use axum::Json as Reply;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use splade_model::Side;
use utoipa::ToSchema;

use crate::serve::body::{Json, Object};
use crate::serve::encode::{self, How, InputText, check_count};
use crate::serve::error::ApiError;
use crate::serve::state::App;

/// A request of Qdrant.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct QdrantRequest {
    #[schema(min_items = 1, value_type = Vec<QdrantInput>)]
    inputs: Vec<Object<QdrantInput>>,
    /// What the vectors are for: `update` encodes documents, `search` queries.
    #[serde(default)]
    inference: Option<Purpose>,
    /// The key of the service: Qdrant sends it here, not as a header.
    #[serde(default)]
    token: Option<String>,
}

/// A text of a request of Qdrant.
#[derive(Debug, Deserialize, ToSchema)]
struct QdrantInput {
    /// The text.
    data: Value,
    /// Must be `text`.
    #[serde(default = "text")]
    data_type: String,
    /// The name of the model; it must be the one that is served.
    model: String,
    /// Must be empty.
    #[serde(default)]
    options: Option<Value>,
}

fn text() -> String {
    "text".to_owned()
}

/// What vectors are for.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Purpose {
    Update,
    Search,
}

/// The vectors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QdrantReply {
    embeddings: Vec<QdrantVector>,
    /// Always null.
    usage: Option<u64>,
}

/// A sparse vector as Qdrant has it.
#[derive(Debug, Serialize, ToSchema)]
struct QdrantVector {
    indices: Vec<u32>,
    values: Vec<f32>,
}

/// Answers Qdrant's inference requests.
#[utoipa::path(
    post,
    path = "/qdrant",
    tag = "Search engines",
    request_body = QdrantRequest,
    responses(
        (status = 200, description = "One vector for each input", body = QdrantReply),
        (status = 400, description = "The request is not valid; the body is {\"error\": …}"),
        (status = 429, description = "Too many texts are waiting; Retry-After says when to ask again"),
    )
)]
pub(crate) async fn infer(
    State(app): State<App>,
    headers: HeaderMap,
    request: Result<Json<QdrantRequest>, ApiError>,
) -> Response {
    let keys = &app.options.keys;
    let token = request.as_ref().ok().and_then(|Json(request)| request.token.as_deref());
    if !keys.may_read(&headers) && !token.is_some_and(|token| keys.may_read_with(token)) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match answer(&app, request).await {
        Ok(reply) => Reply(reply).into_response(),
        Err(error) => error.qdrant(),
    }
}

async fn answer(
    app: &App,
    request: Result<Json<QdrantRequest>, ApiError>,
) -> Result<QdrantReply, ApiError> {
    let Json(QdrantRequest { inputs, inference, .. }) = request?;
    check_count(inputs.len(), app, "inputs")?;
    let served = app.served_name();
    let texts = inputs.into_iter().map(|Object(input)| text_of(input, &served));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let side = match inference {
        None | Some(Purpose::Update) => Side::Document,
        Some(Purpose::Search) => Side::Query,
    };
    let model = app.model()?;
    let encoded = encode::encode(app, &model, texts, How::new(app, Some(side))).await?;
    let vector = |vector: splade_sparse::SparseVector| QdrantVector {
        indices: vector.terms().iter().map(|term| term.0).collect(),
        values: vector.weights().to_vec(),
    };
    Ok(QdrantReply { embeddings: encoded.vectors.into_iter().map(vector).collect(), usage: None })
}

fn text_of(input: QdrantInput, served: &str) -> Result<InputText, ApiError> {
    if !input.data_type.eq_ignore_ascii_case("text") {
        let kind = input.data_type;
        return Err(ApiError::validation(format!("the service takes text, not {kind:?}")));
    }
    if input.model != served {
        let model = input.model;
        return Err(ApiError::validation(format!("the service has {served:?}, not {model:?}")));
    }
    let is_empty = |options: &Value| match options {
        Value::Null => true,
        Value::Object(options) => options.is_empty(),
        _ => false,
    };
    if input.options.as_ref().is_some_and(|options| !is_empty(options)) {
        return Err(ApiError::validation("the service takes no `options`"));
    }
    match input.data {
        Value::String(text) if text.is_empty() => Err(ApiError::empty("data")),
        Value::String(text) => Ok(InputText::Text(text)),
        _ => Err(ApiError::validation("`data` must be a text")),
    }
}
