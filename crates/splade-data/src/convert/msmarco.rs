//! Converts the passages of MS MARCO (Nguyen et al., arXiv 1611.09268) with other published data
//! for them: triples of ids or texts, hard negatives, and teacher scores ([`super::scores`]).
//!
//! Positives are the documents with a grade of at least 1 in the qrels. The queries of train are
//! those with a positive, and also with triplets or a negative if such files are given. A positive
//! without a teacher score gets the best score of the query's negatives, as in naver's SPLADE v3
//! program. The documents of train are those that its queries name, or the whole collection if
//! negatives are still to be mined. The documents of validation are its positives and a random
//! sample of others.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use splade_eval::Qrels;

use super::collection::Collection;
use super::inputs::find_one;
use super::mmarco::INIT_SCORES;
use super::output::{Master, Output, SplitFolder};
use super::pairs::{ByQuery, Rows, Scored, Triple, sample, unique};
use super::scores::{Candidates, index};
use super::steps::Steps;
use super::triples;
use crate::error::DataError;
use crate::random::Permutation;
use crate::scores::score_line;
use splade_io::{LineWriter, counted};

/// The file of teacher scores, named as in the configs of the Python library.
const TEACHER_SCORES: &str = "hard-negatives-cross-encoder-scores.ndjson.gz";

/// The paths of the files of MS MARCO.
///
/// ```
/// use splade_data::convert::MsMarcoFiles;
///
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
/// let files = MsMarcoFiles::find(&fixtures.join("msmarco"))?;
/// assert!(files.collection.is_file() && files.train_qrels.is_file());
/// # Ok::<(), splade_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsMarcoFiles {
    /// The passages, with an id and a text in each line.
    pub collection: PathBuf,
    /// The queries of train, with an id and a text in each line.
    pub train_queries: PathBuf,
    /// The qrels of train.
    pub train_qrels: PathBuf,
    /// The queries of validation, with an id and a text in each line.
    pub dev_queries: PathBuf,
    /// The qrels of validation.
    pub dev_qrels: PathBuf,
}

/// Options for converting MS MARCO.
///
/// ```
/// use splade_data::convert::{Conversion, MsMarcoFiles, MsMarcoOptions, convert};
/// use serde_json::json;
///
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
/// let out = tempfile::tempdir()?;
/// let files = MsMarcoFiles::find(&fixtures.join("msmarco"))?;
/// let options = MsMarcoOptions {
///     files,
///     triples: None,
///     hard_negatives: None,
///     max_negatives: 0,
///     validation_docs: 0,
///     seed: 42,
/// };
/// convert(&Conversion::MsMarco(options), &out.path().join("data"), &json!({}), false, &mut ())?;
/// assert!(out.path().join("data/train/positive_lists.ndjson").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MsMarcoOptions {
    /// The paths of the input files.
    pub files: MsMarcoFiles,
    /// The triples of ids or texts, for training with triplets.
    pub triples: Option<PathBuf>,
    /// The hard negatives or scores, for distillation, in any format that the conversion can read.
    pub hard_negatives: Option<PathBuf>,
    /// The maximum number of negatives for each query in distillation; 0 keeps all.
    pub max_negatives: usize,
    /// The number of documents in validation besides its positives; 0 takes all documents.
    pub validation_docs: usize,
    /// The seed for drawing negatives and documents.
    pub seed: u64,
}

impl MsMarcoFiles {
    /// Finds the files in a folder by their usual names, packed (`.gz`) or not.
    ///
    /// # Errors
    /// Returns an error if one of the files is missing.
    pub fn find(dir: &Path) -> Result<Self, DataError> {
        let find = |names: &[&str]| find_one(dir, names);
        Ok(Self {
            collection: find(&["collection.tsv"])?,
            train_queries: find(&["queries.train.tsv"])?,
            train_qrels: find(&["qrels.train.tsv"])?,
            dev_queries: find(&["queries.dev.small.tsv", "queries.dev.tsv"])?,
            dev_qrels: find(&["qrels.dev.small.tsv", "qrels.dev.tsv"])?,
        })
    }
}

