//! Files and folders that appear whole, lines of packed files, and the progress of long work.
//!
//! Whatever writes a result goes through [`NewFile`] or [`NewFolder`]: the bytes go into a temporary
//! neighbour with an unguessable name, reach the disk, and only then take the name of the result. A
//! process that is killed leaves the old result, or none, and never half of the new one.
//!
//! ```
//! use std::io::Write;
//! use splade_io::NewFile;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("vectors.ndjson");
//! let mut file = NewFile::create(&path)?;
//! file.write_all(b"{}\n")?;
//! assert!(!path.exists());
//! file.commit()?;
//! assert_eq!(std::fs::read(&path)?, b"{}\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A folder that can be resumed is an [`OutputFolder`]: it is written in place by one process at a
//! time, under an [`OutputLock`], and only if it is empty or has the marker of its kind.
//!
//! Long work takes an [`Observer`], which receives its progress and may ask it to stop.

mod error;

mod disk;
mod lines;
mod lock;
mod new_file;
mod new_folder;
mod output_folder;

mod observe;

pub use disk::free_bytes;
pub use error::FileError;
pub use lines::{LineWriter, Lines, open_text};
pub use lock::OutputLock;
pub use new_file::{NewFile, temporary_of, write_file};
pub use new_folder::{NewFolder, is_free};
pub use observe::{Event, Observer, Progress, StepProgress};
pub use output_folder::OutputFolder;
