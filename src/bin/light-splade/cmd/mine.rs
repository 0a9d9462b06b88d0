//! `light-splade mine`: hard negatives for the queries of a training set.

use anyhow::Result;
use light_splade::data::{MineOptions, mine};

use crate::args::MineArgs;
use crate::interrupt;
use crate::log::say;
use crate::progress::Reporter;

pub(crate) fn run(args: &MineArgs) -> Result<()> {
    let options = MineOptions {
        data: args.data.clone(),
        sources: args.source.clone(),
        teacher_scores: args.teacher_scores.clone(),
        margins: args.margins(),
        format: args.format.into(),
        seed: args.seed,
        ranker: args.ranker.options(),
        output: args.parts.options(),
    };
    interrupt::listen()?;
    let mined = mine(&options, &mut Reporter::new())?;
    mined.sentences().iter().for_each(|sentence| say(sentence));
    Ok(())
}
