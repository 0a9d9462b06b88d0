//! `light-splade index`: build, change and check an index.

mod source;

use std::path::Path;

use anyhow::Result;
use light_splade::search::{Bm25Options, Provenance};
use light_splade::{Index, IndexOptions, SparseEncoder, SparseEncoderOptions};
use serde_json::json;
use splade_index::{IndexInfo, verify};
use splade_io::{counted, printable, size};
use splade_text::TokenizerOptions;

use super::{advised, hint_at_model, ids, or_any_model};
use crate::args::{AddArgs, BuildArgs, DeleteArgs, IndexCommand, InfoArgs, MergeArgs, WeightsArg};
use crate::closing;
use crate::interrupt::{self, Interrupted};
use crate::log::say;
use crate::output::{print, print_text};
use crate::progress::Reporter;
use source::NewDocuments;

pub(crate) fn run(command: &IndexCommand) -> Result<()> {
    match command {
        IndexCommand::Build(args) => build(args),
        IndexCommand::Add(args) => add(args),
        IndexCommand::Delete(args) => delete(args),
        IndexCommand::Merge(args) => merge(args),
        IndexCommand::Verify(args) => check(&args.index),
        IndexCommand::Info(args) => info(args),
    }
}

fn build(args: &BuildArgs) -> Result<()> {
    let mut reporter = Reporter::new();
    let model = args.model.as_deref();
    let options = IndexOptions {
        weights: args.weights.into(),
        pruning: args.prune.pruning(),
        side: args.text.side.into(),
        memory: args.source.memory,
        threads: args.compute.run.threads,
        new_only: false,
        any_model: args.source.any_model,
        store: args.store,
        bm25: args.bm25.then_some(Bm25Options { k1: args.bm25_k1, b: args.bm25_b }),
    };
    let (source, provenance) = if args.source.vectors.is_empty() {
        let model = model.unwrap_or(Path::new(light_splade::models::BUILT_IN));
        let encoder = args.text.options(&args.compute);
        (NewDocuments::texts(&args.source, model, &encoder, &mut reporter)?, None)
    } else {
        let tokenizer = TokenizerOptions { mecab_dicdir: args.compute.run.mecab_dicdir.clone() };
        let (source, provenance) =
            NewDocuments::vectors(&args.source, model, &tokenizer, &mut reporter)?;
        (source, Some(provenance))
    };
    interrupt::listen()?;
    let mut index = match (&source, provenance) {
        (NewDocuments::Texts { encoder, .. }, _) if args.resume => {
            Index::resume(&args.output, encoder, &options)?
        }
        (NewDocuments::Texts { encoder, .. }, _) => Index::create(&args.output, encoder, &options)?,
        (NewDocuments::Vectors { .. }, provenance) if args.resume => {
            Index::resume_with(&args.output, provenance.unwrap_or_default(), &options)?
        }
        (NewDocuments::Vectors { .. }, provenance) => {
            Index::create_with(&args.output, provenance.unwrap_or_default(), &options)?
        }
    };
    let ended = source.put_into(&mut index, &mut reporter);
    match ended {
        // Nothing of a new index that has no document is left: it would be in the way of another try,
        // and readers would take it for a whole one.
        Err(error) if index.put() == 0 => {
            index.abandon()?;
            Err(error.into())
        }
        Ok(_) if index.put() == 0 && args.resume && index.keeps_documents() => {
            say(&format!(
                "{} has all documents already; nothing is to be done",
                args.output.display()
            ));
            Ok(())
        }
        ended => finish(index, ended),
    }
}

fn add(args: &AddArgs) -> Result<()> {
    let mut reporter = Reporter::new();
    let provenance = Provenance::from_json(splade_index::Index::open(&args.index)?.settings());
    let model = args.model.as_ref().or(provenance.model.as_ref());
    let source = match (&provenance.encoding, model) {
        _ if !args.source.vectors.is_empty() => {
            let options = TokenizerOptions { mecab_dicdir: args.run.mecab_dicdir.clone() };
            let model = model.map(AsRef::as_ref);
            let source = NewDocuments::vectors(&args.source, model, &options, &mut reporter);
            hint_at_model(source, args.model.as_ref())?.0
        }
        (Some(encoding), Some(model)) => {
            let options = encoding.model_options(&args.run.options());
            let source = NewDocuments::texts(&args.source, model, &options, &mut reporter);
            hint_at_model(source, args.model.as_ref())?
        }
        _ => {
            let index = args.index.display();
            return Err(advised(
                format!("{index} was built of vectors and does not say how texts are encoded"),
                "encode them first, and give --vectors",
            ));
        }
    };
    if !args.source.any_model {
        let mine = format!("the index {} was made with", args.index.display());
        let (theirs, remedy) = match &source {
            NewDocuments::Texts { .. } => ("--model names", "give the model of the index"),
            NewDocuments::Vectors { .. } => {
                ("the vectors were made with", "give vectors of its model")
            }
        };
        let checked = provenance.check_vectors(&mine, &source.provenance(&provenance)?, theirs);
        or_any_model(checked, remedy)?;
    }
    let options = IndexOptions {
        memory: args.source.memory,
        threads: args.run.threads,
        new_only: args.new_only,
        any_model: args.source.any_model,
        ..IndexOptions::default()
    };
    interrupt::listen()?;
    let mut index = Index::open(&args.index, &options)?;
    let ended = source.put_into(&mut index, &mut reporter);
    finish(index, ended)
}

