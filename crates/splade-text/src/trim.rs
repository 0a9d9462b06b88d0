//! Takes tokens out of the vocabulary of a WordPiece tokenizer that texts do not use.
//!
//! A word that loses its token is split into shorter pieces. It stays a known word, because all single characters that
//! the texts use often enough are kept, both as the start of a word and inside of one.

use std::path::Path;

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use crate::config::Config;
use crate::error::TextError;
use crate::extend::{ExtensibleVocabulary, INSIDE, read, write};
use crate::words::WordCounts;

impl ExtensibleVocabulary {
    /// Chooses at most `size` tokens that are kept, in the order of their ids: the special tokens, every single character
    /// that the words contain at least `min_count` times, and then the other tokens with the most uses, of which there
    /// are at least `min_count` too.
    ///
    /// # Errors
    /// Returns an error if a word cannot be tokenized, or if there are more special tokens and characters than `size`.
    pub fn choose_kept(
        &self,
        counts: WordCounts,
        size: usize,
        min_count: u64,
    ) -> Result<Vec<u32>, TextError> {
        let tokenizer = self.tokenizer();
        let mut uses = vec![0; tokenizer.len()];
        // The characters of a word are counted as if it had no longer token.
        let mut characters: FxHashMap<(bool, char), u64> = FxHashMap::default();
        for (word, count) in counts {
            for id in tokenizer.pieces_of(&word)? {
                uses[id as usize] += count;
            }
            for (place, character) in word.chars().enumerate() {
                *characters.entry((place > 0, character)).or_default() += count;
            }
        }
        let (mut kept, mut others) = (tokenizer.special_ids().to_vec(), Vec::new());
        for id in (0..tokenizer.len() as u32).filter(|id| !tokenizer.special_ids().contains(id)) {
            let token = tokenizer.token(id).unwrap_or_default();
            let inside = token.strip_prefix(INSIDE).filter(|rest| !rest.is_empty());
            let mut text = inside.unwrap_or(token).chars();
            match (text.next(), text.next()) {
                (Some(one), None) => {
                    let uses = characters.get(&(inside.is_some(), one));
                    kept.extend((uses >= Some(&min_count)).then_some(id));
                }
                _ if uses[id as usize] >= min_count => others.push(id),
                _ => {}
            }
        }
        if kept.len() > size {
            return Err(self.refuse(format!(
                "it has {} special tokens and characters that the texts use {min_count} times, more than {size}",
                kept.len()
            )));
        }
        others.sort_by_key(|id| (std::cmp::Reverse(uses[*id as usize]), *id));
        kept.extend(others.into_iter().take(size - kept.len()));
        kept.sort_unstable();
        kept.dedup();
        Ok(kept)
    }

    /// Writes the files of the tokenizer with the tokens `kept` alone, which get the ids from 0 on in this order, into a
    /// folder that has the others: `vocab.txt`, `tokenizer.json` and `tokenizer_config.json`, as far as the folder has
    /// them.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn save_kept(&self, kept: &[u32], out: &Path) -> Result<(), TextError> {
        let new: FxHashMap<u32, u32> = kept.iter().copied().zip(0..).collect();
        let vocab = self.folder().join("vocab.txt");
        if vocab.is_file() {
            let text = read(&vocab)?;
            let lines: Vec<&str> = text.lines().collect();
            let kept: String = kept.iter().map(|id| format!("{}\n", lines[*id as usize])).collect();
            write(&out.join("vocab.txt"), &kept)?;
        }
        for (name, change) in [
            ("tokenizer.json", in_tokenizer_json as fn(&mut Value, &FxHashMap<u32, u32>)),
            ("tokenizer_config.json", in_tokenizer_config),
        ] {
            let path = self.folder().join(name);
            if path.is_file() {
                let mut value = Config::read(&self.folder().into(), &path)?.into_value();
                change(&mut value, &new);
                write(&out.join(name), &format!("{value:#}\n"))?;
            }
        }
        Ok(())
    }
}

/// Returns the new id of a token, if `id` is that of one that is kept.
fn renamed(id: &Value, new: &FxHashMap<u32, u32>) -> Option<Value> {
    let id = u32::try_from(id.as_u64()?).ok()?;
    new.get(&id).map(|id| Value::from(*id))
}

/// Changes the ids of `tokenizer.json`: those of the vocabulary, of added tokens and of the tokens around a text.
fn in_tokenizer_json(value: &mut Value, new: &FxHashMap<u32, u32>) {
    if let Some(vocab) = value["model"]["vocab"].as_object_mut() {
        let kept: Vec<(String, Value)> = std::mem::take(vocab)
            .into_iter()
            .filter_map(|(token, id)| Some((token, renamed(&id, new)?)))
            .collect();
        *vocab = kept.into_iter().collect();
    }
    if let Some(added) = value["added_tokens"].as_array_mut() {
        added.retain_mut(|token| {
            let id = renamed(&token["id"], new);
            id.is_some_and(|id| {
                token["id"] = id;
                true
            })
        });
    }
    if value["post_processor"].is_object() {
        in_post_processor(&mut value["post_processor"], new);
    }
}

