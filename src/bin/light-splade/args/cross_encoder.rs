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
    /// Train a cross-encoder from a config
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
    /// Continue where an earlier run stopped
    #[arg(long)]
    pub(crate) resume: bool,
    /// Number of threads; it does not change the result [default: all cores]
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
    /// Score only part I of N of the queries, from 1/N to N/N, into a separate file
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<Shard>,
    /// Replace existing scores, or start again instead of continuing
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EnsembleArgs {
    /// Files with scores of the same pairs, .ndjson or .ndjson.gz
    #[arg(value_name = "SCORES", required = true, num_args = 2..)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Output file for the joined scores
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Weight of each file, such as 0.7,0.3 [default: equal weights]
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub(crate) weights: Vec<f64>,
    /// Number of the file, counted from 1, whose mean and deviation the result takes; 0 keeps
    /// scores between 0 and 1
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) like: usize,
    /// Replace existing scores
    #[arg(long)]
    pub(crate) force: bool,
}

/// Parses a shard as `encode --shard` does; it is counted from 1 there and from 0 here.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let shard: ShardSpec = text.parse()?;
    Ok(Shard { number: shard.index() as usize, of: shard.of() as usize })
}