fn is_stop(error: &light_splade::Error) -> bool {
    matches!(error, light_splade::Error::Stopped { .. })
}

/// Commits what was put, also before Ctrl-C or an error.
fn finish(mut index: Index, ended: Result<u64, light_splade::Error>) -> Result<()> {
    let info = index.commit()?;
    let (documents, dir, put) = (info.documents, index.path().display(), index.put());
    let more = format!(
        "put {} into the index, which has {documents}; go on with: light-splade index add \
         {dir} --new-only and the same inputs, or with the same command and --resume",
        counted(put, "documents")
    );
    match ended {
        Ok(_) => {
            let documents = counted(documents, "documents");
            let what = format!("the index {dir}: {documents}, {}", size(info.all_bytes()));
            closing::made(
                &what,
                Some(format!("search {} 'your query'", closing::shown(index.path()))),
            );
            Ok(())
        }
        Err(error) if is_stop(&error) => Err(Interrupted(more).into()),
        Err(error) => {
            say(&more);
            Err(error.into())
        }
    }
}

fn delete(args: &DeleteArgs) -> Result<()> {
    let mut documents = args.documents.clone();
    if let Some(path) = &args.ids {
        documents.extend(ids(path)?);
    }
    let mut index = Index::open(&args.index, &IndexOptions::default())?;
    let mut deleted = 0;
    for id in &documents {
        deleted += usize::from(index.delete(id));
    }
    let info = index.commit()?;
    let missing = documents.len() - deleted;
    say(&format!("{deleted} deleted, {missing} were not there, {} are left", info.documents));
    Ok(())
}

fn merge(args: &MergeArgs) -> Result<()> {
    let options = IndexOptions { threads: args.threads, ..IndexOptions::default() };
    let before = splade_index::Index::open(&args.index)?.info();
    let mut index = Index::open(&args.index, &options)?;
    if let Some(model) = args.model.as_ref().filter(|_| index.has_bm25()) {
        let mut reporter = Reporter::new();
        let run = SparseEncoderOptions { threads: args.threads, ..SparseEncoderOptions::default() };
        let encoding = index.provenance().encoding.as_ref();
        let options = encoding.map_or(run.clone(), |encoding| encoding.model_options(&run));
        index.use_encoder(&SparseEncoder::load_observed(model, &options, &mut reporter)?)?;
    }
    let after = index.merge()?;
    let files = |info: &IndexInfo| {
        format!("{}, {}", counted(info.segments, "files of documents"), size(info.all_bytes()))
    };
    say(&format!("{}; before: {}", files(&after), files(&before)));
    Ok(())
}

fn check(dir: &Path) -> Result<()> {
    let whole = verify(dir)?;
    let text = format!(
        "whole: {}, {}, {}\n",
        counted(whole.segments, "files"),
        size(whole.bytes),
        counted(whole.documents, "documents")
    );
    print(&text)
}

fn info(args: &InfoArgs) -> Result<()> {
    let index = splade_index::Index::open(&args.index)?;
    let info = index.info();
    let weights = WeightsArg::from(info.weights).to_string();
    if args.json.json {
        let json = json!({
            "documents": info.documents,
            "deleted": info.deleted,
            "postings": info.postings,
            "bytes": info.bytes,
            "weights": weights,
            "generation": info.generation,
            "segments": info.segments,
            "stored_bytes": info.stored_bytes,
            "bm25": info.bm25.map(|bm25| json!({
                "k1": bm25.options.k1,
                "b": bm25.options.b,
                "mean_length": bm25.mean_length,
                "postings": bm25.postings,
                "bytes": bm25.bytes,
            })),
            "settings": index.settings(),
        });
        return print(&format!("{json:#}\n"));
    }
    let mut rows = vec![
        ("documents", info.documents.to_string()),
        ("deleted", info.deleted.to_string()),
        ("postings", info.postings.to_string()),
        ("size", size(info.bytes)),
        ("weights", weights),
        ("commits", info.generation.to_string()),
        ("files", info.segments.to_string()),
    ];
    if let Some(bytes) = info.stored_bytes {
        rows.push(("stored texts", size(bytes)));
    }
    if let Some(bm25) = info.bm25 {
        let Bm25Options { k1, b } = bm25.options;
        let mean =
            bm25.mean_length.map_or(String::new(), |mean| format!(", mean length {mean:.1}"));
        rows.push(("bm25", format!("{}, k1 {k1}, b {b}{mean}", size(bm25.bytes))));
    }
    if let Some(content) = Provenance::from_json(index.settings()).content {
        rows.push(("weights hash", content.weights.to_string()));
        rows.push(("tokenizer hash", content.tokenizer.to_string()));
    }
    let settings = index.settings().as_object().into_iter().flatten();
    let known =
        settings.filter(|(_, value)| !(value.is_null() || value.is_object() || *value == ""));
    rows.extend(known.map(|(key, value)| {
        (key.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }));
    let text: String =
        rows.iter().map(|(key, value)| format!("{key:14} {}\n", printable(value))).collect();
    print_text(&text)
}
