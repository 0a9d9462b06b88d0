//! Teachers: what scores pairs of queries and documents, and how the scores of several are joined.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Value, json};
use splade_io::Observer;
use splade_model::{CrossEncoder, CrossEncoderOptions, HeadKind};

use crate::dense_ranker::DenseRanker;
use crate::dense_vectors::{self, TextsOf};
use crate::error::{Error, advised, invalid};
use crate::masters::Masters;
use crate::model::{full, model_folder, require_head};
use crate::ranker::{self, Ranker, RankerOptions};

/// What scores pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scorer {
    /// BM25 over the model's tokens.
    Bm25,
    /// The dot product of the model's sparse vectors.
    #[default]
    Splade,
    /// The similarity of the model's dense vectors.
    Dense,
    /// Late interaction: every token of the query with the best token of the document.
    Colbert,
    /// The mean of the three scores of BGE-M3: dense, token weights and late interaction.
    BgeM3,
    /// A cross-encoder, which reads both texts together.
    CrossEncoder,
}

impl Scorer {
    /// All scorers by their names.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("bm25", Self::Bm25),
        ("splade", Self::Splade),
        ("dense", Self::Dense),
        ("colbert", Self::Colbert),
        ("bge-m3", Self::BgeM3),
        ("cross-encoder", Self::CrossEncoder),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let own = Self::NAMED.iter().find(|(_, scorer)| *scorer == self);
        own.map_or("", |(name, _)| name)
    }

    /// What the model must make of a text; nothing where any model or the built-in one will do.
    fn heads(self) -> &'static [HeadKind] {
        match self {
            Self::Bm25 | Self::Splade => &[],
            Self::Dense => &[HeadKind::Dense],
            Self::BgeM3 => &[HeadKind::Dense, HeadKind::MultiVector, HeadKind::Sparse],
            Self::Colbert => &[HeadKind::MultiVector],
            Self::CrossEncoder => &[HeadKind::Classifier],
        }
    }
}

/// One of the teachers whose scores are joined.
#[derive(Debug, Clone, PartialEq)]
pub struct Teacher {
    /// What scores.
    pub by: Scorer,
    /// The model; the one of the ranker options if none is named.
    pub model: Option<PathBuf>,
    /// The factor of its scores, where several teachers are joined.
    pub weight: f32,
}

impl Default for Teacher {
    fn default() -> Self {
        Self { by: Scorer::default(), model: None, weight: 1.0 }
    }
}

impl From<Scorer> for Teacher {
    fn from(by: Scorer) -> Self {
        Self { by, ..Self::default() }
    }
}

/// How the scores of several teachers become one, for each query on its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Join {
    /// The weighted sum of standardized scores: those of a query have the mean 0 and the standard
    /// deviation 1.
    #[default]
    Standardize,
    /// The weighted sum of scores that are scaled to 0 to 1 by their least and greatest, as in
    /// SPLADE-v3 (arXiv 2403.06789).
    MinMax,
    /// The weighted sum of the scores as they are.
    Sum,
}

