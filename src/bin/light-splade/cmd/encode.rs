//! `light-splade encode`: texts in, rows of sparse vectors out.

use anyhow::Result;
use light_splade::SparseEncoder;
use light_splade::encode::{EncodeOptions, encode_files, encode_to};

use super::{advised, records};
use crate::args::{EncodeArgs, FormatArg};
use crate::interrupt;
use crate::output::{Screen, is_stdout};
use crate::progress::Reporter;

pub(crate) fn run(args: &EncodeArgs) -> Result<()> {
    let options = options(args);
    let to_file = match &args.output {
        Some(path) if !is_stdout(path) => {
            options.check()?;
            true
        }
        _ => {
            check_stdout(args)?;
            false
        }
    };
    let (records, position) = records(&args.input)?;
    let mut reporter = Reporter::new();
    let model = &args.model;
    let encoder = SparseEncoder::load_observed(&model.model, &model.options(), &mut reporter)?;
    interrupt::listen()?;
    if to_file {
        encode_files(&encoder, records, position, &options, &mut reporter)?;
    } else {
        encode_to(&encoder, records, position, &options, Screen::stdout(), &mut reporter)?;
    }
    Ok(())
}

fn options(args: &EncodeArgs) -> EncodeOptions {
    EncodeOptions {
        side: args.model.text.side.into(),
        output: args.output.clone().unwrap_or_default(),
        form: args.format.map(Into::into),
        resume: args.resume,
        force: args.overwrite.force,
        shard_rows: args.shard_rows,
        part: args.shard,
        keys: args.terms.into(),
        decimals: args.decimals,
        pruning: args.prune.pruning(),
        inputs: args.input.inputs.clone(),
        texts: args.input.options(),
    }
}

/// Refuses what standard output cannot be.
fn check_stdout(args: &EncodeArgs) -> Result<()> {
    if args.format == Some(FormatArg::Parquet) {
        return Err(advised("Parquet is written to a file or a folder", "give --output"));
    }
    if args.shard.is_some() {
        return Err(advised(
            "--shard writes Parquet into a folder",
            "give --output without an extension",
        ));
    }
    if args.resume {
        return Err(advised(
            "--resume needs shards: only finished shards can be kept",
            "give a folder as --output",
        ));
    }
    Ok(())
}
