//! Models by name, either a local folder or `org/name[@revision]` of the Hugging Face hub, and
//! files of the hub's data sets.
//!
//! Files are kept in the cache of Python's `huggingface_hub`, in its layout, so that both programs
//! use each other's downloads. A cached model is used without a request to the hub; another
//! revision is downloaded only if it is named. Only files that this crate reads are downloaded.
//! [`upload()`] sends a folder to the hub as a model.
//!
//! ```
//! use splade_model::hub::{HubOptions, resolve};
//!
//! // A folder stands for itself; only other names are looked up in the cache and at the hub.
//! # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
//! let options = HubOptions { offline: true, ..HubOptions::from_env()? };
//! assert_eq!(resolve(model.to_str().expect("UTF-8"), &options, &mut ())?, model);
//! # Ok::<(), splade_model::ModelError>(())
//! ```

#[cfg(feature = "hub")]
mod cache;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod content;
#[cfg(feature = "hub")]
mod download;
#[cfg(feature = "hub")]
mod files;
mod name;
mod options;
#[cfg(feature = "hub")]
mod upload;

use std::path::{Path, PathBuf};

#[cfg(feature = "hub")]
use splade_http::Again;
use splade_io::Observer;

use crate::error::ModelError;
use name::{Kind, RepoName};
pub use options::HubOptions;

/// Returns the folder of a model: `name` itself if it is a folder, or else the folder in the cache
/// of the hub model `org/name[@revision]`, with all files that the model needs.
///
/// The observer receives the progress of each file that is not in the cache, as `fetching` with the
/// name of the file as the unit. An interrupted download is resumed.
///
/// ```
/// use splade_model::hub::{HubOptions, resolve};
///
/// let cache = tempfile::tempdir()?;
/// let options =
///     HubOptions { cache: cache.path().to_owned(), offline: true, ..HubOptions::from_env()? };
/// let error = resolve("org/model", &options, &mut ()).expect_err("the cache is empty");
/// assert!(error.to_string().starts_with("org/model: "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if there is no such folder or model, if a file cannot be downloaded or written,
/// if the observer asks to stop, or if the crate was built without the feature `hub`.
pub fn resolve(
    name: &str,
    options: &HubOptions,
    observer: &mut dyn Observer,
) -> Result<PathBuf, ModelError> {
    let path = Path::new(name);
    if path.exists() {
        return Ok(path.to_path_buf());
    }
    fetch(&RepoName::parse(name, Kind::Model)?, options, observer)
}

/// Returns the folder in the cache of the hub data set `org/name[@revision]`, with the given files
/// at their paths in the data set. Missing files are downloaded as in [`resolve`].
///
/// ```
/// use splade_model::hub::{HubOptions, resolve_dataset};
///
/// let cache = tempfile::tempdir()?;
/// let options =
///     HubOptions { cache: cache.path().to_owned(), offline: true, ..HubOptions::from_env()? };
/// let files = ["corpus.jsonl".to_owned()];
/// assert!(resolve_dataset("org/data", &files, &options, &mut ()).is_err(), "the cache is empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if there is no such data set or file, if a file cannot be downloaded or
/// written, or if the crate was built without the feature `hub`.
pub fn resolve_dataset(
    name: &str,
    files: &[String],
    options: &HubOptions,
    observer: &mut dyn Observer,
) -> Result<PathBuf, ModelError> {
    fetch_files(&RepoName::parse(name, Kind::Dataset)?, files, options, observer)
}

/// Returns the commit of the hub data set `org/name[@revision]` and the paths of its files. The hub
/// is asked in any case.
///
/// ```
/// use splade_model::hub::{HubOptions, list_dataset};
///
/// // The list of files is not in the cache, so it cannot be had without the hub.
/// let options = HubOptions { offline: true, ..HubOptions::from_env()? };
/// assert!(list_dataset("org/data", &options, &mut ()).is_err());
/// # Ok::<(), splade_model::ModelError>(())
/// ```
///
/// # Errors
/// Returns an error if there is no such data set, if the hub must not be asked or does not answer,
/// or if the crate was built without the feature `hub`.
pub fn list_dataset(
    name: &str,
    options: &HubOptions,
    observer: &mut dyn Observer,
) -> Result<(String, Vec<String>), ModelError> {
    list(&RepoName::parse(name, Kind::Dataset)?, options, observer)
}

/// The target of an upload: a branch of a model.
///
/// ```
/// use splade_model::hub::HubTarget;
///
/// HubTarget::new("org/my-splade", "main", true)?;
/// assert!(HubTarget::new("my splade", "main", true).is_err());
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HubTarget {
    #[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only errors are made of it"))]
    name: RepoName,
    #[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only errors are made of it"))]
    private: bool,
}

impl HubTarget {
    /// Creates a target. `private` is the visibility of the model if the upload creates it.
    ///
    /// # Errors
    /// Returns an error if the names are not valid at the hub.
    pub fn new(id: &str, revision: &str, private: bool) -> Result<Self, ModelError> {
        Ok(Self { name: RepoName::parse(&format!("{id}@{revision}"), Kind::Model)?, private })
    }
}