impl Join {
    /// All ways by their names.
    pub const NAMED: [(&'static str, Self); 3] =
        [("standardize", Self::Standardize), ("min-max", Self::MinMax), ("sum", Self::Sum)];

    /// Its name.
    pub fn name(self) -> &'static str {
        let own = Self::NAMED.iter().find(|(_, join)| *join == self);
        own.map_or("", |(name, _)| name)
    }

    /// Scales the scores of a query's documents by one teacher.
    fn scale(self, scores: &mut [f32]) {
        let count = scores.len().max(1) as f64;
        let numbers = || scores.iter().map(|score| f64::from(*score));
        let (shift, scale) = match self {
            Self::Sum => return,
            Self::Standardize => {
                let mean = numbers().sum::<f64>() / count;
                let variance = numbers().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                (mean, variance.sqrt())
            }
            Self::MinMax => {
                let least = numbers().fold(f64::INFINITY, f64::min);
                (least, numbers().fold(f64::NEG_INFINITY, f64::max) - least)
            }
        };
        // Where all scores are equal, none is better.
        let scaled =
            |score: f32| if scale > 0.0 { (f64::from(score) - shift) / scale } else { 0.0 };
        scores.iter_mut().for_each(|score| *score = scaled(*score) as f32);
    }
}

/// Refuses teachers that cannot be joined, before a model is loaded.
pub(crate) fn check(
    teachers: &[Teacher],
    options: &RankerOptions,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    if teachers.is_empty() {
        return Err(invalid("no teacher is named"));
    }
    for teacher in teachers {
        if !teacher.weight.is_finite() || teacher.weight == 0.0 {
            return Err(invalid(format!("{} is not a weight", teacher.weight)));
        }
        for head in teacher.by.heads() {
            let model = model_of(teacher, options).ok_or_else(|| {
                advised(
                    format!("no model is named for {}", teacher.by.name()),
                    "name one with --model, or behind --by: dense,model=FOLDER",
                )
            })?;
            require_head(model, *head, observer)?;
        }
    }
    Ok(())
}

fn model_of<'a>(teacher: &'a Teacher, options: &'a RankerOptions) -> Option<&'a Path> {
    teacher.model.as_deref().or(options.model.as_deref())
}

/// The options of a teacher's ranker.
fn ranker_options(teacher: &Teacher, options: &RankerOptions) -> RankerOptions {
    let model = teacher.model.clone().or(options.model.clone());
    RankerOptions { model, ..options.clone() }
}

/// What files of scores depend on by their teachers.
pub(crate) fn settings(teachers: &[Teacher], join: Join) -> Value {
    let teacher = |teacher: &Teacher| {
        let model = teacher.model.as_deref().map(full);
        json!({"by": teacher.by.name(), "model": model, "weight": teacher.weight})
    };
    let join = (teachers.len() > 1).then_some(join.name());
    json!({"teachers": teachers.iter().map(teacher).collect::<Vec<_>>(), "join": join})
}

/// The hashes of the models of teachers.
pub(crate) fn model_contents(
    teachers: &[Teacher],
    options: &RankerOptions,
    observer: &mut dyn Observer,
) -> Result<Value, Error> {
    let mut content = |teacher: &Teacher| match teacher.by.heads().first() {
        None => ranker::model_content(&ranker_options(teacher, options), observer),
        Some(kind) => {
            let model = model_of(teacher, options).unwrap_or_else(|| Path::new(""));
            dense_vectors::model_content(model, *kind, options, observer)
        }
    };
    teachers.iter().map(&mut content).collect()
}

/// A loaded teacher.
pub(crate) enum LoadedTeacher {
    Sparse(Box<Ranker>),
    Dense(Box<DenseRanker>),
    CrossEncoder(Box<CrossEncoder>),
    /// The mean of several.
    Mean(Vec<LoadedTeacher>),
}

/// The texts of the pairs that are scored.
pub(crate) struct Scored<'a> {
    pub(crate) masters: &'a Masters,
    /// The ids of the queries and of the documents that occur.
    pub(crate) queries: &'a [i64],
    pub(crate) documents: &'a [i64],
}

impl LoadedTeacher {
    pub(crate) fn load(
        teacher: &Teacher,
        options: &RankerOptions,
        scored: &Scored<'_>,
        pool: &rayon::ThreadPool,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let own = ranker_options(teacher, options);
        let model = own.model.clone().unwrap_or_default();
        let dense = |kind, observer: &mut dyn Observer| {
            let texts = |texts, ids| TextsOf { texts, ids: Some(ids) };
            let queries = texts(&scored.masters.queries, scored.queries);
            let documents = texts(&scored.masters.docs, scored.documents);
            let ranker = DenseRanker::open(&model, kind, &own, &queries, &documents, observer);
            ranker.map(|ranker| Self::Dense(Box::new(ranker)))
        };
        let sparse = |ranker: Result<Ranker, Error>| Ok(Self::Sparse(Box::new(ranker?)));
        match teacher.by {
            Scorer::Bm25 => sparse(Ranker::bm25(&own, scored.masters, pool, observer)),
            Scorer::Splade => sparse(Ranker::splade(&own, scored.masters, observer)),
            Scorer::Dense => dense(HeadKind::Dense, observer),
            Scorer::Colbert => dense(HeadKind::MultiVector, observer),
            Scorer::BgeM3 => {
                let mut all = vec![dense(HeadKind::Dense, observer)?];
                all.push(dense(HeadKind::MultiVector, observer)?);
                let own = RankerOptions { index: None, ..own.clone() };
                all.push(sparse(Ranker::splade(&own, scored.masters, observer))?);
                Ok(Self::Mean(all))
            }
            Scorer::CrossEncoder => {
                let folder = model_folder(&model, observer)?;
                let encoder = &own.encoder;
                let options = CrossEncoderOptions {
                    precision: encoder.precision,
                    isa: encoder.isa,
                    max_length: encoder.max_length,
                    batch_tokens: encoder.batch_tokens,
                    mecab_dicdir: encoder.mecab_dicdir.clone(),
                };
                let model = pool.install(|| CrossEncoder::load(&folder, &options));
                Ok(Self::CrossEncoder(Box::new(model.map_err(Error::load(&model_name(&own)))?)))
            }
        }
    }

    /// What the scores depend on that is not known before the teacher is there.
    pub(crate) fn inputs(&self) -> Value {
        match self {
            Self::Sparse(ranker) => ranker.inputs().clone(),
            _ => Value::Null,
        }
    }

