//! `light-splade score`: pairs of queries and documents by BM25 or a SPLADE model.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use serde_json::{Value, json};
use splade_data::ScoreFile;
use splade_data::scores::score_line;
use splade_data::stamps::file_stamp;
use splade_sparse::SparseVector;

use super::full;
use super::masters::{Masters, stamps};
use super::parts::{self, QUERIES_AT_A_TIME};
use super::ranker::{self, Ranker};
use super::retrieval::pool;
use crate::args::{PrecisionArg, RankerArgs, ScoreArgs, ScorerArg};
use crate::interrupt;

pub(crate) fn run(args: &ScoreArgs) -> Result<()> {
    let RankerArgs { index, engine, .. } = &args.ranker;
    let encodes = engine.max_length.is_some() || matches!(engine.precision, PrecisionArg::Int8);
    if args.by == ScorerArg::Bm25 && (index.is_some() || encodes) {
        bail!(
            "--index, --max-length and --precision are for --by splade; BM25 counts all tokens of \
             --model's tokenizer"
        );
    }
    let masters = Masters::open(&args.data)?;
    let has_query = |query| masters.queries.row(query).is_some();
    let has_doc = |doc| masters.docs.row(doc).is_some();
    let pairs = ScoreFile::open_known(&args.pairs, has_query, has_doc)?;
    let parts = parts::open(&args.parts, &settings(args)?)?;
    interrupt::listen()?;
    let pool = pool(args.ranker.engine.run.threads)?;
    let ranker = match args.by {
        ScorerArg::Bm25 => Ranker::bm25(&args.ranker, &masters, &pool),
        ScorerArg::Splade => Ranker::splade(&args.ranker, &masters),
    };
    let ranker = parts::or_stopped(ranker, &args.parts)?;
    parts.remember(ranker.inputs())?;
    let lines_of = |window: Range<usize>| {
        let text = |line| masters.queries.get(pairs.query(line));
        let texts = window.clone().map(text).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let vectors = ranker.vectors(&texts, &pool)?;
        let line = |(line, vector)| line_of(&ranker, &pairs, line, vector);
        pool.install(|| window.into_par_iter().zip(&vectors).map(line).collect())
    };
    parts::write(&args.parts, parts, pairs.len(), QUERIES_AT_A_TIME, lines_of)
}

/// The scores of a query's documents.
fn line_of(
    ranker: &Ranker,
    pairs: &ScoreFile,
    line: usize,
    vector: &SparseVector,
) -> Result<String> {
    let query = pairs.query(line);
    let mut scores = pairs.scores(line)?;
    for (doc, score) in &mut scores {
        let found = ranker.score(vector, *doc);
        *score = found.with_context(|| format!("doc_id {doc} is not in the index"))?;
        if !score.is_finite() {
            bail!("the score of qid {query} and doc_id {doc} is {score}");
        }
    }
    Ok(score_line(query, scores))
}

/// What the parts of the same file must be of.
fn settings(args: &ScoreArgs) -> Result<Value> {
    Ok(json!({
        "pairs": full(&args.pairs),
        "pairs_file": file_stamp(&args.pairs)?,
        "data": full(&args.data),
        "data_files": stamps(&args.data, &["doc_master", "query_master"])?,
        "by": format!("{:?}", args.by),
        "ranker": ranker::settings(&args.ranker)?,
        "queries_a_part": QUERIES_AT_A_TIME,
    }))
}
