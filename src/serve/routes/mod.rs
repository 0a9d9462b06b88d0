//! The routes, and who may use them.

pub(crate) mod health;
mod indexes;
mod openai;
mod openapi;
mod page;
mod qdrant;
mod search;
mod sparse;
mod tei;
mod token_weights;
mod tokens;
mod vector_input;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use splade_model::Side;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::error::{ApiError, ErrorType};
use super::log;
use super::options::Keys;
use super::state::App;
use crate::error::{Error, advised};

/// All routes of the service.
pub(crate) fn router(app: &App) -> Result<Router, Error> {
    let write = Router::new()
        .route("/v1/indexes/{name}", put(indexes::create).delete(indexes::remove))
        .route("/v1/indexes/{name}/documents", put(indexes::put).post(indexes::put))
        .route("/v1/indexes/{name}/documents", axum::routing::delete(indexes::delete))
        .route("/v1/indexes/{name}/merge", post(indexes::merge))
        .layer(from_fn_with_state(app.clone(), writers));
    let read = Router::new()
        .route("/info", get(tei::info))
        .merge(encoding())
        // For clients that cannot say what their texts are.
        .nest("/query", encoding().with_state(app.with_side(Side::Query)))
        .nest("/document", encoding().with_state(app.with_side(Side::Document)))
        .route("/v1/indexes", get(indexes::list))
        .route("/v1/indexes/{name}", get(indexes::stats))
        .route("/v1/indexes/{name}/search", post(search::search))
        .merge(write)
        .layer(from_fn_with_state(app.clone(), readers));
    let public = Router::new()
        // It looks for the key itself, because Qdrant sends it in the body.
        .route("/qdrant", post(qdrant::infer))
        .route("/", get(health::health))
        .route("/health", get(health::health))
        .route("/ping", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/ui", get(page::page))
        .route("/docs", get(page::docs))
        .route("/api-doc/openapi.json", get(openapi::openapi));
    let router = Router::new()
        .merge(read)
        .merge(public)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), log::request));
    let router = match cors(&app.options.cors)? {
        Some(cors) => router.layer(cors),
        None => router,
    };
    Ok(router.with_state(app.clone()))
}

/// The routes that take texts.
fn encoding() -> Router<App> {
    Router::new()
        .route("/", post(sparse::embed_sparse))
        .route("/invocations", post(sparse::embed_sparse))
        .route("/embed_sparse", post(sparse::embed_sparse))
        .route("/embed", post(sparse::embed))
        .route("/embed_all", post(sparse::embed_all))
        .route("/similarity", post(sparse::similarity))
        .route("/rerank", post(tei::rerank))
        .route("/predict", post(tei::predict))
        .route("/tokenize", post(tokens::tokenize))
        .route("/decode", post(tokens::decode))
        .route("/vertex", post(tei::vertex))
        .route("/embeddings", post(openai::embeddings))
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/token_weights", post(token_weights::array))
        .route("/v1/sparse_embeddings", post(token_weights::object))
        .route("/v1/explain", post(sparse::explain))
}

/// The routes of the port for metrics.
pub(crate) fn metrics_router(app: &App) -> Router {
    Router::new().route("/metrics", get(health::metrics)).with_state(app.clone())
}

/// Lets those pass who may read. Others get status 401 and no body, as from
/// text-embeddings-inference.
async fn readers(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.options.keys.may_read(request.headers()) || is_write(&request) {
        true => next.run(request).await,
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// Whether a request goes to the routes that check the keys for writing themselves.
fn is_write(request: &Request) -> bool {
    let path = request.uri().path();
    path.starts_with("/v1/indexes/")
        && request.method() != Method::GET
        && !path.ends_with("/search")
}

/// Lets those pass who may change indexes. Without keys only this machine may.
async fn writers(State(app): State<App>, request: Request, next: Next) -> Response {
    let keys: &Keys = &app.options.keys;
    if keys.is_open() && !app.options.address.ip().is_loopback() {
        return ApiError::validation(
            "indexes cannot be changed: the service has no key, and others can reach it; \
             start it with --write-key",
        )
        .with_status(StatusCode::FORBIDDEN)
        .into_response();
    }
    match keys.may_write(request.headers()) {
        true => next.run(request).await,
        false if keys.may_read(request.headers()) && !keys.read.is_empty() => {
            Keys::refuse_write().into_response()
        }
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn unknown(request: Request) -> ApiError {
    ApiError::not_found(format!("there is nothing at {}; see /docs", request.uri().path()))
}

async fn wrong_method(request: Request) -> ApiError {
    let message = format!("{} does not take {}; see /docs", request.uri().path(), request.method());
    ApiError::validation(message).with_status(StatusCode::METHOD_NOT_ALLOWED)
}

/// What a client gets where a handler panicked; later requests are not affected.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::new(ErrorType::Backend, "the request failed inside the service: this is a bug")
        .with_status(StatusCode::INTERNAL_SERVER_ERROR)
        .into_response()
}

/// The pages of other origins that may call the service; none if none is named.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>, Error> {
    let allowed = match origins {
        [] => return Ok(None),
        origins if origins.iter().any(|origin| origin == "*") => AllowOrigin::any(),
        origins => AllowOrigin::list(
            origins
                .iter()
                .map(|origin| {
                    origin.parse::<HeaderValue>().map_err(|_| {
                        advised(
                            format!("{origin:?} is not an origin"),
                            "give it as https://example.com, without a path",
                        )
                    })
                })
                .collect::<Result<Vec<_>, _>>()?,
        ),
    };
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let headers = [header::CONTENT_TYPE, header::AUTHORIZATION];
    Ok(Some(CorsLayer::new().allow_origin(allowed).allow_methods(methods).allow_headers(headers)))
}