/// Uploads every file of a folder to the hub in one commit and returns the URL of the commit. Other
/// files at the hub are kept. The model and the branch are created if they do not exist.
///
/// The observer receives the progress of each large file, as `sending` with the name of the file as
/// the unit.
///
/// ```
/// use splade_model::hub::{HubOptions, HubTarget, upload};
///
/// let folder = tempfile::tempdir()?;
/// let target = HubTarget::new("org/my-splade", "main", true)?;
/// let options = HubOptions { offline: true, ..HubOptions::from_env()? };
/// // Without the network, nothing is sent.
/// assert!(upload(folder.path(), &options, &target, &mut ()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if a file cannot be read, if the hub refuses the upload, if the observer asks to
/// stop, or if the crate was built without the feature `hub`. Large files that were sent completely before the error are not
/// sent again by the next upload.
#[cfg(feature = "hub")]
pub fn upload(
    folder: &Path,
    options: &HubOptions,
    target: &HubTarget,
    observer: &mut dyn Observer,
) -> Result<String, ModelError> {
    let client = client::Client::new(options, &target.name)?;
    upload::Upload { client: &client, name: &target.name, folder }.run(target.private, observer)
}

/// Fails, because the crate was built without the feature `hub`.
///
/// # Errors
/// Always returns an error.
#[cfg(not(feature = "hub"))]
pub fn upload(
    _: &Path,
    _: &HubOptions,
    target: &HubTarget,
    _: &mut dyn Observer,
) -> Result<String, ModelError> {
    Err(target.name.error("an upload needs a build with the feature \"hub\""))
}

#[cfg(not(feature = "hub"))]
fn fetch(name: &RepoName, _: &HubOptions, _: &mut dyn Observer) -> Result<PathBuf, ModelError> {
    Err(name.error(
        "no local folder has this name, and hub models need a build with the feature \"hub\"",
    ))
}

#[cfg(not(feature = "hub"))]
fn list(
    name: &RepoName,
    _: &HubOptions,
    _: &mut dyn Observer,
) -> Result<(String, Vec<String>), ModelError> {
    Err(name.error("data sets of the hub need a build with the feature \"hub\""))
}

#[cfg(not(feature = "hub"))]
fn fetch_files(
    name: &RepoName,
    _: &[String],
    _: &HubOptions,
    _: &mut dyn Observer,
) -> Result<PathBuf, ModelError> {
    Err(name.error("data sets of the hub need a build with the feature \"hub\""))
}

#[cfg(feature = "hub")]
const UNSET_OFFLINE: &str = "unset HF_HUB_OFFLINE to fetch it from the hub";

#[cfg(feature = "hub")]
fn fetch(
    name: &RepoName,
    options: &HubOptions,
    observer: &mut dyn Observer,
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
        return whole.map_err(|gap| name.advised(gap.to_string(), UNSET_OFFLINE));
    }
    let client = client::Client::new(options, name)?;
    // A snapshot that looks complete is kept and completed with its missing files; it is not
    // replaced by a newer commit.
    let revision = cached.as_ref().filter(|_| whole.is_ok()).unwrap_or(&name.revision);
    let again = if whole.is_ok() { Again::Never } else { Again::Failed };
    let (commit, listed) = match client.list(revision, again, observer) {
        Ok(found) => found,
        Err(stopped @ ModelError::Stopped { .. }) => return Err(stopped),
        // If the hub does not answer, the cached snapshot is used, as in Python's tools.
        Err(error) => return whole.map_err(|_| error),
    };
    let download = download::Download { client: &client, cache: &cache, commit: &commit };
    let modules = match listed.iter().any(|file| file == files::MODULES) {
        true => {
            download.file(files::MODULES, observer)?;
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
        download.file(file, observer)?;
    }
    cache.write_manifest(&commit, &wanted)?;
    cache.write_commit(&commit)?;
    Ok(cache.snapshot(&commit))
}

#[cfg(feature = "hub")]
fn list(
    name: &RepoName,
    options: &HubOptions,
    observer: &mut dyn Observer,
) -> Result<(String, Vec<String>), ModelError> {
    if options.offline {
        return Err(name.advised("the data set is not in the cache", UNSET_OFFLINE));
    }
    client::Client::new(options, name)?.list(&name.revision, Again::Failed, observer)
}

#[cfg(feature = "hub")]
fn fetch_files(
    name: &RepoName,
    files: &[String],
    options: &HubOptions,
    observer: &mut dyn Observer,
) -> Result<PathBuf, ModelError> {
    let cache = cache::RepoCache::new(&options.cache, name);
    if let Some(commit) = cache.commit() {
        match files.iter().find(|file| !cache.has(&commit, file)) {
            None => return Ok(cache.snapshot(&commit)),
            Some(file) if options.offline => {
                return Err(name.advised(format!("the cache does not have {file}"), UNSET_OFFLINE));
            }
            Some(_) => {}
        }
    } else if options.offline {
        return Err(name.advised("the data set is not in the cache", UNSET_OFFLINE));
    }
    let client = client::Client::new(options, name)?;
    // A snapshot never mixes files of different commits, so an incomplete one is completed from its
    // own commit.
    let revision = cache.commit().unwrap_or_else(|| name.revision.clone());
    let (commit, listed) = client.list(&revision, Again::Failed, observer)?;
    if let Some(file) = files.iter().find(|file| !listed.contains(file)) {
        return Err(name.error(format!("there is no file {file} in the data set")));
    }
    cache.write_commit(&commit)?;
    let download = download::Download { client: &client, cache: &cache, commit: &commit };
    for file in files {
        download.file(file, observer)?;
    }
    Ok(cache.snapshot(&commit))
}
