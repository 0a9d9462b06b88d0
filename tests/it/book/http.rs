//! The page of the HTTP API, made from the description that the service gives (OpenAPI).

use std::fmt::Write as _;

use light_splade::serve::{ServeOptions, Server};
use serde_json::Value;

use super::is_generated;
use crate::serve::client::get;

const INTRODUCTION: &str = "\
<!-- Made from the service's own description by `UPDATE_SNAPSHOTS=1 cargo test --test it book`; changes by hand are lost. -->

# HTTP API

This page lists every route of `light-splade serve` with its fields, for people who write clients.
[Serve models and indexes](../howto/serve.md) has examples, options and limits. A running service shows the same at `/docs`,
and for programs at `/api-doc/openapi.json` (OpenAPI 3.1).

Bodies are JSON. A field without the mark **required** may be left out.
";

#[test]
fn the_page_of_the_api_is_what_the_service_says() {
    let mut server = Server::start(ServeOptions {
        address: ([127, 0, 0, 1], 0).into(),
        ..ServeOptions::default()
    })
    .expect("it starts");
    server.ready().expect("it loads");
    let api = get(server.address(), "/api-doc/openapi.json").ok();
    let mut page = INTRODUCTION.to_owned();
    for (path, methods) in object(&api["paths"]) {
        for (method, route) in object(methods) {
            page.push_str(&section(path, method, route));
        }
    }
    page.push_str("\n## The bodies\n");
    for (name, schema) in object(&api["components"]["schemas"]) {
        let _ = write!(page, "\n### {name}\n\n");
        if let Some(about) = schema["description"].as_str() {
            let _ = write!(page, "{}\n\n", prose(about));
        }
        page.push_str(&schema_text(schema));
    }
    assert!(object(&api["paths"]).count() > 15);
    is_generated("docs/reference/http.md", &page);
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A route: what it does, its parameters, its body and its replies.
fn section(path: &str, method: &str, route: &Value) -> String {
    let mut text = format!("\n## {} {path}\n", method.to_uppercase());
    for about in [&route["summary"], &route["description"]] {
        if let Some(about) = about.as_str().filter(|about| !about.is_empty()) {
            let _ = write!(text, "\n{}\n", prose(about));
        }
    }
    let parameters = route["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    if !parameters.is_empty() {
        text.push_str("\n| parameter | in | |\n|---|---|---|\n");
    }
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        let place = parameter["in"].as_str().unwrap_or_default();
        let about = cell(parameter["description"].as_str().unwrap_or_default());
        let _ = writeln!(text, "| `{name}` | {place} | {about} |");
    }
    let body = &route["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        let _ = write!(text, "\nBody: {}\n", type_of(body));
    }
    text.push_str("\n| status | reply |\n|---|---|\n");
    for (status, reply) in object(&route["responses"]) {
        let about = cell(reply["description"].as_str().unwrap_or_default());
        let body = object(&reply["content"]).next().map(|(_, content)| &content["schema"]);
        let body = body.map_or(String::new(), |schema| format!(": {}", type_of(schema)));
        let _ = writeln!(text, "| {status} | {about}{body} |");
    }
    text
}

/// The fields of an object, or the type of anything else.
fn schema_text(schema: &Value) -> String {
    let fields: Vec<_> = object(&schema["properties"]).collect();
    if fields.is_empty() {
        return format!("{}\n", type_of(schema));
    }
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let mut text = "| field | type | |\n|---|---|---|\n".to_owned();
    for (name, field) in fields {
        let needed = required.iter().any(|one| one == name.as_str());
        let mark = if needed { "**required** " } else { "" };
        let about = cell(field["description"].as_str().unwrap_or_default());
        let _ = writeln!(text, "| `{name}` | {} | {mark}{about} |", type_of(field));
    }
    text
}

/// A type in a few words, with links to the bodies that have names.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(forms) = schema[key].as_array() {
            let forms: Vec<String> =
                forms.iter().map(type_of).filter(|form| !form.is_empty()).collect();
            return forms.join(" or ");
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    let name = |name: &str| match name {
        "array" => match &schema["items"] {
            Value::Null | Value::Bool(_) => "list".to_owned(),
            items => format!("list of {}", type_of(items)),
        },
        "object" => "object".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(one) => name(one),
        Value::Array(several) => {
            several.iter().filter_map(Value::as_str).map(name).collect::<Vec<_>>().join(" or ")
        }
        _ => "any value".to_owned(),
    }
}

/// A description as a paragraph.
fn prose(text: &str) -> String {
    text.trim().replace('<', "&lt;")
}

/// A description in a table.
fn cell(text: &str) -> String {
    prose(text).replace('\n', " ").replace('|', "\\|")
}
