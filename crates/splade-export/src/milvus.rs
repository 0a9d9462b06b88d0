//! The target Milvus: bodies of requests to its HTTP interface v2. Its Python client and its bulk
//! import accept the same rows.

use serde_json::json;

use super::json::{push, push_object, push_query, push_string};
use super::text::HITS;
use super::text::{Frame, TextTarget, number};
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// The target Milvus: a collection of numbered rows with the id and the vector of a document.
///
/// ```
/// use splade_export::targets::Milvus;
/// use splade_export::TextTarget;
/// use splade_sparse::{SparseVector, TermId};
///
/// let target = Milvus::new("texts".to_owned(), "splade".to_owned(), 0);
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// target.document(0, "d1", &vector, &mut out)?;
/// let document = String::from_utf8(out)?;
/// assert!(document.contains("1.25"), "{document}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Milvus {
    collection: String,
    field: String,
    /// The number of the first row.
    first: u64,
}

/// The largest length of a `VarChar` in bytes.
const ID_BYTES: usize = 65_535;

impl Milvus {
    /// Makes the target of a collection whose vector is named `field`. Rows are numbered from
    /// `first` on.
    pub fn new(collection: String, field: String, first: u64) -> Self {
        Self { collection, field, first }
    }

    /// Appends a vector as an object of term ids and weights.
    fn push_vector(&self, out: &mut Vec<u8>, vector: &SparseVector) {
        push_object(out, vector.iter().map(|(term, weight)| (term.to_string(), weight)));
    }
}

impl TextTarget for Milvus {
    /// Returns the form of files that are each the body of one request. Milvus accepts bodies of up
    /// to 64 MB.
    fn form(&self) -> ShardForm {
        ShardForm { format: super::text::EXPORT, stem: "documents", extension: "json", rows: 5_000 }
    }

    fn frame(&self) -> Frame {
        let name = json!(self.collection);
        Frame::array(format!("{{\"collectionName\":{name},\"data\":[\n"), "\n]}\n")
    }

    fn document(
        &self,
        row: u64,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        if id.len() > ID_BYTES {
            return Err(format!("its id has {} bytes; Milvus accepts {ID_BYTES}", id.len()).into());
        }
        push!(out, "{{\"pk\":{},\"docid\":", number(self.first, row)?);
        push_string(out, id);
        out.push(b',');
        push_string(out, &self.field);
        out.push(b':');
        self.push_vector(out, vector);
        out.push(b'}');
        Ok(())
    }

    fn queries_file(&self) -> &'static str {
        "queries.ndjson"
    }

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
        push_query(out, id, |out| {
            push!(out, "{{\"collectionName\":{},\"data\":[", json!(self.collection));
            self.push_vector(out, vector);
            push!(
                out,
                "],\"annsField\":{},\"limit\":{HITS},\"outputFields\":[\"docid\"],\"searchParams\":\
                 {{\"metricType\":\"IP\",\"params\":{{\"drop_ratio_search\":0.0}}}}}}",
                json!(self.field)
            );
        });
        Ok(())
    }

    fn setup(&self, _shards: &[Shard]) -> Vec<(&'static str, String)> {
        let collection = json!({
            "collectionName": self.collection,
            "schema": {
                "autoId": false,
                "fields": [
                    {"fieldName": "pk", "dataType": "Int64", "isPrimary": true},
                    {
                        "fieldName": "docid",
                        "dataType": "VarChar",
                        "elementTypeParams": {"max_length": ID_BYTES},
                    },
                    {"fieldName": self.field, "dataType": "SparseFloatVector"},
                ],
            },
            "indexParams": [{
                "fieldName": self.field,
                "indexName": self.field,
                "metricType": "IP",
                "params": {
                    "index_type": "SPARSE_INVERTED_INDEX",
                    "inverted_index_algo": "DAAT_MAXSCORE",
                },
            }],
        });
        vec![("collection.json", format!("{collection:#}\n"))]
    }
}
