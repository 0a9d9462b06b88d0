//! Retrieval measured on a data set: queries and documents encoded, indexed, searched and judged.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use splade_eval::check::{Finding, check, half_characters};
use splade_eval::statistics::{StatisticsSummary, expected_flops};
use splade_eval::{
    Dataset, EvalError, Metric, Qrels, Report, Run, VectorStatistics, check_trec_id,
};
use splade_index::bm25::Bm25Options;
use splade_index::{Index as VectorIndex, SearchOptions, WeightFormat};
use splade_io::settings::content;
use splade_io::{Event, Observer, counted, printable};
use splade_model::Side;
use splade_sparse::SparseVector;
use splade_text::Tokenizer;

use crate::bm25::{Bm25Index, counts_of, temporary_folder};
use crate::datasets::dataset_folder;
use crate::encoder::SparseEncoder;
use crate::error::Error;
use crate::index::{IndexOptions, build_new};
use crate::provenance::{Provenance, content_json};
use crate::pruning::Pruning;
use crate::record::Record;
use crate::searcher::{BatchSearch, QUERIES_AT_A_TIME, ranking, thread_pool};
use crate::stream::{self, Records};

/// The depth of a ranking whose metric has no cut-off, and the least depth where a run is kept for
/// others: BEIR retrieves 1000 documents, and looks at the first 100 of them for most metrics.
const WHOLE: usize = 1000;
const LEAST: usize = 100;

/// Settings of [`evaluate()`].
///
/// ```
/// use light_splade::{EvaluateOptions, SparseEncoder, SparseEncoderOptions, evaluate};
///
/// let options = EvaluateOptions { depth: Some(20), ..EvaluateOptions::default() };
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
/// let evaluation = evaluate(&encoder, data.as_ref(), &options, &mut ())?;
/// assert!(evaluation.report.means[0] > 0.5);
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct EvaluateOptions {
    /// The metrics, by trec_eval's definitions.
    pub metrics: Vec<Metric>,
    /// The split of the judgements (`test`, `dev`); the data set's own choice if none is named.
    pub split: Option<String>,
    /// The number of documents that are retrieved for a query; by default as many as the metrics
    /// need, at least 100.
    pub depth: Option<usize>,
    /// Leaves out the document that has the query's id, as BEIR does.
    pub drop_same_id: bool,
    /// Whether the run will be written as a TREC file. Ids that such a file cannot hold are then
    /// found before anything is encoded.
    pub trec_run: bool,
    /// How the index keeps weights.
    pub weights: WeightFormat,
    /// The folder of an index: searched if it is there, else built there and kept. Without one the
    /// index is temporary.
    pub index: Option<PathBuf>,
    /// The number of threads that search and write; all cores if none.
    pub threads: Option<usize>,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        let metrics = ["nDCG@10", "MRR@10", "MAP@100", "Recall@100"];
        Self {
            metrics: metrics.map(|name| name.parse().expect("a metric: this is a bug")).to_vec(),
            split: None,
            depth: None,
            drop_same_id: false,
            trec_run: false,
            weights: WeightFormat::F32,
            index: None,
            threads: None,
        }
    }
}

impl EvaluateOptions {
    /// The number of documents that are retrieved for a query, so that every metric is served.
    pub fn depth(&self) -> usize {
        let cutoff = |metric: &Metric| metric.cutoff().map_or(WHOLE, std::num::NonZeroUsize::get);
        let wanted = self.metrics.iter().map(cutoff).max().unwrap_or(0).max(LEAST);
        self.depth.unwrap_or(wanted)
    }

    /// Judges a run as these settings say.
    ///
    /// # Errors
    /// If the run has no query of the judgements.
    pub fn judge(&self, qrels: &Qrels, run: &Run) -> Result<Report, Error> {
        let options = splade_eval::EvaluateOptions {
            ignore_identical_ids: self.drop_same_id,
            ..splade_eval::EvaluateOptions::default()
        };
        Ok(splade_eval::evaluate(qrels, run, &self.metrics, &options)?)
    }

    fn search(&self) -> SearchOptions {
        // The document that is dropped does not count.
        let k = self.depth() + usize::from(self.drop_same_id);
        SearchOptions { k, ..SearchOptions::default() }
    }
}

/// What is searched, and for what: the documents of a data set and its judged queries.
#[derive(Debug)]
pub struct Judged<'a> {
    dataset: &'a Dataset,
    documents: u64,
    queries: Vec<Record>,
    findings: Vec<Finding>,
}

