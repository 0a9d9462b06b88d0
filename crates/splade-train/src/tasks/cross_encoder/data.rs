//! The pairs and lists on which a cross-encoder is trained and evaluated.

use std::borrow::Cow;
use std::path::PathBuf;

use splade_io::Problem;

use super::config::{CrossEncoderConfig, CrossEncoderLoss, CrossEncoderSource, SetFiles};
use super::pickle::{Labelled, Pickled, PickledTexts};
use crate::error::TrainError;
use splade_data::random::Permutation;
use splade_data::{DataConfig, DataError};
use splade_data::{Texts, TrainingData};

/// The number that keeps the permutation of the training subset independent of other random
/// choices.
const SUBSET: u64 = 11;
const ORDER: u64 = 12;

/// The pairs of one loss: a single pair, or the documents of a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// The texts of query and document, truncated to the limits.
    pub(super) pairs: Vec<(String, String)>,
    /// The labels, or the scores of another teacher.
    pub(super) targets: Vec<f32>,
}

/// A query whose documents are ranked in an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rerank {
    /// The text of the query.
    pub(super) query: String,
    /// The texts of its positives, followed by those of its negatives.
    pub(super) documents: Vec<String>,
    /// The number of positives at the start of `documents`.
    pub(super) positives: usize,
}

/// The opened data of a cross-encoder's training. The texts stay in memory-mapped files, which must
/// not change during the run.
#[derive(Debug)]
pub(super) struct CrossEncoderData {
    texts: PairTexts,
    samples: Samples,
    rerank: Vec<RerankRows>,
    validation: Option<TrainingData>,
    seed: u64,
    warnings: Vec<String>,
}

#[derive(Debug)]
enum PairTexts {
    Pickle(PickledTexts),
    Set(Box<TrainingData>),
}

#[derive(Debug)]
enum Samples {
    /// Query, document and label of all pairs, a permutation of the pairs, and how many of its
    /// first entries are used.
    Pairs(Vec<Labelled>, Permutation, usize),
    /// One list for every query of the set.
    Lists,
}

#[derive(Debug)]
struct RerankRows {
    query: u32,
    documents: Vec<u32>,
    positives: usize,
}

impl CrossEncoderData {
    /// Opens and checks all data files.
    ///
    /// # Errors
    /// Returns an error if a file is missing, damaged, or inconsistent with the others.
    pub(super) fn open(config: &CrossEncoderConfig) -> Result<Self, TrainError> {
        let mut warnings = Vec::new();
        let (texts, mut pairs, rerank, validation) = match &config.source {
            CrossEncoderSource::Pickle(path) => {
                let Pickled { texts, train, eval } = Pickled::open(path)?;
                let rows = eval.into_iter().map(|query| RerankRows {
                    query: query.query,
                    positives: query.positives.len(),
                    documents: [query.positives, query.negatives].concat(),
                });
                (PairTexts::Pickle(texts), train, rows.collect::<Vec<_>>(), None)
            }
            CrossEncoderSource::Sets(train, validation) => {
                let train = open(train, config, &mut warnings)?;
                let validation =
                    validation.as_ref().map(|set| open(set, config, &mut warnings)).transpose()?;
                let rerank = validation.as_ref().map(rerank_rows).unwrap_or_default();
                let pairs = match config.loss.is_listwise() {
                    true => Vec::new(),
                    false => labelled(&train, config.label_by_score),
                };
                (PairTexts::Set(Box::new(train)), pairs, rerank, validation)
            }
        };
        let mut data = Self {
            texts,
            samples: Samples::Lists,
            rerank,
            validation,
            seed: config.seed,
            warnings,
        };
        if config.max_eval_size > 0 {
            data.rerank.truncate(config.max_eval_size);
        }
        if data.rerank.is_empty() {
            data.warnings.push(
                "there is no evaluation data, so the last model counts as the best one".to_owned(),
            );
        }
        if !config.loss.is_listwise() {
            check_labels(&pairs, config)?;
            pairs.shrink_to_fit();
            let used = match config.max_train_size {
                0 => pairs.len(),
                most => most.min(pairs.len()),
            };
            if used == 0 {
                return Err(TrainError::Data("the training data has no pairs".into()));
            }
            let subset = Permutation::new(pairs.len(), &[config.seed, SUBSET]);
            data.samples = Samples::Pairs(pairs, subset, used);
        }
        Ok(data)
    }

    /// Returns the warnings about data that is unusual but can be used.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the number of groups in an epoch.
    #[allow(clippy::len_without_is_empty, reason = "there is always at least one group")]
    pub(super) fn len(&self) -> usize {
        match (&self.samples, &self.texts) {
            (Samples::Pairs(_, _, used), _) => *used,
            (Samples::Lists, PairTexts::Set(set)) => set.len(),
            (Samples::Lists, PairTexts::Pickle(_)) => 0,
        }
    }

    /// Returns the number of used pairs with a label above 0, or `None` for lists.
    pub(super) fn positives(&self) -> Option<usize> {
        let Samples::Pairs(pairs, subset, used) = &self.samples else { return None };
        Some((0..*used).filter(|at| pairs[subset.at(*at)].2 > 0.0).count())
    }

