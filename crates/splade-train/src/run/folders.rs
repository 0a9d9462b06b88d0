//! The folders that a run writes: locked against other processes, with a place for the models that
//! exist only during the run.

use std::path::{Path, PathBuf};

use splade_io::{NewFolder, OutputLock};

use super::checkpoint::folder::tidy;
use crate::error::TrainError;

/// The name of the lock file in a folder of a run.
const LOCK: &str = "lock";

/// The locked folders of a run. The locks are released and the temporary folders are removed when
/// the value is dropped.
#[derive(Debug)]
pub(crate) struct RunFolders {
    output: PathBuf,
    /// Dropped before the locks.
    temporary: Vec<NewFolder>,
    _locks: Vec<OutputLock>,
}

impl RunFolders {
    /// Creates and locks the folder for checkpoints and that of the final model, and clears what
    /// killed runs have left in them.
    ///
    /// # Errors
    /// Returns an error if another process writes to one of them, or if it cannot be written.
    pub(crate) fn lock(output: &Path, last: &Path) -> Result<Self, TrainError> {
        let mut folders = vec![output];
        let same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        };
        for folder in [output, last] {
            std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        }
        if !same(output, last) {
            folders.push(last);
        }
        let locks = folders.into_iter().map(|folder| OutputLock::take(&folder.join(LOCK), folder));
        let locks = locks.collect::<Result<Vec<_>, _>>()?;
        tidy(output)?;
        tidy(last)?;
        Ok(Self { output: output.to_path_buf(), temporary: Vec::new(), _locks: locks })
    }

    /// Creates a folder in the folder for checkpoints that is removed with this value. `name` is the
    /// beginning of its name.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be created.
    pub(crate) fn temporary(&mut self, name: &str) -> Result<PathBuf, TrainError> {
        let folder = NewFolder::create_unlocked(&self.output.join(name))?;
        let path = folder.path().to_path_buf();
        self.temporary.push(folder);
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time_writes_its_folders() {
        let dir = tempfile::tempdir().expect("a folder");
        let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
        std::fs::create_dir_all(a.join("start.aaaaaaaaaaaa.tmp")).expect("made");
        let mut run = RunFolders::lock(&a, &a).expect("free");
        assert!(!a.join("start.aaaaaaaaaaaa.tmp").exists());
        let start = run.temporary("start").expect("made");
        assert!(start.is_dir() && start.starts_with(&a));
        for (output, last) in [(&a, &b), (&b, &a)] {
            let error = RunFolders::lock(output, last).expect_err("locked").to_string();
            assert!(error.contains("another process is writing to it (process "), "{error}");
        }
        drop(run);
        assert!(!start.exists());
        drop(RunFolders::lock(&a, &c).expect("free again"));
        assert!(!cfg!(unix) || a.read_dir().expect("listed").count() == 0);
    }
}
