//! The cache of a model, in the layout of `huggingface_hub` (its guide "Understand caching"):
//!
//! ```text
//! models--org--name/                datasets--… of a data set
//!   blobs/<etag>                     contents; <etag>.incomplete while they are fetched
//!   refs/<branch or tag>             the commit
//!   snapshots/<commit>/config.json   links to blobs
//!   .light-splade/<commit>.json      ours: the files that a snapshot needs, and their sizes
//! .locks/models--org--name/<etag>.lock
//! ```
//!
//! A name of a file appears when the file is whole, so a snapshot may lack files but holds none
//! that is cut off. Which files it needs is in no file of Python's: the list of ours is written
//! before the first weight is fetched, and a snapshot without it is looked up at the hub once.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::name::RepoName;
use crate::error::ModelError;
use crate::folder::ModelFolder;
use crate::weights::Weights;

/// Grows when other files are needed, so that older snapshots are looked up again.
const MANIFEST_VERSION: u64 = 1;

/// The cache of one model.
#[derive(Debug)]
pub(super) struct RepoCache<'a> {
    name: &'a RepoName,
    /// `models--org--name`.
    root: PathBuf,
    /// Of its locks.
    locks: PathBuf,
}

impl<'a> RepoCache<'a> {
    pub(super) fn new(cache: &Path, name: &'a RepoName) -> Self {
        let folder = format!("{}--{}", name.kind.plural(), name.id.replace('/', "--"));
        Self { name, root: cache.join(&folder), locks: cache.join(".locks").join(folder) }
    }

    /// The commit of the revision, where the cache knows it.
    pub(super) fn commit(&self) -> Option<String> {
        let revision = &self.name.revision;
        if is_commit(revision) {
            return Some(revision.clone());
        }
        let commit = fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    pub(super) fn write_commit(&self, commit: &str) -> Result<(), ModelError> {
        let revision = &self.name.revision;
        match revision == commit {
            true => Ok(()),
            false => self.write(&self.root.join("refs").join(revision), commit.as_bytes()),
        }
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// Whether a snapshot has a file, of its size where that is known. A link to a blob that was
    /// removed is none.
    pub(super) fn has(&self, commit: &str, file: &str) -> bool {
        let files = self.manifest(commit).unwrap_or_default();
        self.is_there(commit, file, files.get(file))
    }

    /// Whether a snapshot is known to hold every file that is needed, whole.
    pub(super) fn is_complete(&self, commit: &str) -> bool {
        self.manifest(commit).is_some_and(|files| self.missing(commit, &files).is_none())
    }

    /// Notes the files that a snapshot needs, with their sizes as far as they are known.
    pub(super) fn write_manifest(&self, commit: &str, files: &[String]) -> Result<(), ModelError> {
        let known = self.manifest(commit).unwrap_or_default();
        let size = |file: &String| match known.get(file).and_then(Value::as_u64) {
            Some(size) => Some(size),
            None => Some(fs::metadata(self.snapshot(commit).join(file)).ok()?.len()),
        };
        let files: Map<String, Value> =
            files.iter().map(|file| (file.clone(), size(file).into())).collect();
        let manifest = json!({"version": MANIFEST_VERSION, "files": files});
        self.write(&self.manifest_path(commit), manifest.to_string().as_bytes())
    }

    /// The snapshot of a commit where the hub cannot be asked. Without a list of the files, one
    /// that has a config, a tokenizer and weights is taken for whole: Python's caches are.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn unasked(&self, commit: Option<&str>) -> Result<PathBuf, String> {
        let none = || format!("it is no folder here, and not in the cache {}", self.root.display());
        let commit = commit.ok_or_else(none)?;
        let snapshot = self.snapshot(commit);
        if !snapshot.is_dir() {
            return Err(none());
        }
        let missing = match self.manifest(commit) {
            Some(files) => self.missing(commit, &files).map(|file| format!("no {file}")),
            None => find_gap(&snapshot).err().map(|error| error.to_string()),
        };
        match missing {
            None => Ok(snapshot),
            Some(gap) => Err(format!("the cache does not have the whole model: {gap}")),
        }
    }

    /// Makes a blob a file of a snapshot.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), ModelError> {
        let path = self.snapshot(commit).join(file);
        let up = "../".repeat(2 + file.matches('/').count());
        self.put(&path, |aside| {
            // Where links need rights that a person may not have: a second name of the blob.
            symlink(Path::new(&format!("{up}blobs/{etag}")), aside)
                .or_else(|_| fs::hard_link(self.blob(etag), aside))
        })
    }

