//! The pages for people, and the description of all routes for programs.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use crate::serve::routes::{health, indexes, openai, qdrant, sparse, tei, token_weights, tokens};

/// What the browser may do for a page: nothing from another host.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Puts a page together of its parts, so that it needs no other request.
macro_rules! page {
    ($title:literal, $name:literal) => {
        concat!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
            $title,
            "</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n",
            include_str!("../page/style.css"),
            "</style>\n</head>\n<body>\n",
            include_str!(concat!("../page/", $name, ".html")),
            "<script>\n",
            include_str!(concat!("../page/", $name, ".js")),
            "</script>\n</body>\n</html>\n",
        )
    };
}

/// The page that shows expansions and searches.
pub(crate) async fn page() -> Response {
    html(page!("light-splade", "ui"))
}

/// The page that shows the routes.
pub(crate) async fn docs() -> Response {
    html(page!("light-splade: HTTP API", "docs"))
}

fn html(page: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, page).into_response()
}

/// The description of all routes in OpenAPI 3.1.
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
        indexes::search,
        indexes::create,
        indexes::remove,
        indexes::put,
        indexes::delete,
        indexes::merge,
    )
)]
struct ApiDoc;

/// Returns the description of all routes.
pub(crate) async fn openapi() -> Response {
    let mut api = ApiDoc::openapi();
    api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    axum::Json(api).into_response()
}
