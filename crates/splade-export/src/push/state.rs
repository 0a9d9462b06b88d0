//! The state of a push, a file that is replaced after each batch that the server acknowledged.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use splade_io::{FileError, Problem, is_sealed, seal_json, write_file};

/// The file name of the state.
pub(crate) const STATE: &str = "push.json";
/// The value of `format` in every state.
const FORMAT: &str = "light-splade push";
/// The version of the format that this module writes and reads.
const VERSION: u32 = 1;

/// The state of a push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: String,
    version: u32,
    /// The server, the index, and the settings on which the documents depend.
    settings: Value,
    /// The number of documents that the server stored or rejected.
    pub(crate) documents: u64,
    /// The id of the last of these documents.
    pub(crate) last_id: String,
    /// The hash of all these documents, `chained_hash` of their rows. Pushes that an earlier version
    /// began have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
    /// The number of documents that the server rejected.
    pub(crate) rejected: u64,
    /// The size of the file of rejected documents in bytes.
    pub(crate) rejects_bytes: u64,
    /// Whether all documents have been pushed.
    pub(crate) complete: bool,
}

impl State {
    /// Makes the state of a push that has sent no documents.
    pub(crate) fn new(settings: Value) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            settings,
            documents: 0,
            last_id: String::new(),
            content: None,
            rejected: 0,
            rejects_bytes: 0,
            complete: false,
        }
    }

    /// Reads the state of a push with the same settings, or returns `None` if the folder has none.
    pub(crate) fn read(dir: &Path, settings: &Value) -> Result<Option<Self>, FileError> {
        let path = path(dir);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(FileError::io("read", &path))?,
        };
        let state: Self = serde_json::from_str(&text).map_err(|error| {
            FileError::form(&path, format!("the file is not a state of a push: {error}"))
        })?;
        if state.format != FORMAT || state.version != VERSION {
            return Err(FileError::form(&path, "another version of light-splade wrote this state"));
        }
        if !is_sealed(&text) {
            let message = "its checksum differs: the file was changed or damaged";
            return Err(FileError::form(&path, message));
        }
        if state.settings != *settings {
            let problem = Problem::new(format!(
                "the push was begun with other settings: {}, now {settings}",
                state.settings
            ));
            let remedy = "repeat the command with the settings of then, or name another folder";
            return Err(FileError::form(&path, problem.with_remedy(remedy)));
        }
        Ok(Some(state))
    }

    /// Replaces the state in a folder.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), FileError> {
        let path = path(dir);
        let text = serde_json::to_string_pretty(self)
            .expect("a state has string keys only: this is a bug");
        write_file(&path, seal_json(&text).as_bytes())
    }
}

/// Returns the path of the state in a folder.
fn path(dir: &Path) -> PathBuf {
    dir.join(STATE)
}
