//! Searches that need the text of a query: BM25, hybrid search, re-ranking, and one query after
//! another as they are typed.

use anyhow::{Context, Result};
use light_splade::search::{
    CrossEncoder, CrossEncoderOptions, Filter, HybridOptions, Place, load_cross_encoder,
};
use light_splade::{SearchOptions, Searcher};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::hits::Found;
use crate::args::SearchArgs;
use crate::log;
use crate::progress::Reporter;

/// The ways of `search` that take texts, ready for queries.
pub(super) struct TextSearch<'a> {
    args: &'a SearchArgs,
    searcher: &'a Searcher,
    filter: Option<Filter>,
    cross_encoder: Option<(CrossEncoder, &'a rayon::ThreadPool)>,
}

impl<'a> TextSearch<'a> {
    pub(super) fn new(
        args: &'a SearchArgs,
        searcher: &'a Searcher,
        filter: Option<Filter>,
        pool: &'a rayon::ThreadPool,
        reporter: &mut Reporter,
    ) -> Result<Self> {
        let options = CrossEncoderOptions {
            isa: args.compute.options().isa,
            mecab_dicdir: args.compute.run.mecab_dicdir.clone(),
            ..CrossEncoderOptions::default()
        };
        let load = |name| load_cross_encoder(name, &options, reporter);
        let cross_encoder = args.rerank.as_ref().map(load).transpose()?;
        let cross_encoder = cross_encoder.map(|model| (model, pool));
        Ok(Self { args, searcher, filter, cross_encoder })
    }

    /// The hits of a query.
    pub(super) fn search(&self, query: &str) -> Result<Vec<Found>> {
        let Some((cross_encoder, pool)) = &self.cross_encoder else {
            return self.first(query, self.args.top_k_hits);
        };
        let k = self.args.top_k_hits;
        let candidates = self.first(query, k.max(self.args.rerank_top))?;
        let ids: Vec<&str> = candidates.iter().map(|found| found.id.as_str()).collect();
        let reranked = pool.install(|| self.searcher.rerank(cross_encoder, query, ids))?;
        let found = reranked.into_iter().take(k).map(|hit| {
            let before = &candidates[hit.rank_before - 1];
            let place = Place { rank: hit.rank_before, score: before.score };
            Found { score: hit.score, before: Some(place), ..before.clone() }
        });
        Ok(found.collect())
    }

    /// The hits of a query before re-ranking.
    fn first(&self, query: &str, k: usize) -> Result<Vec<Found>> {
        let (filter, mode) = (self.filter.clone(), self.args.mode());
        if let Some(method) = self.args.hybrid {
            let fusion = method.fusion(&self.args.weights);
            let depth = self.args.hybrid_depth;
            let hits = self
                .searcher
                .search_hybrid(query, &HybridOptions { k, depth, fusion, filter, mode })?;
            return Ok(hits.into_iter().map(Found::from).collect());
        }
        let options = SearchOptions { k, threshold: self.args.min_score, filter, mode };
        let hits = match self.args.bm25 {
            true => self.searcher.search_bm25(query, &options)?,
            false => self.searcher.search(query, &options)?,
        };
        Ok(hits.into_iter().map(Found::from).collect())
    }
}

/// Asks for queries until the input ends. Lines are kept for this session, so that they can be edited
/// and repeated, and are not written to a file.
pub(super) fn ask(mut answer: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut editor = DefaultEditor::new().context("cannot read from the terminal")?;
    loop {
        match editor.readline("query> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                _ = editor.add_history_entry(&line);
                // A query that fails, such as one that is too long, does not end the session.
                if let Err(error) = answer(line.trim()) {
                    log::error(&format!("{error:#}"));
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error).context("cannot read from the terminal"),
        }
    }
}
