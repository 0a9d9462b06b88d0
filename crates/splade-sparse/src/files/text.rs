//! Functions for writing a file under a temporary name and renaming it when it is complete.

use std::fs::File;
use std::path::{Path, PathBuf};

use splade_io::FileError;

/// Returns the temporary name under which a file is written until it is complete: the path with
/// `.partial` appended.
pub fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Syncs the file with the temporary name of `path` (see [`aside`]) to disk and renames it to
/// `path`.
///
/// # Errors
/// Returns an error if the file cannot be synced or renamed.
pub fn sync_and_rename(path: &Path) -> Result<(), FileError> {
    let from = aside(path);
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(&from).map_err(FileError::io("write", &from))?;
    std::fs::rename(&from, path).map_err(FileError::io("rename a file to", path))?;
    // The new name is permanent only once its folder is synced. Some systems cannot sync a folder,
    // so errors are ignored.
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        _ = sync(dir);
    }
    Ok(())
}
