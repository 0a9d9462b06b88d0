//! What engines want to be asked.

use serde_json::Value;

use crate::elasticsearch::Elasticsearch;
use crate::opensearch::OpenSearch;
use crate::qdrant::Qdrant;
use crate::text::TextTarget;

/// An engine that takes documents over HTTP. What one request takes is what one exported file holds.
pub trait Server: TextTarget {
    /// The header that a key goes into. A key that begins with `Basic `, `Bearer ` or `ApiKey ` is
    /// the value of `Authorization` as it is.
    fn key(&self, key: &str) -> (&'static str, String) {
        match ["Basic ", "Bearer ", "ApiKey "].iter().any(|scheme| key.starts_with(scheme)) {
            true => ("Authorization", key.to_owned()),
            false => ("Authorization", format!("ApiKey {key}")),
        }
    }

    /// The path of an index: GET tells whether it is there, PUT creates it, DELETE removes it.
    fn index(&self, index: &str) -> String {
        format!("/{index}")
    }

    /// What to give to put documents into an index that has some.
    fn append(&self) -> &'static str {
        "--append"
    }

    /// Method, path and content type of a request with documents.
    fn load(&self, index: &str) -> (&'static str, String, &'static str) {
        ("POST", format!("/{index}/_bulk"), "application/x-ndjson")
    }

    /// The path of a POST after which all documents are found, if one is needed.
    fn refresh(&self, index: &str) -> Option<String> {
        Some(format!("/{index}/_refresh"))
    }

    /// The documents that a request did not store though its status was a success.
    fn refused(&self, answer: &Value) -> Vec<Refused> {
        let items = answer["items"].as_array().into_iter().flatten().enumerate();
        let refused = items.filter_map(|(place, item)| {
            let status = item["index"]["status"].as_u64().unwrap_or(0) as u16;
            let error = &item["index"]["error"];
            let reason = match (error["type"].as_str(), error["reason"].as_str()) {
                (Some(kind), Some(reason)) => format!("{kind}: {reason}"),
                _ => error.to_string(),
            };
            (!(200..300).contains(&status)).then_some(Refused { place, status, reason })
        });
        refused.collect()
    }

    /// Whether an answer is one of this engine to so many documents.
    fn is_answer(&self, answer: &Value, documents: usize) -> bool {
        answer["items"].as_array().is_some_and(|items| items.len() == documents)
    }
}

/// A document that was not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the request.
    pub place: usize,
    /// As of HTTP.
    pub status: u16,
    /// What the engine said.
    pub reason: String,
}

impl Server for Elasticsearch {}

impl Server for OpenSearch {}

impl Server for Qdrant {
    fn key(&self, key: &str) -> (&'static str, String) {
        match key.starts_with("Bearer ") {
            true => ("Authorization", key.to_owned()),
            false => ("api-key", key.to_owned()),
        }
    }

    fn index(&self, index: &str) -> String {
        format!("/collections/{index}")
    }

    /// Points of the same numbers would be overwritten.
    fn append(&self) -> &'static str {
        "--append and a --first-id above the numbers of its points"
    }

    fn load(&self, index: &str) -> (&'static str, String, &'static str) {
        ("PUT", format!("/collections/{index}/points?wait=true"), "application/json")
    }

    fn refresh(&self, _index: &str) -> Option<String> {
        None
    }

    /// A request is stored as a whole or not at all.
    fn refused(&self, _answer: &Value) -> Vec<Refused> {
        Vec::new()
    }

    fn is_answer(&self, answer: &Value, _documents: usize) -> bool {
        answer["status"] == "ok"
    }
}
