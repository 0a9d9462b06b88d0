//! How far a push is: a file that is replaced after each batch that the server has acknowledged.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use splade_io::{FileError, write_file};

/// The name of the file.
pub(crate) const STATE: &str = "push.json";
const FORMAT: &str = "light-splade push";
const VERSION: u32 = 1;

/// How far a push is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: String,
    version: u32,
    /// Server, index and all that the documents depend on.
    settings: Value,
    /// Documents that the server has or has refused.
    pub(crate) documents: u64,
    /// The id of the last of them.
    pub(crate) last_id: String,
    /// Those of them that it has refused.
    pub(crate) rejected: u64,
    /// Bytes of the file of refused documents.
    pub(crate) rejects_bytes: u64,
    /// Whether all documents are done.
    pub(crate) complete: bool,
}

impl State {
    /// A push that begins.
    pub(crate) fn new(settings: Value) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            settings,
            documents: 0,
            last_id: String::new(),
            rejected: 0,
            rejects_bytes: 0,
            complete: false,
        }
    }

    /// The state of a push with the same settings, if the folder has one.
    pub(crate) fn read(dir: &Path, settings: &Value) -> Result<Option<Self>, FileError> {
        let path = path(dir);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(FileError::io("read", &path))?,
        };
        let state: Self = serde_json::from_str(&text).map_err(|error| {
            FileError::form(&path, format!("it is no state of a push: {error}"))
        })?;
        if state.format != FORMAT || state.version != VERSION {
            return Err(FileError::form(&path, "it is of another version of the tool"));
        }
        if state.settings != *settings {
            let message = format!(
                "the push was begun with other settings: {}, now {settings}",
                state.settings
            );
            return Err(FileError::form(&path, message));
        }
        Ok(Some(state))
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), FileError> {
        let path = path(dir);
        let text = serde_json::to_string_pretty(self)
            .expect("a state has string keys only: this is a bug");
        write_file(&path, (text + "\n").as_bytes())
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(STATE)
}
