//! What was typed after `cross-encoder`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use light_splade::encode::ShardSpec;
use splade_train::cross_encoder::Shard;

use super::ConfigArgs;
use super::numbers::threads;

/// What to do with a cross-encoder.
#[derive(Debug, Subcommand)]
pub(crate) enum CrossEncoderCommand {
    /// Train a cross-encoder as a config says
    Train(TeacherTrainArgs),
    /// Score the pairs of a file with a cross-encoder
    Predict(TeacherPredictArgs),
    /// Join the scores of several teachers
    #[command(
        override_usage = "light-splade cross-encoder ensemble [OPTIONS] -o <FILE> <SCORES>..."
    )]
    Ensemble(EnsembleArgs),
}

/// The config of a command, and how to run it.
#[derive(Debug, Args)]
pub(crate) struct TeacherArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Go on where an earlier run ended
    #[arg(long)]
    pub(crate) resume: bool,
    /// Threads; all cores if not given. The result does not depend on it
    #[arg(long, value_parser = threads())]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct TeacherTrainArgs {
    #[command(flatten)]
    pub(crate) run: TeacherArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TeacherPredictArgs {
    #[command(flatten)]
    pub(crate) run: TeacherArgs,
    /// Score one part of the queries only: 1/4 to 4/4, each into a file of its own
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<Shard>,
    /// Replace scores that are there, or begin anew in place of going on
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EnsembleArgs {
    /// Files of scores of the same pairs, .ndjson or .ndjson.gz
    #[arg(value_name = "SCORES", required = true, num_args = 2..)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Where the scores go
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// How much each of the files counts, one number a file; all alike if not given
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub(crate) weights: Vec<f64>,
    /// Which of the files, from 1, gives mean and deviation; 0: scores stay within 0 and 1
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) like: usize,
    /// Replace scores that are there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Parses a shard as `encode --shard` does; it is counted from 1 there and from 0 here.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let shard: ShardSpec = text.parse()?;
    Ok(Shard { number: shard.index() as usize, of: shard.of() as usize })
}
