//! `light-splade export model`: a folder for other libraries, and for the hub.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use splade_model::{ExportOptions, ExportedModel, HubOptions, HubTarget, export_model, upload};
use splade_sparse::files::aside;

use super::card::{Card, Training};
use crate::args::ExportModelArgs;
use crate::cmd::folder;
use crate::output::print;
use crate::progress::{Transfers, say};

pub(crate) fn run(args: &ExportModelArgs) -> Result<()> {
    check_free(&args.out)?;
    let target = args.push.push_to_hub.as_deref().map(|id| target(id, args)).transpose()?;
    let source = folder(&args.model)?;
    let training = Training::read(&source)?;
    let results = args.card.metrics.iter();
    let metrics = results
        .map(|(name, path)| super::card::Results::read(name, path))
        .collect::<Result<Vec<_>>>()?;

    let partial = Partial::create(&args.out)?;
    let options = ExportOptions {
        dtype: args.dtype.into(),
        max_length: args.max_length,
        mecab_dicdir: args.mecab_dicdir.clone(),
        onnx: args.onnx.map(Into::into),
    };
    let exported = export_model(&source, &partial.path, &options)
        .with_context(|| format!("cannot export the model {}", args.model.display()))?;
    let name = args.card.name.as_deref().or(args.push.push_to_hub.as_deref());
    let name = name.map_or_else(|| crate::cmd::name(&args.out), str::to_owned);
    let card = Card { name: &name, args: &args.card, model: &exported, training, metrics };
    let readme = partial.path.join("README.md");
    std::fs::write(&readme, card.to_markdown())
        .with_context(|| format!("cannot write {}", readme.display()))?;
    partial.finish(&args.out)?;
    say(&format!("{} is written", args.out.display()));

    if let Some((options, target)) = &target {
        let mut uploads = Transfers::new("sending");
        let url = upload(&args.out, options, target, &mut |progress| uploads.show(progress))
            .with_context(|| {
                let out = args.out.display();
                format!("the folder {out} is whole, but it could not be uploaded")
            })?;
        say(&format!("uploaded: {url}"));
    }
    print(&table(&exported))
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

/// Whether a folder can be made there.
fn check_free(out: &Path) -> Result<()> {
    let is_empty = |dir| std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if out.exists() && !is_empty(out) {
        bail!("--out {} is there already; name another, or remove it", out.display());
    }
    Ok(())
}

/// A folder that has its name when it is whole, and is removed if it never is.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn create(out: &Path) -> Result<Self> {
        let path = aside(out);
        let failed = || format!("cannot write {}", path.display());
        // What a killed run has left.
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(failed)?;
        }
        std::fs::create_dir_all(&path).with_context(failed)?;
        Ok(Self { path })
    }

    fn finish(self, out: &Path) -> Result<()> {
        let failed = || format!("cannot rename {} to {}", self.path.display(), out.display());
        if out.exists() {
            std::fs::remove_dir(out).with_context(failed)?;
        }
        std::fs::rename(&self.path, out).with_context(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It has been renamed, or what went wrong is told already.
        _ = std::fs::remove_dir_all(&self.path);
    }
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
