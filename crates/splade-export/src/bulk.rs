//! What Elasticsearch and OpenSearch have in common: bulk actions, the limits of ids, and queries
//! that Lucene's `FeatureField` answers.

use super::json::{push, push_query, push_string, push_weights};
use super::text::HITS;
use super::tokens::TermNames;
use splade_sparse::SparseVector;
use splade_sparse::files::ShardForm;

/// Bytes of an `_id`.
const ID_BYTES: usize = 512;
/// `indices.query.bool.max_clause_count` where nobody has changed it.
const QUERY_TERMS: usize = 1024;

/// Documents of a file: about 15 MB of SPLADE's vectors, where requests end at 100 MB.
pub(crate) fn form() -> ShardForm {
    ShardForm { format: super::text::EXPORT, stem: "documents", extension: "ndjson", rows: 5_000 }
}

/// Appends the line of the action; the engine takes the index from the URL.
pub(crate) fn push_action(id: &str, out: &mut Vec<u8>) -> Result<(), String> {
    if id.is_empty() || id.len() > ID_BYTES {
        return Err(format!(
            "its id has {} bytes; the engine takes ids of 1 to {ID_BYTES} bytes",
            id.len()
        ));
    }
    out.extend_from_slice(b"{\"index\":{\"_id\":");
    push_string(out, id);
    out.extend_from_slice(b"}}\n");
    Ok(())
}

/// Appends the two lines of a document whose terms are features. Weights below the smallest normal
/// float, which the engine refuses, are left out: they add nothing to a score.
pub(crate) fn push_features(
    id: &str,
    vector: &SparseVector,
    (field, terms): (&str, &TermNames),
    out: &mut Vec<u8>,
) -> Result<(), String> {
    push_action(id, out)?;
    out.push(b'{');
    push_string(out, field);
    out.push(b':');
    push_weights(out, &vector.at_least(f32::MIN_POSITIVE), terms);
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// The limit of queries on features.
pub(crate) fn check_query(vector: &SparseVector) -> Result<(), String> {
    match vector.len() > QUERY_TERMS {
        true => Err(format!(
            "the query has {} terms; the engine takes {QUERY_TERMS}: encode queries with --top-k",
            vector.len()
        )),
        false => Ok(()),
    }
}

/// Appends `{"size":10,"query":…}`. A query without terms finds nothing.
pub(crate) fn push_search(
    out: &mut Vec<u8>,
    vector: &SparseVector,
    query: impl FnOnce(&mut Vec<u8>),
) {
    push!(out, "{{\"size\":{HITS},\"query\":");
    match vector.is_empty() {
        true => out.extend_from_slice(b"{\"match_none\":{}}"),
        false => query(out),
    }
    out.push(b'}');
}

/// Appends a sum of features, which needs no plugin of either engine.
pub(crate) fn push_rank_features(
    out: &mut Vec<u8>,
    vector: &SparseVector,
    (field, terms): (&str, &TermNames),
) {
    out.extend_from_slice(b"{\"bool\":{\"should\":[");
    for (place, (term, weight)) in vector.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        push!(out, "{comma}{{\"rank_feature\":{{\"field\":");
        push_string(out, &format!("{field}.{}", terms.name(term)));
        push!(out, ",\"boost\":{weight},\"linear\":{{}}}}}}");
    }
    out.extend_from_slice(b"]}}");
}

/// Appends a line of a query with its search.
pub(crate) fn push_query_line(
    out: &mut Vec<u8>,
    id: &str,
    vector: &SparseVector,
    query: impl FnOnce(&mut Vec<u8>),
) {
    push_query(out, id, |out| push_search(out, vector, query));
}
