//! Training data: conversions, hard negatives, and scores of pairs.

use std::path::PathBuf;

use light_splade::SparseEncoderOptions;
use light_splade::data::{
    BeirOptions, ConvertOptions, ConvertSource, Join, Margins, MineOptions, MineSource,
    MmarcoSource, MsMarcoSource, NegativeFormat, NegativeSource, PartsOptions, Purpose, RankerKind,
    RankerOptions, ScoreOptions, Scorer, Teacher, convert as front_convert, mine as front_mine,
    score as front_score,
};
use pyo3::prelude::*;
use serde::Deserialize;

use crate::encoder::precision;
use crate::observer::observed;
use crate::settings::{self, choice};

/// The model and the index of a ranking.
#[derive(Deserialize)]
struct Ranker {
    model: Option<PathBuf>,
    index: Option<PathBuf>,
    vectors: Option<PathBuf>,
    precision: Option<String>,
    threads: Option<usize>,
}

impl Ranker {
    fn front(self, py: Python<'_>) -> PyResult<RankerOptions> {
        let default = SparseEncoderOptions::default();
        let precision = self.precision.as_deref().map(|name| precision(py, name)).transpose()?;
        let encoder = SparseEncoderOptions {
            precision: precision.unwrap_or(default.precision),
            threads: self.threads,
            ..default
        };
        Ok(RankerOptions { model: self.model, index: self.index, vectors: self.vectors, encoder })
    }
}

/// A source of negatives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    ranker: String,
    model: Option<PathBuf>,
    #[serde(default)]
    skip: usize,
    #[serde(default = "depth")]
    depth: usize,
    #[serde(default = "take")]
    take: Option<usize>,
    #[serde(default)]
    at_random: bool,
}

fn depth() -> usize {
    MineOptions::default().sources[0].options.depth
}

fn take() -> Option<usize> {
    MineOptions::default().sources[0].options.take
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MineSettings {
    data: PathBuf,
    out: PathBuf,
    sources: Option<Vec<Source>>,
    teacher_scores: Option<PathBuf>,
    margin: Option<f32>,
    relative_margin: Option<f32>,
    max_score: Option<f32>,
    min_score: Option<f32>,
    format: Option<String>,
    seed: Option<u64>,
    ranker: Ranker,
    #[serde(default)]
    resume: bool,
    #[serde(default)]
    force: bool,
}

/// Finds hard negatives; returns the numbers of queries, of queries without a negative, and of negatives, and what
/// there is to say.
#[pyfunction]
#[pyo3(signature = (settings, reporter = None))]
pub(crate) fn mine(
    py: Python<'_>,
    settings: &str,
    reporter: Option<Py<PyAny>>,
) -> PyResult<(u64, u64, u64, Vec<String>)> {
    let settings: MineSettings = settings::read(py, settings)?;
    let default = MineOptions::default();
    let source = |source: Source| -> PyResult<NegativeSource> {
        let Source { ranker, model, skip, depth, take, at_random } = source;
        let ranker = choice(py, "ranker", &ranker, &RankerKind::NAMED)?;
        let options = MineSource { skip, depth, take, at_random };
        Ok(NegativeSource { ranker, model, options })
    };
    let sources = settings.sources.map(|list| list.into_iter().map(source).collect());
    let formats = [("scores", NegativeFormat::Scores), ("triplets", NegativeFormat::Triplets)];
    let format = settings.format.as_deref().map(|name| choice(py, "format", name, &formats));
    let options = MineOptions {
        data: settings.data,
        sources: sources.transpose()?.unwrap_or(default.sources),
        teacher_scores: settings.teacher_scores,
        margins: Margins {
            absolute: settings.margin,
            relative: settings.relative_margin,
            max_score: settings.max_score,
            min_score: settings.min_score,
        },
        format: format.transpose()?.unwrap_or_default(),
        seed: settings.seed.unwrap_or(default.seed),
        ranker: settings.ranker.front(py)?,
        output: PartsOptions { out: settings.out, resume: settings.resume, force: settings.force },
    };
    let mined = observed(py, reporter, |observer| front_mine(&options, observer))?;
    Ok((mined.queries, mined.without, mined.negatives, mined.sentences()))
}

/// What scores, with the front door's defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TeacherSetting {
    by: String,
    model: Option<PathBuf>,
    weight: Option<f32>,
}