/// The row of a query and the rows of its positives.
struct Judged {
    query: u32,
    positives: Vec<u32>,
}

pub(super) fn convert(
    options: &MsMarcoOptions,
    output: &Output,
    steps: &mut Steps<'_>,
) -> Result<Vec<String>, DataError> {
    let MsMarcoOptions { files, .. } = options;
    let queries = Collection::open(&files.train_queries)?;
    let dev_queries = Collection::open(&files.dev_queries)?;
    let train_qrels = Qrels::open(&files.train_qrels)?;
    let dev_qrels = Qrels::open(&files.dev_qrels)?;
    let docs = Collection::open(&files.collection)?;
    let mut notes = Vec::new();
    let size = std::fs::metadata(&files.collection).map_err(DataError::io(&files.collection))?;
    output.check_room(size.len())?;
    let mut judged = judged(&train_qrels, &queries, &docs, "train", &mut notes)?;
    let mut used = Rows::new(docs.len());
    let triples = match &options.triples {
        None => Vec::new(),
        Some(path) => {
            let triples = read_triples(path, &queries, &docs, &mut notes, steps)?;
            let mut asked = Rows::new(queries.len());
            triples.iter().for_each(|triple| _ = asked.insert(triple.query));
            keep(&mut judged, "without triples", &mut notes, |one| asked.contains(one.query));
            triples
        }
    };
    let scores = match &options.hard_negatives {
        None => None,
        Some(path) => {
            let name = write_scores(
                path,
                options,
                output,
                &queries,
                &docs,
                &mut judged,
                &mut used,
                &mut notes,
                steps,
            )?;
            Some(output.path(name))
        }
    };
    if judged.is_empty() {
        let message = "no query of train has a positive and negatives".to_owned();
        return Err(DataError::NothingLeft(message));
    }
    let mut known = Rows::new(queries.len());
    for one in &judged {
        known.insert(one.query);
        one.positives.iter().for_each(|doc| _ = used.insert(*doc));
    }
    let train = output.split("train")?;
    if options.triples.is_some() {
        let kept = || triples.iter().filter(|triple| known.contains(triple.query));
        for triple in kept() {
            used.insert(triple.positive);
            used.insert(triple.negative);
        }
        let ids = |t: &Triple| [queries.id(t.query), docs.id(t.positive), docs.id(t.negative)];
        train.triplets(kept().map(ids), steps)?;
    }
    // If no negatives are given, they will be mined from the whole collection.
    let mine = options.triples.is_none() && options.hard_negatives.is_none();
    write(&train, &queries, &docs, &judged, (!mine).then_some(&used), &mut notes, steps)?;
    drop(triples);

    let judged = self::judged(&dev_qrels, &dev_queries, &docs, "validation", &mut notes)?;
    let mut used = Rows::new(docs.len());
    judged.iter().flat_map(|one| &one.positives).for_each(|doc| _ = used.insert(*doc));
    let wanted = match options.validation_docs {
        0 => docs.len(),
        count => count.min(docs.len()),
    };
    let order = Permutation::new(docs.len(), &[options.seed, DRAWN_DOCS]);
    (0..wanted).for_each(|place| _ = used.insert(order.at(place) as u32));
    let validation = output.split("validation")?;
    write(&validation, &dev_queries, &docs, &judged, Some(&used), &mut notes, steps)?;
    drop(docs);
    for (done, (part, scores)) in [(train, scores), (validation, None)].into_iter().enumerate() {
        steps.at("parts checked", done, 2)?;
        notes.extend(part.check(scores.as_deref())?);
    }
    Ok(notes)
}

/// The uses of random numbers, which are part of the key.
const DRAWN_DOCS: u64 = 2;
const DRAWN_NEGATIVES: u64 = 3;