    /// The scores of the documents of each query, in their order.
    pub(crate) fn scores(
        &self,
        queries: &[&str],
        documents: &[Vec<i64>],
        masters: &Masters,
        pool: &rayon::ThreadPool,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let known = |score: Option<f32>, id: i64| {
            score.ok_or_else(|| Error::NotInIndex { id: id.to_string() })
        };
        match self {
            Self::Sparse(ranker) => {
                let vectors = ranker.vectors(queries, pool)?;
                let of = |(vector, ids): (_, &Vec<i64>)| {
                    ids.iter().map(|id| known(ranker.score(vector, *id), *id)).collect()
                };
                pool.install(|| vectors.par_iter().zip(documents).map(of).collect())
            }
            Self::Dense(ranker) => {
                let of = |(query, ids): (&&str, &Vec<i64>)| {
                    ids.iter().map(|id| known(ranker.score(query, *id)?, *id)).collect()
                };
                pool.install(|| queries.par_iter().zip(documents).map(of).collect())
            }
            Self::CrossEncoder(model) => {
                let mut all = Vec::new();
                for (query, ids) in queries.iter().zip(documents) {
                    let texts = ids.iter().map(|id| masters.docs.get(*id));
                    let texts = texts.collect::<Result<Vec<_>, _>>()?;
                    let pairs: Vec<(&str, &str)> =
                        texts.iter().map(|text| (*query, text.as_ref())).collect();
                    all.push(pool.install(|| model.score(&pairs))?);
                }
                Ok(all)
            }
            Self::Mean(teachers) => {
                let mut sums: Vec<Vec<f32>> =
                    documents.iter().map(|ids| vec![0.0; ids.len()]).collect();
                for teacher in teachers {
                    let scores = teacher.scores(queries, documents, masters, pool)?;
                    let both = sums.iter_mut().flatten().zip(scores.iter().flatten());
                    both.for_each(|(sum, score)| *sum += score / teachers.len() as f32);
                }
                Ok(sums)
            }
        }
    }
}

fn model_name(options: &RankerOptions) -> PathBuf {
    options.model.clone().unwrap_or_default()
}

/// Joins the scores of several teachers for the documents of one query.
pub(crate) fn joined(teachers: &[Teacher], join: Join, mut scores: Vec<Vec<f32>>) -> Vec<f32> {
    if let [_] = teachers {
        return scores.pop().unwrap_or_default();
    }
    let count = scores.first().map_or(0, Vec::len);
    let mut sums = vec![0.0; count];
    for (teacher, own) in teachers.iter().zip(&mut scores) {
        join.scale(own);
        sums.iter_mut().zip(own).for_each(|(sum, score)| *sum += teacher.weight * *score);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected numbers are computed by hand.
    #[test]
    fn scores_are_joined_by_query() {
        let teacher = |weight| Teacher { weight, ..Teacher::default() };
        let teachers = [teacher(1.0), teacher(0.5)];
        let scores = || vec![vec![1.0, 2.0, 6.0], vec![10.0, 30.0, 20.0]];
        let root = 14.0f32.sqrt();
        for (join, want) in [
            (Join::Sum, [6.0, 17.0, 16.0]),
            (Join::MinMax, [0.0, 0.2 + 0.5, 1.0 + 0.25]),
            (
                Join::Standardize,
                // The deviations are sqrt(14/3) and 10 · sqrt(2/3).
                [
                    -2.0 / (root / 3.0f32.sqrt()) - 0.5 * 1.5f32.sqrt(),
                    -1.0 / (root / 3.0f32.sqrt()) + 0.5 * 1.5f32.sqrt(),
                    3.0 / (root / 3.0f32.sqrt()),
                ],
            ),
        ] {
            let got = joined(&teachers, join, scores());
            let near = got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-6);
            assert!(near, "{join:?}: {got:?}, not {want:?}");
        }
        // Equal scores say nothing, and one teacher's scores stay as they are.
        assert_eq!(joined(&teachers, Join::MinMax, vec![vec![3.0; 2], vec![1.0, 2.0]]), [0.0, 0.5]);
        assert_eq!(joined(&teachers[..1], Join::MinMax, vec![vec![3.0, 1.0]]), [3.0, 1.0]);
        assert!(joined(&teachers, Join::Standardize, vec![Vec::new(), Vec::new()]).is_empty());
    }

    #[test]
    fn what_cannot_be_joined_is_named_before_the_work() {
        let options = RankerOptions::default();
        let error = |teachers: &[Teacher]| check(teachers, &options, &mut ()).expect_err("refused");
        let dense = error(&[Scorer::Dense.into()]);
        assert_eq!(dense.to_string(), "no model is named for dense");
        assert!(dense.hint().is_some_and(|hint| hint.contains("--model")));
        assert!(check(&[Scorer::Bm25.into(), Scorer::Splade.into()], &options, &mut ()).is_ok());
        let weightless = Teacher { weight: f32::NAN, ..Teacher::default() };
        assert_eq!(error(&[weightless]).to_string(), "NaN is not a weight");
        assert_eq!(error(&[]).to_string(), "no teacher is named");
    }
}
