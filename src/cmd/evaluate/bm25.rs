//! The run of BM25 over the tokens of a model's tokenizer, without special tokens.

use anyhow::{Context, Result};
use rayon::prelude::*;
use serde_json::Value;
use splade_index::eval::Run;
use splade_index::{
    Bm25, Bm25Options, Index, IndexOptions, IndexWriter, SearchOptions, WeightFormat,
    WriterOptions, token_counts,
};
use splade_sparse::SparseVector;
use splade_text::{TextError, Tokenizer};

use super::Data;
use super::retrieve::{documents, search};
use crate::cmd::retrieval::Searcher;
use crate::input::{Position, Record};
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, say};

/// Texts between two looks at progress and Ctrl-C.
const TEXTS_AT_A_TIME: usize = 4096;

/// Retrieves exactly. Memory: the token counts of all documents.
pub(super) fn retrieve(
    tokenizer: &Tokenizer,
    data: &Data<'_>,
    constants: Bm25Options,
    options: &SearchOptions,
    pool: &rayon::ThreadPool,
) -> Result<Run> {
    say("BM25: counting tokens");
    let counts_of = |records: &[Record]| -> Result<Vec<SparseVector>, TextError> {
        let counts = |record: &Record| Ok(token_counts(&tokenizer.encode_plain(&record.text)?));
        pool.install(|| records.par_iter().map(counts).collect())
    };
    let position = Position::of(data.documents);
    let mut progress = Progress::start(position.clone(), "texts");
    let mut bm25 = Bm25::new(constants);
    let (mut ids, mut counts) = (Vec::new(), Vec::new());
    let mut records = documents(data);
    loop {
        let window = records.by_ref().take(TEXTS_AT_A_TIME).collect::<Result<Vec<_>>>()?;
        if window.is_empty() {
            break;
        }
        counts.extend(counts_of(&window)?);
        position.read(window.len() as u64);
        progress.add(window.len(), 0);
        ids.extend(window.into_iter().map(|record| record.id));
        if interrupt::asked() {
            return Err(Interrupted("nothing is kept".to_owned()).into());
        }
    }
    progress.finish();
    counts.iter().for_each(|counts| bm25.add(counts));
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let settings = IndexOptions { weights: WeightFormat::F32, settings: Value::Null };
    let how =
        WriterOptions { threads: Some(pool.current_num_threads()), ..WriterOptions::default() };
    let mut writer = IndexWriter::create(dir.path(), settings, how)?;
    for (id, counts) in ids.iter().zip(&counts) {
        writer.put(id, &bm25.document(counts))?;
    }
    writer.commit()?;
    let index = Index::open(dir.path())?;
    let queries = counts_of(&data.queries)?;
    let mut searcher = Searcher::new(&index, options, pool, data.queries.len());
    let run = search(&mut searcher, data, &queries)?;
    say(&format!("BM25: {}", searcher.finish()));
    Ok(run)
}
