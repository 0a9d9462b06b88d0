//! The cache of a model, in the layout of `huggingface_hub` (its guide "Understand caching"):
//!
//! ```text
//! models--org--name/                datasets--… of a data set
//!   blobs/<etag>                     contents; <etag>.incomplete during a download
//!   refs/<branch or tag>             the commit
//!   snapshots/<commit>/config.json   links to blobs
//!   .light-splade/<commit>.json      our manifest: the files that a snapshot needs, with sizes
//! .locks/models--org--name/<etag>.lock
//! ```
//!
//! A file gets its name only after its download is complete, so a snapshot may lack files but never
//! holds a truncated one. No file of `huggingface_hub` says which files a snapshot needs, so our
//! manifest does. It is written before the first weights are downloaded. For a snapshot without a
//! manifest, the hub is asked once.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use splade_io::{Event, Observer, Problem};

use super::content::starts_as_web_page;
use super::name::RepoName;
use crate::error::ModelError;
use crate::folder::ModelFolder;
use crate::weights::Weights;

/// The version of the manifest. A new version, for another set of needed files, makes older
/// snapshots incomplete, so the hub is asked again.
const MANIFEST_VERSION: u64 = 1;
/// The interval at which a wait for a lock asks the observer whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// The cache of one repository.
#[derive(Debug)]
pub(super) struct RepoCache<'a> {
    name: &'a RepoName,
    /// The folder `models--org--name`.
    root: PathBuf,
    /// The folder of the lock files.
    locks: PathBuf,
}

impl<'a> RepoCache<'a> {
    pub(super) fn new(cache: &Path, name: &'a RepoName) -> Self {
        let folder = format!("{}--{}", name.kind.plural(), name.id.replace('/', "--"));
        Self { name, root: cache.join(&folder), locks: cache.join(".locks").join(folder) }
    }

    /// Returns the commit of the revision, if the cache has it.
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

    /// Returns whether a blob is complete.
    pub(super) fn has_blob(&self, etag: &str, size: u64) -> bool {
        is_complete(&self.blob(etag), Some(size))
    }

    /// Returns whether a snapshot has a file, with the size of the manifest if it lists one. A link
    /// to a removed blob does not count.
    pub(super) fn has(&self, commit: &str, file: &str) -> bool {
        let files = self.manifest(commit).unwrap_or_default();
        self.is_there(commit, file, files.get(file))
    }

    /// Returns whether a snapshot has a manifest and holds every file in it completely.
    pub(super) fn is_complete(&self, commit: &str) -> bool {
        self.manifest(commit).is_some_and(|files| self.missing(commit, &files).is_none())
    }

    /// Writes the manifest of a snapshot: the files that it needs, with their sizes if they are
    /// known.
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

    /// Returns the snapshot of a commit without asking the hub. A snapshot without a manifest
    /// counts as complete if it has a config, a tokenizer and weights, because Python's tools
    /// download whole models.
    ///
    /// # Errors
    /// Returns a description of what is missing.
    pub(super) fn unasked(&self, commit: Option<&str>) -> Result<PathBuf, String> {
        let none = || {
            format!(
                "no local folder has this name, and it is not in the cache {}",
                self.root.display()
            )
        };
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

    /// Adds a blob to a snapshot as a file.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), ModelError> {
        let path = self.snapshot(commit).join(file);
        let up = "../".repeat(2 + file.matches('/').count());
        self.put(&path, |aside| {
            // Creating symbolic links may need special rights, so a hard link is the fallback.
            symlink(Path::new(&format!("{up}blobs/{etag}")), aside)
                .or_else(|_| fs::hard_link(self.blob(etag), aside))
        })
    }

    /// Locks the blob of a file, so that no other process, including those of Python, downloads it at
    /// the same time. Waits for the lock.
    pub(super) fn lock(
        &self,
        etag: &str,
        name: &str,
        observer: &mut dyn Observer,
    ) -> Result<File, ModelError> {
        let path = self.locks.join(format!("{etag}.lock"));
        let failed = |error| self.write_error(&path, &error);
        fs::create_dir_all(&self.locks).map_err(failed)?;
        let file =
            File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                // Some network file systems have no locks. Sizes and checksums still detect damage
                // there.
                Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => {
                    return Err(failed(error));
                }
                Err(TryLockError::WouldBlock) => {}
                _ => return Ok(file),
            }
            if observer.stop() {
                return Err(ModelError::transfer_stopped());
            }
            if !std::mem::replace(&mut told, true) {
                let note = format!("another process is fetching {name}; waiting for it");
                observer.event(Event::Note(&note));
            }
            std::thread::sleep(LOOK);
        }
    }

    pub(super) fn error(&self, problem: impl Into<Problem>) -> ModelError {
        self.name.error(problem)
    }

    pub(super) fn write_error(&self, path: &Path, error: &io::Error) -> ModelError {
        let remedy = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "free some space, or set HF_HUB_CACHE to a folder of another disk"
            }
            _ => "set HF_HUB_CACHE to use another folder",
        };
        self.name.advised(format!("cannot write {}: {error}", path.display()), remedy)
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

    /// Returns the first file that is missing or has the wrong size.
    fn missing<'f>(&self, commit: &str, files: &'f Map<String, Value>) -> Option<&'f str> {
        let is_there = |(file, size): &(&String, &Value)| self.is_there(commit, file, Some(size));
        files.iter().find(|entry| !is_there(entry)).map(|(file, _)| file.as_str())
    }

    fn is_there(&self, commit: &str, file: &str, size: Option<&Value>) -> bool {
        is_complete(&self.snapshot(commit).join(file), size.and_then(Value::as_u64))
    }

    /// Writes a small file completely or not at all.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
        self.put(path, |aside| {
            let mut file = File::create(aside)?;
            file.write_all(bytes)?;
            file.sync_all()
        })
    }

    /// Syncs the folder of a file, so that the file keeps its name after a power failure; not every
    /// operating system supports this.
    pub(super) fn sync_folder_of(&self, path: &Path) {
        _ = path.parent().map(|folder| File::open(folder).and_then(|folder| folder.sync_all()));
    }

    /// Writes a temporary file and renames it, so that no other process ever sees a partial file.
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
        put().map(|()| self.sync_folder_of(path)).map_err(|error| {
            // The temporary file may not exist; the first error is the one to report.
            let _ = fs::remove_file(&aside);
            self.write_error(path, &error)
        })
    }
}

/// Returns whether a file has a size, if one is given, and is not a web page. Earlier versions could
/// keep a web page that a proxy sent in place of a file; it is downloaded again.
fn is_complete(path: &Path, size: Option<u64>) -> bool {
    let is_page = || File::open(path).and_then(|mut file| starts_as_web_page(&mut file));
    fs::metadata(path).is_ok_and(|data| {
        data.is_file() && size.is_none_or(|size| size == data.len()) && !is_page().unwrap_or(false)
    })
}

/// Returns whether the name is a full commit hash.
pub(super) fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Fails with what a snapshot lacks to be a model.
fn find_gap(snapshot: &Path) -> Result<(), ModelError> {
    let folder = ModelFolder::open(snapshot)?;
    let no_model =
        |path: PathBuf, message: &str| Err(ModelError::NoModel { path, problem: message.into() });
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
