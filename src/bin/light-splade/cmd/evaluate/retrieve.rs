//! A model's run: queries and documents encoded, indexed and searched.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use splade_eval::statistics::{StatisticsSummary, expected_flops};
use splade_eval::{Run, VectorStatistics};
use splade_index::{Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions};
use splade_model::{Encoder, EncoderOptions, Side};
use splade_sparse::SparseVector;

use super::Data;
use crate::args::{EvaluateArgs, PruneArgs, WeightsArg};
use crate::cmd::index::made_by::{Encoding, MadeBy};
use crate::cmd::retrieval::{QUERIES_AT_A_TIME, Searcher, ranking};
use crate::cmd::stream::{self, Ended};
use crate::cmd::{Records, load};
use crate::input::{Position, Record};
use crate::interrupt::Interrupted;
use crate::progress::say;

/// What came of it.
pub(super) struct Found {
    pub(super) run: Run,
    pub(super) statistics: Vec<(String, StatisticsSummary)>,
    pub(super) flops: f64,
    pub(super) weights: WeightsArg,
    /// The settings of an index that was there.
    pub(super) index: Option<Value>,
}

pub(super) fn retrieve(
    args: &EvaluateArgs,
    model: &Path,
    data: &Data<'_>,
    options: &SearchOptions,
    pool: &rayon::ThreadPool,
) -> Result<Found> {
    // Queries first: they are few, and what fails with them fails soon.
    say("encoding queries");
    let load = |side| {
        let options = EncoderOptions { side, ..args.engine.options() };
        load(model, &options).map(|encoder| (encoder, options))
    };
    let (encoder, _) = load(Side::Query)?;
    let mut queries: Vec<SparseVector> = Vec::new();
    let mut query_statistics = VectorStatistics::new(encoder.vocab());
    let texts = data.queries.clone().into_iter().map(Ok);
    encode(&encoder, Box::new(texts), data.queries.len() as u64, |_, vector| {
        query_statistics.add(&vector)?;
        queries.push(vector);
        Ok(())
    })?;
    let (encoder, encoder_options) = load(Side::Document)?;
    let mut statistics = VectorStatistics::new(encoder.vocab());
    let folder = Folder::of(args)?;
    let index = if folder.is_new {
        say("encoding and indexing documents");
        build(args, (&encoder, &encoder_options, model), data, &folder.path, &mut statistics)?
    } else {
        let index = Index::open(&folder.path)?;
        let made_by = MadeBy::from_json(index.settings());
        let built_with = made_by.model.as_deref().unwrap_or(Path::new("vectors alone")).display();
        say(&format!("using the index {}, built with {built_with}", folder.path.display()));
        made_by.check(model, encoder.tokenizer().len())?;
        count(&index, data, &mut statistics)?;
        index
    };
    let mut searcher = Searcher::new(&index, options, pool, data.queries.len());
    let run = search(&mut searcher, data, &queries)?;
    say(&searcher.finish());
    let tokenizer = encoder.tokenizer();
    let summary = |counts: &VectorStatistics| counts.summary(|term| tokenizer.token(term.0));
    Ok(Found {
        run,
        flops: expected_flops(&query_statistics, &statistics),
        statistics: vec![
            ("documents".to_owned(), summary(&statistics)),
            ("queries".to_owned(), summary(&query_statistics)),
        ],
        weights: index.info().weights.into(),
        index: (!folder.is_new).then(|| index.settings().clone()),
    })
}

/// The ranking of every query.
pub(super) fn search(
    searcher: &mut Searcher<'_>,
    data: &Data<'_>,
    vectors: &[SparseVector],
) -> Result<Run> {
    let mut run = Run::default();
    let windows = data.queries.chunks(QUERIES_AT_A_TIME).zip(vectors.chunks(QUERIES_AT_A_TIME));
    for (queries, vectors) in windows {
        let vectors: Vec<&SparseVector> = vectors.iter().collect();
        for (query, hits) in queries.iter().zip(searcher.search(&vectors)?) {
            run.insert(&query.id, ranking(hits))?;
        }
    }
    Ok(run)
}

/// The folder of an index: the one that was named, or one that goes away at the end.
struct Folder {
    path: PathBuf,
    is_new: bool,
    _temporary: Option<tempfile::TempDir>,
}

impl Folder {
    fn of(args: &EvaluateArgs) -> Result<Self> {
        let Some(path) = &args.index else {
            let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
            let path = dir.path().to_path_buf();
            return Ok(Self { path, is_new: true, _temporary: Some(dir) });
        };
        let is_new = std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        Ok(Self { path: path.clone(), is_new, _temporary: None })
    }
}

/// Encodes the documents into a new index. Of one that is not finished nothing is left.
fn build(
    args: &EvaluateArgs,
    (encoder, options, model): (&Encoder, &EncoderOptions, &Path),
    data: &Data<'_>,
    dir: &Path,
    statistics: &mut VectorStatistics,
) -> Result<Index> {
    let everything = PruneArgs { top_k: None, threshold: None };
    let mut made_by = MadeBy::model(model, encoder.vocab(), encoder.tokenizer().len());
    made_by.encoding = Some(Encoding::of(encoder, options, &everything));
    let settings = IndexOptions { weights: args.weights.into(), settings: made_by.to_json() };
    let how = WriterOptions { threads: args.engine.run.threads, ..WriterOptions::default() };
    let mut writer = IndexWriter::create(dir, settings, how)?;
    let built = encode(encoder, documents(data), data.documents, |id, vector| {
        statistics.add(&vector)?;
        Ok(writer.put(id, &vector)?)
    });
    if let Err(error) = built {
        writer.abandon()?;
        return Err(error);
    }
    writer.commit()?;
    Ok(Index::open(dir)?)
}

/// Counts the vectors of an index that was there, and that it has every document.
fn count(index: &Index, data: &Data<'_>, statistics: &mut VectorStatistics) -> Result<()> {
    for record in documents(data) {
        let id = record?.id;
        let vector = index.vector(&id).ok_or_else(|| {
            anyhow!(
                "document {id:?} is not in the index; build another one, or add what is missing \
                 with: light-splade index add --new-only"
            )
        })?;
        statistics.add(&vector)?;
    }
    Ok(())
}

/// The documents of a data set.
pub(super) fn documents(data: &Data<'_>) -> Records {
    let record = |text: splade_eval::Text| Record { id: text.id, text: text.text };
    Box::new(data.dataset.documents().map(move |text| Ok(record(text?))))
}

/// Encodes texts whose number is known; an error after Ctrl-C.
fn encode(
    encoder: &Encoder,
    records: Records,
    count: u64,
    take: impl FnMut(&str, SparseVector) -> Result<()>,
) -> Result<()> {
    let position = Position::of(count);
    let read = position.clone();
    let mut records: Records = Box::new(records.inspect(move |_| read.read(1)));
    match stream::encode(encoder, &mut records, position, take)? {
        Ended::Whole => Ok(()),
        Ended::Interrupted => Err(Interrupted("nothing is kept".to_owned()).into()),
    }
}
