//! A lock on an output, which keeps two processes from writing it at the same time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::place::{folder_of, resolved};

/// The beginning of a lock file's content, which the process id of the holder follows.
const PREFIX: &str = "process ";
/// The maximum number of words of the command in a lock file: the program and its subcommands.
const WORDS: usize = 3;

/// A lock on an output that this process holds through a lock file.
///
/// The lock is advisory and belongs to the process: the operating system releases it when the
/// process ends, however it ends. The file names the holder and is removed when the value is
/// dropped. On a file system without locks, outputs are not locked.
///
/// ```
/// use splade_io::OutputLock;
///
/// let folder = tempfile::tempdir()?;
/// let output = folder.path().join("index");
/// let lock = OutputLock::beside(&output)?;
/// let path = folder.path().join("index.lock");
/// assert!(path.is_file());
/// drop(lock);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OutputLock {
    file: File,
    path: PathBuf,
}

impl OutputLock {
    /// Takes the lock of an output that is replaced as a whole: the file `OUTPUT.lock` beside it.
    /// Links are followed, so that all names of an output have the same lock.
    ///
    /// # Errors
    /// Returns the errors of [`take`](Self::take).
    pub fn beside(output: &Path) -> Result<Self, FileError> {
        // With a slash at the end of `output`, the lock file would lie inside it.
        let target = resolved(&output.components().collect::<PathBuf>());
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        Self::take(&folder_of(&target).join(name), output)
    }

    /// Takes the lock file at the path `lock`. Error messages name `output`, the path that it
    /// protects.
    ///
    /// # Errors
    /// Returns [`FileError::Locked`] if another process holds the lock, [`FileError::NotALock`] if
    /// the file has other content than a lock file, or [`FileError::Io`] if it cannot be written.
    pub fn take(lock: &Path, output: &Path) -> Result<Self, FileError> {
        loop {
            let file =
                File::options().create(true).truncate(false).read(true).write(true).open(lock);
            let mut file = file.map_err(FileError::io("write", lock))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file);
                    return Err(FileError::Locked { path: output.to_path_buf(), holder });
                }
                Err(TryLockError::Error(error)) if has_no_locks(&error) => {}
                Err(TryLockError::Error(error)) => return Err(FileError::io("lock", lock)(error)),
            }
            // The previous holder may have removed the file after it was opened here. Then the lock
            // is on a file that no other process can find, and a new file is opened.
            if is_at(&file, lock) {
                let start = start_of(&mut file).map_err(FileError::io("read", lock))?;
                if !begins_as_lock(&start) {
                    return Err(FileError::NotALock { path: lock.to_path_buf() });
                }
                let mut this = Self { file, path: lock.to_path_buf() };
                this.say_who().map_err(FileError::io("write", lock))?;
                return Ok(this);
            }
        }
    }

    /// Returns whether a process holds the lock file at a path. A file that cannot be opened, or a
    /// file system without locks, counts as not held.
    ///
    /// The file is locked for the moment of the question, so that a process that takes the lock in the
    /// same moment may be refused.
    pub fn is_held(lock: &Path) -> bool {
        let Ok(file) = File::open(lock) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Writes the process id and the command of this process into the file.
    fn say_who(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        writeln!(self.file, "{PREFIX}{}: {}", std::process::id(), command())
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        // The file is removed while it is locked, so that a process that has already opened it
        // notices the removal and opens a new file.
        if cfg!(unix) && is_at(&self.file, &self.path) {
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns whether the content of a file is that of a lock file of this project. Earlier versions
/// left lock files empty.
pub(crate) fn is_lock(path: &Path) -> bool {
    let start = File::open(path).and_then(|mut file| start_of(&mut file));
    start.is_ok_and(|start| begins_as_lock(&start))
}

/// Reads the first bytes of a file.
fn start_of(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(64).read_to_end(&mut start)?;
    Ok(start)
}

fn begins_as_lock(start: &[u8]) -> bool {
    start.is_empty() || start.starts_with(PREFIX.as_bytes())
}

/// Returns the holder of a lock from the content of the file; `None` if the operating system
/// forbids reading it.
fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(1000).read_to_string(&mut text).ok()?;
    let line = text.lines().next()?;
    line.starts_with(PREFIX).then(|| line.to_owned())
}

/// Returns the name of the program and its subcommands. Options are left out because they may
/// contain a key.
fn command() -> String {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default();
    let words = words.take_while(|word| !word.starts_with('-')).take(WORDS - 1);
    let words = std::iter::once(program.to_string_lossy().into_owned()).chain(words);
    words.collect::<Vec<_>>().join(" ")
}

/// Returns whether an error means that the file system has no locks, like some network file
/// systems.
fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ENOLCK) {
        return true;
    }
    error.kind() == io::ErrorKind::Unsupported
}

/// Returns whether an open file is still the file at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = fs::metadata(path) else { return false };
    file.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (found.dev(), found.ino()))
}

/// Returns true, because on other systems lock files are never removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_a_lock_and_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        // A killed process has left its lock file.
        fs::write(&path, "process 1: light-splade index build\n").expect("written");
        let lock = OutputLock::take(&path, folder.path()).expect("free");
        let error = OutputLock::take(&path, folder.path()).expect_err("held").to_string();
        let holder = format!("({PREFIX}{}: ", std::process::id());
        assert!(error.contains(&holder), "{error}");
        assert!(error.contains("another process is writing to it"), "{error}");
        assert!(OutputLock::is_held(&path));
        drop(lock);
        assert!(!OutputLock::is_held(&path));
        assert!(!cfg!(unix) || !path.exists());
        drop(OutputLock::take(&path, folder.path()).expect("free again"));
    }

    #[test]
    fn a_file_of_the_user_is_no_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let (output, lock) = (folder.path().join("out"), folder.path().join("out.lock"));
        fs::write(&lock, "the key to the door").expect("written");
        let error = OutputLock::beside(&output).expect_err("not a lock").to_string();
        assert!(error.contains("out.lock is not a lock file"), "{error}");
        assert_eq!(fs::read(&lock).expect("read"), b"the key to the door");
        fs::remove_file(&lock).expect("removed");
        let held = OutputLock::beside(&output).expect("free");
        assert!(OutputLock::beside(&folder.path().join("out/")).is_err());
        drop(held);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), usize::from(!cfg!(unix)));
    }

    #[test]
    fn threads_hold_it_one_after_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let holders = std::sync::atomic::AtomicUsize::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(_lock) = OutputLock::take(&path, &path) {
                            assert_eq!(holders.fetch_add(1, order), 0, "two hold the lock");
                            holders.fetch_sub(1, order);
                        }
                    }
                });
            }
        });
    }
}
