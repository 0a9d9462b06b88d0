//! `light-splade encode`: texts in, rows of sparse vectors out.

use std::path::Path;

use anyhow::Result;
use light_splade::encode::{
    DenseForm, DenseOptions, EncodeOptions, Idf, Pruning, Side, encode_dense, encode_dense_to,
    encode_files, encode_to,
};
use light_splade::models::{HeadKind, Vocabulary, first_head};
use light_splade::{DenseEncoder, MultiVectorEncoder, SparseEncoder};
use splade_io::counted;
use splade_text::TokenizerOptions;

use super::{advised, records};
use crate::args::{EncodeArgs, FormatArg, SideArg};
use crate::closing;
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
    let mut options = options(args);
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
    let model = &args.model;
    options.idf = args.idf.as_deref().map(|path| idf(path, args, &mut reporter)).transpose()?;
    let (records, position) = records(&args.input)?;
    let encoder = SparseEncoder::load_observed(&model.model, &model.options(), &mut reporter)?;
    interrupt::listen()?;
    if to_file {
        let encoded = encode_files(&encoder, records, position, &options, &mut reporter)?;
        if !encoded.was_complete {
            tell(args, encoded.written + encoded.kept);
        }
    } else {
        encode_to(&encoder, records, position, &options, Screen::stdout(), &mut reporter)?;
    }
    Ok(())
}

/// Reads the factors for the weights of documents.
fn idf(path: &Path, args: &EncodeArgs, reporter: &mut Reporter) -> Result<Idf> {
    let side: Side = args.model.text.side.into();
    if side == Side::Query {
        return Err(advised(
            "--idf is for documents: a score has the factor of a term once",
            "leave it out for queries",
        ));
    }
    let tokenizer = TokenizerOptions { mecab_dicdir: args.model.compute.run.mecab_dicdir.clone() };
    let vocabulary = Vocabulary::open(&args.model.model, side, &tokenizer, reporter)?;
    Ok(Idf::open(path, &vocabulary)?)
}

/// Encodes texts as dense vectors.
fn dense(args: &EncodeArgs, kind: HeadKind, reporter: &mut Reporter) -> Result<()> {
    if args.prune.pruning() != Pruning::default() || args.idf.is_some() {
        return Err(advised(
            "--top-k, --min-weight, --max-ratio, --alpha-mass and --idf are for sparse vectors",
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
        let encoded = encode_dense(&embedder, records, position, &options, reporter)?;
        if !encoded.was_complete {
            let vectors = counted(encoded.written + encoded.kept, "vectors");
            closing::made(&format!("{vectors} to {}", options.output.display()), None);
        }
    } else {
        let out = Screen::stdout();
        encode_dense_to(&embedder, options.side, records, position, out, reporter)?;
    }
    Ok(())
}

/// Says what was written, and what can be done with it.
fn tell(args: &EncodeArgs, vectors: u64) {
    let Some(output) = &args.output else { return };
    let path = closing::shown(output);
    let next = match (args.model.text.side, args.shard) {
        // Other parts have to be encoded first.
        (_, Some(_)) => None,
        (SideArg::Document, None) => Some(format!("index build --vectors {path} -o index")),
        (SideArg::Query, None) => Some(format!("search index --vectors {path}")),
    };
    closing::made(&format!("{} to {}", counted(vectors, "vectors"), output.display()), next);
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
        idf: None,
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
