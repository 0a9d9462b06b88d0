//! Finds the files of a source and creates the errors that name them.

use std::path::{Path, PathBuf};

use crate::error::DataError;

/// Creates an error that names a file.
pub(super) fn error(path: &Path, message: &str) -> DataError {
    DataError::form(path, message)
}

/// Returns the first of the named files that exists in a folder, compressed (`.gz`) or not.
pub(super) fn find_one(dir: &Path, names: &[&str]) -> Result<PathBuf, DataError> {
    let plain_and_packed = |name: &&str| [dir.join(name), dir.join(format!("{name}.gz"))];
    names.iter().flat_map(plain_and_packed).find(|path| path.is_file()).ok_or_else(|| {
        let names = names.join(", ");
        error(dir, &format!("one of these files, or the same with .gz, is expected in it: {names}"))
    })
}
