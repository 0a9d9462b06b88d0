//! A folder that has its name when it is whole, and is removed if it never is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use splade_sparse::files::aside;

/// What is written beside the folder that it is to become.
#[derive(Debug)]
pub(crate) struct PartialFolder {
    path: PathBuf,
    out: PathBuf,
}

impl PartialFolder {
    /// Begins an empty folder.
    pub(crate) fn create(out: &Path) -> Result<Self> {
        // With a slash at its end, what stands beside it would be inside.
        let out: PathBuf = out.components().collect();
        let path = aside(&out);
        let failed = || format!("cannot write {}", path.display());
        // What a killed run has left.
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(failed)?;
        }
        std::fs::create_dir_all(&path).with_context(failed)?;
        Ok(Self { path, out })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, in the place of an empty folder.
    pub(crate) fn finish(self) -> Result<()> {
        let (path, out) = (&self.path, &self.out);
        let failed = || format!("cannot rename {} to {}", path.display(), out.display());
        if out.exists() {
            std::fs::remove_dir(out).with_context(failed)?;
        }
        std::fs::rename(path, out).with_context(failed)
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        // It has been renamed, or what went wrong is told already.
        _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Whether a folder can be made there: there is nothing, or an empty one.
pub(crate) fn is_free(out: &Path) -> bool {
    let is_empty = |dir| std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    !out.exists() || is_empty(out)
}
