//! The pages for people.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use splade_page::{COMMON_SCRIPT, POLICY, STYLE};

/// The page that shows expansions and searches.
static UI: LazyLock<String> = LazyLock::new(|| {
    put_together("light-splade", include_str!("../page/ui.html"), include_str!("../page/ui.js"))
});

/// The page that shows the routes.
static DOCS: LazyLock<String> = LazyLock::new(|| {
    let (content, script) = (include_str!("../page/docs.html"), include_str!("../page/docs.js"));
    put_together("light-splade: HTTP API", content, script)
});

/// Puts a page together of its parts, so that it needs no other request.
fn put_together(title: &str, content: &str, script: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n{content}<script>\n{COMMON_SCRIPT}{script}</script>\n</body>\n</html>\n"
    )
}

pub(crate) async fn page() -> Response {
    html(&UI)
}

pub(crate) async fn docs() -> Response {
    html(&DOCS)
}

fn html(page: &'static str) -> Response {
    // Besides what every page forbids, this one is shown in no frame of another page.
    let policy = format!("{POLICY}; frame-ancestors 'none'");
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, page).into_response()
}
