//! An output folder that is written in place, file by file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::lock::{OutputLock, is_lock};
use crate::new_file::temporary_of;
use crate::place::resolved;

/// The name of the lock file in its folder.
const LOCK: &str = "lock";

/// An output folder whose files are completed one after another, so that the work can be resumed.
///
/// Only one process writes the folder at a time. A marker file, such as `manifest.json`, identifies
/// the folder as an output of its kind: a folder that has files but no marker belongs to the user
/// and is refused.
///
/// ```
/// use splade_io::{FileError, OutputFolder};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors");
/// let output = OutputFolder::open(&path, "manifest.json")?;
/// assert!(!output.is_marked());
/// std::fs::write(path.join("manifest.json"), "{}")?;
/// drop(output);
/// assert!(OutputFolder::open(&path, "manifest.json")?.is_marked());
///
/// // A folder of somebody else is refused.
/// std::fs::write(folder.path().join("notes.txt"), "mine")?;
/// let refused = OutputFolder::open(folder.path(), "manifest.json");
/// assert!(matches!(refused, Err(FileError::NotOurs { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    marker: String,
    /// Whether this process created the folder.
    is_new: bool,
    /// The lock, which is held as long as this value is present.
    lock: Option<OutputLock>,
}

impl OutputFolder {
    /// Creates the folder if it does not exist, checks that it is empty or contains the marker, and
    /// locks it. The caller writes the marker.
    ///
    /// # Errors
    /// Returns [`FileError::NotOurs`] if the folder has files but no marker, [`FileError::Locked`]
    /// if another process is writing it, or [`FileError::Io`] if it cannot be created or read.
    pub fn open(path: &Path, marker: &str) -> Result<Self, FileError> {
        // The target of a symbolic link may not exist.
        let target = resolved(path);
        let is_new = !target.exists();
        fs::create_dir_all(&target).map_err(FileError::io("create", path))?;
        if !is_ours_or_free(path, marker)? {
            let marker = marker.to_owned();
            return Err(FileError::NotOurs { path: path.to_path_buf(), marker });
        }
        let lock = Some(OutputLock::take(&path.join(LOCK), path)?);
        Ok(Self { path: path.to_path_buf(), marker: marker.to_owned(), is_new, lock })
    }

    /// Returns the path of the folder as the caller named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the folder contains its marker, that is, whether it holds earlier work.
    pub fn is_marked(&self) -> bool {
        self.path.join(&self.marker).is_file()
    }

    /// Removes the temporary files that a killed process has left. Only temporary files of the
    /// marker and of names for which `is_ours` returns true are removed.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be listed or a file cannot be removed.
    pub fn remove_temporaries(&self, is_ours: impl Fn(&str) -> bool) -> Result<(), FileError> {
        for name in names(&self.path)? {
            if temporary_of(&name).is_some_and(|of| of == self.marker || is_ours(of)) {
                let path = self.path.join(&name);
                fs::remove_file(&path).map_err(FileError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Releases the lock, and removes the folder if this process created it and it is empty.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be removed.
    pub fn discard(mut self) -> Result<(), FileError> {
        self.lock = None;
        let is_empty = || fs::read_dir(&self.path).is_ok_and(|mut all| all.next().is_none());
        match self.is_new && is_empty() {
            true => fs::remove_dir(&self.path).map_err(FileError::io("remove", &self.path)),
            false => Ok(()),
        }
    }
}

/// Returns whether a folder contains the marker, or only files that a process leaves if it is
/// killed before it writes the marker.
fn is_ours_or_free(folder: &Path, marker: &str) -> Result<bool, FileError> {
    if folder.join(marker).is_file() {
        return Ok(true);
    }
    let is_left = |name: &String| {
        (name == LOCK && is_lock(&folder.join(LOCK))) || temporary_of(name) == Some(marker)
    };
    Ok(names(folder)?.iter().all(is_left))
}

fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let failed = |error| FileError::io("list", folder)(error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    let name = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewFile;

    const MARKER: &str = "manifest.json";

    #[test]
    fn folders_of_others_are_refused_and_stay() {
        let above = tempfile::tempdir().expect("a folder");
        let path = above.path().join("theirs");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("notes.txt"), "mine").expect("written");
        let error = OutputFolder::open(&path, MARKER).expect_err("not ours");
        assert!(error.to_string().contains("is not empty and has no manifest.json"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("name another folder")), "{error}");
        assert_eq!(names(&path).expect("listed"), ["notes.txt"]);
        // A file with the name of the lock file but other content belongs to the user, too.
        let path = above.path().join("lock-in-it");
        fs::create_dir(&path).expect("made");
        fs::write(path.join(LOCK), "the key to the door").expect("written");
        assert!(OutputFolder::open(&path, MARKER).is_err());
        assert_eq!(fs::read(path.join(LOCK)).expect("read"), b"the key to the door");
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let above = tempfile::tempdir().expect("a folder");
        let path = above.path().join("out");
        let leave = |name: &str| {
            let file = NewFile::create(&path.join(name)).expect("created");
            let temporary = file.temporary_path().to_path_buf();
            let bytes = fs::read(&temporary).expect("read");
            drop(file);
            fs::write(temporary, bytes).expect("written");
        };
        fs::create_dir(&path).expect("made");
        fs::write(path.join(LOCK), "").expect("written");
        leave(MARKER);
        let folder = OutputFolder::open(&path, MARKER).expect("free");
        assert!(!folder.is_marked());
        fs::write(path.join(MARKER), "{}").expect("written");
        leave("part-1");
        leave("theirs");
        fs::write(path.join("part-1.tmp"), "").expect("written");
        fs::write(path.join("part-1.backup.tmp"), "").expect("written");
        folder.remove_temporaries(|name| name.starts_with("part-")).expect("removed");
        drop(folder);
        let mut left = names(&path).expect("listed");
        left.sort();
        assert_eq!(left[..3], [MARKER, "part-1.backup.tmp", "part-1.tmp"]);
        assert!(left[3].starts_with("theirs.") && left.len() == 4, "{left:?}");
    }

    #[test]
    fn only_a_new_folder_is_discarded() {
        let above = tempfile::tempdir().expect("a folder");
        let path = above.path().join("new");
        OutputFolder::open(&path, MARKER).expect("made").discard().expect("removed");
        assert!(!path.exists());
        fs::create_dir(&path).expect("made");
        OutputFolder::open(&path, MARKER).expect("empty").discard().expect("left");
        assert!(path.is_dir());
        assert_eq!(names(&path).expect("listed"), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        let above = tempfile::tempdir().expect("a folder");
        let link = above.path().join("link");
        std::os::unix::fs::symlink("real", &link).expect("linked");
        drop(OutputFolder::open(&link, MARKER).expect("made"));
        assert!(link.is_symlink() && above.path().join("real").is_dir());
    }
}