impl<'a> Judged<'a> {
    /// Reads all texts once: counts documents, keeps the judged queries, and looks for problems.
    /// With `trec_run`, ids are checked for a TREC file.
    ///
    /// # Errors
    /// If a text cannot be read, no query of the data set is judged, or an id does not fit.
    pub fn read(dataset: &'a Dataset, qrels: &Qrels, trec_run: bool) -> Result<Self, Error> {
        qrels.require_queries()?;
        let (mut documents, mut queries) = (0, Vec::new());
        let (mut first, mut misfit) = (None, None);
        let mut fits = |what, id: &str| {
            if trec_run && misfit.is_none() {
                misfit = check_trec_id(what, id).err();
            }
        };
        let (all_documents, all_queries) = (dataset.documents(), dataset.queries());
        let repairs = (all_documents.repairs(), all_queries.repairs());
        let all_documents = all_documents.inspect(|text| {
            documents += 1;
            if let Ok(text) = text {
                fits("document id", &text.id);
            }
        });
        let all_queries = all_queries.inspect(|text| {
            let Ok(text) = text else { return };
            first.get_or_insert_with(|| text.id.clone());
            if qrels.get(&text.id).is_some() {
                queries.push(Record::new(&text.id, &text.text));
            }
        });
        let mut findings = check(all_documents, all_queries, qrels)?;
        findings.extend(half_characters(&repairs.0, &repairs.1));
        queries.iter().for_each(|query| fits("query id", &query.id));
        if let Some(error) = misfit {
            return Err(error.into());
        }
        if queries.is_empty() {
            let judged = qrels.iter().next().map(|(query, _)| query.to_owned()).unwrap_or_default();
            let found = first.map_or("none".to_owned(), |id| format!("\"{id}\""));
            return Err(EvalError::UnknownQueries { judged, found }.into());
        }
        Ok(Self { dataset, documents, queries, findings })
    }

    /// The number of documents.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// The judged queries.
    pub fn queries(&self) -> &[Record] {
        &self.queries
    }

    /// What is odd about the data.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The documents, one after another.
    fn records(&self) -> Records<'_> {
        let record = |text: splade_eval::Text| Record::new(text.id, text.text);
        let texts = self.dataset.documents();
        Records::counted(texts.map(move |text| Ok(record(text?))), self.documents)
    }
}

/// The outcome of [`evaluate()`].
///
/// ```
/// use light_splade::{EvaluateOptions, SparseEncoder, SparseEncoderOptions, evaluate};
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
/// let evaluation = evaluate(&encoder, data.as_ref(), &EvaluateOptions::default(), &mut ())?;
/// assert!(evaluation.report.means[0] > 0.5 && !evaluation.about.is_empty());
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The metrics, per query and as means, with the statistics of the vectors.
    pub report: Report,
    /// The ranking of every query.
    pub run: Run,
    /// What was measured: model, documents and settings.
    pub about: Map<String, Value>,
}

/// Measures how well a model retrieves on a data set: a BEIR folder, the data files of light-splade,
/// or a data set of the hub by its name.
///
/// ```
/// use light_splade::{EvaluateOptions, SparseEncoder, SparseEncoderOptions, evaluate};
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
/// let evaluation = evaluate(&encoder, data.as_ref(), &EvaluateOptions::default(), &mut ())?;
/// let (ndcg, mrr) = (evaluation.report.means[0], evaluation.report.means[1]);
/// assert!(ndcg > 0.5 && mrr > 0.5);
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the data set cannot be read, an index that is named does not fit the model or the data, or
/// the observer asks to stop; of an index that is not finished nothing is left.
pub fn evaluate(
    encoder: &SparseEncoder,
    data: &std::path::Path,
    options: &EvaluateOptions,
    observer: &mut dyn Observer,
) -> Result<Evaluation, Error> {
    let dataset = Dataset::open(&dataset_folder(data, observer)?)?;
    let qrels = dataset.qrels(options.split.as_deref())?;
    qrels.notes().iter().for_each(|note| observer.event(Event::Note(note)));
    let judged = Judged::read(&dataset, &qrels, options.trec_run)?;
    for finding in judged.findings() {
        observer.event(Event::Warning(&finding_line(finding)));
    }
    let found = retrieve(encoder, &judged, options, observer)?;
    let mut report = options.judge(&qrels, &found.run)?;
    report.statistics = found.statistics;
    report.flops = Some(found.flops);
    let identity = encoder.identity()?;
    let about = json!({
        "documents": judged.documents,
        "settings": {
            "model": encoder.name().display().to_string(),
            "revision": identity.revision,
            "content": content([("model", content_json(&identity.content))]),
            "data": data.display().to_string(),
            "split": options.split,
            "precision": encoder.options().precision.to_string(),
            "max_length": encoder.options().max_length,
            "weights": found.weights.to_string(),
            "depth": options.depth(),
            "drop_same_id": options.drop_same_id,
            "index": found.index,
        },
    });
    let about = about.as_object().cloned().unwrap_or_default();
    Ok(Evaluation { report, run: found.run, about })
}