/// Changes the ids around a text: `"ids": [101]` of a template, and `["[CLS]", 101]` of BERT's own form.
fn in_post_processor(value: &mut Value, new: &FxHashMap<u32, u32>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_array_mut() {
                    Some(ids) if name == "ids" => {
                        for id in ids {
                            *id = renamed(id, new).unwrap_or(Value::Null);
                        }
                    }
                    Some(pair) if matches!(name.as_str(), "sep" | "cls") && pair.len() == 2 => {
                        pair[1] = renamed(&pair[1], new).unwrap_or(Value::Null);
                    }
                    _ => in_post_processor(field, new),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| in_post_processor(item, new)),
        _ => {}
    }
}

/// Changes the ids of `added_tokens_decoder` in `tokenizer_config.json`.
fn in_tokenizer_config(value: &mut Value, new: &FxHashMap<u32, u32>) {
    if let Some(decoder) = value.get_mut("added_tokens_decoder").and_then(Value::as_object_mut) {
        let kept: Map<String, Value> = std::mem::take(decoder)
            .into_iter()
            .filter_map(|(id, token)| {
                let id: u32 = id.parse().ok()?;
                Some((new.get(&id)?.to_string(), token))
            })
            .collect();
        *decoder = kept;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tokenizer::{Tokenizer, TokenizerOptions};

    /// Opens BERT's tokenizer of some tokens, with unused ones before the special tokens as in Google's models.
    fn vocabulary(tokens: &[&str], folder: &Path) -> ExtensibleVocabulary {
        let first = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let lines: String = first.iter().chain(tokens).map(|token| format!("{token}\n")).collect();
        fs::write(folder.join("vocab.txt"), lines).expect("written");
        let config = serde_json::json!({
            "tokenizer_class": "BertTokenizer", "do_lower_case": true,
            "added_tokens_decoder": {"4": {"content": "[CLS]", "special": true}},
        });
        fs::write(folder.join("tokenizer_config.json"), config.to_string()).expect("written");
        let json = crate::tokenizer_json_of_vocab(folder).expect("built").expect("BERT");
        fs::write(folder.join("tokenizer.json"), json).expect("written");
        ExtensibleVocabulary::open(folder, &TokenizerOptions::default()).expect("WordPiece")
    }

    #[test]
    fn words_keep_their_meaning_with_fewer_tokens() {
        let tokens =
            ["a", "b", "c", "##a", "##b", "##c", "ab", "##ab", "cab", "##bc", "abc", "z", "##z"];
        let (from, out) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let vocabulary = vocabulary(&tokens, from.path());
        let mut counts = WordCounts::default();
        let text = "ab ab ab cab cab ccab abc ba ca bab aac zab";
        for word in vocabulary.tokenizer().words(text).expect("words") {
            counts.add(&word);
        }
        let kept = vocabulary.choose_kept(counts.clone(), 15, 2).expect("chosen");
        let names: Vec<&str> =
            kept.iter().filter_map(|id| vocabulary.tokenizer().token(*id)).collect();
        // "ab" has three uses, "##ab" and "cab" two each, "abc" only one; "z" occurs once. "##c" stands in "ccab", "abc"
        // and "aac", and "c" starts "cab" twice.
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let expected =
            [&special[..], &["a", "b", "c", "##a", "##b", "##c", "ab", "##ab", "cab"]].concat();
        assert_eq!(names, expected);
        assert_eq!(vocabulary.choose_kept(counts.clone(), 12, 2).expect("chosen").len(), 12);
        let error = vocabulary.choose_kept(counts, 10, 2).expect_err("too few").to_string();
        assert!(
            error.contains("11 special tokens and characters") && error.contains("than 10"),
            "{error}"
        );

        vocabulary.save_kept(&kept, out.path()).expect("saved");
        let trimmed =
            Tokenizer::from_dir(out.path(), &TokenizerOptions::default()).expect("opened");
        assert_eq!(trimmed.len(), kept.len());
        let pieces = |tokenizer: &Tokenizer, text: &str| -> Vec<String> {
            let ids = tokenizer.encode(text, None).expect("tokens").ids;
            ids.iter().map(|id| tokenizer.token(*id).expect("a token").to_owned()).collect()
        };
        for text in ["ab cab ccab ba", "aac bab"] {
            assert_eq!(pieces(&trimmed, text), pieces(vocabulary.tokenizer(), text));
        }
        assert_eq!(pieces(&trimmed, "abc"), ["[CLS]", "ab", "##c", "[SEP]"]);
        assert_eq!(pieces(&trimmed, "zab"), ["[CLS]", "[UNK]", "[SEP]"]);
        // The trimmed vocabulary can be extended again.
        ExtensibleVocabulary::open(out.path(), &TokenizerOptions::default()).expect("WordPiece");
        // Without tokenizer.json, the same tokenizer is read from vocab.txt.
        fs::remove_file(out.path().join("tokenizer.json")).expect("removed");
        let slow = Tokenizer::from_dir(out.path(), &TokenizerOptions::default()).expect("opened");
        assert_eq!(pieces(&slow, "abc cab"), pieces(&trimmed, "abc cab"));
    }
}