    /// Returns the group at a position of an epoch, which depends only on the seed, the epoch and
    /// the position.
    ///
    /// # Errors
    /// Returns an error if a file was changed during the run.
    pub(super) fn group(
        &self,
        epoch: u64,
        position: usize,
        config: &CrossEncoderConfig,
    ) -> Result<Group, TrainError> {
        let limits = config.pairs.limits();
        let cut = |query: &str, document: &str| {
            let (query, document) = limits.cut(query, document);
            (query.to_owned(), document.to_owned())
        };
        match (&self.samples, &self.texts) {
            (Samples::Pairs(pairs, subset, used), texts) => {
                let order = Permutation::new(*used, &[self.seed, ORDER, epoch]);
                let (query, document, label) = pairs[subset.at(order.at(position))];
                let (query, document) = (texts.query(query)?, texts.document(document)?);
                Ok(Group { pairs: vec![cut(&query, &document)], targets: vec![label] })
            }
            (Samples::Lists, PairTexts::Set(set)) => {
                let sample = set.sample(epoch, position);
                let query = set.query_text(sample.query)?;
                let documents = [sample.positive].into_iter().chain(sample.negatives);
                let pairs = documents.map(|document| Ok(cut(&query, &set.doc_text(document)?)));
                let pairs = pairs.collect::<Result<_, TrainError>>()?;
                Ok(Group { pairs, targets: sample.teacher_scores.unwrap_or_default() })
            }
            (Samples::Lists, PairTexts::Pickle(_)) => {
                unreachable!("lists from a pickle: this is a bug")
            }
        }
    }

    /// Returns the number of queries in an evaluation.
    pub(super) fn rerank_queries(&self) -> usize {
        self.rerank.len()
    }

    /// Returns a query of the evaluation.
    ///
    /// # Errors
    /// Returns an error if a file was changed during the run.
    pub(super) fn rerank(&self, index: usize) -> Result<Rerank, TrainError> {
        let RerankRows { query, documents, positives } = &self.rerank[index];
        let owned = |text: Result<Cow<'_, str>, TrainError>| text.map(Cow::into_owned);
        let (query, documents) = match (&self.validation, &self.texts) {
            (Some(set), _) => (
                owned(text_at(set.queries(), *query))?,
                documents.iter().map(|row| owned(text_at(set.docs(), *row))).collect(),
            ),
            (None, texts) => (
                owned(texts.query(*query))?,
                documents.iter().map(|row| owned(texts.document(*row))).collect(),
            ),
        };
        let documents: Result<Vec<String>, TrainError> = documents;
        Ok(Rerank { query, documents: documents?, positives: *positives })
    }
}

impl PairTexts {
    fn query(&self, number: u32) -> Result<Cow<'_, str>, TrainError> {
        match self {
            Self::Pickle(texts) => Ok(texts.get(number).into()),
            Self::Set(set) => text_at(set.queries(), number),
        }
    }

    fn document(&self, number: u32) -> Result<Cow<'_, str>, TrainError> {
        match self {
            Self::Pickle(texts) => Ok(texts.get(number).into()),
            Self::Set(set) => text_at(set.docs(), number),
        }
    }
}

fn text_at(texts: &Texts, row: u32) -> Result<Cow<'_, str>, TrainError> {
    texts
        .text_at(row as usize)
        .ok_or_else(|| DataError::Changed { what: "a file of texts".to_owned() }.into())
}

fn open(
    files: &SetFiles,
    config: &CrossEncoderConfig,
    warnings: &mut Vec<String>,
) -> Result<TrainingData, TrainError> {
    let SetFiles { queries, docs, positives, scores } = files;
    let data = DataConfig {
        train_doc_master: docs.clone(),
        train_query_master: queries.clone(),
        train_positives: positives.clone(),
        hard_negative_scores: Some(PathBuf::from(scores)),
        negatives_per_query: config.negatives_per_query,
        shuffle: true,
        ..DataConfig::default()
    };
    let data = TrainingData::open(&data, config.seed)?;
    warnings.extend_from_slice(data.warnings());
    Ok(data)
}

/// Checks that the loss accepts every label, and that it has a lower bound for it.
fn check_labels(pairs: &[Labelled], config: &CrossEncoderConfig) -> Result<(), TrainError> {
    let labels = config.num_labels;
    let is_right = |label: f32| match config.loss {
        CrossEncoderLoss::CrossEntropy => {
            label.fract() == 0.0 && (0.0..labels as f32).contains(&label)
        }
        CrossEncoderLoss::Bce => (0.0..=1.0).contains(&label),
        _ => true,
    };
    let mut all = pairs.iter().map(|(_, _, label)| *label);
    let Some(label) = all.find(|label| !is_right(*label)) else { return Ok(()) };
    Err(TrainError::Data(match config.loss {
        CrossEncoderLoss::CrossEntropy => {
            format!("a pair has the label {label}, but the {labels} labels are 0 to {}", labels - 1)
                .into()
        }
        _ => Problem::new(format!(
            "a pair has the label {label}, but the labels of BCEWithLogitsLoss are 0 to 1"
        ))
        .with_remedy("set loss_function to MSELoss, which learns scores of any size"),
    }))
}

/// Returns all scored pairs of a set with their labels.
fn labelled(set: &TrainingData, by_score: bool) -> Vec<Labelled> {
    let queries = 0..set.queries().len() as u32;
    let label = |score: f32, positive: bool| match by_score {
        true => score,
        false => f32::from(u8::from(positive)),
    };
    queries
        .flat_map(|query| {
            set.scored(query)
                .map(move |(doc, score, positive)| (query, doc, label(score, positive)))
        })
        .collect()
}

/// Returns the scored documents of every query, positives first.
fn rerank_rows(set: &TrainingData) -> Vec<RerankRows> {
    let rows = (0..set.queries().len() as u32).map(|query| {
        let (positives, negatives): (Vec<_>, Vec<_>) =
            set.scored(query).partition(|(_, _, positive)| *positive);
        let documents = positives.iter().chain(&negatives).map(|(doc, _, _)| *doc).collect();
        RerankRows { query, documents, positives: positives.len() }
    });
    rows.collect()
}
