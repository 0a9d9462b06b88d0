//! Pairs of queries and documents scored by BM25 or a SPLADE model: a teacher's scores.

use std::ops::Range;
use std::path::PathBuf;

use rayon::prelude::*;
use serde_json::{Value, json};
use splade_data::ScoreFile;
use splade_data::contents::file_content;
use splade_data::scores::score_line;
use splade_io::Observer;
use splade_io::settings::content;
use splade_sparse::SparseVector;

use crate::error::{Error, invalid};
use crate::masters::{Masters, contents};
use crate::model::full;
use crate::parts::{self, PartsOptions, QUERIES_AT_A_TIME};
use crate::ranker::{self, Ranker, RankerOptions};
use crate::searcher::thread_pool;

/// What scores pairs.
///
/// ```
/// use light_splade::data::{PartsOptions, ScoreOptions, Scorer, score};
///
/// let folder = tempfile::tempdir()?;
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train");
/// let out = folder.path().join("scores.ndjson");
/// let options = ScoreOptions {
///     pairs: format!("{data}/hard_negative_scores.ndjson").into(),
///     data: data.into(),
///     by: Scorer::Bm25,
///     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
///     ..ScoreOptions::default()
/// };
/// score(&options, &mut ())?;
/// assert!(out.is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scorer {
    /// BM25 over the model's tokens.
    Bm25,
    /// The dot product of the model's vectors.
    #[default]
    Splade,
}

impl Scorer {
    /// Its name in the settings that parts are compared by.
    fn name(self) -> &'static str {
        match self {
            Self::Bm25 => "Bm25",
            Self::Splade => "Splade",
        }
    }
}

/// Settings of [`score()`].
///
/// ```
/// use light_splade::data::{PartsOptions, ScoreOptions, Scorer, score};
///
/// let folder = tempfile::tempdir()?;
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train");
/// let out = folder.path().join("scores.ndjson");
/// let options = ScoreOptions {
///     pairs: format!("{data}/hard_negative_scores.ndjson").into(),
///     data: data.into(),
///     by: Scorer::Bm25,
///     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
///     ..ScoreOptions::default()
/// };
/// score(&options, &mut ())?;
/// assert!(out.is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ScoreOptions {
    /// The pairs, in light-splade's form of scores: `.ndjson`, `.ndjson.gz`, or a folder of such.
    pub pairs: PathBuf,
    /// The folder with their texts, in light-splade's form: `doc_master` and `query_master`.
    pub data: PathBuf,
    /// What scores.
    pub by: Scorer,
    /// The model, and the index for SPLADE.
    pub ranker: RankerOptions,
    /// The file that is written.
    pub output: PartsOptions,
}

/// Scores pairs of queries and documents, part by part, so that a run that is stopped goes on.
///
/// ```
/// use light_splade::data::{PartsOptions, ScoreOptions, Scorer, score};
///
/// let folder = tempfile::tempdir()?;
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train");
/// let out = folder.path().join("scores.ndjson");
/// let options = ScoreOptions {
///     pairs: format!("{data}/hard_negative_scores.ndjson").into(),
///     data: data.into(),
///     by: Scorer::Bm25,
///     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
///     ..ScoreOptions::default()
/// };
/// score(&options, &mut ())?;
/// assert!(std::fs::read_to_string(out)?.starts_with("{\"qid\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If a file cannot be read or written, a pair has no text, or the observer asks to stop; then the
/// parts so far are kept.
pub fn score(options: &ScoreOptions, observer: &mut dyn Observer) -> Result<(), Error> {
    if parts::is_complete(&options.output, |observer| settings(options, observer), observer)? {
        return Ok(());
    }
    let masters = Masters::open(&options.data, observer)?;
    let has_query = |query| masters.queries.row(query).is_some();
    let has_doc = |doc| masters.docs.row(doc).is_some();
    let pairs = ScoreFile::open_known(&options.pairs, has_query, has_doc)?;
    let output = &options.output;
    let parts = parts::open(output, &settings(options, observer)?, observer)?;
    let pool = thread_pool(options.ranker.encoder.threads)?;
    let ranker = match options.by {
        Scorer::Bm25 => Ranker::bm25(&options.ranker, &masters, &pool, observer),
        Scorer::Splade => Ranker::splade(&options.ranker, &masters, observer),
    };
    let ranker = parts::or_stopped(ranker, output)?;
    parts.remember(ranker.inputs())?;
    let lines_of = |window: Range<usize>| {
        let text = |line| masters.queries.get(pairs.query(line));
        let texts = window.clone().map(text).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let vectors = ranker.vectors(&texts, &pool)?;
        let line = |(line, vector)| line_of(&ranker, &pairs, line, vector);
        pool.install(|| window.into_par_iter().zip(&vectors).map(line).collect())
    };
    parts::write(output, parts, pairs.len(), QUERIES_AT_A_TIME, observer, lines_of)
}

/// The scores of a query's documents.
fn line_of(
    ranker: &Ranker,
    pairs: &ScoreFile,
    line: usize,
    vector: &SparseVector,
) -> Result<String, Error> {
    let query = pairs.query(line);
    let mut scores = pairs.scores(line)?;
    for (doc, score) in &mut scores {
        let found = ranker.score(vector, *doc);
        *score = found.ok_or_else(|| Error::NotInIndex { id: doc.to_string() })?;
        if !score.is_finite() {
            return Err(invalid(format!("the score of qid {query} and doc_id {doc} is {score}")));
        }
    }
    Ok(score_line(query, scores))
}

/// What the parts of the same file must be of.
fn settings(options: &ScoreOptions, observer: &mut dyn Observer) -> Result<Value, Error> {
    let contents = content([
        ("pairs", file_content(&options.pairs)?),
        ("data", contents(&options.data, &["doc_master", "query_master"])?),
        ("model", ranker::model_content(&options.ranker, observer)?),
    ]);
    Ok(json!({
        "content": contents,
        "pairs": full(&options.pairs),
        "data": full(&options.data),
        "by": options.by.name(),
        "ranker": ranker::settings(&options.ranker)?,
        "queries_a_part": QUERIES_AT_A_TIME,
    }))
}
