//! The parts that the targets Elasticsearch and OpenSearch share: bulk actions, the limits of ids
//! and queries, and queries on Lucene's `FeatureField`.

use super::json::{push, push_query, push_string, push_weights};
use super::text::HITS;
use super::tokens::TermNames;
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::ShardForm;

/// The largest length of an `_id` in bytes.
const ID_BYTES: usize = 512;
/// The default of `indices.query.bool.max_clause_count`.
const QUERY_TERMS: usize = 1024;

/// Returns the form of the files of documents. A file has about 15 MB of SPLADE vectors; a request
/// is limited to 100 MB.
pub(crate) fn form() -> ShardForm {
    ShardForm { format: super::text::EXPORT, stem: "documents", extension: "ndjson", rows: 5_000 }
}

/// Appends the line of the bulk action. The search engine takes the index from the URL.
pub(crate) fn push_action(id: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
    if id.is_empty() || id.len() > ID_BYTES {
        let bytes = id.len();
        let what = format!(
            "its id has {bytes} bytes; the search engine accepts ids of 1 to {ID_BYTES} bytes"
        );
        return Err(what.into());
    }
    out.extend_from_slice(b"{\"index\":{\"_id\":");
    push_string(out, id);
    out.extend_from_slice(b"}}\n");
    Ok(())
}

/// Appends the two lines of a document whose terms are features. Weights below the smallest normal
/// f32 are omitted, because the search engine refuses them and they add nothing to a score.
pub(crate) fn push_features(
    id: &str,
    vector: &SparseVector,
    (field, terms): (&str, &TermNames),
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    push_action(id, out)?;
    out.push(b'{');
    push_string(out, field);
    out.push(b':');
    push_weights(out, &vector.at_least(f32::MIN_POSITIVE), terms);
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// Checks that a query has at most as many terms as the search engine accepts clauses.
pub(crate) fn check_query(vector: &SparseVector) -> Result<(), Problem> {
    match vector.len() > QUERY_TERMS {
        true => Err(Problem::new(format!(
            "the query has {} terms; the search engine accepts {QUERY_TERMS} by default",
            vector.len()
        ))
        .with_remedy(format!("encode queries with --top-k {QUERY_TERMS}"))),
        false => Ok(()),
    }
}

/// Appends `{"size":10,"query":…}`. A query without terms is one that matches no documents.
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

/// Appends a query that sums features, which needs no plugin in Elasticsearch or OpenSearch.
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

/// Appends the line of a query with its id and its search.
pub(crate) fn push_query_line(
    out: &mut Vec<u8>,
    id: &str,
    vector: &SparseVector,
    query: impl FnOnce(&mut Vec<u8>),
) {
    push_query(out, id, |out| push_search(out, vector, query));
}
