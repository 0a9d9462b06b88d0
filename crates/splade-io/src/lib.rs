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
//! Long work takes an [`Observer`], which receives its progress and may ask it to stop.

mod disk;
mod error;
mod lines;
mod new_file;
mod new_folder;
mod observe;

pub use disk::free_bytes;
pub use error::FileError;
pub use lines::{LineWriter, Lines, open_text};
pub use new_file::{NewFile, write_file};
pub use new_folder::{NewFolder, is_free};
pub use observe::{Event, Observer, Progress, StepProgress};
