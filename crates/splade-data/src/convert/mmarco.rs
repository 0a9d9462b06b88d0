//! Converts mMARCO (Bonifacio et al., arXiv 2108.13897): the passages, queries and training triples
//! of MS MARCO in other languages, from the files of unicamp-dl/mmarco.
//!
//! The output equals that of the Python library's converters for Japanese and follows their rules:
//!
//! - Translation makes some texts equal. Of documents with equal text the first is used, of queries
//!   the last, where the queries of dev.full follow those of train. The triples are mapped
//!   accordingly, so that the triples of a train query belong to the dev query of the same text.
//! - Triples of dev.full's queries become `validation`, all others `train`. Triples with an unknown
//!   query or document are skipped.
//! - For distillation, queries are skipped if all of their negatives are also positives. The
//!   negatives of a query are drawn separately for the teacher's training pairs and for the scores.
//!
//! There is one difference. The Python example lets a document be both a positive and a negative of
//! a query; here such a document is never drawn as a negative. Triplets keep it, and `check-data`
//! warns about it. Documents are sorted by id and not in the order of a Python set.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::collection::{ByText, Collection};
use super::inputs::{error, find_one};
use super::output::{Master, Output, SplitFolder};
use super::pairs::{ByQuery, Rows, Triple, sample, unique};
use super::samples::Samples;
use super::steps::Steps;
use super::triples;
use crate::error::DataError;
use crate::scores::score_line;
use splade_io::{LineWriter, counted};

/// The kind of training that the data is for.
///
/// ```
/// use splade_data::convert::{Conversion, MmarcoFiles, MmarcoOptions, Purpose, convert};
/// use serde_json::json;
///
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
/// let out = tempfile::tempdir()?;
/// let files = MmarcoFiles::find(&fixtures.join("mmarco"), "japanese", "google", [None; 4])?;
/// let options = MmarcoOptions { files, purpose: Purpose::Triplet, max_negatives: 0, seed: 42 };
/// convert(&Conversion::Mmarco(options), &out.path().join("data"), &json!({}), false, &mut ())?;
/// assert!(out.path().join("data/train/triplets.ndjson").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Training with triplets, which are taken from the triples.
    Triplet,
    /// Distillation: the training pairs of a cross-encoder, and the pairs that it will score.
    Distil,
}

/// The paths of the four files of mMARCO.
///
/// ```
/// use splade_data::convert::MmarcoFiles;
///
/// // What has to be downloaded.
/// let [collection, ..] = MmarcoFiles::names("japanese", "google");
/// assert_eq!(collection, "data/google/collections/japanese_collection.tsv");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MmarcoFiles {
    /// The passages, with an id and a text in each line.
    pub collection: PathBuf,
    /// The queries of train, with an id and a text in each line.
    pub train_queries: PathBuf,
    /// The queries of dev.full, with an id and a text in each line.
    pub dev_queries: PathBuf,
    /// The triples of query, positive and negative, as ids or as texts.
    pub triples: PathBuf,
}

/// Options for converting mMARCO.
///
/// ```
/// use splade_data::convert::{Conversion, MmarcoFiles, MmarcoOptions, Purpose, convert};
/// use serde_json::json;
///
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
/// let out = tempfile::tempdir()?;
/// let files = MmarcoFiles::find(&fixtures.join("mmarco"), "japanese", "google", [None; 4])?;
/// let options = MmarcoOptions { files, purpose: Purpose::Distil, max_negatives: 4, seed: 42 };
/// convert(&Conversion::Mmarco(options), &out.path().join("data"), &json!({}), false, &mut ())?;
/// assert!(out.path().join("data/train/doc_master.ndjson").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MmarcoOptions {
    /// The paths of the input files.
    pub files: MmarcoFiles,
    /// The kind of training that the data is for.
    pub purpose: Purpose,
    /// The maximum number of negatives for each query in distillation; 0 keeps all.
    pub max_negatives: usize,
    /// The seed for drawing negatives.
    pub seed: u64,
}

impl MmarcoFiles {
    /// The repository of the data set at the hub.
    pub const REPOSITORY: &str = "unicamp-dl/mmarco";

