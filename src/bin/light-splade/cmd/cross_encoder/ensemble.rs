//! `cross-encoder ensemble`.

use anyhow::{Result, bail};
use splade_train::teacher::{EnsembleOptions, ensemble};

use crate::args::EnsembleArgs;
use crate::interrupt::{self, Interrupted};
use crate::progress::say;

pub(crate) fn run(args: &EnsembleArgs) -> Result<()> {
    if args.like > args.inputs.len() {
        bail!("--like {}: there are {} files", args.like, args.inputs.len());
    }
    interrupt::listen()?;
    let options = EnsembleOptions {
        inputs: args.inputs.clone(),
        weights: args.weights.clone(),
        output: args.output.clone(),
        like: args.like.checked_sub(1),
        force: args.force,
    };
    let Some(report) = ensemble(&options, &mut || !interrupt::asked())? else {
        return Err(Interrupted("nothing is written".to_owned()).into());
    };
    say(&format!(
        "{} queries, {} pairs: mean {:.4}, deviation {:.4}",
        report.queries, report.pairs, report.mean, report.deviation
    ));
    Ok(())
}
