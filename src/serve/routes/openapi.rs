//! The description of all routes for programs, in OpenAPI 3.1.

use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::serve::routes::{
    health, indexes, openai, qdrant, search, sparse, tei, token_weights, tokens,
};

/// The routes, each with what it answers beside [`OF_BODIES`] and [`OF_ALL`].
#[derive(OpenApi)]
#[openapi(
    info(
        title = "light-splade",
        description = "Sparse vectors of texts, and search in them",
        license(name = "Apache-2.0", url = "https://www.apache.org/licenses/LICENSE-2.0")
    ),
    paths(
        health::health,
        health::metrics,
        tei::info,
        sparse::embed_sparse,
        sparse::embed,
        sparse::embed_all,
        sparse::similarity,
        sparse::explain,
        tei::rerank,
        tei::predict,
        tei::vertex,
        tokens::tokenize,
        tokens::decode,
        openai::embeddings,
        token_weights::array,
        token_weights::object,
        qdrant::infer,
        indexes::list,
        indexes::stats,
        search::search,
        indexes::create,
        indexes::remove,
        indexes::put,
        indexes::delete,
        indexes::merge,
    )
)]
struct ApiDoc;

/// The failures of all requests with a body.
const OF_BODIES: [(&str, &str); 6] = [
    ("400", "The body is not valid JSON, or there is nothing to work on"),
    ("408", "The body came too slowly"),
    ("413", "The body is too large"),
    ("415", "The body is not sent as JSON"),
    ("422", "The request is not valid"),
    ("424", "The model or the index cannot do it"),
];
/// The failures of all requests that need a key or the model.
const OF_ALL: [(&str, &str); 2] = [
    ("429", "Too much is waiting; Retry-After says in how many seconds to ask again"),
    ("503", "The service is starting or stopping"),
];

/// Returns the description of all routes.
pub(crate) async fn openapi() -> axum::Json<Value> {
    let mut api = ApiDoc::openapi();
    api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let mut api = serde_json::to_value(api).unwrap_or_default();
    api["components"]["securitySchemes"] = json!({"key": {"type": "http", "scheme": "bearer"}});
    // A service without keys asks for none.
    api["security"] = json!([{}, {"key": []}]);
    for name in ["InputText", "Input", "Texts", "Ids"] {
        let forms = api["components"]["schemas"][name]["oneOf"].as_array_mut();
        for form in forms.into_iter().flatten() {
            match form["type"].as_str() {
                Some("string") => form["minLength"] = json!(1),
                Some("array") => form["minItems"] = json!(1),
                _ => {}
            }
        }
    }
    if let Some(paths) = api["paths"].as_object_mut() {
        for (path, methods) in paths {
            for (_, operation) in methods.as_object_mut().into_iter().flatten() {
                complete(path, operation);
            }
        }
    }
    axum::Json(api)
}

/// Adds the failures that many routes share, unless the route says it itself.
fn complete(path: &str, operation: &mut Value) {
    if matches!(path, "/health" | "/metrics") {
        operation["security"] = json!([{}]);
        return;
    }
    let schema = match path {
        "/v1/embeddings" => json!({"$ref": "#/components/schemas/OpenAiErrorBody"}),
        "/qdrant" => json!({"type": "object", "properties": {"error": {"type": "string"}}}),
        _ => json!({"$ref": "#/components/schemas/ErrorBody"}),
    };
    let has_body = operation.get("requestBody").is_some();
    let responses = &mut operation["responses"];
    for (status, description) in OF_BODIES.iter().filter(|_| has_body).chain(OF_ALL.iter()) {
        if responses.get(status).is_none() {
            responses[status] = json!({
                "description": description,
                "content": {"application/json": {"schema": schema}},
            });
        }
    }
    responses["401"] = json!({"description": "The key is missing or wrong; there is no body"});
}
