//! What a model's folder was exported from, in a file beside it from when the folder is whole until
//! it is uploaded: so the same command goes on with the upload, and another does not send it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::write_file;

use crate::error::Error;

/// The file of a folder.
pub(super) struct Record {
    path: PathBuf,
}

impl Record {
    /// `folder.light-splade-export.json`: a name that nobody else gives.
    pub(super) fn beside(folder: &Path) -> Self {
        let mut name = folder.as_os_str().to_owned();
        name.push(".light-splade-export.json");
        Self { path: name.into() }
    }

    pub(super) fn exists(&self) -> bool {
        self.path.is_file()
    }

    /// Whether it says this.
    pub(super) fn says(&self, settings: &Value) -> bool {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        serde_json::from_str::<Value>(&text).is_ok_and(|said| said == *settings)
    }

    pub(super) fn write(&self, settings: &Value) -> Result<(), Error> {
        Ok(write_file(&self.path, format!("{settings:#}\n").as_bytes())?)
    }

    /// Removes the file, if it is there.
    pub(super) fn remove(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(Error::io("remove", &self.path)),
        }
    }
}
