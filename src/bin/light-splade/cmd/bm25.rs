//! An index of BM25 over the tokens of a model's tokenizer, without special tokens.

use anyhow::{Context, Result};
use rayon::prelude::*;
use serde_json::Value;
use splade_index::bm25::{Bm25, Bm25Options, token_counts};
use splade_index::{Index, IndexOptions, IndexWriter, WeightFormat, WriterOptions};
use splade_sparse::SparseVector;
use splade_text::{TextError, Tokenizer};

use super::Records;
use crate::input::{Position, Record};
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, say};

/// Texts between two looks at progress and Ctrl-C.
const TEXTS_AT_A_TIME: usize = 4096;

/// An index that is gone when this is.
pub(crate) struct Bm25Index {
    pub(crate) index: Index,
    pub(crate) dir: tempfile::TempDir,
}

impl Bm25Index {
    /// Reads the documents twice: to count their tokens, and to weight them. Memory does not grow
    /// with them but for the tokens that there are.
    pub(crate) fn build(
        tokenizer: &Tokenizer,
        documents: impl Fn() -> Records,
        count: u64,
        constants: Bm25Options,
        pool: &rayon::ThreadPool,
    ) -> Result<Self> {
        say("BM25: counting tokens");
        let mut bm25 = Bm25::new(constants);
        each(tokenizer, documents(), count, pool, |_, counts| {
            bm25.add(counts);
            Ok(())
        })?;
        say("BM25: indexing");
        let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
        let settings = IndexOptions { weights: WeightFormat::F32, settings: Value::Null };
        let threads = Some(pool.current_num_threads());
        let how = WriterOptions { threads, ..WriterOptions::default() };
        let mut writer = IndexWriter::create(dir.path(), settings, how)?;
        each(tokenizer, documents(), count, pool, |id, counts| {
            Ok(writer.put(id, &bm25.document(counts))?)
        })?;
        writer.commit()?;
        Ok(Self { index: Index::open(dir.path())?, dir })
    }
}

/// The token counts of texts: vectors of queries.
pub(crate) fn counts_of(
    tokenizer: &Tokenizer,
    texts: &[impl AsRef<str> + Sync],
    pool: &rayon::ThreadPool,
) -> Result<Vec<SparseVector>, TextError> {
    let counts = |text: &_| {
        let text: &str = AsRef::as_ref(text);
        Ok(token_counts(&tokenizer.encode_plain(text)?))
    };
    pool.install(|| texts.par_iter().map(counts).collect())
}

/// Hands over each document's id and token counts in order.
fn each(
    tokenizer: &Tokenizer,
    mut documents: Records,
    count: u64,
    pool: &rayon::ThreadPool,
    mut take: impl FnMut(&str, &SparseVector) -> Result<()>,
) -> Result<()> {
    let position = Position::of(count);
    let mut progress = Progress::start(position.clone(), "texts");
    loop {
        let window = documents.by_ref().take(TEXTS_AT_A_TIME).collect::<Result<Vec<Record>>>()?;
        if window.is_empty() {
            break;
        }
        let texts: Vec<&str> = window.iter().map(|record| record.text.as_str()).collect();
        let counts = counts_of(tokenizer, &texts, pool)?;
        for (record, counts) in window.iter().zip(&counts) {
            take(&record.id, counts)?;
        }
        position.read(window.len() as u64);
        progress.add(window.len(), 0);
        if interrupt::asked() {
            return Err(Interrupted("nothing is kept".to_owned()).into());
        }
    }
    progress.finish();
    Ok(())
}
