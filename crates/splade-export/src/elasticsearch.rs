//! The target Elasticsearch: a field of type `sparse_vector`, whose query needs version 8.15 or
//! later, or `rank_features` for older versions and for OpenSearch without plugins.

use serde_json::json;

use super::bulk;
use super::json::{push, push_string, push_weights};
use super::quantize::Quantisation;
use super::text::TextTarget;
use super::tokens::TermNames;
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// The target Elasticsearch: an index with one field of vectors.
///
/// ```
/// use splade_export::targets::{Elasticsearch, ElasticsearchField};
/// use splade_export::TextTarget;
/// use splade_export::TermNames;
/// use splade_sparse::{SparseVector, TermId};
///
/// let terms = TermNames::tokens(["night", "train"].map(str::to_owned).into())?;
/// let target = Elasticsearch::new(terms, "splade".to_owned(), ElasticsearchField::SparseVector);
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// target.document(0, "d1", &vector, &mut out)?;
/// let document = String::from_utf8(out)?;
/// assert!(document.contains(r#""night":1.25"#), "{document}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Elasticsearch {
    terms: TermNames,
    field: String,
    kind: ElasticsearchField,
}

/// The type of the field of vectors.
///
/// ```
/// use splade_export::targets::{Elasticsearch, ElasticsearchField};
/// use splade_export::TextTarget;
/// use splade_export::TermNames;
/// use splade_sparse::{SparseVector, TermId};
///
/// let kind = ElasticsearchField::RankFeatures;
/// let target = Elasticsearch::new(TermNames::ids(), "splade".to_owned(), kind);
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// // The mapping of the index names the type.
/// assert!(target.setup(&[]).iter().any(|(_, text)| text.contains("rank_features")));
/// # target.document(0, "d1", &vector, &mut out)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElasticsearchField {
    /// The type `sparse_vector`, for version 8.15 or later.
    SparseVector,
    /// The type `rank_features`, for older versions.
    RankFeatures,
}

impl Elasticsearch {
    /// Makes the target of an index whose vectors are in `field`. A dot in a token becomes `%2E`,
    /// because Elasticsearch reads a dot in a name as a path.
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
    ) -> Result<(), Problem> {
        bulk::push_features(id, vector, (&self.field, &self.terms), out)
    }

    fn queries_file(&self) -> &'static str {
        "queries.ndjson"
    }

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
        bulk::check_query(vector)?;
        bulk::push_query_line(out, id, vector, |out| match self.kind {
            ElasticsearchField::SparseVector => {
                out.extend_from_slice(b"{\"sparse_vector\":{\"field\":");
                push_string(out, &self.field);
                out.extend_from_slice(b",\"query_vector\":");
                push_weights(out, vector, &self.terms);
                // By default, Elasticsearch omits tokens that it considers unimportant.
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