impl TeacherSetting {
    fn front(self, py: Python<'_>) -> PyResult<Teacher> {
        let by = choice(py, "by", &self.by, &Scorer::NAMED)?;
        let weight = self.weight.unwrap_or(Teacher::default().weight);
        Ok(Teacher { by, model: self.model, weight })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoreSettings {
    pairs: PathBuf,
    data: PathBuf,
    out: PathBuf,
    teachers: Vec<TeacherSetting>,
    join: Option<String>,
    ranker: Ranker,
    #[serde(default)]
    resume: bool,
    #[serde(default)]
    force: bool,
}

/// Scores pairs of queries and documents.
#[pyfunction]
#[pyo3(signature = (settings, reporter = None))]
pub(crate) fn score(py: Python<'_>, settings: &str, reporter: Option<Py<PyAny>>) -> PyResult<()> {
    let settings: ScoreSettings = settings::read(py, settings)?;
    let teachers = settings.teachers.into_iter().map(|teacher| teacher.front(py));
    let join = settings.join.as_deref().map(|name| choice(py, "join", name, &Join::NAMED));
    let options = ScoreOptions {
        pairs: settings.pairs,
        data: settings.data,
        teachers: teachers.collect::<PyResult<_>>()?,
        join: join.transpose()?.unwrap_or_default(),
        ranker: settings.ranker.front(py)?,
        output: PartsOptions { out: settings.out, resume: settings.resume, force: settings.force },
    };
    observed(py, reporter, |observer| front_score(&options, observer))
}

/// What is converted, and how.
#[derive(Deserialize)]
#[serde(tag = "source", rename_all = "lowercase", deny_unknown_fields)]
enum Conversion {
    Beir {
        data: PathBuf,
        train: String,
        validation: Option<String>,
        judged_only: bool,
    },
    Mmarco {
        data: Option<PathBuf>,
        purpose: Option<String>,
        language: Option<String>,
        translation: Option<String>,
        max_negatives: Option<usize>,
        seed: Option<u64>,
    },
    Msmarco {
        data: PathBuf,
        triples: Option<PathBuf>,
        hard_negatives: Option<PathBuf>,
        max_negatives: Option<usize>,
        validation_docs: Option<usize>,
        seed: Option<u64>,
    },
    Squad {
        data: PathBuf,
        titles: bool,
    },
    Join {
        folders: Vec<PathBuf>,
    },
}

impl Conversion {
    fn front(self, py: Python<'_>) -> PyResult<ConvertSource> {
        Ok(match self {
            Self::Beir { data, train, validation, judged_only } => {
                ConvertSource::Beir(BeirOptions { dir: data, train, validation, judged_only })
            }
            Self::Mmarco { data, purpose, language, translation, max_negatives, seed } => {
                let default = MmarcoSource::default();
                let purposes = [("triplet", Purpose::Triplet), ("distil", Purpose::Distil)];
                let purpose = purpose.as_deref().map(|name| choice(py, "purpose", name, &purposes));
                ConvertSource::Mmarco(MmarcoSource {
                    data: data.unwrap_or(default.data),
                    purpose: purpose.transpose()?.unwrap_or(default.purpose),
                    language: language.unwrap_or(default.language),
                    translation: translation.unwrap_or(default.translation),
                    max_negatives: max_negatives.unwrap_or(default.max_negatives),
                    seed: seed.unwrap_or(default.seed),
                    ..MmarcoSource::default()
                })
            }
            Self::Msmarco {
                data,
                triples,
                hard_negatives,
                max_negatives,
                validation_docs,
                seed,
            } => {
                let default = MsMarcoSource::default();
                ConvertSource::MsMarco(MsMarcoSource {
                    data,
                    triples,
                    hard_negatives,
                    max_negatives: max_negatives.unwrap_or(default.max_negatives),
                    validation_docs: validation_docs.unwrap_or(default.validation_docs),
                    seed: seed.unwrap_or(default.seed),
                })
            }
            Self::Squad { data, titles } => ConvertSource::Squad { data, titles },
            Self::Join { folders } => ConvertSource::Join(folders),
        })
    }
}

/// Makes training data of what others publish; returns what there is to say, or nothing where the folder was complete.
#[pyfunction]
#[pyo3(signature = (settings, out, force, resume, reporter = None))]
pub(crate) fn convert(
    py: Python<'_>,
    settings: &str,
    out: PathBuf,
    force: bool,
    resume: bool,
    reporter: Option<Py<PyAny>>,
) -> PyResult<Option<Vec<String>>> {
    let source = settings::read::<Conversion>(py, settings)?.front(py)?;
    let options = ConvertOptions { source, out, force, resume };
    let converted = observed(py, reporter, |observer| front_convert(&options, observer))?;
    Ok(converted.map(|converted| converted.notes))
}
