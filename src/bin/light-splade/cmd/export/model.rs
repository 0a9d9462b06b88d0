//! `light-splade export model`: a folder for other libraries, and for the hub.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use splade_model::export::{ExportOptions, ExportedModel, export_model};
use splade_model::hub::{HubOptions, HubTarget, upload};

use super::card::{Card, Results, Training};
use super::record::Record;
use crate::args::ExportModelArgs;
use crate::cmd::folder;
use crate::output::print;
use crate::partial::{PartialFolder, is_free};
use crate::progress::{Transfers, say};
use crate::stamp::stamp;

pub(crate) fn run(args: &ExportModelArgs) -> Result<()> {
    // Without a slash at the end: names beside the folder are made of its own.
    let out: PathBuf = args.out.components().collect();
    let target = args.push.push_to_hub.as_deref().map(|id| target(id, args)).transpose()?;
    let (free, record) = (is_free(&out), Record::beside(&out));
    let is_written = target.is_some() && record.exists();
    if !(free || is_written) {
        bail!("--out {} is there already; name another, or remove it", out.display());
    }
    let source = folder(&args.model)?;
    let results = args.card.metrics.iter();
    let metrics =
        results.map(|(name, path)| Results::read(name, path)).collect::<Result<Vec<_>>>()?;
    let name = args.push.push_to_hub.clone().unwrap_or_else(|| crate::cmd::name(&out));
    let settings = || settings(args, &source, &name, &metrics);
    let mut exported = None;
    if free {
        // It may be there still of a folder that is gone.
        record.remove()?;
        let partial = PartialFolder::create(&out)?;
        exported = Some(write(args, &source, partial.path(), &name, &metrics)?);
        if target.is_some() {
            record.write(&settings()?)?;
        }
        partial.finish()?;
        say(&format!("{} is written", out.display()));
    } else if record.says(&settings()?) {
        say(&format!("{} is written already: only the upload is left", out.display()));
    } else {
        bail!(
            "--out {} holds another model, or one of other options; name another, or remove it",
            out.display()
        );
    }

    if let Some((options, target)) = &target {
        let mut uploads = Transfers::new("sending");
        let url = upload(&out, options, target, &mut |progress| uploads.show(progress))
            .with_context(|| {
                let out = out.display();
                format!("the folder {out} is whole; the same command tries the upload again")
            })?;
        record.remove()?;
        say(&format!("uploaded: {url}"));
    }
    exported.map_or(Ok(()), |exported| print(&table(&exported)))
}

/// Writes a model and its card into a folder.
fn write(
    args: &ExportModelArgs,
    source: &Path,
    to: &Path,
    name: &str,
    metrics: &[Results],
) -> Result<ExportedModel> {
    let training = Training::read(source)?;
    let options = ExportOptions {
        dtype: args.dtype.into(),
        max_length: args.max_length,
        mecab_dicdir: args.mecab_dicdir.clone(),
        onnx: args.onnx.map(Into::into),
    };
    let exported = export_model(source, to, &options)
        .with_context(|| format!("cannot export the model {}", args.model.display()))?;
    let title = args.card.name.as_deref().unwrap_or(name);
    let card = Card { title, name, args: &args.card, model: &exported, training, metrics };
    let readme = to.join("README.md");
    std::fs::write(&readme, card.to_markdown())
        .with_context(|| format!("cannot write {}", readme.display()))?;
    Ok(exported)
}

/// All that the folder depends on.
fn settings(
    args: &ExportModelArgs,
    source: &Path,
    name: &str,
    metrics: &[Results],
) -> Result<Value> {
    let ExportModelArgs { dtype, onnx, max_length, mecab_dicdir, card, .. } = args;
    Ok(json!({
        "model": source.canonicalize()?.to_string_lossy(),
        "files": stamp(source)?,
        "name": name,
        "options": format!("{:?}", (dtype, onnx, max_length, mecab_dicdir, card)),
        "metrics": format!("{metrics:?}"),
    }))
}

/// Names are checked before anything is written.
fn target(id: &str, args: &ExportModelArgs) -> Result<(HubOptions, HubTarget)> {
    let options = HubOptions::from_env()?;
    let target = HubTarget::new(id, &args.push.revision, args.push.private)?;
    if options.token.is_none() {
        bail!("an upload to {} needs a token; set HF_TOKEN", options.endpoint);
    }
    if options.offline {
        bail!("nothing is uploaded with HF_HUB_OFFLINE; unset it");
    }
    Ok((options, target))
}

/// What each library makes of the folder.
fn table(model: &ExportedModel) -> String {
    let mut text = format!("{:<36}{:<11}{}\n", "library", "loads it", "note");
    for reader in model.readers() {
        let line = format!("{:<36}{:<11}{}", reader.name, reader.loads, reader.note);
        text += line.trim_end();
        text.push('\n');
    }
    text
}
