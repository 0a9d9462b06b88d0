//! The target OpenSearch: a field of type `rank_features` with exact search and weights of 9 bits,
//! or, from version 3.3 on, `sparse_vector` with the approximate method Seismic (Bruch et al.,
//! SIGIR 2024).

use serde_json::json;

use super::bulk;
use super::json::{push, push_string, push_weights};
use super::quantize::{Quantisation, SEISMIC_TERMS};
use super::text::HITS;
use super::text::TextTarget;
use super::tokens::TermNames;
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// The largest query weight of Lucene's `FeatureField.newLinearQuery`, which `neural_sparse` calls.
const QUERY_WEIGHT: f32 = 64.0;

/// The target OpenSearch: an index with one field of vectors.
///
/// ```
/// use splade_export::targets::{OpenSearch, OpenSearchField};
/// use splade_export::TextTarget;
/// use splade_export::TermNames;
/// use splade_sparse::{SparseVector, TermId};
///
/// let terms = TermNames::tokens(["night", "train"].map(str::to_owned).into())?;
/// let target = OpenSearch::new(terms, "splade".to_owned(), OpenSearchField::RankFeatures);
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// target.document(0, "d1", &vector, &mut out)?;
/// let document = String::from_utf8(out)?;
/// assert!(document.contains(r#""night":1.25"#), "{document}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OpenSearch {
    terms: TermNames,
    field: String,
    kind: OpenSearchField,
}

/// The type of the field of vectors.
///
/// ```
/// use splade_export::targets::OpenSearchField;
///
/// let seismic = OpenSearchField::Seismic { documents: 3.5, queries: 3.5 };
/// // Of a vocabulary of 105,879 terms, some share an id modulo 32,768.
/// assert!(seismic.note(105_879).is_some());
/// assert_eq!(OpenSearchField::RankFeatures.note(105_879), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OpenSearchField {
    /// The type `rank_features`, searched by `neural_sparse` or, without its plugin, by
    /// `rank_feature`.
    RankFeatures,
    /// The type `sparse_vector` with Seismic. Its terms are ids modulo 32,768.
    Seismic {
        /// The weight in a document that is stored as 255; larger weights are stored as 255 too.
        documents: f32,
        /// The weight in a query that is sent as 255; larger weights are sent as 255 too.
        queries: f32,
    },
}

impl OpenSearch {
    /// Makes the target of an index whose vectors are in `field`. A dot in a token becomes `%2E`,
    /// because OpenSearch reads a dot in a name as a path. For Seismic, terms are named by their
    /// ids.
    pub fn new(terms: TermNames, field: String, kind: OpenSearchField) -> Self {
        let terms = match kind {
            OpenSearchField::RankFeatures => terms.without(|mark| mark == '.'),
            OpenSearchField::Seismic { .. } => TermNames::ids(),
        };
        Self { terms, field, kind }
    }

    /// Appends a `neural_sparse` query.
    fn push_neural_sparse(&self, out: &mut Vec<u8>, vector: &SparseVector) {
        out.extend_from_slice(b"{\"neural_sparse\":{");
        push_string(out, &self.field);
        out.extend_from_slice(b":{\"query_tokens\":");
        push_weights(out, vector, &self.terms);
        if let OpenSearchField::Seismic { .. } = self.kind {
            // All terms of the query are used. OpenSearch's default is only a few of them.
            let terms = vector.len();
            let parameters = format!("{{\"top_n\":{terms},\"k\":{HITS},\"heap_factor\":1.0}}");
            push!(out, ",\"method_parameters\":{parameters}");
        }
        out.extend_from_slice(b"}}}");
    }
}

impl TextTarget for OpenSearch {
    fn form(&self) -> ShardForm {
        bulk::form()
    }

    fn quantisation(&self) -> Quantisation {
        match self.kind {
            OpenSearchField::RankFeatures => Quantisation::FeatureField,
            OpenSearchField::Seismic { documents, queries } => {
                Quantisation::SeismicBytes { documents, queries }
            }
        }
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
        let heavy = vector.iter().find(|(_, weight)| *weight > QUERY_WEIGHT);
        if let Some((term, weight)) = heavy.filter(|_| self.kind == OpenSearchField::RankFeatures) {
            return Err(format!(
                "term {term} of the query has the weight {weight}; OpenSearch accepts at most \
                 {QUERY_WEIGHT}"
            )
            .into());
        }
        bulk::push_query_line(out, id, vector, |out| self.push_neural_sparse(out, vector));
        if self.kind == OpenSearchField::RankFeatures {
            // The closing `}` and the line end are removed, to append the search that needs no
            // plugin.
            out.truncate(out.len() - 2);
            out.extend_from_slice(b",\"without_plugin\":");
            bulk::push_search(out, vector, |out| {
                bulk::push_rank_features(out, vector, (&self.field, &self.terms));
            });
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }

    fn setup(&self, _shards: &[Shard]) -> Vec<(&'static str, String)> {
        let field = &self.field;
        let mapping = match self.kind {
            OpenSearchField::RankFeatures => {
                json!({"mappings": {"properties": {field: {"type": "rank_features"}}}})
            }
            OpenSearchField::Seismic { documents, queries } => json!({
                "settings": {"index": {"sparse": true}},
                "mappings": {"properties": {field: {"type": "sparse_vector", "method": {
                    "name": "seismic",
                    "parameters": {
                        "quantization_ceiling_ingest": documents,
                        "quantization_ceiling_search": queries,
                    },
                }}}},
            }),
        };
        vec![("mapping.json", format!("{mapping:#}\n"))]
    }
}

impl OpenSearchField {
    /// Returns a note for the user if Seismic merges terms of a vocabulary with `terms` terms.
    pub fn note(&self, terms: usize) -> Option<String> {
        let folds = matches!(self, Self::Seismic { .. }) && terms > SEISMIC_TERMS as usize;
        folds.then(|| {
            format!(
                "the vocabulary has {terms} terms, but OpenSearch distinguishes {SEISMIC_TERMS}: \
                 it takes ids modulo {SEISMIC_TERMS} and keeps the largest weight"
            )
        })
    }
}
