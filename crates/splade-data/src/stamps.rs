//! Stamps of files: names, sizes and modification times, which show without reading the files
//! whether they have changed, as in build tools. A copy of a file has another stamp unless its
//! modification time was preserved.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::error::DataError;
use crate::find_files;

/// Returns the stamp of a file, or of the training data files in a folder.
///
/// # Errors
/// Returns an error if there is no such file.
pub fn file_stamp(path: &Path) -> Result<Value, DataError> {
    match path.is_dir() {
        true => stamps(find_files(path)?),
        false => stamps(vec![path.to_path_buf()]),
    }
}

/// Returns the stamp of the weights in a model's folder, which are one file or several shards.
///
/// # Errors
/// Returns an error if the folder cannot be read.
pub fn weights_stamp(folder: &Path) -> Result<Value, DataError> {
    let is_weights = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "safetensors" || end == "bin")
            || path.file_name().is_some_and(|name| name == "idf.json")
    };
    let entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>());
    let mut files = entries.map_err(DataError::io(folder))?;
    files.retain(is_weights);
    files.sort();
    stamps(files)
}

fn stamps(files: Vec<PathBuf>) -> Result<Value, DataError> {
    let stamp = |path: PathBuf| {
        let metadata = path.metadata().map_err(DataError::io(&path))?;
        let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanoseconds = time.unwrap_or_default().as_nanos() as u64;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(json!([name, metadata.len(), nanoseconds]))
    };
    files.into_iter().map(stamp).collect::<Result<Vec<_>, DataError>>().map(Value::from)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_change_of_size_or_time_is_seen() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("written");
            let file = File::options().write(true).open(&path).expect("opened");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(9)).expect("set");
            file
        };
        write("a.ndjson", "one");
        let shard = write("model-00002-of-00002.safetensors", "two");
        write("model-00001-of-00002.safetensors", "six");
        let both = || {
            let stamp = file_stamp(dir.path()).expect("a stamp");
            assert_eq!(stamp, file_stamp(&dir.path().join("a.ndjson")).expect("a stamp"));
            (stamp, weights_stamp(dir.path()).expect("a stamp"))
        };
        let (data, weights) = both();
        assert_eq!(both(), (data.clone(), weights.clone()));
        // The file gets another size but keeps its time.
        write("a.ndjson", "other");
        assert_ne!(both().0, data);
        assert_eq!(both().1, weights);
        // The second shard gets another time but keeps its size.
        shard.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(10)).expect("set");
        assert_ne!(both().1, weights);
        assert!(file_stamp(&dir.path().join("none.ndjson")).is_err());
    }
}
