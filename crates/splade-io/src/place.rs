//! Where a path leads: its folder, and the target of its links.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Returns the folder of a path; for a bare file name, the working directory.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Syncs the folder of a path so that a new name in it is permanent; not every operating system
/// supports this.
pub(crate) fn sync_folder_of(path: &Path) {
    _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
}

/// Returns the target of a symbolic link, even if the target does not exist.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    // The limit of 40 links is that of Linux.
    for _ in 0..40 {
        let Ok(next) = fs::read_link(&path) else { break };
        path = folder_of(&path).join(next);
    }
    path
}
