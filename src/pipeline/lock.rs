//! The lock of a work folder: one pipeline at a time.
//!
//! The lock is the system's, on the file `steps/lock`, so that a process that was killed holds none.
//! A step inherits it: where a pipeline was killed and its step has yet to end, the folder is still
//! in use. The file says who holds the lock.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use splade_io::FileError;

use crate::error::Error;

/// A lock that is held until the value and all processes that inherited it are gone.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a folder of steps, or says who holds it.
    pub(super) fn take(folder: &Path, work: &Path) -> Result<Self, Error> {
        let path = folder.join("lock");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::io("write", &path))?;
        if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            let holder = Some(holder.trim().to_owned()).filter(|holder| !holder.is_empty());
            return Err(FileError::Locked { path: work.to_path_buf(), holder }.into());
        }
        // Some network file systems have no locks.
        let mut lock = Self { file, path };
        lock.write(&format!("the pipeline of process {}", std::process::id()))?;
        Ok(lock)
    }

    /// Writes into the file which step runs.
    pub(super) fn held_by(&mut self, step: &str, process: u32) -> Result<(), Error> {
        let own = std::process::id();
        self.write(&format!("step {step} (process {process}) of the pipeline of process {own}"))
    }

    fn write(&mut self, holder: &str) -> Result<(), Error> {
        let write = || -> std::io::Result<()> {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            writeln!(self.file, "{holder}")
        };
        let mut write = write;
        write().map_err(Error::io("write", &self.path))
    }

    /// The descriptor that a step inherits.
    #[cfg(unix)]
    pub(super) fn descriptor(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsRawFd;
        self.file.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_pipeline_hears_who_holds_the_lock() {
        let dir = tempfile::tempdir().expect("a folder");
        let take = || Lock::take(dir.path(), Path::new("work"));
        let mut first = take().expect("free");
        let id = std::process::id();
        let message = take().expect_err("taken").to_string();
        assert!(
            message.contains(&format!(
                "another process is writing to it (the pipeline of process {id})"
            ))
        );
        first.held_by("train", 7).expect("written");
        let message = take().expect_err("taken").to_string();
        assert!(message.contains("step train (process 7) of the pipeline"), "{message}");
        drop(first);
        assert!(take().is_ok());
    }
}
