//! Vectors in the forms of search engines, documents sent straight to a server, and models for other
//! libraries.
//!
//! The targets themselves are types of the crate `splade-export`; here are the settings that choose
//! one, and the work around it: names of terms, ids that must not repeat, runs that go on.

mod card;
mod documents;
mod model;
#[cfg(feature = "push")]
mod push;
mod queries;
mod record;
mod target;
mod terms;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_export::Target;
use splade_io::{Event, Observer};
use splade_sparse::files::{MANIFEST, RowWriter, Shard, ShardedWriter};

use crate::encode_files::TermKeys;
use crate::error::{Error, invalid};
use crate::output_guard::{check_files, check_output, remove_shards};
use crate::stream::Ended;
use documents::{Documents, check_inputs};
use target::Chosen;
use terms::TermsOf;

pub use model::{ExportModelOptions, HubUpload, ModelCard, ModelExport, export_model};
pub use target::{CiffScale, ExportTarget, OpenSearchType};

/// Settings of [`export_documents`].
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The files and folders of vectors of documents.
    pub vectors: Vec<PathBuf>,
    /// The files and folders of vectors of queries; where none is given, an example query is made of
    /// the first document.
    pub queries: Vec<PathBuf>,
    /// The folder for what is written.
    pub out: PathBuf,
    /// What the files are written for.
    pub target: ExportTarget,
    /// The model of the vectors, which has the tokens of their terms.
    pub model: Option<PathBuf>,
    /// A file with the tokens in the order of their ids, one a line, in place of a model.
    pub tokens: Option<PathBuf>,
    /// What terms are called where the target leaves it open.
    pub terms: TermKeys,
    /// Goes on where an earlier run into the same folder ended.
    pub resume: bool,
    /// Replaces the files of an earlier export in the folder.
    pub force: bool,
    /// The number of documents of a file; the target's usual number if none is given.
    pub shard_rows: Option<u64>,
    /// Looks for ids that repeat, which takes some 16 bytes of memory a document.
    pub check_ids: bool,
    /// Sends the documents to a server in place of writing them. The targets Elasticsearch,
    /// OpenSearch and Qdrant have one.
    pub push: Option<PushTarget>,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            vectors: Vec::new(),
            queries: Vec::new(),
            out: PathBuf::new(),
            target: ExportTarget::default(),
            model: None,
            tokens: None,
            terms: TermKeys::default(),
            resume: false,
            force: false,
            shard_rows: None,
            check_ids: true,
            push: None,
        }
    }
}

/// The server that receives documents, and how they are sent.
#[derive(Clone)]
pub struct PushTarget {
    /// The address of the server, such as `https://localhost:9200`.
    pub url: String,
    /// The name of the index or collection.
    pub index: String,
    /// An API key, or `Basic …` or `Bearer …` as it is. No message shows it.
    pub api_key: Option<String>,
    /// A file of certificates in PEM that may vouch for the server, in place of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Puts documents into an index that exists already.
    pub append: bool,
    /// The number of documents of a request; at least one.
    pub batch_documents: usize,
    /// The number of bytes of a request, unless one document has more.
    pub batch_bytes: usize,
    /// How often a request is tried again when the server is busy or away.
    pub retries: u32,
}

impl Default for PushTarget {
    fn default() -> Self {
        Self {
            url: String::new(),
            index: "splade".to_owned(),
            api_key: None,
            ca_file: None,
            append: false,
            batch_documents: 1000,
            batch_bytes: 5 << 20,
            retries: 8,
        }
    }
}

/// Without the key.
impl std::fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushTarget")
            .field("url", &self.url)
            .field("index", &self.index)
            .field("append", &self.append)
            .finish_non_exhaustive()
    }
}

/// What became of a call of [`export_documents`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The number of documents that are in the folder, or that the server has taken.
    pub documents: u64,
    /// Whether an earlier run had done everything.
    pub was_complete: bool,
}

/// Writes vectors of documents and queries in the form of a search engine, with what creates the
/// index there, or sends the documents to a server.
///
/// ```
/// use light_splade::{EncodeOptions, ExportOptions, ExportTarget, Position, SparseEncoder};
/// use light_splade::{SparseEncoderOptions, encode_files, export_documents};
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
        Some(push) => Err(invalid(format!(
            "cannot send index {} to {}: this program was built without the feature push",
            push.index, push.url
        ))),
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
    let settings = settings(options, &chosen.settings);
    let mut writer = ShardedWriter::open(out, settings, options.resume, form, create)?;
    if writer.manifest().complete {
        target.clean(out, &writer.manifest().shards)?;
        observer.event(Event::Note("everything is there already"));
        return Ok(Exported { documents: writer.manifest().rows, was_complete: true });
    }
    let queries = queries::write(options, terms, target, observer)?;
    let mut documents = Documents::open(options, terms, done(&writer.manifest().shards));
    let ended = documents.each(observer, |_, id, vector, _| {
        target.check_room(out, &writer.manifest().shards)?;
        Ok(writer.write(id, vector)?)
    })?;
    if ended == Ended::Stopped {
        let rows = writer.pause()?.rows;
        let kept = format!("{rows} documents are kept; go on with --resume");
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

/// Checks that a folder that is begun has none of the files yet.
fn begin_folder(options: &ExportOptions, target: &Target, more: &[&str]) -> Result<(), Error> {
    let out = &options.out;
    if options.force || options.resume || out.join(MANIFEST).exists() {
        // What is there belongs to the earlier run, which the manifest knows.
        return Ok(());
    }
    let setup = match target {
        Target::Text(target) => target.setup(&[]),
        Target::Parquet | Target::Csr(_) => Vec::new(),
        Target::Ciff(_) => vec![("index.ciff", String::new())],
    };
    let setup = setup.iter().map(|(name, _)| *name);
    check_files(out, setup.chain([target.queries_file()]).chain(more.iter().copied()), false)
}

/// What the files depend on: compared when a run is resumed.
fn settings(options: &ExportOptions, target: &Value) -> Value {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let mut settings = json!({
        "vectors": options.vectors.iter().map(path).collect::<Vec<_>>(),
        "queries": options.queries.iter().map(path).collect::<Vec<_>>(),
        "model": options.model.as_ref().map(path),
        "tokens": options.tokens.as_ref().map(path),
        "terms": options.terms.name(),
    });
    for (key, value) in target.as_object().into_iter().flatten() {
        settings[key] = value.clone();
    }
    settings
}

/// The number of rows at the end of each file, and the id of its last row.
fn done(shards: &[Shard]) -> Vec<(u64, String)> {
    let rows = shards.iter().scan(0, |rows, shard| {
        *rows += shard.rows;
        Some((*rows, shard.last_id.clone()))
    });
    rows.collect()
}

/// The error of a field whose name the target needs for another.
fn field_taken(field: &str) -> Error {
    invalid(format!("--field {field} is what another field is called there; name another"))
}
