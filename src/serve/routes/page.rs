//! The pages for people.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

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
