//! Text to token ids, exactly as Hugging Face tokenizers give them, Japanese included.
//!
//! A [`Tokenizer`] is loaded from a model folder: `tokenizer.json`, a BERT `vocab.txt`, or
//! `BertJapaneseTokenizer`, for which MeCab's search and unidic-lite's dictionary are built in.

mod config;
mod error;
mod hugging_face;
mod japanese;
mod mecab;
mod tokenizer;
mod vocab;

use std::path::Path;

pub use error::TextError;
pub use tokenizer::{Encoding, Tokenizer, TokenizerOptions};

/// Packs a compiled MeCab dictionary in UTF-8 into the form that is built in.
///
/// # Errors
/// If the folder is no such dictionary.
pub fn pack_dictionary(dir: &Path) -> Result<Vec<u8>, TextError> {
    let parts = mecab::compiled::read(dir)?;
    mecab::packed::pack(&parts).map_err(|source| TextError::Io { path: dir.to_path_buf(), source })
}

/// Reads a packed dictionary and says what is in it; for checks of files from outside.
///
/// # Errors
/// If the bytes are no packed dictionary, with the reason.
pub fn check_packed_dictionary(bytes: &[u8]) -> Result<String, String> {
    let parts = mecab::packed::unpack(bytes)?;
    Ok(format!(
        "{} surfaces, {} tokens, {} x {} connections",
        parts.surface_ends.len(),
        parts.tokens.len(),
        parts.left_classes(),
        parts.right_classes
    ))
}
