//! Atomic writing of files and folders, reading of compressed text files by lines, and progress
//! reports of long work.
//!
//! All results are written with [`NewFile`] or [`NewFolder`]: the bytes go into a temporary file or
//! folder with a random name beside the final path, are synced to the disk, and are then renamed. A
//! killed process leaves the old result or no result under the final name, but never a partial one.
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
//! Both hold an [`OutputLock`] on the final path: a second process that wants to write the same
//! output gets an error that names the first one.
//!
//! An [`OutputFolder`] supports resuming: it is written in place by one process at a time, which
//! holds an [`OutputLock`], and only if it is empty or contains the marker file of its kind.
//!
//! A [`ContentHash`] tells whether two contents are the same.
//!
//! Long work takes an [`Observer`], which receives progress and can ask the work to stop. A
//! [`Problem`] is what is wrong, in words, apart from what a person can do about it.

mod problem;

mod amount;
mod columns;

mod error;

mod checksums;
mod content_hash;
mod disk;
mod printable;
mod source;
mod surrogates;

mod lines;
mod lock;
mod new_file;
mod new_folder;
mod output_folder;
mod place;
mod sealed;

mod observe;
pub mod settings;

mod made_with;

pub use amount::{counted, size};
pub use checksums::{CHECKSUMS, check_checksums, crc32_of, write_checksums};
pub use columns::{columns, cut_to_width, display_width};
pub use content_hash::{ContentHash, ContentHasher};
pub use disk::free_bytes;
pub use error::FileError;
pub use lines::{LineWriter, Lines, LongLine, open_text, read_line};
pub use lock::OutputLock;
pub use made_with::MadeWith;
pub use new_file::{NewFile, temporary_of, write_file};
pub use new_folder::{NewFolder, clear_leftovers, is_free, remove_folder};
pub use observe::{Event, Observer, Progress, StepProgress};
pub use output_folder::OutputFolder;
pub use printable::{printable, printable_lines};
pub use problem::Problem;
pub use sealed::{is_sealed, seal_json};
pub use source::{ReadingStopped, Source, stop_reading_when};
pub use surrogates::repair_surrogates;
