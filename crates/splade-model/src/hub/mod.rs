//! Models by name: a local folder, or `org/name[@revision]` of the Hugging Face hub; and files of
//! data sets there.
//!
//! Files are kept in the cache that Python's `huggingface_hub` uses, in its layout, so that either
//! uses what the other fetched. What is in the cache is used as it is, without a request: another
//! revision is fetched only where one is named. Only the files that this crate reads are fetched.
//! [`upload()`] sends a folder to the hub, as a model.

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
#[cfg(feature = "hub")]
mod upload;

use std::path::{Path, PathBuf};

use crate::error::ModelError;
use name::{Kind, RepoName};
pub use options::HubOptions;

/// How far the download or the upload of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubProgress<'a> {
    /// The file's path in the repository.
    pub file: &'a str,
    /// Bytes that have arrived, or are sent.
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
    fetch(&RepoName::parse(name, Kind::Model)?, options, progress)
}

/// The folder of the cache with some files of a hub data set `org/name[@revision]`, named by their
/// paths there; they are fetched where they are not in it, as [`resolve`] does.
///
/// # Errors
/// If there is no such data set or file, a file cannot be fetched or written, or the crate was built
/// without the feature `hub`.
pub fn resolve_dataset(
    name: &str,
    files: &[String],
    options: &HubOptions,
    progress: &mut dyn FnMut(HubProgress<'_>),
) -> Result<PathBuf, ModelError> {
    fetch_files(&RepoName::parse(name, Kind::Dataset)?, files, options, progress)
}

/// Where an upload goes.
#[derive(Debug, Clone)]
pub struct HubTarget {
    #[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only errors are made of it"))]
    name: RepoName,
    #[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only errors are made of it"))]
    private: bool,
}

impl HubTarget {
    /// A branch of a model; `private` is what becomes of a model that is missing.
    ///
    /// # Errors
    /// If the names are none of the hub.
    pub fn new(id: &str, revision: &str, private: bool) -> Result<Self, ModelError> {
        Ok(Self { name: RepoName::parse(&format!("{id}@{revision}"), Kind::Model)?, private })
    }
}

/// Uploads every file of a folder to the hub in one commit, and returns its address. Files that the
/// hub has beside these stay. The model and the branch are made where they are missing.
///
/// `progress` is called as the bytes of large files are sent.
///
/// # Errors
/// If a file cannot be read, the hub refuses, or the crate was built without the feature `hub`. What
/// was sent of large files until then is not sent again.
#[cfg(feature = "hub")]
pub fn upload(
    folder: &Path,
    options: &HubOptions,
    target: &HubTarget,
    progress: &mut dyn FnMut(HubProgress<'_>),
) -> Result<String, ModelError> {
    let client = client::Client::new(options, &target.name);
    upload::Upload { client: &client, name: &target.name, folder }.run(target.private, progress)
}

/// As with the feature `hub`, but always an error.
///
/// # Errors
/// Always.
#[cfg(not(feature = "hub"))]
pub fn upload(
    _: &Path,
    _: &HubOptions,
    target: &HubTarget,
    _: &mut dyn FnMut(HubProgress<'_>),
) -> Result<String, ModelError> {
    Err(target.name.error("an upload needs a build with the feature \"hub\""))
}

#[cfg(not(feature = "hub"))]
fn fetch(
    name: &RepoName,
    _: &HubOptions,
    _: &mut dyn FnMut(HubProgress<'_>),
) -> Result<PathBuf, ModelError> {
    Err(name
        .error("it is no folder here, and models of the hub need a build with the feature \"hub\""))
}

#[cfg(not(feature = "hub"))]
fn fetch_files(
    name: &RepoName,
    _: &[String],
    _: &HubOptions,
    _: &mut dyn FnMut(HubProgress<'_>),
) -> Result<PathBuf, ModelError> {
    Err(name.error("data sets of the hub need a build with the feature \"hub\""))
}

#[cfg(feature = "hub")]
fn fetch(
    name: &RepoName,
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
            crate::config::read_json(&cache.snapshot(&commit).join(files::MODULES))?
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

#[cfg(feature = "hub")]
fn fetch_files(
    name: &RepoName,
    files: &[String],
    options: &HubOptions,
    progress: &mut dyn FnMut(HubProgress<'_>),
) -> Result<PathBuf, ModelError> {
    let cache = cache::RepoCache::new(&options.cache, name);
    if let Some(commit) = cache.commit() {
        match files.iter().find(|file| !cache.has(&commit, file)) {
            None => return Ok(cache.snapshot(&commit)),
            Some(file) if options.offline => {
                return Err(name.error(format!(
                    "the cache does not have {file}; unset HF_HUB_OFFLINE to fetch it from the hub"
                )));
            }
            Some(_) => {}
        }
    } else if options.offline {
        return Err(name.error(
            "the data set is not in the cache; unset HF_HUB_OFFLINE to fetch it from the hub",
        ));
    }
    let client = client::Client::new(options, name);
    // Files of different commits are not mixed: a cache that is not complete goes on with its own.
    let revision = cache.commit().unwrap_or_else(|| name.revision.clone());
    let (commit, listed) = client.list(&revision)?;
    if let Some(file) = files.iter().find(|file| !listed.contains(file)) {
        return Err(name.error(format!("there is no file {file} in the data set")));
    }
    cache.write_commit(&commit)?;
    let download = download::Download { client: &client, cache: &cache, commit: &commit };
    for file in files {
        download.file(file, progress)?;
    }
    Ok(cache.snapshot(&commit))
}
