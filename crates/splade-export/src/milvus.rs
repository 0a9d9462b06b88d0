//! Milvus: bodies of its HTTP interface v2, whose rows its Python client and bulk import take too.

use serde_json::json;

use super::json::{push, push_object, push_query, push_string};
use super::text::HITS;
use super::text::{Frame, TextTarget, number};
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// A collection of numbered rows with the document's id and its vector.
#[derive(Debug)]
pub struct Milvus {
    collection: String,
    field: String,
    first: u64,
}

/// Bytes of a `VarChar`.
const ID_BYTES: usize = 65_535;

impl Milvus {
    /// Rows with a vector called `field`, numbered from `first` on.
    pub fn new(collection: String, field: String, first: u64) -> Self {
        Self { collection, field, first }
    }

    fn push_vector(&self, out: &mut Vec<u8>, vector: &SparseVector) {
        push_object(out, vector.iter().map(|(term, weight)| (term.to_string(), weight)));
    }
}

impl TextTarget for Milvus {
    /// A file is the body of one request, which may have 64 MB.
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
    ) -> Result<(), String> {
        if id.len() > ID_BYTES {
            return Err(format!("its id has {} bytes; the engine takes {ID_BYTES}", id.len()));
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

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), String> {
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
