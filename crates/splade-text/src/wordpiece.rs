//! WordPiece as BERT splits words: the longest piece of the vocabulary at each place (Wu et al.
//! 2016, arXiv 1609.08144), and one unknown token for a word of which a part has none.

use crate::vocab::Vocab;

/// A word of more characters than this is unknown.
pub(crate) const MAX_WORD_CHARS: usize = 100;

/// A vocabulary of words and `##` continuations.
#[derive(Debug)]
pub(crate) struct WordPiece {
    vocab: Vocab,
    unk: u32,
    /// Bytes of the longest entry of the vocabulary.
    longest: usize,
}

impl WordPiece {
    pub(crate) fn new(vocab: Vocab, unk: u32) -> Self {
        Self { longest: vocab.longest(), vocab, unk }
    }

    /// The id of an entry, or the unknown one.
    pub(crate) fn whole(&self, word: &str) -> u32 {
        self.vocab.id(word).unwrap_or(self.unk)
    }

    /// Appends the pieces of all words of a text, which blanks separate.
    pub(crate) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        for word in text.split(python_space).filter(|word| !word.is_empty()) {
            self.encode_word(word, ids);
        }
    }

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

/// What Python's `str.split()` splits on.
pub(crate) fn python_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
