//! The run of BM25 over the tokens of a model's tokenizer.

use anyhow::Result;
use splade_eval::Run;
use splade_index::SearchOptions;
use splade_index::bm25::Bm25Options;
use splade_text::Tokenizer;

use super::Data;
use super::retrieve::{documents, search};
use crate::cmd::bm25::{Bm25Index, counts_of};
use crate::cmd::retrieval::Searcher;
use crate::progress::say;

/// Retrieves exactly.
pub(super) fn retrieve(
    tokenizer: &Tokenizer,
    data: &Data<'_>,
    constants: Bm25Options,
    options: &SearchOptions,
    pool: &rayon::ThreadPool,
) -> Result<Run> {
    let built = Bm25Index::build(tokenizer, || documents(data), data.documents, constants, pool)?;
    let texts: Vec<&str> = data.queries.iter().map(|query| query.text.as_str()).collect();
    let queries = counts_of(tokenizer, &texts, pool)?;
    let mut searcher = Searcher::new(&built.index, options, pool, data.queries.len());
    let run = search(&mut searcher, data, &queries)?;
    say(&format!("BM25: {}", searcher.finish()));
    Ok(run)
}
