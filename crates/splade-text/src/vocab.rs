//! The file `vocab.txt`, which has one token per line; the id of a token is its line number from 0.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::error::TextError;
use crate::files::ModelFiles;

/// Tokens with their ids. If a token occurs on several lines, the last one counts, as in
/// transformers.
#[derive(Debug)]
pub(crate) struct Vocab {
    path: PathBuf,
    ids: FxHashMap<String, u32>,
}

impl Vocab {
    /// Reads a file; lines end with LF, CRLF or CR.
    pub(crate) fn read(files: &ModelFiles, path: &Path) -> Result<Self, TextError> {
        let text = files
            .read_to_string(path)
            .map_err(|source| TextError::Io { path: path.to_path_buf(), source })?;
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let lines = text.split_inclusive('\n').map(|line| line.trim_end_matches('\n'));
        let ids = lines.enumerate().map(|(id, token)| (token.to_owned(), id as u32)).collect();
        Ok(Self { path: path.to_path_buf(), ids })
    }

    /// Returns the error for a role whose token is not in the file.
    pub(crate) fn missing(&self, role: &str, token: &str) -> TextError {
        let message = format!(
            "the {role} {token} is not in the vocabulary; take the vocabulary of the model, or name \
             its own {role} in tokenizer_config.json"
        );
        TextError::Invalid { path: self.path.clone(), message }
    }

    /// Returns an error if the file has another token with the id that an added token has. The
    /// lines of such a file have moved, so that all ids after them are wrong.
    pub(crate) fn check_id(&self, added: &str, id: u32) -> Result<(), TextError> {
        match self.ids.iter().find(|(token, own)| **own == id && *token != added) {
            None => Ok(()),
            Some((token, _)) => Err(TextError::Invalid {
                path: self.path.clone(),
                message: format!(
                    "line {} is the token {token:?}, but the other files of the tokenizer give its \
                     id to {added}; take the vocabulary that belongs to them",
                    u64::from(id) + 1
                ),
            }),
        }
    }

    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// Returns the number of distinct tokens.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns the length of the longest token in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.ids.keys().map(String::len).max().unwrap_or(0)
    }

    /// Returns the token strings by id.
    pub(crate) fn tokens(&self) -> FxHashMap<u32, String> {
        self.ids.iter().map(|(token, id)| (*id, token.clone())).collect()
    }

    /// Returns the tokens with their ids, in ascending order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        let mut all: Vec<_> = self.ids.iter().map(|(token, id)| (token.as_str(), *id)).collect();
        all.sort_unstable_by_key(|(_, id)| *id);
        all.into_iter()
    }
}

/// Returns one more than the largest id, which is the length of a table of all tokens. `path` is
/// used in messages only.
///
/// # Errors
///
/// Returns an error if the ids are far larger than the number of tokens, so that a damaged file
/// cannot exhaust the memory.
pub(crate) fn ids_end(tokens: &FxHashMap<u32, String>, path: &Path) -> Result<usize, TextError> {
    let end = tokens.keys().max().map_or(0, |id| *id as usize + 1);
    if end > 2 * tokens.len() + (1 << 20) {
        let message = format!("{} tokens have ids of up to {}", tokens.len(), end - 1);
        return Err(TextError::Invalid { path: path.to_path_buf(), message });
    }
    Ok(end)
}