/// Returns the queries of qrels that have a positive, in ascending order of their ids.
fn judged(
    qrels: &Qrels,
    queries: &Collection,
    docs: &Collection,
    part: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<Judged>, DataError> {
    let row = |id: &str, file: &Collection| id.parse().ok().and_then(|id| file.row(id));
    let (mut judged, mut unknown) = (Vec::new(), 0u64);
    for (query, grades) in qrels.iter() {
        let relevant = grades.iter().filter(|(_, grade)| **grade >= 1);
        let all: Vec<Option<u32>> = relevant.map(|(doc, _)| row(doc, docs)).collect();
        let mut positives: Vec<u32> = all.iter().flatten().copied().collect();
        positives.sort_unstable_by_key(|doc| docs.id(*doc));
        match row(query, queries) {
            Some(query) if !positives.is_empty() => {
                unknown += (all.len() - positives.len()) as u64;
                judged.push(Judged { query, positives });
            }
            _ => unknown += all.len() as u64,
        }
    }
    if unknown > 0 {
        notes.push(format!(
            "{part}: {unknown} judgements of unknown queries or documents are skipped"
        ));
    }
    if judged.is_empty() {
        let message = format!("no judgement of {part} has a query and a document that are known");
        return Err(DataError::NothingLeft(message));
    }
    judged.sort_unstable_by_key(|one| queries.id(one.query));
    Ok(judged)
}

/// Keeps some of the queries and notes how many are skipped.
fn keep(
    judged: &mut Vec<Judged>,
    without: &str,
    notes: &mut Vec<String>,
    kept: impl FnMut(&Judged) -> bool,
) {
    let before = judged.len();
    judged.retain(kept);
    if judged.len() < before {
        let what = counted(before - judged.len(), &format!("queries {without}"));
        notes.push(format!("train: skipped {what}"));
    }
}

fn read_triples(
    path: &Path,
    queries: &Collection,
    docs: &Collection,
    notes: &mut Vec<String>,
    steps: &mut Steps<'_>,
) -> Result<Vec<Triple>, DataError> {
    let by_ids = |[query, positive, negative]: [i64; 3]| {
        let (positive, negative) = (docs.row(positive)?, docs.row(negative)?);
        Some(Triple { query: queries.row(query)?, positive, negative })
    };
    let mut texts = None;
    let by_texts = |[query, positive, negative]: [&str; 3], steps: &mut Steps<'_>| {
        let [by_query, by_doc] = match &mut texts {
            Some(texts) => texts,
            None => texts.insert([index(queries, steps)?, index(docs, steps)?]),
        };
        let doc = |text: &str| by_doc.find(text, |row| docs.text(row));
        let query = by_query.find(query, |row| queries.text(row));
        let rows = query.zip(doc(positive)).zip(doc(negative));
        Ok(rows.map(|((query, positive), negative)| Triple { query, positive, negative }))
    };
    let (triples, left_out) = triples::read(path, by_ids, by_texts, steps)?;
    if left_out > 0 {
        let what = counted(left_out, "triples with an unknown query or document");
        notes.push(format!("skipped {what}"));
    }
    Ok(triples)
}

