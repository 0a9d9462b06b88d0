//! The target Seismic (Bruch et al., SIGIR 2024): JSON lines for its Python package `pyseismic-lsr`
//! and its scripts.

use super::json::{push_string, push_weights};
use super::text::TextTarget;
use super::tokens::TermNames;
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// The target Seismic: a collection in JSON lines.
///
/// ```
/// use splade_export::targets::Seismic;
/// use splade_export::TextTarget;
/// use splade_export::TermNames;
/// use splade_sparse::{SparseVector, TermId};
///
/// let terms = TermNames::tokens(["night", "train"].map(str::to_owned).into())?;
/// let target = Seismic::new(terms);
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// target.document(0, "d1", &vector, &mut out)?;
/// let document = String::from_utf8(out)?;
/// assert!(document.contains(r#""night":1.25"#), "{document}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Seismic {
    terms: TermNames,
}

impl Seismic {
    /// Makes the target of documents and queries whose terms have these names.
    pub fn new(terms: TermNames) -> Self {
        Self { terms }
    }
}

impl TextTarget for Seismic {
    /// Returns the form of the files. Seismic reads one file, which `cat documents-*.jsonl` makes.
    fn form(&self) -> ShardForm {
        ShardForm {
            format: super::text::EXPORT,
            stem: "documents",
            extension: "jsonl",
            rows: 100_000,
        }
    }

    fn document(
        &self,
        _row: u64,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        out.extend_from_slice(b"{\"id\":");
        push_string(out, id);
        out.extend_from_slice(b",\"content\":\"\",\"vector\":");
        push_weights(out, vector, &self.terms);
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    fn queries_file(&self) -> &'static str {
        "queries.jsonl"
    }

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.document(0, id, vector, out)
    }

    fn setup(&self, _shards: &[Shard]) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
