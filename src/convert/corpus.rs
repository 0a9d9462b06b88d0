//! Training data out of texts without questions: pairs are cut out of the texts, a search finds other documents for
//! each query, teachers score them all, and the pairs that the scores show to be true are written.
//!
//! Each step's result is a file of the folder `<out>.parts` until the output is complete, so that a run that is stopped
//! goes on.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_data::convert::{
    Conversion, Converted, CorpusPairs, PairFilter, PairKind, SelectOptions, made_with,
};
use splade_data::mine::{Margins, MineSource};
use splade_io::{Event, MadeWith, Observer};
use splade_sparse::files::TextForm;

use super::steps::{convert_into, sizes};
use crate::error::{Error, advised, invalid};
use crate::mine::{MineOptions, NegativeFormat, NegativeSource, RankerKind, mine};
use crate::parts::PartsOptions;
use crate::ranker::{self, RankerOptions};
use crate::score::{ScoreOptions, score};
use crate::teacher::{self, Join, Scorer, Teacher};

/// Texts, and what is made of them.
///
/// ```
/// use light_splade::data::{ConvertOptions, ConvertSource, CorpusSource, convert};
///
/// let folder = tempfile::tempdir()?;
/// let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl");
/// let source = CorpusSource { inputs: vec![corpus.into()], ..CorpusSource::default() };
/// let (source, out) = (ConvertSource::Corpus(source), folder.path().join("data"));
/// convert(&ConvertOptions { source, out: out.clone(), force: false, resume: false }, &mut ())?;
/// assert!(out.join("train/hard_negative_scores.ndjson").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CorpusSource {
    /// The files and folders of texts, in any form that is read; a title is told from its text.
    pub inputs: Vec<PathBuf>,
    /// The field of the text; `title` and `text` if none is named.
    pub text_field: Option<String>,
    /// The form of the inputs; by their first bytes and names if none is given.
    pub format: Option<TextForm>,
    /// Where queries come from.
    pub kinds: Vec<PairKind>,
    /// The largest number of queries of a document, each of another kind.
    pub queries_per_document: usize,
    /// The share of documents that keep what became a query.
    pub whole_share: f64,
    /// The share of documents whose queries become `validation`.
    pub validation_share: f64,
    /// How false pairs are found; all pairs are written, without negatives, if not at all.
    pub filter: Option<CorpusFilter>,
    /// Decides what is drawn at random.
    pub seed: u64,
}

impl Default for CorpusSource {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            text_field: None,
            format: None,
            kinds: PairKind::NAMED.map(|(_, kind)| kind).to_vec(),
            queries_per_document: 2,
            whole_share: 0.1,
            validation_share: 0.02,
            filter: Some(CorpusFilter::default()),
            seed: 42,
        }
    }
}

/// How the pairs of a corpus are judged.
#[derive(Debug, Clone)]
pub struct CorpusFilter {
    /// What finds the documents that the document of a pair is compared with. They become the negatives.
    pub candidates: RankerKind,
    /// The number of documents that are found for each query.
    pub depth: usize,
    /// The teachers that score the pairs; their scores are joined.
    pub teachers: Vec<Teacher>,
    /// How the scores of several teachers are joined.
    pub join: Join,
    /// The worst rank of the document of a pair among those that were found, counted from 1.
    pub worst_rank: usize,
    /// How far the best other document must score below the document of a pair; none may be closer.
    pub margins: Margins,
    /// The model of candidates and of teachers that name none, the index for SPLADE, and the folder of dense vectors.
    pub ranker: RankerOptions,
}

impl Default for CorpusFilter {
    fn default() -> Self {
        Self {
            candidates: RankerKind::Bm25,
            depth: 20,
            teachers: vec![Scorer::Bm25.into()],
            join: Join::default(),
            worst_rank: 3,
            margins: Margins::default(),
            ranker: RankerOptions::default(),
        }
    }
}

