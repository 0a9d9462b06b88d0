//! A lock on an output, so that two processes do not write it at once.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::FileError;

/// How the content of a lock file begins; the holder's process id follows.
const PREFIX: &str = "process ";
/// Words of the command that are told: the program and its subcommands.
const WORDS: usize = 3;

/// A lock file that this process holds.
///
/// The lock is advisory and belongs to the process: the system releases it when the process ends,
/// however it ends. The file says who holds it; it is removed when the value is dropped. A file
/// system without locks is used without them.
#[derive(Debug)]
pub struct OutputLock {
    file: File,
    path: PathBuf,
}

impl OutputLock {
    /// Takes the lock at the path `lock`; messages name `output`, which it protects.
    ///
    /// # Errors
    /// [`FileError::Locked`] if another process holds it, or [`FileError::Io`] if the file cannot
    /// be written.
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
            // The holder before may have removed the file after it was opened here: then the lock is
            // on a file that nobody else will find.
            if is_at(&file, lock) {
                let mut this = Self { file, path: lock.to_path_buf() };
                this.say_who().map_err(FileError::io("write", lock))?;
                return Ok(this);
            }
        }
    }

    /// Writes the process id and the command into the file.
    fn say_who(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        writeln!(self.file, "{PREFIX}{}: {}", std::process::id(), command())
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        // Removed while it is locked, so that whoever opened it before looks for it anew.
        if cfg!(unix) && is_at(&self.file, &self.path) {
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a file is a lock file of this project, by its content; earlier versions left it empty.
pub(crate) fn is_lock(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    read.is_ok() && (start.is_empty() || start.starts_with(PREFIX.as_bytes()))
}

/// The process that holds a lock, as the file tells; none where the system forbids to read it.
fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(1000).read_to_string(&mut text).ok()?;
    let line = text.lines().next()?;
    line.starts_with(PREFIX).then(|| line.to_owned())
}

/// The program and its subcommands. Options are left out: they may hold a key.
fn command() -> String {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default();
    let words = words.take_while(|word| !word.starts_with('-')).take(WORDS - 1);
    let words = std::iter::once(program.to_string_lossy().into_owned()).chain(words);
    words.collect::<Vec<_>>().join(" ")
}

/// Some network file systems have no locks.
fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ENOLCK) {
        return true;
    }
    error.kind() == io::ErrorKind::Unsupported
}

/// Whether an open file still stands at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = fs::metadata(path) else { return false };
    file.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (found.dev(), found.ino()))
}

/// Elsewhere lock files stay, so that they cannot be removed by another process.
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
        // A process that was killed has left its file.
        fs::write(&path, "process 1: light-splade index build\n").expect("written");
        let lock = OutputLock::take(&path, folder.path()).expect("free");
        let error = OutputLock::take(&path, folder.path()).expect_err("held").to_string();
        let holder = format!("({PREFIX}{}: ", std::process::id());
        assert!(error.contains(&holder), "{error}");
        assert!(error.contains("another process is writing to it"), "{error}");
        drop(lock);
        assert!(!cfg!(unix) || !path.exists());
        drop(OutputLock::take(&path, folder.path()).expect("free again"));
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
