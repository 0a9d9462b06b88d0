//! A folder that is renamed to its final name once it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::FileError;
use crate::lock::OutputLock;
use crate::new_file::{RANDOM, SUFFIX, temporary_of};
use crate::place::{folder_of, resolved, sync_folder_of};

/// The suffix of the name of the temporary folder that takes an earlier folder.
const OLD: &str = ".old";
/// The name of the earlier folder in it.
const EARLIER: &str = "earlier";

/// A folder that is written under a temporary name beside its final path.
///
/// [`commit`](Self::commit) renames the temporary folder to a path that does not exist or is an
/// empty folder. If the value is dropped before that, the temporary folder is removed.
///
/// Only one process at a time writes a folder: [`create`](Self::create) takes its [`OutputLock`].
///
/// ```
/// use splade_io::NewFolder;
///
/// let folder = tempfile::tempdir()?;
/// let target = folder.path().join("model");
/// let new = NewFolder::create(&target)?;
/// std::fs::write(new.path().join("config.json"), "{}")?;
/// assert!(!target.exists());
/// new.commit()?;
/// assert!(target.join("config.json").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NewFolder {
    temporary: TempDir,
    target: PathBuf,
    /// The lock of the output, if this value has taken it.
    lock: Option<OutputLock>,
}

impl NewFolder {
    /// Creates a temporary folder beside `target`, and the missing folders above it, and locks the
    /// target against other processes until the value is committed or dropped.
    ///
    /// # Errors
    /// Returns an error if the folder above cannot be created or written, or if another process is
    /// writing the folder.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        let mut this = Self::create_unlocked(target)?;
        this.lock = Some(OutputLock::beside(target)?);
        Ok(this)
    }

    /// Creates a temporary folder without a lock, for a folder inside one that this process has
    /// locked.
    ///
    /// # Errors
    /// Returns an error if the folder above cannot be created or written.
    pub fn create_unlocked(target: &Path) -> Result<Self, FileError> {
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
        Ok(Self { temporary, target, lock: None })
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
        // The lock is released at the end, when the folder has its final name.
        let Self { temporary, target, lock: _lock } = self;
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
        let Self { temporary, target, lock: _lock } = self;
        sync_tree(temporary.path()).map_err(FileError::io("write", &target))?;
        let failed = |error| FileError::io("replace", &target)(error);
        let beside = old_folder(&target).map_err(failed)?;
        let earlier = beside.path().join(EARLIER);
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

/// Removes a folder with all its contents. It loses its name at once, so that a killed process never
/// leaves half of it under this name.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let old = folder.path().join("checkpoint-100");
/// std::fs::create_dir(&old)?;
/// std::fs::write(old.join("model.bin"), "weights")?;
/// splade_io::remove_folder(&old)?;
/// assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the folder cannot be renamed or its files cannot be removed.
pub fn remove_folder(folder: &Path) -> Result<(), FileError> {
    let failed = |error| FileError::io("remove", folder)(error);
    let beside = old_folder(folder).map_err(failed)?;
    fs::rename(folder, beside.path().join(EARLIER)).map_err(failed)?;
    beside.close().map_err(failed)
}

/// Clears what killed processes have left of folders inside `above` for whose names `is_ours`
/// returns true: temporary folders are removed, and a folder that was moved away to be replaced gets
/// its name back. The caller holds the lock of `above`.
///
/// ```
/// use splade_io::{NewFolder, clear_leftovers};
///
/// let folder = tempfile::tempdir()?;
/// let new = NewFolder::create_unlocked(&folder.path().join("checkpoint-100"))?;
/// // A killed process drops nothing.
/// std::mem::forget(new);
/// assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
/// clear_leftovers(folder.path(), |name| name.starts_with("checkpoint-"))?;
/// assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the folder cannot be listed, or a folder cannot be renamed or removed.
pub fn clear_leftovers(above: &Path, is_ours: impl Fn(&str) -> bool) -> Result<(), FileError> {
    let failed = |error| FileError::io("clear", above)(error);
    let mut new = Vec::new();
    for entry in fs::read_dir(above).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() || path.is_symlink() {
            continue;
        }
        if temporary_of(&name).is_some_and(&is_ours) {
            new.push(path);
        } else if let Some(target) = old_of(&name).filter(|name| is_ours(name)) {
            let (earlier, target) = (path.join(EARLIER), above.join(target));
            if earlier.is_dir() && !target.exists() {
                fs::rename(&earlier, &target).map_err(failed)?;
            }
            fs::remove_dir_all(&path).map_err(failed)?;
        }
    }
    new.iter().try_for_each(|path| fs::remove_dir_all(path).map_err(failed))
}

/// Creates a new temporary folder beside `target`, into which an earlier folder can be moved without
/// overwriting anything.
fn old_folder(target: &Path) -> io::Result<TempDir> {
    let mut prefix = target.file_name().unwrap_or_default().to_owned();
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).rand_bytes(RANDOM).suffix(OLD);
    builder.tempdir_in(folder_of(target))
}

/// Returns the name of the folder that was moved into a folder of [`old_folder`] with this name.
fn old_of(name: &str) -> Option<&str> {
    let (target, random) = name.strip_suffix(OLD)?.rsplit_once('.')?;
    let is_ours = random.len() == RANDOM && random.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_ours && !target.is_empty()).then_some(target)
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
///
/// ```
/// use splade_io::is_free;
///
/// let folder = tempfile::tempdir()?;
/// assert!(is_free(folder.path()) && is_free(&folder.path().join("model")));
/// std::fs::write(folder.path().join("notes.txt"), "mine")?;
/// assert!(!is_free(folder.path()));
/// # Ok::<(), std::io::Error>(())
/// ```
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

    #[test]
    fn what_killed_processes_left_is_cleared() {
        let above = tempfile::tempdir().expect("a folder");
        let names = || {
            let entries = fs::read_dir(above.path()).expect("listed");
            let name = |e: fs::DirEntry| e.file_name().to_string_lossy().into_owned();
            let mut names: Vec<String> = entries.map(|e| name(e.expect("an entry"))).collect();
            names.sort();
            names
        };
        for name in [
            "part-1",
            "part-1.aaaaaaaaaaaa.old/earlier",
            "part-2.bbbbbbbbbbbb.tmp",
            "part-3.cccccccccccc.old/earlier",
            "part-4.old/earlier",
            "part-5.tmp",
            "theirs.dddddddddddd.tmp",
        ] {
            fs::create_dir_all(above.path().join(name)).expect("created");
        }
        clear_leftovers(above.path(), |name| name.starts_with("part-")).expect("cleared");
        let want = ["part-1", "part-3", "part-4.old", "part-5.tmp", "theirs.dddddddddddd.tmp"];
        assert_eq!(names(), want);
        remove_folder(&above.path().join("part-4.old")).expect("removed");
        assert_eq!(names(), ["part-1", "part-3", "part-5.tmp", "theirs.dddddddddddd.tmp"]);
    }

    #[test]
    fn one_at_a_time_writes_a_folder() {
        let above = tempfile::tempdir().expect("a folder");
        let target = above.path().join("data");
        let first = NewFolder::create(&target).expect("created");
        let error = NewFolder::create(&above.path().join("data/")).expect_err("locked");
        assert!(error.to_string().contains("another process is writing to it (process "));
        first.commit().expect("renamed");
        assert!(!cfg!(unix) || fs::read_dir(above.path()).expect("listed").count() == 1);
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