    /// Keeps other processes, Python's too, from fetching the same blob. Waits for them.
    pub(super) fn lock(&self, etag: &str) -> Result<File, ModelError> {
        let path = self.locks.join(format!("{etag}.lock"));
        let failed = |error| self.write_error(&path, &error);
        fs::create_dir_all(&self.locks).map_err(failed)?;
        let file =
            File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.lock() {
            // Some network file systems have no locks: sizes and checksums must do.
            Err(error) if error.kind() != ErrorKind::Unsupported => Err(failed(error)),
            _ => Ok(file),
        }
    }

    pub(super) fn error(&self, message: String) -> ModelError {
        self.name.error(message)
    }

    pub(super) fn write_error(&self, path: &Path, error: &io::Error) -> ModelError {
        let hint = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "; free some space, or set HF_HUB_CACHE to a folder of another disk"
            }
            _ => "; set HF_HUB_CACHE to use another folder",
        };
        self.name.error(format!("cannot write {}: {error}{hint}", path.display()))
    }

    fn manifest_path(&self, commit: &str) -> PathBuf {
        self.root.join(".light-splade").join(format!("{commit}.json"))
    }

    fn manifest(&self, commit: &str) -> Option<Map<String, Value>> {
        let text = fs::read_to_string(self.manifest_path(commit)).ok()?;
        let mut manifest: Value = serde_json::from_str(&text).ok()?;
        match manifest["version"] == MANIFEST_VERSION {
            true => manifest["files"].as_object_mut().map(std::mem::take),
            false => None,
        }
    }

    /// The first file that is not there or not of its size.
    fn missing<'f>(&self, commit: &str, files: &'f Map<String, Value>) -> Option<&'f str> {
        let is_there = |(file, size): &(&String, &Value)| self.is_there(commit, file, Some(size));
        files.iter().find(|entry| !is_there(entry)).map(|(file, _)| file.as_str())
    }

    fn is_there(&self, commit: &str, file: &str, size: Option<&Value>) -> bool {
        fs::metadata(self.snapshot(commit).join(file)).is_ok_and(|data| {
            let size = size.and_then(Value::as_u64);
            data.is_file() && size.is_none_or(|size| size == data.len())
        })
    }

    /// Writes a small file as a whole.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
        self.put(path, |aside| fs::write(aside, bytes))
    }

    /// Makes a file under a name of its own and renames it, so that no other process ever sees a
    /// part of it.
    fn put(
        &self,
        path: &Path,
        make: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), ModelError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let aside = path.with_added_extension(format!("{}-{count}.tmp", std::process::id()));
        let put = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            make(&aside)?;
            fs::rename(&aside, path)
        };
        put().map_err(|error| {
            // It may not exist; the first error is the one to tell.
            let _ = fs::remove_file(&aside);
            self.write_error(path, &error)
        })
    }
}

/// The name of a commit.
pub(super) fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// What a snapshot lacks to be a model.
fn find_gap(snapshot: &Path) -> Result<(), ModelError> {
    let folder = ModelFolder::open(snapshot)?;
    let no_model = |path: PathBuf, message: &str| {
        Err(ModelError::NoModel { path, message: message.to_owned() })
    };
    if let Some(modules) = crate::config::read_json(&snapshot.join(super::files::MODULES))? {
        for path in super::files::module_folders(&modules) {
            if !snapshot.join(path).is_dir() {
                return no_model(snapshot.join(path), "there is no such folder");
            }
        }
    }
    for tower in [&folder.document, &folder.query] {
        if !tower.dir.join("config.json").is_file() {
            return no_model(tower.dir.clone(), "there is no config.json");
        }
        if !["tokenizer.json", "vocab.txt"].iter().any(|name| tower.dir.join(name).is_file()) {
            return no_model(tower.dir.clone(), "there is no tokenizer.json or vocab.txt");
        }
        Weights::open(&tower.dir)?;
    }
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}
