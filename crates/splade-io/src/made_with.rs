//! What a complete file was made with, recorded in a hidden file beside it: `.<name>.made-with.json`.
//!
//! The record has the checksum of the file, so that a record of another file is not taken for its
//! own. Files of earlier versions of the program have no record.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::checksums::crc32_of;
use crate::error::FileError;
use crate::new_file::write_file;
use crate::sealed::{is_sealed, seal_json};
use crate::settings::difference;

/// How a complete file compares with what a command would make now.
///
/// ```
/// use serde_json::json;
/// use splade_io::MadeWith;
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("train.jsonl");
/// std::fs::write(&file, "{}\n")?;
/// assert_eq!(MadeWith::compare(&file, &json!({"k": 10}))?, MadeWith::Unknown);
/// MadeWith::record(&file, &json!({"k": 10}))?;
/// assert_eq!(MadeWith::compare(&file, &json!({"k": 10}))?, MadeWith::Same);
/// assert!(matches!(MadeWith::compare(&file, &json!({"k": 20}))?, MadeWith::Other(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeWith {
    /// The file has no record, or was changed since.
    Unknown,
    /// The file was made with the same settings and contents.
    Same,
    /// The first setting or content that is different.
    Other(String),
}

impl MadeWith {
    /// Records what a complete file was made with: [settings](crate::settings).
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or the record cannot be written.
    pub fn record(file: &Path, settings: &Value) -> Result<(), FileError> {
        let record = json!({
            "format": FORMAT,
            "version": VERSION,
            "crc32": format!("{:08x}", crc32_of(file)?),
            "settings": settings,
        });
        write_file(&path_of(file), seal_json(&format!("{record:#}")).as_bytes())
    }

    /// Removes a file and its record, as far as they exist.
    ///
    /// # Errors
    /// Returns an error if one exists and cannot be removed.
    pub fn remove(file: &Path) -> Result<(), FileError> {
        for path in [file.to_path_buf(), path_of(file)] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Compares the record of a complete file with the settings of a command.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read.
    pub fn compare(file: &Path, settings: &Value) -> Result<Self, FileError> {
        let path = path_of(file);
        if !path.is_file() {
            return Ok(Self::Unknown);
        }
        let text = std::fs::read_to_string(&path).map_err(FileError::io("read", &path))?;
        let record: Value = serde_json::from_str(&text).unwrap_or_default();
        let is_whole =
            is_sealed(&text) && record["format"] == FORMAT && record["version"] == VERSION;
        if !is_whole || record["crc32"] != format!("{:08x}", crc32_of(file)?) {
            return Ok(Self::Unknown);
        }
        Ok(match difference(&record["settings"], settings) {
            None => Self::Same,
            Some(difference) => Self::Other(difference),
        })
    }
}

const FORMAT: &str = "light-splade made with";
const VERSION: u64 = 1;

fn path_of(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.made-with.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_of_one_content_and_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.ndjson");
        std::fs::write(&file, "{}\n").expect("written");
        let (settings, other) = (json!({"seed": 1}), json!({"seed": 2}));
        let compare = |settings| MadeWith::compare(&file, settings).expect("compared");
        assert_eq!(compare(&settings), MadeWith::Unknown);
        MadeWith::record(&file, &settings).expect("recorded");
        assert_eq!(compare(&settings), MadeWith::Same);
        assert_eq!(compare(&other), MadeWith::Other("\"seed\" was 1, now 2".to_owned()));
        // Another file under the name, and a damaged record.
        std::fs::write(&file, "{} \n").expect("written");
        assert_eq!(compare(&other), MadeWith::Unknown);
        std::fs::write(&file, "{}\n").expect("written");
        let record = std::fs::read_to_string(path_of(&file)).expect("a record");
        std::fs::write(path_of(&file), record.replace("\"seed\": 1", "\"seed\": 3"))
            .expect("written");
        assert_eq!(compare(&other), MadeWith::Unknown);
        MadeWith::remove(&file).expect("removed");
        MadeWith::remove(&file).expect("nothing is left to remove");
        assert!(!file.exists() && !path_of(&file).exists());
    }
}
