//! Compares the places of tokens with those of the library `tokenizers`
//! (`scripts/reference/token_places.py`), and looks at Japanese ones, which that library does not
//! have.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_text::{Tokenizer, TokenizerOptions};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(fixtures().join(name)).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

fn load(name: &str) -> Tokenizer {
    Tokenizer::from_dir(&fixtures().join(name), &TokenizerOptions::default()).expect("a tokenizer")
}

#[test]
fn places_are_those_of_the_tokenizers_library() {
    let (texts, all) = (json("texts.json"), json("places.json"));
    for (folder, rows) in all.as_object().expect("folders") {
        let tokenizer = load(folder);
        let (mut tokens, mut different) = (0, Vec::new());
        for (row, text) in
            rows.as_array().expect("rows").iter().zip(texts.as_array().expect("texts"))
        {
            let text = text.as_str().expect("a text");
            let own = tokenizer.encode_places(text).expect("tokens");
            let row = row.as_array().expect("tokens");
            let number = |value: &Value| value.as_u64().expect("a number") as usize;
            // Settings of tokenizer_config.json change the tokens of some texts.
            if own.len() != row.len()
                || !own.iter().zip(row).all(|(own, t)| own.id as usize == number(&t[0]))
            {
                continue;
            }
            // Where İ is unknown, the I after it is found in it.
            if folder == "unigram" && text.contains('İ') {
                continue;
            }
            // The byte-level tokenizer of this folder composes letters and accents first, which the
            // comparison of bytes cannot see.
            if folder == "bpe-prefix" && text.contains(['\u{300}', '\u{301}', '\u{3099}']) {
                continue;
            }
            for (own, want) in own.iter().zip(row) {
                let token = tokenizer.token(own.id).unwrap_or_default();
                let is_blank = |range: &Option<std::ops::Range<usize>>| {
                    let is_blank = |c: char| c.is_whitespace() || c.is_control();
                    range.clone().is_some_and(|range| text[range].chars().all(is_blank))
                };
                // Unknown tokens and blanks have no place here, or no place there.
                if ["[UNK]", "<unk>", "▁", "Ġ"].contains(&token) || is_blank(&own.range) {
                    continue;
                }
                tokens += 1;
                let want = want.get(1).map(|first| number(first)..number(&want[2]));
                if own.range != want {
                    different.push(format!("{text:.30} {token} {:?} {want:?}", own.range));
                }
            }
        }
        assert!(tokens > 250, "{folder}: {tokens}");
        assert!(different.is_empty(), "{folder}: {different:#?}");
    }
}

/// Words of Japanese texts: normalized widths, kana, and pieces of words.
#[test]
fn places_of_japanese() {
    for folder in ["ja-wordpiece", "ja-lower", "ja-character", "ja-whole-words"] {
        let tokenizer = load(folder);
        let mut placed = 0;
        for text in json("texts.json").as_array().expect("texts").iter().take(48) {
            let text = text.as_str().expect("a text");
            let mut last = 0;
            for token in tokenizer.encode_places(text).expect("tokens") {
                let Some(range) = token.range else { continue };
                placed += 1;
                // Places follow one another, and the text reads there as the token does.
                assert!(range.start >= last || text[range.clone()].chars().count() == 1, "{text}");
                last = range.start;
                let name = tokenizer.token(token.id).expect("a token");
                let name = name.strip_prefix("##").unwrap_or(name);
                let there = &text[range];
                if there.chars().all(|c| matches!(c, 'a'..='z' | 'ぁ'..='ん' | '一'..='龠')) {
                    assert_eq!(there, name, "{folder}: {text}");
                }
            }
        }
        assert!(placed > 400, "{folder}: {placed}");
    }
}
