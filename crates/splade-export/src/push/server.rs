//! The HTTP requests of each search engine.

use serde_json::Value;

use crate::elasticsearch::Elasticsearch;
use crate::opensearch::OpenSearch;
use crate::qdrant::Qdrant;
use crate::text::TextTarget;

/// A search engine that accepts documents over HTTP. The body of a request has the form of an
/// exported file.
///
/// ```
/// use splade_export::push::Server;
/// use splade_export::targets::Qdrant;
///
/// let qdrant = Qdrant::new("splade".to_owned(), 0);
/// assert_eq!(qdrant.index("texts"), "/collections/texts");
/// assert_eq!(qdrant.key("secret"), ("api-key", "secret".to_owned()));
/// ```
pub trait Server: TextTarget {
    /// Returns the header and its value for a key. A key that begins with `Basic `, `Bearer ` or
    /// `ApiKey ` is the unchanged value of `Authorization`.
    fn key(&self, key: &str) -> (&'static str, String) {
        match ["Basic ", "Bearer ", "ApiKey "].iter().any(|scheme| key.starts_with(scheme)) {
            true => ("Authorization", key.to_owned()),
            false => ("Authorization", format!("ApiKey {key}")),
        }
    }

    /// Returns the path of an index. GET reports whether it exists, PUT creates it, and DELETE
    /// removes it.
    fn index(&self, index: &str) -> String {
        format!("/{index}")
    }

    /// Returns the options that allow adding documents to an existing index, for messages.
    fn append(&self) -> &'static str {
        "--append"
    }

    /// Returns the method, the path and the content type of a request with documents.
    fn load(&self, index: &str) -> (&'static str, String, &'static str) {
        ("POST", format!("/{index}/_bulk"), "application/x-ndjson")
    }

    /// Returns the path of a POST after which searches find all documents, or `None` if the search
    /// search engine needs none.
    fn refresh(&self, index: &str) -> Option<String> {
        Some(format!("/{index}/_refresh"))
    }

    /// Returns the documents that were not stored although the status of the answer is a success.
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

    /// Returns whether an answer has the form in which this search engine answers a request with
    /// this number of documents.
    fn is_answer(&self, answer: &Value, documents: usize) -> bool {
        answer["items"].as_array().is_some_and(|items| items.len() == documents)
    }
}

/// A document that the search engine did not store.
///
/// ```
/// use splade_export::TermNames;
/// use splade_export::push::Server;
/// use splade_export::targets::{Elasticsearch, ElasticsearchField};
///
/// let kind = ElasticsearchField::SparseVector;
/// let engine = Elasticsearch::new(TermNames::ids(), "splade".to_owned(), kind);
/// let error = serde_json::json!({"type": "mapper", "reason": "no such field"});
/// let answer = serde_json::json!({"items": [
///     {"index": {"status": 201}},
///     {"index": {"status": 400, "error": error}},
/// ]});
/// let refused = engine.refused(&answer);
/// assert_eq!((refused[0].place, refused[0].reason.as_str()), (1, "mapper: no such field"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The place of the document in the request, counted from 0.
    pub place: usize,
    /// The status of the document, with the meaning of an HTTP status.
    pub status: u16,
    /// The reason from the search engine's answer.
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

    /// Returns two options, because points with the same numbers would be overwritten.
    fn append(&self) -> &'static str {
        "--append and a --first-id above the numbers of its points"
    }

    fn load(&self, index: &str) -> (&'static str, String, &'static str) {
        ("PUT", format!("/collections/{index}/points?wait=true"), "application/json")
    }

    fn refresh(&self, _index: &str) -> Option<String> {
        None
    }

    /// Returns nothing, because Qdrant stores either all documents of a request or none.
    fn refused(&self, _answer: &Value) -> Vec<Refused> {
        Vec::new()
    }

    fn is_answer(&self, answer: &Value, _documents: usize) -> bool {
        answer["status"] == "ok"
    }
}
