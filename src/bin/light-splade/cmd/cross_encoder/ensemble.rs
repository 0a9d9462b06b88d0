//! `cross-encoder ensemble`.

use anyhow::{Result, bail};
use splade_io::counted;
use splade_train::TrainError;
use splade_train::cross_encoder::{EnsembleOptions, ensemble};

use crate::args::EnsembleArgs;
use crate::closing;
use crate::cmd::runs::{Kind, Terminal};
use crate::interrupt::{self, Interrupted};
use crate::log::say;

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
    let mut terminal = Terminal::new(Kind::CrossEncoder, false);
    let report = match ensemble(&options, &mut terminal) {
        Err(TrainError::Stopped) => {
            return Err(Interrupted("nothing is written".to_owned()).into());
        }
        report => report?,
    };
    say(&format!(
        "{}, {}: mean {:.4}, deviation {:.4}",
        counted(report.queries, "queries"),
        counted(report.pairs, "pairs"),
        report.mean,
        report.deviation
    ));
    closing::made(
        &format!("{} to {}", counted(report.pairs, "scores"), args.output.display()),
        None,
    );
    Ok(())
}
