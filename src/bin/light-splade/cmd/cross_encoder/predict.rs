//! `cross-encoder predict`.

use anyhow::Result;
use splade_train::cross_encoder::{PredictConfig, PredictOptions, predict};

use super::config;
use crate::args::TeacherPredictArgs;
use crate::closing;
use crate::cmd::runs::{Kind, Terminal, resolve};
use crate::interrupt::Interrupted;
use splade_io::counted;

pub(crate) fn run(args: &TeacherPredictArgs) -> Result<()> {
    let settings = PredictConfig::from_value(&config::values(&args.run)?)?;
    config::begin(&args.run)?;
    let options = PredictOptions {
        resolve: &resolve,
        shard: args.shard,
        resume: args.run.resume,
        force: args.force,
    };
    let mut terminal = Terminal::new(Kind::CrossEncoder, false);
    let prediction = predict(&settings, &options, &mut terminal);
    terminal.clear();
    let prediction = prediction?;
    if prediction.stopped {
        let shard = args.shard.map(|shard| format!(" --shard {}/{}", shard.number + 1, shard.of));
        let more = shard.unwrap_or_default();
        return Err(Interrupted(config::how_to_go_on("predict", &args.run, &more)).into());
    }
    if prediction.was_complete {
        return Ok(());
    }
    if prediction.truncated > 0 {
        terminal.note(&format!(
            "note: cut off {} at {} tokens",
            counted(prediction.truncated, "pairs"),
            settings.pairs.max_token_len
        ));
    }
    let scores = prediction.kept + prediction.scored;
    let what = format!("{} to {}", counted(scores, "scores"), prediction.output.display());
    closing::made(&what, None);
    Ok(())
}
