//! Reading files with errors for a person.

use std::path::Path;

/// What went wrong, for a person.
pub(crate) type Failure = String;

/// Reads a text file and names it if that fails.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}
