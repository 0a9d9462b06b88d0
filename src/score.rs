//! Pairs of queries and documents scored by teachers.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use serde_json::{Value, json};
use splade_data::ScoreFile;
use splade_data::contents::file_content;
use splade_data::scores::score_line;
use splade_io::settings::content;
use splade_io::{Event, Observer, counted};

use crate::error::{Error, invalid};
use crate::masters::{Masters, contents};
use crate::model::full;
use crate::parts::{self, PartsOptions, QUERIES_AT_A_TIME};
use crate::ranker::{self, RankerOptions};
use crate::searcher::thread_pool;
use crate::teacher::{self, Join, LoadedTeacher, Scored, Teacher};

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
///     teachers: vec![Scorer::Bm25.into()],
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
    /// What scores: one teacher, or several whose scores are joined.
    pub teachers: Vec<Teacher>,
    /// How the scores of several teachers are joined.
    pub join: Join,
    /// The model of teachers that name none, the index for SPLADE, and the folder of dense vectors.
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
///     teachers: vec![Scorer::Bm25.into()],
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
    teacher::check(&options.teachers, &options.ranker, observer)?;
    let masters = Masters::open(&options.data, observer)?;
    let has_query = |query| masters.queries.row(query).is_some();
    let has_doc = |doc| masters.docs.row(doc).is_some();
    let pairs = ScoreFile::open_known(&options.pairs, has_query, has_doc)?;
    let output = &options.output;
    let parts = parts::open(output, &settings(options, observer)?, observer)?;
    let pool = thread_pool(options.ranker.encoder.threads)?;
    let (queries, documents) = ids(&pairs)?;
    let scored = Scored { masters: &masters, queries: &queries, documents: &documents };
    let load = |teacher: &Teacher| {
        let loaded = LoadedTeacher::load(teacher, &options.ranker, &scored, &pool, observer);
        parts::or_stopped(loaded, output)
    };
    let teachers = options.teachers.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    parts.remember(&inputs(&teachers))?;
    let lines_of = |window: Range<usize>| {
        let text = |line| masters.queries.get(pairs.query(line));
        let texts = window.clone().map(text).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let documents = |line| Ok(pairs.scores(line)?.into_iter().map(|(doc, _)| doc).collect());
        let documents = window.clone().map(documents).collect::<Result<Vec<Vec<i64>>, Error>>()?;
        let score = |teacher: &LoadedTeacher| teacher.scores(&texts, &documents, &masters, &pool);
        let mut scores = teachers.iter().map(score).collect::<Result<Vec<_>, _>>()?;
        let mut lines = Vec::new();
        for ((row, line), documents) in window.enumerate().zip(&documents) {
            let own = scores.iter_mut().map(|scores| std::mem::take(&mut scores[row])).collect();
            let own = teacher::joined(&options.teachers, options.join, own);
            lines.push(line_of(pairs.query(line), documents, &own)?);
        }
        Ok(lines)
    };
    parts::write(output, parts, pairs.len(), QUERIES_AT_A_TIME, observer, lines_of)?;
    let (queries, out) = (counted(queries.len(), "queries"), output.out.display());
    observer.event(Event::Note(&format!("wrote the scores of {queries} to {out}")));
    Ok(())
}

/// The ids of all queries and of all documents of the pairs, each once and ascending.
fn ids(pairs: &ScoreFile) -> Result<(Vec<i64>, Vec<i64>), Error> {
    let queries: BTreeSet<i64> = (0..pairs.len()).map(|line| pairs.query(line)).collect();
    let mut documents = BTreeSet::new();
    for line in 0..pairs.len() {
        documents.extend(pairs.scores(line)?.into_iter().map(|(doc, _)| doc));
    }
    Ok((queries.into_iter().collect(), documents.into_iter().collect()))
}

/// What the scores depend on that is not known before the teachers are there.
fn inputs(teachers: &[LoadedTeacher]) -> Value {
    match teachers {
        [teacher] => teacher.inputs(),
        all => all.iter().map(LoadedTeacher::inputs).collect(),
    }
}

/// The scores of a query's documents.
fn line_of(query: i64, documents: &[i64], scores: &[f32]) -> Result<String, Error> {
    let pairs = || documents.iter().copied().zip(scores.iter().copied());
    match pairs().find(|(_, score)| !score.is_finite()) {
        Some((doc, score)) => {
            Err(invalid(format!("the score of qid {query} and doc_id {doc} is {score}")))
        }
        None => Ok(score_line(query, pairs())),
    }
}

/// What the parts of the same file must be of.
fn settings(options: &ScoreOptions, observer: &mut dyn Observer) -> Result<Value, Error> {
    let contents = content([
        ("pairs", file_content(&options.pairs)?),
        ("data", contents(&options.data, &["doc_master", "query_master"])?),
        ("model", teacher::model_contents(&options.teachers, &options.ranker, observer)?),
    ]);
    Ok(json!({
        "content": contents,
        "pairs": full(&options.pairs),
        "data": full(&options.data),
        "by": teacher::settings(&options.teachers, options.join),
        "ranker": ranker::settings(&options.ranker)?,
        "queries_a_part": QUERIES_AT_A_TIME,
    }))
}
