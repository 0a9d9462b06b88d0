//! Finds the files of a source and creates the errors that name them.

use std::path::{Path, PathBuf};

use splade_sparse::files::{TextForm, text_files};

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

/// Returns the files among files and folders of texts. If a form is given, files of any name are taken from a folder.
pub(super) fn files_of_texts(
    inputs: &[PathBuf],
    form: Option<TextForm>,
) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for input in inputs {
        let found = std::fs::metadata(input).map_err(DataError::io(input))?;
        if found.is_dir() {
            files.extend(text_files(input, form.is_some())?.0);
        } else if found.is_file() {
            files.push(input.clone());
        } else {
            return Err(error(input, "it is not a file, but it has to be read several times"));
        }
    }
    Ok(files)
}
