//! `light-splade index`: build, change and check an index.

pub(crate) mod made_by;
mod source;

use std::path::Path;

use anyhow::Result;
use indicatif::HumanBytes;
use serde_json::json;
use splade_index::{Index, IndexInfo, IndexOptions, IndexWriter, WriterOptions, verify};
use splade_text::TokenizerOptions;

use super::stream::Ended;
use super::{hint_at_model, ids};
use crate::args::{
    AddArgs, BuildArgs, DeleteArgs, IndexCommand, InfoArgs, MergeArgs, TableOrJson, WeightsArg,
};
use crate::builtin;
use crate::interrupt::{self, Interrupted};
use crate::output::print;
use crate::progress::say;
use made_by::MadeBy;
use source::Source;

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
    let options = args.text.options(&args.engine);
    let model = args.model.as_deref();
    let (source, made_by) = if args.source.vectors.is_empty() {
        let model = model.unwrap_or(Path::new(builtin::NAME));
        Source::texts(&args.source, model, &options, &args.prune)?
    } else {
        let options = TokenizerOptions { mecab_dicdir: options.mecab_dicdir };
        Source::vectors(&args.source, model, &options)?
    };
    let options = IndexOptions { weights: args.weights.into(), settings: made_by.to_json() };
    let how = WriterOptions { memory: args.source.memory, threads: args.engine.run.threads };
    interrupt::listen()?;
    let mut writer = IndexWriter::create(&args.out, options, how)?;
    let (put, ended) = put_all(&mut writer, source, None);
    if put == 0 && ended.is_err() {
        // What is in the folder now would stand in the way of another try.
        writer.abandon()?;
        return ended.map(|_| ());
    }
    finish(writer, put, ended, &args.out)
}

fn add(args: &AddArgs) -> Result<()> {
    let index = Index::open(&args.index)?;
    let made_by = MadeBy::from_json(index.settings());
    let model = args.model.as_ref().or(made_by.model.as_ref());
    let (source, now) = match (&made_by.encoding, model) {
        _ if !args.source.vectors.is_empty() => {
            let options = TokenizerOptions { mecab_dicdir: args.run.mecab_dicdir.clone() };
            let source = Source::vectors(&args.source, model.map(AsRef::as_ref), &options);
            hint_at_model(source, args.model.as_ref())?
        }
        (Some(encoding), Some(model)) => {
            let options = encoding.options(&args.run);
            let source = Source::texts(&args.source, model, &options, &encoding.prune);
            hint_at_model(source, args.model.as_ref())?
        }
        _ => anyhow::bail!(
            "{} was built of vectors and does not say how texts are encoded; encode them first and \
             give --vectors",
            args.index.display()
        ),
    };
    if let (Some(model), Some(tokens)) = (model, now.tokens) {
        made_by.check(model, tokens)?;
    }
    let known = args.new_only.then_some(index);
    let how = WriterOptions { memory: args.source.memory, threads: args.run.threads };
    interrupt::listen()?;
    let mut writer = IndexWriter::open(&args.index, how)?;
    let (put, ended) = put_all(&mut writer, source, known);
    finish(writer, put, ended, &args.index)
}

/// Puts all documents into an index: how many there were before the end, Ctrl-C or an error.
fn put_all(writer: &mut IndexWriter, source: Source, known: Option<Index>) -> (u64, Result<Ended>) {
    let mut put = 0;
    let ended = source.each(known, |id, vector| {
        writer.put(id, vector)?;
        put += 1;
        Ok(())
    });
    (put, ended)
}

/// Commits what was put, also before Ctrl-C or an error.
fn finish(mut writer: IndexWriter, put: u64, ended: Result<Ended>, dir: &Path) -> Result<()> {
    let info = writer.commit()?;
    let (documents, dir) = (info.documents, dir.display());
    let more = format!(
        "{put} documents were put into the index, which has {documents}; go on with: \
         light-splade index add --index {dir} --new-only and the same inputs"
    );
    match ended {
        Ok(Ended::Whole) => {
            say(&format!("{dir}: {documents} documents, {}", HumanBytes(info.bytes)));
            Ok(())
        }
        Ok(Ended::Interrupted) => Err(Interrupted(more).into()),
        Err(error) => {
            say(&more);
            Err(error)
        }
    }
}

fn delete(args: &DeleteArgs) -> Result<()> {
    let mut documents = args.documents.clone();
    if let Some(path) = &args.ids {
        documents.extend(ids(path)?);
    }
    let mut writer = IndexWriter::open(&args.index, WriterOptions::default())?;
    let mut deleted = 0;
    for id in &documents {
        deleted += usize::from(writer.delete(id));
    }
    let info = writer.commit()?;
    let missing = documents.len() - deleted;
    say(&format!("{deleted} deleted, {missing} were not there, {} are left", info.documents));
    Ok(())
}

fn merge(args: &MergeArgs) -> Result<()> {
    let how = WriterOptions { threads: args.threads, ..WriterOptions::default() };
    let before = Index::open(&args.index)?.info();
    let after = IndexWriter::open(&args.index, how)?.merge()?;
    let files = |info: &IndexInfo| {
        format!("{} files of documents, {}", info.segments, HumanBytes(info.bytes))
    };
    say(&format!("{}; before: {}", files(&after), files(&before)));
    Ok(())
}

fn check(dir: &Path) -> Result<()> {
    let whole = verify(dir)?;
    let text = format!(
        "whole: {} files, {}, {} documents\n",
        whole.segments,
        HumanBytes(whole.bytes),
        whole.documents
    );
    print(&text)
}

fn info(args: &InfoArgs) -> Result<()> {
    let index = Index::open(&args.index)?;
    let info = index.info();
    let weights = WeightsArg::from(info.weights).to_string();
    if args.format == TableOrJson::Json {
        let json = json!({
            "documents": info.documents,
            "deleted": info.deleted,
            "postings": info.postings,
            "bytes": info.bytes,
            "weights": weights,
            "generation": info.generation,
            "segments": info.segments,
            "settings": index.settings(),
        });
        return print(&format!("{json:#}\n"));
    }
    let mut rows = vec![
        ("documents", info.documents.to_string()),
        ("deleted", info.deleted.to_string()),
        ("postings", info.postings.to_string()),
        ("size", HumanBytes(info.bytes).to_string()),
        ("weights", weights),
        ("commits", info.generation.to_string()),
        ("files", info.segments.to_string()),
    ];
    let settings = index.settings().as_object().into_iter().flatten();
    let known = settings.filter(|(_, value)| !value.is_null() && *value != "");
    rows.extend(known.map(|(key, value)| {
        (key.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }));
    let text: String = rows.iter().map(|(key, value)| format!("{key:12} {value}\n")).collect();
    print(&text)
}
