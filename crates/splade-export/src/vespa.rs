//! The target Vespa: a feed of documents that contain the vector twice, as impacts with which the
//! operator `wand` finds candidates, and as a mapped tensor that ranks the candidates exactly.
//!
//! Terms are named by their ids in both, because string attributes of Vespa ignore case.

use super::json::{push, push_object, push_query, push_string};
use super::quantize::impacts;
use super::text::TextTarget;
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// The target Vespa: the documents of one schema.
///
/// ```
/// use splade_export::targets::Vespa;
/// use splade_export::TextTarget;
/// use splade_sparse::{SparseVector, TermId};
///
/// let target = Vespa::new("text".to_owned(), "splade".to_owned(), 100.0);
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// target.document(0, "d1", &vector, &mut out)?;
/// let document = String::from_utf8(out)?;
/// assert!(document.contains("125"), "{document}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Vespa {
    schema: String,
    field: String,
    scale: f32,
}

impl Vespa {
    /// Makes the target of a schema with the fields `docid`, `<field>` and `<field>_terms`. The
    /// last has impacts, which are the weights times `scale`, rounded.
    pub fn new(schema: String, field: String, scale: f32) -> Self {
        Self { schema, field, scale }
    }

    /// Appends an object of term ids and impacts.
    fn push_terms(&self, out: &mut Vec<u8>, vector: &SparseVector) -> Result<(), Problem> {
        let impacts = impacts(vector, self.scale)?;
        push_object(out, impacts.into_iter().map(|(term, n)| (term.to_string(), n)));
        Ok(())
    }
}

/// The number of candidates of `wand` that are ranked exactly.
const CANDIDATES: usize = 100;

impl TextTarget for Vespa {
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
        if id.is_empty() || id.contains(char::is_control) {
            return Err("its id is empty or has control characters, which Vespa refuses".into());
        }
        let Self { schema, field, .. } = self;
        out.extend_from_slice(b"{\"put\":");
        push_string(out, &format!("id:{schema}:{schema}::{id}"));
        out.extend_from_slice(b",\"fields\":{\"docid\":");
        push_string(out, id);
        push!(out, ",\"{field}\":{{\"cells\":");
        push_object(out, vector.iter().map(|(term, weight)| (term.to_string(), weight)));
        push!(out, "}},\"{field}_terms\":");
        self.push_terms(out, vector)?;
        out.extend_from_slice(b"}}\n");
        Ok(())
    }

    fn queries_file(&self) -> &'static str {
        "queries.ndjson"
    }

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
        let Self { schema, field, .. } = self;
        let mut terms = Vec::new();
        self.push_terms(&mut terms, vector)?;
        let terms = String::from_utf8_lossy(&terms);
        let cells: Vec<String> =
            vector.iter().map(|(term, weight)| format!("{term}:{weight}")).collect();
        push_query(out, id, |out| {
            out.extend_from_slice(b"{\"yql\":");
            push_string(
                out,
                &format!(
                    "select docid from {schema} where ({{targetHits:{CANDIDATES}}}\
                     wand({field}_terms, {terms}))"
                ),
            );
            out.extend_from_slice(b",\"ranking\":\"splade\",\"input.query(q)\":");
            push_string(out, &format!("{{{}}}", cells.join(",")));
            push!(out, ",\"hits\":{}}}", super::text::HITS);
        });
        Ok(())
    }

    fn setup(&self, _shards: &[Shard]) -> Vec<(&'static str, String)> {
        let Self { schema, field, .. } = self;
        let text = format!(
            "schema {schema} {{
  document {schema} {{
    field docid type string {{
      indexing: attribute | summary
    }}
    field {field} type tensor<float>(t{{}}) {{
      indexing: attribute
    }}
    field {field}_terms type weightedset<int> {{
      indexing: attribute
      attribute: fast-search
    }}
  }}
  rank-profile splade {{
    inputs {{
      query(q) tensor<float>(t{{}})
    }}
    first-phase {{
      expression: sum(query(q) * attribute({field}))
    }}
  }}
}}
"
        );
        vec![("schema.sd", text)]
    }
}
