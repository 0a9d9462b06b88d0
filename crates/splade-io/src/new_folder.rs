//! A folder that is renamed to its final name once it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::FileError;
use crate::new_file::{RANDOM, SUFFIX, folder_of, resolved, sync_folder_of};

/// A folder that is written under a temporary name beside its final path.
///
/// [`commit`](Self::commit) renames the temporary folder to a path that does not exist or is an
/// empty folder. If the value is dropped before that, the temporary folder is removed.
#[derive(Debug)]
pub struct NewFolder {
    temporary: TempDir,
    target: PathBuf,
}

impl NewFolder {
    /// Creates a temporary folder beside `target`, and the missing folders above it.
    ///
    /// # Errors
    /// Returns an error if the folder above cannot be created or written.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        // With a slash at the end of `target`, the temporary folder would lie inside it.
        let target: PathBuf = target.components().collect();
        let target = resolved(&target);
        let failed = |error| FileError::io("write", &target)(error);
        let above = folder_of(&target);
        fs::create_dir_all(above).map_err(failed)?;
        let mut prefix = target.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let temporary = tempfile::Builder::new()
            .prefix(&prefix)
            .rand_bytes(RANDOM)
            .suffix(SUFFIX)
            .tempdir_in(above)
            .map_err(failed)?;
        allow_as_new_folders_are(temporary.path()).map_err(failed)?;
        Ok(Self { temporary, target })
    }

    /// Returns the path of the temporary folder, into which the caller writes.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Waits until all files have reached the disk, and renames the folder to its final name.
    ///
    /// # Errors
    /// Returns an error if the target exists by now and is not an empty folder, or if the folder
    /// cannot be synced or renamed. The temporary folder is then removed.
    pub fn commit(self) -> Result<(), FileError> {
        let Self { temporary, target } = self;
        sync_tree(temporary.path()).map_err(FileError::io("write", &target))?;
        if target.is_dir() {
            // The removal fails if the folder contains a file by now.
            fs::remove_dir(&target).map_err(FileError::io("replace", &target))?;
        }
        rename(temporary, &target)
    }

    /// Commits the folder even if the target is an earlier folder of the same kind, which contains
    /// the file `marker`. The earlier folder is removed with all its contents.
    ///
    /// # Errors
    /// Returns [`FileError::NotOurs`] if the target is a folder with files but without the marker.
    /// If the folder cannot be synced or renamed, an error is returned and the earlier folder is
    /// moved back to the target.
    pub fn replace(self, marker: &str) -> Result<(), FileError> {
        if is_free(&self.target) {
            return self.commit();
        }
        let Self { temporary, target } = self;
        sync_tree(temporary.path()).map_err(FileError::io("write", &target))?;
        let failed = |error| FileError::io("replace", &target)(error);
        // The earlier folder is moved into a new temporary folder, where it cannot overwrite
        // anything.
        let mut prefix = target.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let beside = tempfile::Builder::new()
            .prefix(&prefix)
            .rand_bytes(RANDOM)
            .suffix(".old")
            .tempdir_in(folder_of(&target))
            .map_err(failed)?;
        let earlier = beside.path().join("earlier");
        if !target.join(marker).is_file() {
            return Err(FileError::NotOurs { path: target, marker: marker.to_owned() });
        }
        fs::rename(&target, &earlier).map_err(failed)?;
        if let Err(error) = rename(temporary, &target) {
            if fs::rename(&earlier, &target).is_err() {
                // The earlier folder cannot be moved back, so it is kept in the temporary folder;
                // its files must not be lost.
                _ = beside.keep();
            }
            return Err(error);
        }
        beside.close().map_err(FileError::io("remove the earlier folder of", &target))
    }
}

/// Renames a temporary folder to a path that does not exist.
fn rename(temporary: TempDir, target: &Path) -> Result<(), FileError> {
    fs::rename(temporary.path(), target).map_err(FileError::io("rename a folder to", target))?;
    // The folder has its final name now, so there is no temporary folder to remove.
    _ = temporary.keep();
    sync_folder_of(target);
    Ok(())
}