    /// Returns the names of the files at the hub for a language (`japanese`) and a translation
    /// (`google`, `helsinki`).
    pub fn names(language: &str, translation: &str) -> [String; 4] {
        [
            format!("data/{translation}/collections/{language}_collection.tsv"),
            format!("data/{translation}/queries/train/{language}_queries.train.tsv"),
            format!("data/{translation}/queries/dev/{language}_queries.dev.tsv"),
            "data/triples.train.ids.small.tsv".to_owned(),
        ]
    }

    /// Finds the files in a folder. They may be in the layout of the hub or all in one folder, with
    /// or without the language in their names, and compressed (`.gz`) or not. Files that are given
    /// are not searched for.
    ///
    /// # Errors
    /// Returns an error if one of the files is missing.
    pub fn find(
        dir: &Path,
        language: &str,
        translation: &str,
        given: [Option<&Path>; 4],
    ) -> Result<Self, DataError> {
        let common =
            ["collection.tsv", "queries.train.tsv", "queries.dev.tsv", "triples.train.small.tsv"];
        let names = Self::names(language, translation);
        let mut files = Vec::new();
        for ((name, common), given) in names.iter().zip(common).zip(given) {
            files.push(match given {
                Some(path) => path.to_path_buf(),
                None => {
                    let flat = name.rsplit('/').next().unwrap_or_default();
                    find_one(dir, &[name, flat, common])?
                }
            });
        }
        let [collection, train_queries, dev_queries, triples] =
            files.try_into().expect("four names: this is a bug");
        Ok(Self { collection, train_queries, dev_queries, triples })
    }
}

/// The queries of both splits; the rows of dev follow those of train.
struct Queries {
    train: Collection,
    dev: Collection,
}

impl Queries {
    fn open(files: &MmarcoFiles) -> Result<Self, DataError> {
        let this = Self {
            train: Collection::open(&files.train_queries)?,
            dev: Collection::open(&files.dev_queries)?,
        };
        let in_both = (0..this.dev.len() as u32).map(|row| this.dev.id(row));
        match in_both.into_iter().find(|id| this.train.row(*id).is_some()) {
            None => Ok(this),
            Some(id) => Err(error(
                &files.dev_queries,
                &format!("query {id} is in {} too", files.train_queries.display()),
            )),
        }
    }

    fn len(&self) -> usize {
        self.train.len() + self.dev.len()
    }

    fn is_dev(&self, row: u32) -> bool {
        row as usize >= self.train.len()
    }

    /// Returns the file that contains a row, and the row within it.
    fn at(&self, row: u32) -> (&Collection, u32) {
        match self.is_dev(row) {
            false => (&self.train, row),
            true => (&self.dev, row - self.train.len() as u32),
        }
    }

    fn id(&self, row: u32) -> i64 {
        let (file, row) = self.at(row);
        file.id(row)
    }

    fn text(&self, row: u32) -> Cow<'_, str> {
        let (file, row) = self.at(row);
        file.text(row)
    }
}

/// The data of a conversion, with queries and documents by row.
struct Data {
    queries: Queries,
    docs: Collection,
    triples: Vec<Triple>,
    by_query: ByQuery,
}

pub(super) fn convert(
    options: &MmarcoOptions,
    output: &Output,
    steps: &mut Steps<'_>,
) -> Result<Vec<String>, DataError> {
    let MmarcoOptions { files, purpose, .. } = options;
    let queries = Queries::open(files)?;
    let docs = Collection::open(&files.collection)?;
    let mut notes = Vec::new();
    let triples = read_triples(&files.triples, &queries, &docs, &mut notes, steps)?;
    let by_query = ByQuery::new(queries.len(), || triples.iter().map(|triple| triple.query));
    let mut data = Data { queries, docs, triples, by_query };
    if *purpose == Purpose::Distil {
        let before = data.triples.len();
        data.drop_queries_without_negatives();
        let dropped = before - data.triples.len();
        if dropped > 0 {
            let what = counted(dropped, "triples of queries without a negative");
            notes.push(format!("skipped {what}"));
        }
    }
    // A triplet has about 50 bytes of text besides its ids, a score 15.
    let texts = [&files.collection, &files.train_queries, &files.dev_queries];
    let bytes = texts.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len());
    let per_triple = if *purpose == Purpose::Triplet { 70 } else { 0 };
    output.check_room(bytes.sum::<u64>() + per_triple * data.triples.len() as u64)?;
    for (name, is_dev) in [("train", false), ("validation", true)] {
        let part = output.split(name)?;
        data.write(&part, is_dev, *purpose, &mut notes, steps)?;
    }
    if *purpose == Purpose::Distil {
        data.write_pairs(&output.path("cross-encoder-training-pairs.pkl.gz"), options, steps)?;
        data.write_scores(&output.path(INIT_SCORES), options, steps)?;
    }
    drop(data);
    let scores = Some(output.path(INIT_SCORES)).filter(|_| *purpose == Purpose::Distil);
    for name in ["train", "validation"] {
        steps.at("parts checked", usize::from(name == "validation"), 2)?;
        notes.extend(output.split(name)?.check(scores.as_deref())?);
    }
    Ok(notes)
}

