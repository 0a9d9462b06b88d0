//! The folder of an export: the files that it must not contain yet, the settings that its manifest
//! records, and what an export into it returns.

use std::path::PathBuf;

use serde_json::{Value, json};
use splade_export::Target;
use splade_io::settings::content;
use splade_io::{ContentHash, ContentHasher};
use splade_sparse::files::{manifest_path, vector_files};

use super::options::ExportOptions;
use super::terms::TermsOf;
use crate::error::Error;
use crate::output_guard::check_files;
use crate::provenance::VECTORS_OF;

/// What became of a call of [`export_documents`](crate::search_engines::export_documents).
///
/// ```
/// use light_splade::encode::{EncodeOptions, encode_files};
/// use light_splade::input::Position;
/// use light_splade::search_engines::{ExportOptions, ExportTarget, export_documents};
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let vectors = folder.path().join("vectors.parquet");
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let options = EncodeOptions { output: vectors.clone(), ..EncodeOptions::default() };
/// encode_files(&encoder, [("1", "東京"), ("2", "大阪")], Position::default(), &options, &mut ())?;
///
/// let options = ExportOptions {
///     vectors: vec![vectors],
///     out: folder.path().join("out"),
///     target: ExportTarget::Seismic,
///     model: Some("mini-ja-en".into()),
///     ..ExportOptions::default()
/// };
/// let exported = export_documents(&options, &mut ())?;
/// assert_eq!((exported.documents, exported.was_complete), (2, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The number of documents that are in the folder, or that the server has taken.
    pub documents: u64,
    /// Whether an earlier run had done everything.
    pub was_complete: bool,
}

/// Checks that a folder that is begun has none of the files yet.
pub(super) fn begin_folder(
    options: &ExportOptions,
    target: &Target,
    more: &[&str],
) -> Result<(), Error> {
    let out = &options.out;
    if options.force || options.resume || manifest_path(out).is_some() {
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
/// The vectors themselves are compared part by part.
pub(super) fn settings(
    options: &ExportOptions,
    target: &Value,
    terms: &TermsOf,
) -> Result<Value, Error> {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let mut queries = ContentHasher::new();
    for path in &options.queries {
        for file in vector_files(path)? {
            queries.hash(ContentHash::of_file(&file)?);
        }
    }
    let queries = (!options.queries.is_empty()).then(|| queries.finish().to_string());
    let mut settings = json!({
        "content": content([("terms", terms.content().into()), ("queries", queries.into())]),
        VECTORS_OF: terms.vectors_of().to_json(),
        "vectors": options.vectors.iter().map(path).collect::<Vec<_>>(),
        "queries": options.queries.iter().map(path).collect::<Vec<_>>(),
        "model": options.model.as_ref().map(path),
        "tokens": options.tokens.as_ref().map(path),
        "terms": options.terms.name(),
    });
    for (key, value) in target.as_object().into_iter().flatten() {
        settings[key] = value.clone();
    }
    Ok(settings)
}
