//! The target Lucene with Anserini or Pyserini: documents as a `JsonVectorCollection`, and topics
//! in which the number of repetitions of a token is its weight (Lin and Ma, "A Few Brief Notes on
//! DeepImpact, COIL, and a Conceptual Framework", 2021).

use super::json::{push_object, push_string};
use super::quantize::{Quantisation, impacts};
use super::text::TextTarget;
use super::tokens::{TermNames, is_blank};
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// The target Lucene: Anserini's collection and topics.
///
/// ```
/// use splade_export::targets::Lucene;
/// use splade_export::TextTarget;
/// use splade_export::TermNames;
/// use splade_sparse::{SparseVector, TermId};
///
/// let terms = TermNames::tokens(["night", "train"].map(str::to_owned).into())?;
/// let target = Lucene::new(terms, 100.0);
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// target.document(0, "d1", &vector, &mut out)?;
/// let document = String::from_utf8(out)?;
/// assert!(document.contains("125"), "{document}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Lucene {
    terms: TermNames,
    scale: f32,
}

impl Lucene {
    /// Makes the target of documents and queries with impacts, which are the weights times `scale`,
    /// rounded.
    pub fn new(terms: TermNames, scale: f32) -> Self {
        Self { terms: terms.without(is_blank), scale }
    }
}

impl TextTarget for Lucene {
    fn form(&self) -> ShardForm {
        ShardForm {
            format: super::text::EXPORT,
            stem: "documents",
            extension: "jsonl",
            rows: 100_000,
        }
    }

    fn quantisation(&self) -> Quantisation {
        Quantisation::Integers { documents: self.scale, queries: Some(self.scale) }
    }

    fn document(
        &self,
        _row: u64,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        check_id(id)?;
        out.extend_from_slice(b"{\"id\":");
        push_string(out, id);
        out.extend_from_slice(b",\"contents\":\"\",\"vector\":");
        let impacts = impacts(vector, self.scale)?;
        push_object(out, impacts.into_iter().map(|(term, n)| (self.terms.name(term), n)));
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    fn queries_file(&self) -> &'static str {
        "topics.tsv"
    }

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
        check_id(id)?;
        push_repeated(out, (id, b'\t'), vector, self.scale, &self.terms)
    }

    fn leaves_empty_queries_out(&self) -> bool {
        true
    }

    fn setup(&self, _shards: &[Shard]) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Appends the line of a query: its id, a separator, and each token repeated as often as its
/// impact, separated by spaces. A query without tokens gets no line, because readers of such files
/// refuse it.
pub(crate) fn push_repeated(
    out: &mut Vec<u8>,
    (id, separator): (&str, u8),
    vector: &SparseVector,
    scale: f32,
    terms: &TermNames,
) -> Result<(), Problem> {
    let mut between = None;
    for (term, count) in impacts(vector, scale)? {
        if count > REPETITIONS {
            let what = format!("term {term} would be repeated {count} times");
            return Err(Problem::new(what).with_remedy("give a smaller scale"));
        }
        for _ in 0..count {
            match between.replace(b' ') {
                Some(space) => out.push(space),
                None => {
                    out.extend_from_slice(id.as_bytes());
                    out.push(separator);
                }
            }
            out.extend_from_slice(terms.name(term).as_bytes());
        }
    }
    if between.is_some() {
        out.push(b'\n');
    }
    Ok(())
}

/// The largest number of repetitions of a token in a query: a weight of 100 at the default scale.
const REPETITIONS: u64 = 10_000;

/// Checks that an id can be a column of a TREC run.
fn check_id(id: &str) -> Result<(), Problem> {
    match id.is_empty() || id.contains(is_blank) {
        true => Err("its id is empty or has white space, which ends a column of a run".into()),
        false => Ok(()),
    }
}