/// The file with the pairs that a teacher will score.
pub(super) const INIT_SCORES: &str = "hard-negatives-init-scores.ndjson.gz";

fn read_triples(
    path: &Path,
    queries: &Queries,
    docs: &Collection,
    notes: &mut Vec<String>,
    steps: &mut Steps<'_>,
) -> Result<Vec<Triple>, DataError> {
    // Of equal texts the last query and the first document are preferred.
    let query_text = |row| queries.text(row);
    let order = (0..queries.len() as u32).rev();
    let by_query = ByText::new(order, query_text, "queries compared", steps)?;
    let doc_text = |row| docs.text(row);
    let order = 0..docs.len() as u32;
    let by_doc = ByText::new(order, doc_text, "documents compared", steps)?;
    let by_ids = |[query, positive, negative]: [i64; 3]| {
        let doc = |id| docs.row(id).map(|row| by_doc.same(row));
        Some(Triple {
            // Only the queries of train have triples.
            query: by_query.same(queries.train.row(query)?),
            positive: doc(positive)?,
            negative: doc(negative)?,
        })
    };
    let by_texts = |[query, positive, negative]: [&str; 3]| {
        Some(Triple {
            query: by_query.find(query, query_text)?,
            positive: by_doc.find(positive, doc_text)?,
            negative: by_doc.find(negative, doc_text)?,
        })
    };
    let (triples, left_out) = triples::read(path, by_ids, |texts, _| Ok(by_texts(texts)), steps)?;
    if left_out > 0 {
        let what = counted(left_out, "triples with an unknown query or document");
        notes.push(format!("skipped {what}"));
    }
    Ok(triples)
}

impl Data {
    fn triples_of(&self, query: u32) -> impl Iterator<Item = &Triple> + Clone {
        self.by_query.get(query).iter().map(|place| &self.triples[*place as usize])
    }

    /// Returns the distinct positives of a query, in the order of the triples.
    fn positives(&self, query: u32) -> Vec<u32> {
        unique(self.triples_of(query).map(|triple| triple.positive))
    }

    /// Returns the distinct negatives of a query that are not also positives, in the order of the
    /// triples.
    fn negatives(&self, query: u32, positives: &[u32]) -> Vec<u32> {
        let mut negatives = unique(self.triples_of(query).map(|triple| triple.negative));
        negatives.retain(|row| !positives.contains(row));
        negatives
    }

    fn drop_queries_without_negatives(&mut self) {
        let mut kept = Rows::new(self.queries.len());
        for query in 0..self.queries.len() as u32 {
            if !self.negatives(query, &self.positives(query)).is_empty() {
                kept.insert(query);
            }
        }
        self.triples.retain(|triple| kept.contains(triple.query));
        let of = || self.triples.iter().map(|triple| triple.query);
        self.by_query = ByQuery::new(self.queries.len(), of);
    }

    /// Returns the queries of a split that have triples, in ascending order of their ids.
    fn queries_of(&self, dev: bool) -> Vec<u32> {
        let has_any = |query: &u32| {
            self.queries.is_dev(*query) == dev && !self.by_query.get(*query).is_empty()
        };
        let mut queries: Vec<u32> = (0..self.queries.len() as u32).filter(has_any).collect();
        queries.sort_unstable_by_key(|query| self.queries.id(*query));
        queries
    }

