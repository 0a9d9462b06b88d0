//! Elasticsearch: `sparse_vector` (8.15 and later answer its query), or `rank_features` for older
//! ones and for OpenSearch without plugins.

use serde_json::json;

use super::bulk;
use super::json::{push, push_string, push_weights};
use super::quantize::Quantisation;
use super::text::TextTarget;
use super::tokens::TermNames;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// An index with a field of vectors.
#[derive(Debug)]
pub struct Elasticsearch {
    terms: TermNames,
    field: String,
    kind: ElasticsearchField,
}

/// The type of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElasticsearchField {
    /// `sparse_vector`.
    SparseVector,
    /// `rank_features`.
    RankFeatures,
}

impl Elasticsearch {
    /// Documents with a field. Dots in tokens, which mean a path there, become `%2E`.
    pub fn new(terms: TermNames, field: String, kind: ElasticsearchField) -> Self {
        Self { terms: terms.without(|mark| mark == '.'), field, kind }
    }
}

impl TextTarget for Elasticsearch {
    fn form(&self) -> ShardForm {
        bulk::form()
    }

    fn quantisation(&self) -> Quantisation {
        Quantisation::FeatureField
    }

    fn document(
        &self,
        _row: u64,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        bulk::push_features(id, vector, (&self.field, &self.terms), out)
    }

    fn queries_file(&self) -> &'static str {
        "queries.ndjson"
    }

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), String> {
        bulk::check_query(vector)?;
        bulk::push_query_line(out, id, vector, |out| match self.kind {
            ElasticsearchField::SparseVector => {
                out.extend_from_slice(b"{\"sparse_vector\":{\"field\":");
                push_string(out, &self.field);
                out.extend_from_slice(b",\"query_vector\":");
                push_weights(out, vector, &self.terms);
                // Without this the engine leaves out tokens that it thinks unimportant.
                push!(out, ",\"prune\":false}}}}");
            }
            ElasticsearchField::RankFeatures => {
                bulk::push_rank_features(out, vector, (&self.field, &self.terms));
            }
        });
        Ok(())
    }

    fn setup(&self, _shards: &[Shard]) -> Vec<(&'static str, String)> {
        let kind = match self.kind {
            ElasticsearchField::SparseVector => "sparse_vector",
            ElasticsearchField::RankFeatures => "rank_features",
        };
        let mapping = json!({"mappings": {"properties": {&self.field: {"type": kind}}}});
        vec![("mapping.json", format!("{mapping:#}\n"))]
    }
}
