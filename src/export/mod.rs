//! Vectors in the forms of search engines, documents sent straight to a server, and models for other
//! libraries.
//!
//! The targets themselves are types of the crate `splade-export`; here are the settings that choose
//! one, and the work around it: names of terms, ids that must not repeat, runs that go on.

mod card;
mod documents;
mod folder;
mod front_matter;
mod model;
mod options;
#[cfg(feature = "push")]
mod push;
mod queries;
mod record;
mod target;
mod terms;

use std::path::Path;

use splade_io::{Event, Observer, counted};
use splade_sparse::files::{RowWriter, ShardedWriter};

use crate::error::Error;
#[cfg(not(feature = "push"))]
use crate::error::advised;
use crate::output_guard::{check_output, remove_shards};
use crate::stream::Ended;
use documents::{Content, Documents, Done, check_inputs};
use folder::{begin_folder, settings};
use target::Chosen;
use terms::TermsOf;

pub use card::ModelCard;
pub use folder::Exported;
pub use model::{ExportModelOptions, HubUpload, ModelExport, export_model};
pub use options::{CiffScale, ExportOptions, ExportTarget, OpenSearchType, PushTarget};

/// Writes vectors of documents and queries in the form of a search engine, with what creates the
/// index there, or sends the documents to a server.
///
/// ```
/// use light_splade::SparseEncoder;
/// use light_splade::encode::EncodeOptions;
/// use light_splade::input::Position;
/// use light_splade::search_engines::{ExportOptions, ExportTarget};
/// use light_splade::SparseEncoderOptions;
/// use light_splade::encode::encode_files;
/// use light_splade::search_engines::export_documents;
///
/// let folder = tempfile::tempdir()?;
/// let vectors = folder.path().join("vectors.parquet");
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let options = EncodeOptions { output: vectors.clone(), ..EncodeOptions::default() };
/// encode_files(&encoder, [("1", "東京"), ("2", "大阪")], Position::default(), &options, &mut ())?;
///
/// let options = ExportOptions {
///     vectors: vec![vectors],
///     out: folder.path().join("qdrant"),
///     target: ExportTarget::Qdrant { field: "splade".to_owned(), first_id: None },
///     model: Some("mini-ja-en".into()),
///     ..ExportOptions::default()
/// };
/// let exported = export_documents(&options, &mut ())?;
/// assert_eq!(exported.documents, 2);
/// assert!(options.out.join("collection.json").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the vectors cannot be read or do not fit the vocabulary or the target, a file exists and is not
/// to be replaced, the server refuses documents, or the observer asks to stop, after which the error
/// says what is kept.
pub fn export_documents(
    options: &ExportOptions,
    observer: &mut dyn Observer,
) -> Result<Exported, Error> {
    options.target.check(options.push.as_ref())?;
    let inputs = options.vectors.iter().chain(&options.queries).chain(&options.tokens);
    check_output(&options.out, inputs, options.force)?;
    let terms = TermsOf::open(options, observer)?;
    let chosen = options.target.choose(options, &terms, observer)?;
    match &options.push {
        None => write_files(options, &terms, &chosen, observer),
        #[cfg(feature = "push")]
        Some(push) => push::run(options, &terms, &chosen, push, observer),
        #[cfg(not(feature = "push"))]
        Some(push) => Err(advised(
            format!("cannot send index {} to {}", push.index, push.url),
            "build the program with the feature push",
        )),
    }
}

/// Writes documents, setup and queries of a target.
fn write_files(
    options: &ExportOptions,
    terms: &TermsOf,
    chosen: &Chosen,
    observer: &mut dyn Observer,
) -> Result<Exported, Error> {
    let (out, target) = (&options.out, &chosen.target);
    check_inputs(options, terms)?;
    let form = target.form();
    let form = options.shard_rows.map_or(form, |rows| form.with_rows(rows));
    if options.force {
        remove_shards(out, form.format)?;
    }
    let first = format!("{}-00000.{}", form.stem, form.extension);
    begin_folder(options, target, &[&first])?;
    let create = Box::new(|path: &Path, first| target.documents(path, first));
    let settings = settings(options, &chosen.settings, terms)?;
    let mut writer = ShardedWriter::open(out, settings, options.resume, form, create)?;
    if writer.lacks_content() {
        observer.event(Event::Note(
            "the export was begun by an earlier version of light-splade, which did not record what \
             the vectors were: whether they have changed since is not checked",
        ));
    }
    if writer.manifest().complete {
        // Reads the vectors to see that they are those of the export.
        let mut documents = Documents::open(options, terms, done(&writer));
        documents.each(observer, |_, id, _, _| {
            Err(Error::InputChanged(format!(
                "the export is complete, but there are more vectors now, from {id:?} on"
            )))
        })?;
        target.clean(out, &writer.manifest().shards)?;
        observer.event(Event::Note("everything is there already"));
        return Ok(Exported { documents: writer.manifest().rows, was_complete: true });
    }
    let queries = queries::write(options, terms, target, observer)?;
    let mut documents = Documents::open(options, terms, done(&writer));
    let ended = documents.each(observer, |_, id, vector, _| {
        target.check_room(out, &writer.manifest().shards)?;
        Ok(writer.write(id, vector)?)
    })?;
    if ended == Ended::Stopped {
        let rows = writer.pause()?.rows;
        let kept = format!("kept {}; go on with --resume", counted(rows, "documents"));
        return Err(Error::Stopped { kept });
    }
    writer.end_shard()?;
    if let Some(document) = documents.example().filter(|_| options.queries.is_empty()) {
        queries::write_example(options, target, document)?;
    }
    let (shards, rows) = (writer.manifest().shards.clone(), writer.manifest().rows);
    target.complete(out, &shards)?;
    Box::new(writer).finish()?;
    target.clean(out, &shards)?;
    queries::tell_effect(&target.quantisation(), &queries, &documents, observer);
    Ok(Exported { documents: rows, was_complete: false })
}

/// The files that are complete.
fn done(writer: &ShardedWriter<'_>) -> Vec<Done> {
    let rows = writer.manifest().shards.iter().scan(0, |rows, shard| {
        *rows += shard.rows;
        let (last_id, content) = (shard.last_id.clone(), shard.content.clone());
        Some(Done { rows: *rows, last_id, content: content.map(Content::Rows) })
    });
    rows.collect()
}
