//! `light-splade encode`: texts in, rows of sparse vectors out.

use std::path::Path;

use anyhow::Result;
use light_splade::encode::{
    DenseForm, DenseOptions, EncodeOptions, Pruning, encode_dense, encode_dense_to, encode_files,
    encode_to,
};
use light_splade::models::{HeadKind, first_head};
use light_splade::{DenseEncoder, MultiVectorEncoder, SparseEncoder};

use super::{advised, records};
use crate::args::{EncodeArgs, FormatArg};
use crate::interrupt;
use crate::output::{Screen, is_stdout};
use crate::progress::Reporter;

pub(crate) fn run(args: &EncodeArgs) -> Result<()> {
    // An output that exists is told before a model is fetched. Two endings are for dense vectors alone.
    let is_sparse = |path: &Path| {
        let form = DenseForm::of(path);
        !is_stdout(path) && !matches!(form, Some(DenseForm::Npy | DenseForm::Safetensors))
    };
    if args.output.as_deref().is_some_and(is_sparse) {
        options(args).check()?;
    }
    let mut reporter = Reporter::new();
    let kind = match args.head {
        Some(head) => head.into(),
        None => first_head(&args.model.model, &mut reporter)?,
    };
    if kind != HeadKind::Sparse {
        return dense(args, kind, &mut reporter);
    }
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

/// Encodes texts as dense vectors.
fn dense(args: &EncodeArgs, kind: HeadKind, reporter: &mut Reporter) -> Result<()> {
    if args.prune.pruning() != Pruning::default() {
        return Err(advised(
            "--top-k, --threshold, --max-ratio and --alpha-mass are for sparse vectors",
            "dense vectors keep all their numbers",
        ));
    }
    let mut options = DenseOptions {
        side: args.model.text.side.into(),
        output: args.output.clone().unwrap_or_default(),
        form: args.format.map(Into::into),
        resume: args.resume,
        force: args.overwrite.force,
        shard_rows: args.shard_rows,
        part: args.shard,
        inputs: args.input.inputs.clone(),
        texts: args.input.options(),
        provenance: None,
    };
    let to_file = args.output.as_deref().is_some_and(|path| !is_stdout(path));
    match to_file {
        true => options.check()?,
        false => check_stdout(args)?,
    }
    let (records, position) = records(&args.input)?;
    let (name, settings) = (&args.model.model, args.model.options());
    let (embedder, provenance) = match kind {
        HeadKind::MultiVector => {
            let encoder = MultiVectorEncoder::load_observed(name, &settings, reporter)?;
            (encoder.embedder().clone(), encoder.provenance(options.side)?)
        }
        _ => {
            let encoder = DenseEncoder::load_observed(name, &settings, reporter)?;
            (encoder.embedder().clone(), encoder.provenance(options.side)?)
        }
    };
    options.provenance = Some(provenance);
    interrupt::listen()?;
    if to_file {
        encode_dense(&embedder, records, position, &options, reporter)?;
    } else {
        let out = Screen::stdout();
        encode_dense_to(&embedder, options.side, records, position, out, reporter)?;
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
