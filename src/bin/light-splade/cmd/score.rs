//! `light-splade score`: pairs of queries and documents by one teacher or several.

use anyhow::{Result, bail};
use light_splade::data::{ScoreOptions, Scorer, score};

use crate::args::{PrecisionArg, RankerArgs, ScoreArgs};
use crate::interrupt;
use crate::progress::Reporter;

pub(crate) fn run(args: &ScoreArgs) -> Result<()> {
    let RankerArgs { index, vectors, compute, .. } = &args.ranker;
    let encodes = compute.max_length.is_some() || !matches!(compute.precision, PrecisionArg::F32);
    let is_by = |scorer: &[Scorer]| args.by.iter().any(|teacher| scorer.contains(&teacher.by));
    if !args.by.iter().any(|teacher| teacher.by != Scorer::Bm25) && encodes {
        bail!(
            "--max-length and --precision are for models that encode; BM25 counts all tokens of \
             --model's tokenizer"
        );
    }
    if index.is_some() && !is_by(&[Scorer::Splade]) {
        bail!("--index is for --by splade");
    }
    if vectors.is_some() && !is_by(&[Scorer::Dense, Scorer::Colbert, Scorer::BgeM3]) {
        bail!("--vectors is for --by dense, colbert and bge-m3");
    }
    if let [teacher] = &args.by[..]
        && teacher.weight != 1.0
    {
        bail!("weight= is for several teachers; the scores of one are written as they are");
    }
    let options = ScoreOptions {
        pairs: args.pairs.clone(),
        data: args.data.clone(),
        teachers: args.by.clone(),
        join: args.join.into(),
        ranker: args.ranker.options(),
        output: args.parts.options(),
    };
    interrupt::listen()?;
    Ok(score(&options, &mut Reporter::new())?)
}