/// Judges a run that exists already, such as one of [`fuse`](splade_eval::fuse::fuse), by a data set.
///
/// ```
/// use light_splade::evaluation::{Run, Scored, evaluate_run};
/// use light_splade::EvaluateOptions;
///
/// // A run that finds the first judged document of the first query.
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
/// let qrels = std::fs::read_to_string(format!("{data}/qrels/test.tsv"))?;
/// let row: Vec<&str> = qrels.lines().nth(1).expect("a judgement").split('\t').collect();
/// let mut run = Run::default();
/// run.insert(row[0], vec![Scored { document: row[1].to_owned(), score: 1.0 }])?;
/// let report = evaluate_run(data.as_ref(), &run, &EvaluateOptions::default())?;
/// assert!(report.means[0] > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the data set cannot be read or the run has no query of its judgements.
pub fn evaluate_run(
    data: &std::path::Path,
    run: &Run,
    options: &EvaluateOptions,
) -> Result<Report, Error> {
    options.judge(&Dataset::open(data)?.qrels(options.split.as_deref())?, run)
}

/// Measures BM25 over the tokens of a model's tokenizer on the same data.
///
/// ```
/// use light_splade::EvaluateOptions;
/// use light_splade::evaluation::evaluate_bm25;
/// use light_splade::models::Vocabulary;
///
/// let options = Default::default();
/// let vocabulary =
///     Vocabulary::open("mini-ja-en".as_ref(), light_splade::encode::Side::Document, &options, &mut ())?;
/// let (data, constants) = (concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir"), Default::default());
/// let options = EvaluateOptions::default();
/// let (report, _) =
///     evaluate_bm25(vocabulary.tokenizer(), data.as_ref(), constants, &options, &mut ())?;
/// assert!(report.means[0] > 0.3);
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the data set cannot be read or the observer asks to stop.
pub fn evaluate_bm25(
    tokenizer: &Tokenizer,
    data: &std::path::Path,
    constants: Bm25Options,
    options: &EvaluateOptions,
    observer: &mut dyn Observer,
) -> Result<(Report, Run), Error> {
    let dataset = Dataset::open(&dataset_folder(data, observer)?)?;
    let qrels = dataset.qrels(options.split.as_deref())?;
    let judged = Judged::read(&dataset, &qrels, false)?;
    let pool = thread_pool(options.threads)?;
    let documents = || judged.records();
    let built = Bm25Index::build(tokenizer, documents, constants, &pool, observer)?;
    let texts: Vec<&str> = judged.queries.iter().map(|query| query.text.as_str()).collect();
    let queries = counts_of(tokenizer, &texts, &pool)?;
    let search_options = options.search();
    let mut search = BatchSearch::new(&built.index, &search_options, &pool, queries.len());
    let run = run_of(&mut search, &judged, &queries, observer)?;
    let speed = format!("BM25: {}", search.finish(observer));
    observer.event(Event::Detail(&speed));
    Ok((options.judge(&qrels, &run)?, run))
}

/// A line that says what is odd about the data.
///
/// ```
/// use light_splade::evaluation::{DataReport, check_data, finding_line};
///
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
/// if let DataReport::Retrieval { findings, .. } = check_data(data.as_ref(), None)? {
///     findings.iter().for_each(|finding| println!("{}", finding_line(finding)));
/// }
/// # Ok::<(), light_splade::Error>(())
/// ```
pub fn finding_line(finding: &Finding) -> String {
    let Finding { check, count, examples } = finding;
    let more = if *count > examples.len() as u64 { ", …" } else { "" };
    format!("{}: {}{more}", counted(*count, &check.to_string()), printable(&examples.join(", ")))
}

/// What retrieval gave.
struct Found {
    run: Run,
    statistics: Vec<(String, StatisticsSummary)>,
    flops: f64,
    weights: WeightFormat,
    /// The settings of an index that was there.
    index: Option<Value>,
}

