//! Hashes of the contents of data files and models, which show whether they are the same as in an
//! earlier run. Copies of a file have the same hash, whatever their modification times are.
//!
//! ```
//! use splade_data::contents::file_content;
//!
//! # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
//! // An output records this of its inputs, and is only continued if they are the same.
//! let content = file_content(&toy.join("train/triplets.ndjson"))?;
//! assert!(content.as_str().is_some_and(|content| content.starts_with("xxh3:")));
//! # Ok::<(), splade_data::DataError>(())
//! ```

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;
use splade_io::{ContentHash, ContentHasher};

use crate::error::DataError;
use crate::find_files;

/// The extensions of the files of a model.
const MODEL_FILES: [&str; 5] = ["safetensors", "bin", "json", "txt", "model"];
/// The records of a training run, which lie in the folders of models and do not change scores.
const RECORDS: [&str; 4] =
    ["light_splade.json", "trainer_state.json", "training_args.json", "all_results.json"];

/// Returns the hash of a file, or of the training data files in a folder, as text.
///
/// ```
/// use splade_data::contents::file_content;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("scores.ndjson");
/// std::fs::write(&path, "{}\n")?;
/// let before = file_content(&path)?;
/// std::fs::write(&path, "{ }\n")?;
/// assert_ne!(file_content(&path)?, before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if there is no such file, or if it cannot be read.
pub fn file_content(path: &Path) -> Result<Value, DataError> {
    match path.is_dir() {
        true => all(&find_files(path)?, false),
        false => Ok(ContentHash::of_file(path)?.to_string().into()),
    }
}

/// Returns the hash of the files of a model's folder, as text.
///
/// ```
/// use splade_data::contents::folder_content;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("config.json"), "{}")?;
/// let before = folder_content(folder.path())?;
/// std::fs::write(folder.path().join("model.safetensors"), "weights")?;
/// assert_ne!(folder_content(folder.path())?, before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the folder cannot be read.
pub fn folder_content(folder: &Path) -> Result<Value, DataError> {
    let entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>());
    let mut files = entries.map_err(DataError::io(folder))?;
    files.retain(|path| {
        let is_record = path.file_name().is_some_and(|name| RECORDS.iter().any(|own| name == *own));
        let is_of_model = |end: &std::ffi::OsStr| MODEL_FILES.iter().any(|of| end == *of);
        path.is_file() && path.extension().is_some_and(is_of_model) && !is_record
    });
    files.sort();
    all(&files, true)
}

/// Returns the hash of several files, and of their names if these matter.
fn all(files: &[PathBuf], names: bool) -> Result<Value, DataError> {
    let hashes = files.par_iter().map(|file| ContentHash::of_file(file));
    let mut hasher = ContentHasher::new();
    for (file, hash) in files.iter().zip(hashes.collect::<Result<Vec<_>, _>>()?) {
        if names {
            hasher.text(&file.file_name().unwrap_or_default().to_string_lossy());
        }
        hasher.hash(hash);
    }
    Ok(hasher.finish().to_string().into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn contents_count_and_copies_are_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        for name in ["a", "b"] {
            fs::create_dir(path(name)).expect("made");
            for (file, text) in [("1.ndjson", "one"), ("2.ndjson", "two"), ("notes", "mine")] {
                fs::write(path(name).join(file), text).expect("written");
            }
        }
        let of = |name: &str| file_content(&path(name)).expect("read");
        assert_eq!(of("a"), of("b"));
        assert_ne!(of("a/1.ndjson"), of("a/2.ndjson"));
        fs::write(path("b/notes"), "other").expect("written");
        assert_eq!(of("a"), of("b"));
        // The same size, as a forgery of the time would not show.
        fs::write(path("b/2.ndjson"), "owt").expect("written");
        assert_ne!(of("a"), of("b"));
        assert!(file_content(&path("none.ndjson")).is_err());

        let model = || folder_content(dir.path()).expect("read");
        fs::write(path("model.safetensors"), "weights").expect("written");
        let before = model();
        for name in ["README.md", "light_splade.json"] {
            fs::write(path(name), "{}").expect("written");
        }
        assert_eq!(model(), before);
        fs::write(path("vocab.txt"), "[PAD]").expect("written");
        assert_ne!(model(), before);
    }
}
