//! Training data, sample by sample.
//!
//! A sample is a function of (seed, epoch, position): resuming needs no saved state, and threads
//! may request samples in any order. Two permutations lead from a position to a triplet or a query.
//! The permutation of the seed selects the samples that are held out for `eval_loss`, and the
//! permutation of (seed, epoch) is the order of the epoch. Without shuffling neither is used:
//! samples come in the order of the file, and the last ones are held out.

use std::borrow::Cow;

use hydra_compose::settings::SettingError;

use super::lists::Lists;
use super::problems::Findings;
use super::random::{Permutation, Random, Stream};
use super::set::{Scored, Set, SetPaths, Triplet};
use super::texts::Texts;
use crate::config::DataConfig;
use crate::error::DataError;

/// The epoch number of held-out samples, which are the same in every evaluation.
const HELD_OUT: u64 = u64::MAX;

/// A query with a positive and its negatives, by their ids.
///
/// ```
/// use hydra_compose::settings::Settings;
/// use splade_data::{DataConfig, TrainingData};
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let config = DataConfig::from_value(&serde_json::json!({
///     "train_doc_master": toy.join("train/doc_master.ndjson"),
///     "train_query_master": toy.join("train/query_master.ndjson"),
///     "train_positives": toy.join("train/positive_lists.ndjson"),
///     "hard_negative_scores": toy.join("train/hard_negative_scores.ndjson"),
/// }))?;
/// let data = TrainingData::open(&config, 42)?;
/// let sample = data.sample(0, 0);
/// println!("{}: {}", data.query_text(sample.query)?, data.doc_text(sample.positive)?);
/// let scores = sample.teacher_scores.expect("the data has a teacher");
/// assert_eq!(scores.len(), 1 + sample.negatives.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The id of the query.
    pub query: i64,
    /// The id of a document that answers the query.
    pub positive: i64,
    /// The ids of the negatives, or of other documents that the teacher has scored.
    pub negatives: Vec<i64>,
    /// The teacher scores of the positive and then of the negatives; `None` for triplets.
    pub teacher_scores: Option<Vec<f32>>,
}

/// A training set that was opened and checked.
///
/// The files of the masters are memory-mapped and must not be changed while this value exists.
///
/// ```
/// use hydra_compose::settings::Settings;
/// use splade_data::{DataConfig, TrainingData};
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let config = DataConfig::from_value(&serde_json::json!({
///     "train_doc_master": toy.join("train/doc_master.ndjson"),
///     "train_query_master": toy.join("train/query_master.ndjson"),
///     "train_positives": toy.join("train/positive_lists.ndjson"),
///     "train_triplets": toy.join("train/triplets.ndjson"),
/// }))?;
/// let data = TrainingData::open(&config, 42)?;
/// for position in 0..data.len() {
///     let sample = data.sample(0, position);
///     assert!(data.queries().row(sample.query).is_some());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TrainingData {
    set: Set,
    warnings: Vec<String>,
    negatives: usize,
    held_out: usize,
    seed: u64,
    /// The permutation that selects the held-out samples; `None` without shuffling.
    split: Option<Permutation>,
}

/// The source that samples are drawn from.
enum Samples<'a> {
    Triplets(&'a [Triplet]),
    Scores(&'a Lists<Scored>),
}

impl TrainingData {
    /// Reads and checks the training set.
    ///
    /// # Errors
    /// Returns an error if a setting or a path is wrong or the data is inconsistent. The error
    /// counts all problems and shows the first ten, each with its file and line.
    pub fn open(config: &DataConfig, seed: u64) -> Result<Self, DataError> {
        config.check_training()?;
        let mut findings = Findings::default();
        let paths = SetPaths {
            docs: &config.train_doc_master,
            queries: &config.train_query_master,
            positives: &config.train_positives,
            triplets: config.train_triplets.as_deref(),
            scores: config.hard_negative_scores.as_deref(),
        };
        let set = Set::read(paths, &mut findings)?;
        let warnings = findings.into_warnings("the training data")?;
        let samples = set.triplets.as_ref().map_or(set.queries.len(), Vec::len);
        let held_out = config.eval_loss_size;
        if held_out >= samples {
            let rule =
                format!("holding out {held_out} of {samples} samples leaves none to train on");
            return Err(SettingError::new("data.eval_loss_size", rule).into());
        }
        let split = config.shuffle.then(|| Permutation::new(samples, &[seed, Stream::SPLIT]));
        let negatives = config.negatives_per_query;
        Ok(Self { set, warnings, negatives, held_out, seed, split })
    }

    /// Returns the warnings about data that is unusual but usable.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the number of samples in an epoch, without those that are held out. A sample is a
    /// triplet, or a query in distillation.
    #[allow(clippy::len_without_is_empty, reason = "there is always a sample")]
    pub fn len(&self) -> usize {
        self.samples() - self.held_out
    }

    /// Returns the number of negatives in a sample.
    pub fn negatives(&self) -> usize {
        self.negatives
    }

    /// Returns whether samples have teacher scores.
    pub fn has_teacher(&self) -> bool {
        self.set.scores.is_some()
    }

    /// Returns the sample at a position of an epoch.
    ///
    /// # Panics
    /// Panics if the position is not below [`len`](Self::len).
    pub fn sample(&self, epoch: u64, position: usize) -> Sample {
        assert!(position < self.len(), "sample {position} of {}", self.len());
        let index = self.split.as_ref().map_or(position, |split| {
            let order = Permutation::new(self.len(), &[self.seed, Stream::ORDER, epoch]);
            split.at(order.at(position))
        });
        self.draw(epoch, index)
    }

    /// Returns the number of samples that are held out for `eval_loss`.
    pub fn held_out(&self) -> usize {
        self.held_out
    }

    /// Returns a held-out sample, which is the same in every call.
    ///
    /// # Panics
    /// Panics if the index is not below [`held_out`](Self::held_out).
    pub fn held_out_sample(&self, index: usize) -> Sample {
        assert!(index < self.held_out, "sample {index} of {}", self.held_out);
        let place = self.len() + index;
        self.draw(HELD_OUT, self.split.as_ref().map_or(place, |split| split.at(place)))
    }

    /// Returns the text of a query.
    ///
    /// # Errors
    /// Returns an error if there is no such query, or if its file was changed after it was opened.
    pub fn query_text(&self, qid: i64) -> Result<Cow<'_, str>, DataError> {
        self.set.queries.get(qid)
    }

    /// Returns the text of a document.
    ///
    /// # Errors
    /// Returns an error if there is no such document, or if its file was changed after it was
    /// opened.
    pub fn doc_text(&self, doc: i64) -> Result<Cow<'_, str>, DataError> {
        self.set.docs.get(doc)
    }

    /// Returns the document master.
    pub fn docs(&self) -> &Texts {
        &self.set.docs
    }

    /// Returns the query master.
    pub fn queries(&self) -> &Texts {
        &self.set.queries
    }

    /// Returns the scored documents of the query in a row, each as its row, its score and whether
    /// it is a positive.
    pub fn scored(&self, query: u32) -> impl Iterator<Item = (u32, f32, bool)> + '_ {
        let positives = self.set.positives.get(query).unwrap_or_default();
        let scored = self.set.scores.as_ref().and_then(|scores| scores.get(query));
        let item = |s: &Scored| (s.doc, s.score, positives.contains(&s.doc));
        scored.unwrap_or_default().iter().map(item)
    }

    /// Returns the ids of the queries and of the documents that samples use, in the order of their
    /// files.
    pub fn used(&self) -> (Vec<i64>, Vec<i64>) {
        let (mut queries, mut docs) =
            (vec![false; self.set.queries.len()], vec![false; self.set.docs.len()]);
        match self.source() {
            Samples::Triplets(triplets) => triplets.iter().for_each(|triplet| {
                queries[triplet.query as usize] = true;
                docs[triplet.positive as usize] = true;
                docs[triplet.negative as usize] = true;
            }),
            Samples::Scores(scores) => {
                queries.fill(true);
                let all = (0..queries.len() as u32).filter_map(|query| scores.get(query));
                all.flatten().for_each(|scored| docs[scored.doc as usize] = true);
            }
        }
        let ids = |used: Vec<bool>, texts: &Texts| {
            let rows = used.into_iter().enumerate().filter(|(_, is_used)| *is_used);
            rows.map(|(row, _)| texts.id_at(row)).collect()
        };
        (ids(queries, &self.set.queries), ids(docs, &self.set.docs))
    }

    /// Returns the bytes of memory in use, without the mapped files.
    pub fn heap_bytes(&self) -> usize {
        self.set.heap_bytes()
    }

    fn source(&self) -> Samples<'_> {
        match (&self.set.triplets, &self.set.scores) {
            (Some(triplets), _) => Samples::Triplets(triplets),
            (None, Some(scores)) => Samples::Scores(scores),
            (None, None) => unreachable!("neither triplets nor scores: this is a bug"),
        }
    }

    fn samples(&self) -> usize {
        match self.source() {
            Samples::Triplets(triplets) => triplets.len(),
            Samples::Scores(_) => self.set.queries.len(),
        }
    }

    /// Returns a triplet as a sample, or draws documents for a query.
    fn draw(&self, epoch: u64, index: usize) -> Sample {
        let doc = |row: u32| self.set.docs.id_at(row as usize);
        let scores = match self.source() {
            Samples::Triplets(triplets) => {
                let Triplet { query, positive, negative } = triplets[index];
                return Sample {
                    query: self.set.queries.id_at(query as usize),
                    positive: doc(positive),
                    negatives: vec![doc(negative)],
                    teacher_scores: None,
                };
            }
            Samples::Scores(scores) => scores,
        };
        let query = self.set.queries.id_at(index);
        let checked = "queries without positives, scores or negatives are refused: this is a bug";
        let positives = self.set.positives.get(index as u32).expect(checked);
        let scored = scores.get(index as u32).expect(checked);
        let mut random = Random::new(&[self.seed, Stream::DRAW, epoch, query as u64]);
        let positive = positives[random.below(positives.len())];
        let positive = scored.iter().find(|scored| scored.doc == positive).expect(checked);
        let candidates: Vec<&Scored> =
            scored.iter().filter(|scored| !positives.contains(&scored.doc)).collect();
        // Every candidate is used once before any is used twice.
        let mut chosen = random.choose(self.negatives, candidates.len());
        while chosen.len() < self.negatives {
            chosen.push(random.below(candidates.len()));
        }
        let negatives = chosen.into_iter().map(|i| candidates[i]);
        let all: Vec<&Scored> = std::iter::once(positive).chain(negatives).collect();
        Sample {
            query,
            positive: doc(positive.doc),
            negatives: all[1..].iter().map(|scored| doc(scored.doc)).collect(),
            teacher_scores: Some(all.iter().map(|scored| scored.score).collect()),
        }
    }
}
