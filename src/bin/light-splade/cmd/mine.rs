//! `light-splade mine`: hard negatives for the queries of a training set.

use anyhow::Result;
use light_splade::data::{MineOptions, mine};
use splade_io::counted;

use crate::args::{MineArgs, MineFormat};
use crate::closing;
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
    if mined.queries > 0 {
        let out = &args.parts.output;
        let next = match args.format {
            MineFormat::Triplets => {
                format!("train CONFIG data.train_triplets={}", closing::shown(out))
            }
            MineFormat::Scores => {
                let (pairs, data) = (closing::shown(out), closing::shown(&args.data));
                format!("score {pairs} --data {data} --by splade -o scores.ndjson")
            }
        };
        closing::made(
            &format!("the negatives of {} to {}", counted(mined.queries, "queries"), out.display()),
            Some(next),
        );
    }
    Ok(())
}
