//! An index of BM25 over the tokens of a model's tokenizer, without special tokens.

use rayon::prelude::*;
use splade_index::bm25::{Bm25, Bm25Options, token_counts};
use splade_index::{Index, IndexOptions, IndexWriter, WeightFormat, WriterOptions};
use splade_io::{Event, Observer};
use splade_sparse::SparseVector;
use splade_text::{TextError, Tokenizer};

use crate::error::Error;
use crate::record::Record;
use crate::stream::{Counts, Records};

/// The number of texts between two looks at the observer.
const TEXTS_AT_A_TIME: usize = 4096;

/// An index in a temporary folder, which is removed with this value.
#[derive(Debug)]
pub(crate) struct Bm25Index {
    /// The index.
    pub(crate) index: Index,
    /// Its folder.
    pub(crate) folder: tempfile::TempDir,
}

impl Bm25Index {
    /// Reads the documents twice: to count their tokens, and to weight them. Memory does not grow
    /// with them but for the tokens that there are.
    pub(crate) fn build<'a>(
        tokenizer: &Tokenizer,
        documents: impl Fn() -> Records<'a>,
        constants: Bm25Options,
        pool: &rayon::ThreadPool,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        observer.event(Event::Begins("BM25: counting tokens"));
        let mut bm25 = Bm25::new(constants);
        each(tokenizer, documents(), pool, observer, |_, counts| {
            bm25.add(counts);
            Ok(())
        })?;
        observer.event(Event::Begins("BM25: indexing"));
        let folder = temporary_folder()?;
        let settings = IndexOptions { weights: WeightFormat::F32, ..IndexOptions::default() };
        let threads = Some(pool.current_num_threads());
        let how = WriterOptions { threads, ..WriterOptions::default() };
        let mut writer = IndexWriter::create(folder.path(), settings, how)?;
        each(tokenizer, documents(), pool, observer, |id, counts| {
            Ok(writer.put(id, &bm25.document(counts))?)
        })?;
        writer.commit()?;
        Ok(Self { index: Index::open(folder.path())?, folder })
    }
}

/// A temporary folder, which is removed with the value.
pub(crate) fn temporary_folder() -> Result<tempfile::TempDir, Error> {
    tempfile::tempdir().map_err(Error::io("create a temporary folder in", &std::env::temp_dir()))
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
    mut documents: Records<'_>,
    pool: &rayon::ThreadPool,
    observer: &mut dyn Observer,
    mut take: impl FnMut(&str, &SparseVector) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut done = Counts::new("texts", documents.share());
    observer.event(done.event(false));
    loop {
        let window = documents.by_ref().take(TEXTS_AT_A_TIME);
        let window = window.collect::<Result<Vec<Record>, Error>>()?;
        if window.is_empty() {
            break;
        }
        let texts: Vec<&str> = window.iter().map(|record| record.text.as_str()).collect();
        let counts = counts_of(tokenizer, &texts, pool)?;
        for (record, counts) in window.iter().zip(&counts) {
            take(&record.id, counts)?;
        }
        done.add(window.len(), 0, documents.share());
        observer.event(done.event(false));
        if observer.stop() {
            return Err(Error::stopped());
        }
    }
    observer.event(done.event(true));
    Ok(())
}
