//! Joins the vocabularies of two WordPiece tokenizers, for a model that learns a second language.

use std::path::Path;

use crate::error::TextError;
use crate::extend::{ExtensibleVocabulary, read, write};

/// The files of a tokenizer that describe the vocabulary of the model alone.
const OF_ONE: [&str; 4] =
    ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

impl ExtensibleVocabulary {
    /// Returns the tokens of `other` that this vocabulary lacks, in the order of their ids. Tokens of ASCII characters
    /// alone are left out, so that words in Latin letters keep the tokens that the model has learned.
    ///
    /// # Errors
    /// Returns an error if this vocabulary lacks a special token of `other`, or if `other` has no `vocab.txt`, whose
    /// files the joined tokenizer takes.
    pub fn tokens_of(&self, other: &Self) -> Result<Vec<String>, TextError> {
        if !other.folder().join("vocab.txt").is_file() {
            return Err(other.refuse("it has no vocab.txt".to_owned()));
        }
        let theirs = other.tokenizer();
        let is_special = |id: &u32| theirs.special_ids().contains(id);
        let mut new = Vec::new();
        for id in 0..theirs.len() as u32 {
            let token = theirs.token(id).unwrap_or_default();
            if self.tokenizer().id(token).is_some() {
                continue;
            }
            if is_special(&id) {
                return Err(self.refuse(format!("it lacks the special token {token}")));
            }
            if !token.is_ascii() {
                new.push(token.to_owned());
            }
        }
        Ok(new)
    }

    /// Writes the joined tokenizer into a folder that may have the files of this one: the tokens of this vocabulary with
    /// their ids, the tokens `new` behind them, and the settings of `other`, which say how texts are split into words.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn save_joined(&self, new: &[String], other: &Self, out: &Path) -> Result<(), TextError> {
        let own = (0..self.tokenizer().len() as u32)
            .map(|id| self.tokenizer().token(id).unwrap_or_default());
        let lines: String =
            own.chain(new.iter().map(String::as_str)).map(|token| format!("{token}\n")).collect();
        for name in OF_ONE {
            let (from, to) = (other.folder().join(name), out.join(name));
            if to.is_file() {
                std::fs::remove_file(&to)
                    .map_err(|source| TextError::Io { path: to.clone(), source })?;
            }
            // A `tokenizer.json` beside `vocab.txt` has the other vocabulary alone.
            if name != "tokenizer.json" && from.is_file() {
                write(&to, &read(&from)?)?;
            }
        }
        write(&out.join("vocab.txt"), &lines)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tokenizer::{Tokenizer, TokenizerOptions};

    fn vocabulary(tokens: &str, lower: bool) -> (tempfile::TempDir, ExtensibleVocabulary) {
        let dir = tempfile::tempdir().expect("a folder");
        let config =
            serde_json::json!({"tokenizer_class": "BertTokenizer", "do_lower_case": lower});
        fs::write(dir.path().join("vocab.txt"), tokens.replace(' ', "\n") + "\n").expect("written");
        fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).expect("written");
        let vocabulary = ExtensibleVocabulary::open(dir.path(), &TokenizerOptions::default());
        (dir, vocabulary.expect("WordPiece"))
    }

    #[test]
    fn words_of_both_languages_have_tokens() {
        let (_one, english) = vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] se sea ##a a", true);
        let special = "[PAD] [CLS] [SEP] [UNK] [MASK]";
        let (_two, other) = vocabulary(&format!("{special} ünd ü ##n ##d ##dn ##ü a ß sea"), false);
        let new = english.tokens_of(&other).expect("joined");
        assert_eq!(new, ["ünd", "ü", "##ü", "ß"]);
        let out = tempfile::tempdir().expect("a folder");
        fs::write(out.path().join("tokenizer.json"), "{}").expect("written");
        english.save_joined(&new, &other, out.path()).expect("saved");
        let joined = Tokenizer::from_dir(out.path(), &TokenizerOptions::default()).expect("opened");
        assert_eq!(joined.len(), 13);
        // The English tokens keep their ids, and the settings are those of the other tokenizer: case counts.
        assert_eq!(joined.encode_plain("sea ünd").expect("tokens"), [6, 9]);
        assert_eq!(joined.encode_plain("SEA").expect("tokens"), [1]);
    }

    #[test]
    fn a_special_token_that_the_model_lacks_is_named() {
        let (_one, english) = vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] a", true);
        let (two, _) = vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] [X] ü", true);
        let config = serde_json::json!({
            "tokenizer_class": "BertTokenizer",
            "added_tokens_decoder": {"5": {"content": "[X]", "special": true}},
            "additional_special_tokens": ["[X]"],
        });
        fs::write(two.path().join("tokenizer_config.json"), config.to_string()).expect("written");
        let other = ExtensibleVocabulary::open(two.path(), &TokenizerOptions::default());
        let error = english.tokens_of(&other.expect("WordPiece")).expect_err("refused").to_string();
        assert!(error.contains("it lacks the special token [X]"), "{error}");
    }
}