    fn write(
        &self,
        part: &SplitFolder,
        dev: bool,
        purpose: Purpose,
        notes: &mut Vec<String>,
        steps: &mut Steps<'_>,
    ) -> Result<(), DataError> {
        let of_part =
            || self.triples.iter().filter(|triple| self.queries.is_dev(triple.query) == dev);
        let mut seen = Rows::new(self.queries.len());
        let first = of_part().map(|triple| triple.query).filter(|query| seen.insert(*query));
        let rows = first.map(|row| Ok((self.queries.id(row), self.queries.text(row))));
        let queries = part.texts(Master::Queries, rows, steps)?;
        if queries == 0 {
            let message = match dev {
                true => "no triple has the text of a query of dev.full: there is no validation set",
                false => "no triple is left for train",
            };
            return Err(DataError::NothingLeft(message.to_owned()));
        }
        let mut used = Rows::new(self.docs.len());
        for triple in of_part() {
            used.insert(triple.positive);
            used.insert(triple.negative);
        }
        let mut docs: Vec<u32> = used.iter().collect();
        docs.sort_unstable_by_key(|row| self.docs.id(*row));
        let rows = docs.iter().map(|row| Ok((self.docs.id(*row), self.docs.text(*row))));
        let documents = part.texts(Master::Documents, rows, steps)?;
        let doc = |row: u32| self.docs.id(row);
        let positives = |query: u32| self.positives(query).into_iter().map(doc);
        let by_id = self.queries_of(dev);
        part.positives(by_id.iter().map(|query| (self.queries.id(*query), positives(*query))))?;
        let triples = of_part().count();
        if purpose == Purpose::Triplet {
            let rows = of_part().map(|triple| {
                [self.queries.id(triple.query), doc(triple.positive), doc(triple.negative)]
            });
            part.triplets(rows, steps)?;
        }
        let name = if dev { "validation" } else { "train" };
        let (queries, documents) = (counted(queries, "queries"), counted(documents, "documents"));
        let triples = counted(triples, "triples");
        notes.push(format!("{name}: {queries}, {documents}, {triples}"));
        Ok(())
    }

    /// Writes the training pairs of a cross-encoder: `(dev_samples, train_samples)`.
    fn write_pairs(
        &self,
        path: &Path,
        options: &MmarcoOptions,
        steps: &mut Steps<'_>,
    ) -> Result<(), DataError> {
        let mut samples = Samples::create(path)?;
        for (done, query) in self.queries_of(true).into_iter().enumerate() {
            steps.count("dev samples written", done, None)?;
            let texts = |row: u32| self.docs.text(row);
            let positives = self.triples_of(query).map(|triple| texts(triple.positive));
            let negatives = self.triples_of(query).map(|triple| texts(triple.negative));
            samples.dev(&self.queries.text(query), positives, negatives)?;
        }
        samples.end_of_dev()?;
        let queries = self.queries_of(false);
        for (done, query) in queries.iter().enumerate() {
            steps.count("train samples written", done, queries.len())?;
            let (positives, negatives) = self.drawn(*query, PAIRS, options);
            let labelled = positives.iter().map(|row| (*row, true));
            let labelled = labelled.chain(negatives.iter().map(|row| (*row, false)));
            let labelled = labelled.map(|(row, label)| (self.docs.text(row), label));
            samples.train(&self.queries.text(*query), labelled)?;
        }
        samples.finish()
    }

    /// Writes all pairs that a teacher will score, each with the score 1.
    fn write_scores(
        &self,
        path: &Path,
        options: &MmarcoOptions,
        steps: &mut Steps<'_>,
    ) -> Result<(), DataError> {
        let mut file = LineWriter::create(path)?;
        let queries = [self.queries_of(false), self.queries_of(true)].concat();
        for (done, query) in queries.iter().enumerate() {
            steps.count("queries with scores written", done, queries.len())?;
            let (positives, negatives) = self.drawn(*query, SCORES, options);
            let docs = positives.into_iter().chain(negatives);
            let line =
                score_line(self.queries.id(*query), docs.map(|row| (self.docs.id(row), 1.0)));
            file.line(format_args!("{line}"))?;
        }
        Ok(file.finish()?)
    }

    /// Returns the positives of a query and the negatives that are drawn for one use.
    fn drawn(&self, query: u32, use_: u64, options: &MmarcoOptions) -> (Vec<u32>, Vec<u32>) {
        let positives = self.positives(query);
        let negatives = self.negatives(query, &positives);
        let key = [options.seed, use_, self.queries.id(query) as u64];
        (positives, sample(negatives, options.max_negatives, &key))
    }
}

/// The uses of negatives, which are drawn separately for each use.
const PAIRS: u64 = 0;
const SCORES: u64 = 1;
