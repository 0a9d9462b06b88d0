//! The target Qdrant: points of a collection with a named sparse vector. The search is exact.

use serde_json::json;

use super::json::{push, push_lists, push_query, push_string};
use super::text::HITS;
use super::text::{Frame, TextTarget, number};
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// The target Qdrant: a collection with a named vector. Points are numbered, because Qdrant's ids
/// are numbers or UUIDs. The document's id is the payload `docid`.
///
/// ```
/// use splade_export::targets::Qdrant;
/// use splade_export::TextTarget;
/// use splade_sparse::{SparseVector, TermId};
///
/// let target = Qdrant::new("splade".to_owned(), 0);
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// target.document(0, "d1", &vector, &mut out)?;
/// let document = String::from_utf8(out)?;
/// assert!(document.contains("[0,1]") && document.contains("[1.25,0.5]"), "{document}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Qdrant {
    field: String,
    /// The number of the first point.
    first: u64,
}

impl Qdrant {
    /// Makes the target of a collection whose vector is named `field`. Points are numbered from
    /// `first` on.
    pub fn new(field: String, first: u64) -> Self {
        Self { field, first }
    }
}

impl TextTarget for Qdrant {
    /// Returns the form of files that are each the body of one request. Qdrant accepts bodies of up
    /// to 32 MB.
    fn form(&self) -> ShardForm {
        ShardForm { format: super::text::EXPORT, stem: "documents", extension: "json", rows: 2_000 }
    }

    fn frame(&self) -> Frame {
        Frame::array("{\"points\":[\n".to_owned(), "\n]}\n")
    }

    fn document(
        &self,
        row: u64,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        push!(out, "{{\"id\":{},\"vector\":{{", number(self.first, row)?);
        push_string(out, &self.field);
        out.push(b':');
        push_lists(out, vector);
        out.extend_from_slice(b"},\"payload\":{\"docid\":");
        push_string(out, id);
        out.extend_from_slice(b"}}");
        Ok(())
    }

    fn queries_file(&self) -> &'static str {
        "queries.ndjson"
    }

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
        push_query(out, id, |out| {
            out.extend_from_slice(b"{\"query\":");
            push_lists(out, vector);
            out.extend_from_slice(b",\"using\":");
            push_string(out, &self.field);
            push!(out, ",\"limit\":{HITS},\"with_payload\":true}}");
        });
        Ok(())
    }

    fn setup(&self, _shards: &[Shard]) -> Vec<(&'static str, String)> {
        let collection = json!({"sparse_vectors": {&self.field: {"index": {"on_disk": false}}}});
        vec![("collection.json", format!("{collection:#}\n"))]
    }
}