impl CorpusSource {
    fn pairs(&self) -> CorpusPairs {
        CorpusPairs {
            inputs: self.inputs.clone(),
            text_field: self.text_field.clone(),
            format: self.format,
            kinds: self.kinds.clone(),
            queries_per_document: self.queries_per_document,
            whole_share: self.whole_share,
            seed: self.seed,
        }
    }

    /// Refuses settings that leave nothing, before the texts are read.
    fn check(&self, observer: &mut dyn Observer) -> Result<(), Error> {
        if self.inputs.is_empty() {
            return Err(invalid("no file of texts is named"));
        }
        if self.kinds.is_empty() || self.queries_per_document == 0 {
            return Err(invalid("no kind of query is named"));
        }
        for (share, name) in
            [(self.whole_share, "documents that stay whole"), (self.validation_share, "validation")]
        {
            if !(0.0..=1.0).contains(&share) {
                return Err(invalid(format!("the share of {name} is {share}, not from 0 to 1")));
            }
        }
        let Some(filter) = &self.filter else { return Ok(()) };
        if filter.worst_rank == 0 || filter.worst_rank > filter.depth {
            return Err(advised(
                format!(
                    "rank {} cannot be told among {} candidates",
                    filter.worst_rank, filter.depth
                ),
                "a rank is counted from 1, and at most the number of candidates",
            ));
        }
        teacher::check(&filter.teachers, &filter.ranker, observer)
    }

    /// What all pairs depend on.
    fn pairs_settings(&self) -> Result<Value, Error> {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        Ok(json!({
            "source": "corpus",
            "text_field": self.text_field,
            "format": self.format.map(|format| format.to_string()),
            "kinds": kinds,
            "queries_per_document": self.queries_per_document,
            "whole_share": self.whole_share,
            "seed": self.seed,
            "inputs": sizes(&self.pairs().files()?)?,
        }))
    }

    /// What the output depends on.
    pub(super) fn settings(&self, observer: &mut dyn Observer) -> Result<Value, Error> {
        self.check(observer)?;
        let mut settings = self.pairs_settings()?;
        settings["validation_share"] = self.validation_share.into();
        if let Some(filter) = &self.filter {
            let Margins { absolute, relative, max_score, min_score } = filter.margins;
            settings["filter"] = json!({
                "candidates": filter.candidates.name(),
                "depth": filter.depth,
                "by": teacher::settings(&filter.teachers, filter.join),
                "models": teacher::model_contents(&filter.teachers, &filter.ranker, observer)?,
                "ranker": ranker::settings(&filter.ranker)?,
                "worst_rank": filter.worst_rank,
                "margins": [absolute, relative, max_score, min_score],
            });
        }
        Ok(settings)
    }
}

/// The folder of the results of the steps.
struct Work<'a> {
    folder: PathBuf,
    target: &'a Target<'a>,
}

