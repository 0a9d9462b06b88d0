//! WordPiece as in BERT: a word is split greedily into the longest pieces of the vocabulary (Wu et
//! al. 2016, arXiv 1609.08144). A word of which some part has no piece becomes one unknown token.

use crate::vocab::Vocab;

/// The number of characters above which a word is unknown.
pub(crate) const MAX_WORD_CHARS: usize = 100;

/// A vocabulary of words and `##` continuations.
#[derive(Debug)]
pub(crate) struct WordPiece {
    vocab: Vocab,
    unk: u32,
    /// The length of the longest entry of the vocabulary in bytes.
    longest: usize,
}

impl WordPiece {
    pub(crate) fn new(vocab: Vocab, unk: u32) -> Self {
        Self { longest: vocab.longest(), vocab, unk }
    }

    /// Returns the id of an entry, or the unknown id.
    pub(crate) fn whole(&self, word: &str) -> u32 {
        self.vocab.id(word).unwrap_or(self.unk)
    }

    /// Appends the pieces of all words of a text, which are separated by whitespace.
    pub(crate) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        for word in text.split(python_space).filter(|word| !word.is_empty()) {
            self.encode_word(word, ids);
        }
    }

    /// Appends the pieces of a word.
    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        if word.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS {
            return ids.push(self.unk);
        }
        if let Some(id) = self.vocab.id(word) {
            return ids.push(id);
        }
        let first = ids.len();
        let mut key = String::new();
        let mut start = 0;
        while start < word.len() {
            let mut end = word.len().min(start + self.longest);
            while !word.is_char_boundary(end) {
                end -= 1;
            }
            key.clear();
            if start > 0 {
                key.push_str("##");
            }
            key.push_str(&word[start..end]);
            let id = loop {
                if end == start {
                    break None;
                }
                if let Some(id) = self.vocab.id(&key) {
                    break Some(id);
                }
                end -= key.pop().map_or(0, char::len_utf8);
            };
            match id {
                Some(id) => ids.push(id),
                None => {
                    ids.truncate(first);
                    return ids.push(self.unk);
                }
            }
            start = end;
        }
    }
}

/// Returns whether Python's `str.split()` splits at a character.
pub(crate) fn python_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
