//! `light-splade score`: pairs of queries and documents by BM25 or a SPLADE model.

use anyhow::{Result, bail};
use light_splade::data::{ScoreOptions, Scorer, score};

use crate::args::{PrecisionArg, RankerArgs, ScoreArgs, ScorerArg};
use crate::interrupt;
use crate::progress::Reporter;

pub(crate) fn run(args: &ScoreArgs) -> Result<()> {
    let RankerArgs { index, compute, .. } = &args.ranker;
    let encodes = compute.max_length.is_some() || matches!(compute.precision, PrecisionArg::Int8);
    if args.by == ScorerArg::Bm25 && (index.is_some() || encodes) {
        bail!(
            "--index, --max-length and --precision are for --by splade; BM25 counts all tokens of \
             --model's tokenizer"
        );
    }
    let options = ScoreOptions {
        pairs: args.pairs.clone(),
        data: args.data.clone(),
        by: match args.by {
            ScorerArg::Bm25 => Scorer::Bm25,
            ScorerArg::Splade => Scorer::Splade,
        },
        ranker: args.ranker.options(),
        output: args.parts.options(),
    };
    interrupt::listen()?;
    Ok(score(&options, &mut Reporter::new())?)
}
