//! Paths of outputs: their folders, and links that lead to them.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the folder of a path; for a bare file name, the working directory.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