impl Work<'_> {
    fn pairs(&self) -> PathBuf {
        self.folder.join("pairs")
    }

    /// A file that is made in parts.
    fn parts(&self, name: &str) -> PartsOptions {
        let out = self.folder.join(name);
        // A step that is complete is kept, and one that is begun goes on.
        let resume = out.exists() || out.with_added_extension("parts").exists();
        PartsOptions { out, resume, force: false }
    }

    /// Refuses what another run has left, unless this one goes on with it or begins anew.
    fn begin(&self, settings: &Value) -> Result<(), Error> {
        if !self.folder.exists() {
            return std::fs::create_dir_all(&self.folder)
                .map_err(Error::io("create", &self.folder));
        }
        if self.target.force {
            self.remove()?;
            return std::fs::create_dir_all(&self.folder)
                .map_err(Error::io("create", &self.folder));
        }
        if !self.target.resume {
            return Err(advised(
                format!("{}: an earlier run was stopped there", self.folder.display()),
                "go on with --resume, or begin anew with --force",
            ));
        }
        match made_with(&self.pairs()) {
            Some(made) if made != *settings => {
                Err(Error::OtherSettings { path: self.folder.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Removes what was made here, and nothing else.
    fn remove(&self) -> Result<(), Error> {
        if self.pairs().exists() && made_with(&self.pairs()).is_none() {
            return Err(invalid(format!(
                "{} was not made by a conversion; it is not removed",
                self.pairs().display()
            )));
        }
        for name in [NEGATIVES, SCORES] {
            let file = self.folder.join(name);
            MadeWith::remove(&file)?;
            remove_folder_if_there(&file.with_added_extension("parts"))?;
        }
        remove_folder_if_there(&self.pairs())?;
        // A file that somebody else put there keeps the folder.
        std::fs::remove_dir(&self.folder).map_err(Error::io("remove", &self.folder))
    }
}

fn remove_folder_if_there(path: &Path) -> Result<(), Error> {
    match path.exists() {
        true => std::fs::remove_dir_all(path).map_err(Error::io("remove", path)),
        false => Ok(()),
    }
}

const NEGATIVES: &str = "negatives.ndjson";
const SCORES: &str = "scores.ndjson";

/// The folder that is made, and what may be there already.
pub(super) struct Target<'a> {
    pub(super) out: &'a Path,
    pub(super) force: bool,
    pub(super) resume: bool,
}

/// Makes the training data.
pub(super) fn run(
    source: &CorpusSource,
    target: &Target<'_>,
    settings: &Value,
    observer: &mut dyn Observer,
) -> Result<Converted, Error> {
    let work = Work { folder: target.out.with_added_extension("parts"), target };
    let pairs_settings = source.pairs_settings()?;
    work.begin(&pairs_settings)?;
    let mut notes = Vec::new();
    if made_with(&work.pairs()).is_none() {
        let conversion = Conversion::Corpus(source.pairs());
        let made = convert_into(&conversion, &work.pairs(), &pairs_settings, false, observer)?;
        notes.extend(made.notes);
    }
    let filter = source.filter.as_ref().map(|filter| filter.scored(&work, source.seed, observer));
    let select = SelectOptions {
        pairs: work.pairs(),
        filter: filter.transpose()?,
        validation_share: source.validation_share,
        seed: source.seed,
    };
    let conversion = Conversion::Select(select);
    notes.extend(convert_into(&conversion, target.out, settings, target.force, observer)?.notes);
    work.remove()?;
    Ok(Converted { notes })
}

impl CorpusFilter {
    /// Finds other documents for all queries and has them scored.
    fn scored(
        &self,
        work: &Work<'_>,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<PairFilter, Error> {
        let data = work.pairs().join("train");
        let source = |ranker, depth, take| NegativeSource {
            ranker,
            model: None,
            options: MineSource { skip: 0, depth, take, at_random: false },
        };
        let found = MineOptions {
            data: data.clone(),
            // A query for which the search finds nothing else is compared with a document by chance.
            sources: vec![
                source(self.candidates, self.depth, None),
                source(RankerKind::Random, 1, Some(1)),
            ],
            teacher_scores: None,
            margins: Margins::default(),
            format: NegativeFormat::Scores,
            seed,
            ranker: self.ranker.clone(),
            output: work.parts(NEGATIVES),
        };
        observer.event(Event::Note("looking for other documents of each query"));
        mine(&found, observer)?;
        observer.event(Event::Note("scoring the pairs"));
        let scored = ScoreOptions {
            pairs: found.output.out,
            data,
            teachers: self.teachers.clone(),
            join: self.join,
            ranker: self.ranker.clone(),
            output: work.parts(SCORES),
        };
        score(&scored, observer)?;
        let (worst_rank, margins) = (self.worst_rank, self.margins);
        Ok(PairFilter { scores: scored.output.out, worst_rank, margins })
    }
}
