//! Models by name: a local folder, or `org/name[@revision]` of the Hugging Face hub.
//!
//! Files are kept in the cache that Python's `huggingface_hub` uses, in its layout, so that either
//! uses what the other fetched. What is in the cache is used as it is, without a request: another
//! revision is fetched only where one is named. Only the files that this crate reads are fetched.
//! Nothing is uploaded, and there are no data sets.

#[cfg(feature = "hub")]
mod cache;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod download;
#[cfg(feature = "hub")]
mod files;
mod name;
mod options;

use std::path::{Path, PathBuf};

use crate::error::ModelError;
use name::ModelName;
pub use options::HubOptions;

/// How far the download of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubProgress<'a> {
    /// The file's path in the repository.
    pub file: &'a str,
    /// Bytes that are there.
    pub bytes: u64,
    /// Bytes of the file.
    pub total: u64,
}

/// The folder of a model: `name` itself where it is a folder, else that of a hub model
/// `org/name[@revision]` in the cache, with every file that is needed.
///
/// `progress` is called when the download of a file starts and whenever bytes arrive; never for
/// files that are in the cache. A download that was cut off is resumed.
///
/// # Errors
/// If there is no such folder or model, a file cannot be fetched or written, or the crate was built
/// without the feature `hub`.
pub fn resolve(
    name: &str,
    options: &HubOptions,
    progress: &mut dyn FnMut(HubProgress<'_>),
) -> Result<PathBuf, ModelError> {
    let path = Path::new(name);
    if path.exists() {
        return Ok(path.to_path_buf());
    }
    fetch(&ModelName::parse(name)?, options, progress)
}

#[cfg(not(feature = "hub"))]
fn fetch(
    name: &ModelName,
    _: &HubOptions,
    _: &mut dyn FnMut(HubProgress<'_>),
) -> Result<PathBuf, ModelError> {
    Err(name
        .error("it is no folder here, and models of the hub need a build with the feature \"hub\""))
}

#[cfg(feature = "hub")]
fn fetch(
    name: &ModelName,
    options: &HubOptions,
    progress: &mut dyn FnMut(HubProgress<'_>),
) -> Result<PathBuf, ModelError> {
    let cache = cache::RepoCache::new(&options.cache, name);
    let cached = cache.commit();
    if let Some(commit) = &cached
        && cache.is_complete(commit)
    {
        return Ok(cache.snapshot(commit));
    }
    let whole = cache.unasked(cached.as_deref());
    if options.offline {
        return whole.map_err(|gap| {
            name.error(format!("{gap}; unset HF_HUB_OFFLINE to fetch it from the hub"))
        });
    }
    let client = client::Client::new(options, name);
    // What looks whole is completed where it lacks a file, not replaced by a newer commit.
    let revision = cached.as_ref().filter(|_| whole.is_ok()).unwrap_or(&name.revision);
    let (commit, listed) = match client.list(revision) {
        Ok(found) => found,
        // Python's tools, too, go on with the cache where the hub does not answer.
        Err(error) => return whole.map_err(|_| error),
    };
    let download = download::Download { client: &client, cache: &cache, commit: &commit };
    let modules = match listed.iter().any(|file| file == files::MODULES) {
        true => {
            download.file(files::MODULES, progress)?;
            crate::folder::read_json(&cache.snapshot(&commit).join(files::MODULES))?
        }
        false => None,
    };
    let wanted = files::wanted(&listed, modules.as_ref());
    if !wanted.iter().any(|file| files::is_weights(file)) {
        return Err(name.error(
            "the model has no weights that can be read: model.safetensors, its shards or \
             pytorch_model.bin is expected",
        ));
    }
    cache.write_manifest(&commit, &wanted)?;
    for file in &wanted {
        download.file(file, progress)?;
    }
    cache.write_manifest(&commit, &wanted)?;
    cache.write_commit(&commit)?;
    Ok(cache.snapshot(&commit))
}