/// Writes the scores or unscored pairs of hard negatives, and keeps the queries that have at least
/// one negative.
#[expect(clippy::too_many_arguments, reason = "the state of one conversion")]
fn write_scores(
    path: &Path,
    options: &MsMarcoOptions,
    output: &Output,
    queries: &Collection,
    docs: &Collection,
    judged: &mut Vec<Judged>,
    used: &mut Rows,
    notes: &mut Vec<String>,
    steps: &mut Steps<'_>,
) -> Result<&'static str, DataError> {
    let candidates = Candidates::read(path, queries, docs, steps)?;
    let without = candidates.unscored();
    let are_scored = without < candidates.pairs.len();
    let name = if are_scored { TEACHER_SCORES } else { INIT_SCORES };
    if candidates.repaired > 0 {
        let halves = candidates.repaired;
        let halves = counted(halves, "halved surrogate pairs");
        notes.push(format!("read {halves} as U+FFFD"));
    }
    if candidates.left_out > 0 {
        let left_out = candidates.left_out;
        let what = counted(left_out, "pairs with an unknown query or document");
        notes.push(format!("skipped {what}"));
    }
    if are_scored && without > 0 {
        let what = counted(without, "pairs without a score");
        notes.push(format!("left out {what}, because other pairs have one"));
    }
    let pairs = &candidates.pairs;
    let by_query = ByQuery::new(queries.len(), || pairs.iter().map(|pair| pair.query));
    let mut file = LineWriter::create(&output.path(name))?;
    let (mut unscored, mut done, mut failed) = (0u64, 0, Ok(()));
    keep(judged, "without negatives", notes, |one| {
        if failed.is_err() {
            return false;
        }
        let own = || {
            let own = by_query.get(one.query).iter().map(|place| &pairs[*place as usize]);
            own.filter(|pair| !are_scored || !pair.score.is_nan())
        };
        let mut negatives = unique(own().map(|pair| pair.doc));
        negatives.retain(|doc| !one.positives.contains(doc));
        if negatives.is_empty() {
            return false;
        }
        // The first score of a repeated pair is used.
        let score_of: FxHashMap<u32, f32> =
            own().rev().map(|&Scored { doc, score, .. }| (doc, score)).collect();
        let best = negatives.iter().map(|doc| score_of[doc]).fold(f32::NEG_INFINITY, f32::max);
        let key = [options.seed, DRAWN_NEGATIVES, queries.id(one.query) as u64];
        let drawn = sample(negatives, options.max_negatives, &key);
        let score = |doc: u32| match (are_scored, score_of.get(&doc)) {
            (false, _) => 1.0,
            (true, Some(score)) => *score,
            (true, None) => best,
        };
        let scored = one.positives.iter().filter(|doc| score_of.contains_key(doc)).count();
        unscored += (one.positives.len() - scored) as u64;
        let all = || one.positives.iter().chain(&drawn).copied();
        all().for_each(|doc| _ = used.insert(doc));
        failed = steps.count("queries with scores written", done, None).and_then(|()| {
            let scores = all().map(|doc| (docs.id(doc), score(doc)));
            let line = score_line(queries.id(one.query), scores);
            Ok(file.line(format_args!("{line}"))?)
        });
        done += 1;
        true
    });
    failed?;
    file.finish()?;
    if are_scored && unscored > 0 {
        let what = counted(unscored, "positives without a score");
        notes.push(format!("train: {what} got the best of their query's negatives"));
    }
    Ok(name)
}

/// Writes the masters and positive lists, with all documents of the collection if none are named.
fn write(
    part: &SplitFolder,
    queries: &Collection,
    docs: &Collection,
    judged: &[Judged],
    used: Option<&Rows>,
    notes: &mut Vec<String>,
    steps: &mut Steps<'_>,
) -> Result<(), DataError> {
    let rows = judged.iter().map(|one| Ok((queries.id(one.query), queries.text(one.query))));
    let count = part.texts(Master::Queries, rows, steps)?;
    let mut rows: Vec<u32> = match used {
        Some(used) => used.iter().collect(),
        None => (0..docs.len() as u32).collect(),
    };
    rows.sort_by_key(|row| docs.id(*row));
    let rows = rows.iter().map(|row| Ok((docs.id(*row), docs.text(*row))));
    let documents = part.texts(Master::Documents, rows, steps)?;
    let ids = |one: &Judged| one.positives.iter().map(|doc| docs.id(*doc)).collect::<Vec<_>>();
    part.positives(judged.iter().map(|one| (queries.id(one.query), ids(one))))?;
    let (queries, documents) = (counted(count, "queries"), counted(documents, "documents"));
    notes.push(format!("{}: {queries}, {documents}", part.name()));
    Ok(())
}