fn retrieve(
    encoder: &SparseEncoder,
    judged: &Judged<'_>,
    options: &EvaluateOptions,
    observer: &mut dyn Observer,
) -> Result<Found, Error> {
    let pool = thread_pool(options.threads)?;
    // Queries first: they are few, and what fails with them fails soon.
    observer.event(Event::Begins("encoding queries"));
    let tower = encoder.tower(Side::Query)?;
    let mut queries: Vec<SparseVector> = Vec::new();
    let mut query_statistics = VectorStatistics::new(tower.vocab());
    let texts = judged.queries.clone().into_iter().map(Ok);
    let mut records = Records::counted(texts, judged.queries.len() as u64);
    stream::encode(tower, &mut records, observer, |_, vector| {
        query_statistics.add(&vector)?;
        queries.push(vector);
        Ok::<(), Error>(())
    })?
    .or_nothing()?;
    let tower = encoder.tower(Side::Document)?;
    let mut statistics = VectorStatistics::new(tower.vocab());
    let folder = IndexFolder::of(options)?;
    let index = match folder.is_new {
        true => {
            observer.event(Event::Begins("encoding and indexing documents"));
            build(encoder, judged, options, &folder.path, &mut statistics, observer)?
        }
        false => open(encoder, judged, &folder.path, &mut statistics, observer)?,
    };
    let search_options = options.search();
    let mut search = BatchSearch::new(&index, &search_options, &pool, queries.len());
    let run = run_of(&mut search, judged, &queries, observer)?;
    let speed = search.finish(observer);
    observer.event(Event::Detail(&speed));
    let tokenizer = tower.tokenizer();
    let summary = |counts: &VectorStatistics| counts.summary(|term| tokenizer.token(term.0));
    Ok(Found {
        run,
        flops: expected_flops(&query_statistics, &statistics),
        statistics: vec![
            ("documents".to_owned(), summary(&statistics)),
            ("queries".to_owned(), summary(&query_statistics)),
        ],
        weights: index.info().weights,
        index: (!folder.is_new).then(|| index.settings().clone()),
    })
}

/// The ranking of every query.
fn run_of(
    search: &mut BatchSearch<'_>,
    judged: &Judged<'_>,
    vectors: &[SparseVector],
    observer: &mut dyn Observer,
) -> Result<Run, Error> {
    let mut run = Run::default();
    let windows = judged.queries.chunks(QUERIES_AT_A_TIME).zip(vectors.chunks(QUERIES_AT_A_TIME));
    for (queries, vectors) in windows {
        let vectors: Vec<&SparseVector> = vectors.iter().collect();
        for (query, hits) in queries.iter().zip(search.search(&vectors, observer)?) {
            run.insert(&query.id, ranking(hits))?;
        }
    }
    Ok(run)
}

/// The folder of an index: the one that was named, or one that goes away at the end.
struct IndexFolder {
    path: PathBuf,
    is_new: bool,
    _temporary: Option<tempfile::TempDir>,
}

impl IndexFolder {
    fn of(options: &EvaluateOptions) -> Result<Self, Error> {
        let Some(path) = &options.index else {
            let folder = temporary_folder()?;
            let path = folder.path().to_path_buf();
            return Ok(Self { path, is_new: true, _temporary: Some(folder) });
        };
        let is_new = std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        Ok(Self { path: path.clone(), is_new, _temporary: None })
    }
}

/// Encodes the documents into a new index.
fn build(
    encoder: &SparseEncoder,
    judged: &Judged<'_>,
    options: &EvaluateOptions,
    folder: &std::path::Path,
    statistics: &mut VectorStatistics,
    observer: &mut dyn Observer,
) -> Result<VectorIndex, Error> {
    let index_options = IndexOptions {
        weights: options.weights,
        threads: options.threads,
        ..IndexOptions::default()
    };
    let provenance = Provenance::of_encoder(encoder, Side::Document, &index_options.pruning)?;
    let model = (provenance, encoder.tower(Side::Document)?);
    build_new(folder, model, &index_options, judged.records(), observer, |vector| {
        Ok(statistics.add(vector)?)
    })
}

/// Opens an index that was there, checks that it is of this model and has every document, and counts
/// its vectors.
fn open(
    encoder: &SparseEncoder,
    judged: &Judged<'_>,
    folder: &std::path::Path,
    statistics: &mut VectorStatistics,
    observer: &mut dyn Observer,
) -> Result<VectorIndex, Error> {
    let index = VectorIndex::open(folder)?;
    let provenance = Provenance::from_json(index.settings());
    let built_with = provenance.model.as_deref().unwrap_or("vectors alone".as_ref()).display();
    observer.event(Event::Note(&format!(
        "using the index {}, built with {built_with}",
        folder.display()
    )));
    // An index of other settings, such as int8, may be measured: the report says what they are.
    let own = Provenance::of_encoder(encoder, Side::Document, &Pruning::default())?;
    let mine = format!("the index {} was made with", folder.display());
    provenance.check_model(&mine, &own, "--model names")?;
    for record in judged.records() {
        let id = record?.id;
        let vector = index.vector(&id).ok_or_else(|| Error::NotInIndex { id: id.to_string() })?;
        statistics.add(&vector)?;
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_serves_every_metric() {
        let depth_of = |metrics: &[&str], depth| {
            let metrics = metrics.iter().map(|name| name.parse().expect("a metric")).collect();
            EvaluateOptions { metrics, depth, ..EvaluateOptions::default() }.depth()
        };
        assert_eq!(depth_of(&["nDCG@10", "MRR@10"], None), 100);
        assert_eq!(depth_of(&["nDCG@10", "Recall@500"], None), 500);
        assert_eq!(depth_of(&["MAP"], None), 1000);
        assert_eq!(depth_of(&["MAP"], Some(20)), 20);
    }
}