/// Returns whether a new folder can be created at a path: nothing exists there, or an empty folder.
pub fn is_free(target: &Path) -> bool {
    match fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound && !target.is_symlink(),
    }
}

/// Gives a temporary folder, which is private by default, the permissions of any new folder.
#[cfg(unix)]
fn allow_as_new_folders_are(folder: &Path) -> io::Result<()> {
    // The permissions that the umask allows are read from a folder that is created in the ordinary
    // way.
    let sample = folder.join("permissions");
    fs::create_dir(&sample)?;
    let permissions = fs::metadata(&sample)?.permissions();
    fs::remove_dir(&sample)?;
    fs::set_permissions(folder, permissions)
}

#[cfg(not(unix))]
fn allow_as_new_folders_are(_: &Path) -> io::Result<()> {
    Ok(())
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => sync_tree(&path)?,
            false => File::open(&path)?.sync_all()?,
        }
    }
    // Not every operating system can sync folders.
    _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_name_once_it_is_complete() {
        let above = tempfile::tempdir().expect("a folder");
        let target = above.path().join("a/b/");
        let folder = NewFolder::create(&target).expect("created");
        fs::write(folder.path().join("x"), "1").expect("written");
        assert!(is_free(&target));
        folder.commit().expect("renamed");
        assert_eq!(fs::read(target.join("x")).expect("read"), b"1");
        assert!(!is_free(&target));
        let folder = NewFolder::create(&target).expect("created");
        assert!(folder.commit().is_err(), "a folder that holds a file was replaced");
        let parent = above.path().join("a");
        assert_eq!(fs::read_dir(&parent).expect("listed").count(), 1, "something is left");
        assert_eq!(fs::read(target.join("x")).expect("read"), b"1");
    }

    #[test]
    fn an_empty_folder_gives_way_and_a_file_does_not() {
        let above = tempfile::tempdir().expect("a folder");
        let (empty, file) = (above.path().join("empty"), above.path().join("file"));
        fs::create_dir(&empty).expect("made");
        fs::write(&file, "1").expect("written");
        assert!(is_free(&empty) && !is_free(&file));
        NewFolder::create(&empty).expect("created").commit().expect("renamed");
        assert!(NewFolder::create(&file).expect("created").commit().is_err());
        assert_eq!(fs::read(&file).expect("read"), b"1");
    }

    #[test]
    fn an_earlier_folder_of_the_same_kind_is_replaced() {
        let above = tempfile::tempdir().expect("a folder");
        let target = above.path().join("data");
        let write = |text: &str| {
            let folder = NewFolder::create(&target).expect("created");
            fs::write(folder.path().join("kind.json"), text).expect("written");
            folder
        };
        // A folder of the user has a name that an earlier version of this code would have used.
        let old = above.path().join("data.old");
        fs::create_dir(&old).expect("made");
        fs::write(old.join("thesis.txt"), "1").expect("written");
        write("1").replace("kind.json").expect("written");
        fs::write(target.join("more"), "").expect("written");
        write("2").replace("kind.json").expect("replaced");
        assert_eq!(fs::read(target.join("kind.json")).expect("read"), b"2");
        assert!(!target.join("more").exists());
        fs::remove_file(target.join("kind.json")).expect("removed");
        fs::write(target.join("theirs"), "").expect("written");
        let error = write("3").replace("kind.json").expect_err("not ours").to_string();
        assert!(error.contains("has no kind.json"), "{error}");
        assert!(target.join("theirs").is_file() && old.join("thesis.txt").is_file());
        assert_eq!(fs::read_dir(above.path()).expect("listed").count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        let above = tempfile::tempdir().expect("a folder");
        fs::create_dir(above.path().join("disk")).expect("made");
        let link = above.path().join("link");
        std::os::unix::fs::symlink("disk/data", &link).expect("linked");
        let folder = NewFolder::create(&link).expect("created");
        fs::write(folder.path().join("x"), "1").expect("written");
        folder.commit().expect("renamed");
        assert!(link.is_symlink() && above.path().join("disk/data/x").is_file());
    }
}
