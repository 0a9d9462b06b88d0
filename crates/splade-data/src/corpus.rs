//! A corpus of texts for masked language modelling: sequences of one length that are cut from the
//! concatenation of all documents ("full sentences" of RoBERTa, arXiv 1907.11692, section 4.2).
//!
//! Every document ends with the tokens that the tokenizer appends to a text. The offset of the
//! first cut differs between epochs and follows from the seed, and so does the order of the
//! sequences. Therefore resuming needs no saved state. The memory is four bytes a token.

use hydra_compose::settings::SettingError;
use rayon::prelude::*;
use splade_text::Tokenizer;

use super::random::{Permutation, Random, Stream, hash};
use crate::error::DataError;

/// The tokenized sequences to train on and the sequences that are held out for evaluation.
#[derive(Debug)]
pub struct Corpus {
    train: Vec<u32>,
    held_out: Vec<u32>,
    /// The special tokens before and after every sequence.
    around: (Vec<u32>, Vec<u32>),
    /// The number of tokens in a sequence, without the special tokens around it.
    room: usize,
    eval_share: f64,
    shuffle: bool,
    seed: u64,
    documents: u64,
    /// The hash of all tokens so far; see [`Corpus::fingerprint`].
    fingerprint: u64,
}

/// Options for cutting a corpus into sequences.
///
/// ```
/// use splade_data::{Corpus, CorpusOptions};
/// use splade_text::{Tokenizer, TokenizerOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../splade-text/tests/fixtures/bert-uncased");
/// let tokenizer = Tokenizer::from_dir(&model, &TokenizerOptions::default())?;
/// // Half of the documents are held out, in sequences of 8 tokens.
/// let options = CorpusOptions { max_length: 8, eval_share: 0.5, shuffle: false, seed: 42 };
/// let mut corpus = Corpus::new(&tokenizer, options)?;
/// corpus.add(&tokenizer, &vec!["the night train before dawn in the rain".to_owned(); 20])?;
/// assert!(corpus.len() > 0 && corpus.held_out() > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CorpusOptions {
    /// The number of tokens in a sequence, including special tokens.
    pub max_length: usize,
    /// The share of the documents that is held out, from 0 to 1.
    pub eval_share: f64,
    /// Whether each epoch has its own random order of the sequences.
    pub shuffle: bool,
    /// The seed of the split, the cuts and the order.
    pub seed: u64,
}

impl Corpus {
    /// Creates an empty corpus.
    ///
    /// # Errors
    /// Returns an error if `max_length` leaves no room for tokens beside the special tokens.
    pub fn new(tokenizer: &Tokenizer, options: CorpusOptions) -> Result<Self, DataError> {
        let CorpusOptions { max_length, eval_share, shuffle, seed } = options;
        let (before, after) = tokenizer.around();
        let special = before.len() + after.len();
        let room = max_length.checked_sub(special).filter(|room| *room > after.len());
        let room = room.ok_or_else(|| {
            let rule =
                format!("{max_length} tokens leave no room besides the {special} special tokens");
            SettingError::new("model.max_length", rule).with_remedy("use a larger value")
        })?;
        Ok(Self {
            train: Vec::new(),
            held_out: Vec::new(),
            around: (before.to_vec(), after.to_vec()),
            room,
            eval_share,
            shuffle,
            seed,
            documents: 0,
            fingerprint: 0,
        })
    }

    /// Tokenizes documents on all threads, adds them, and returns the number of their tokens.
    /// Documents without a token are skipped.
    ///
    /// # Errors
    /// Returns an error if the tokenizer fails on a text.
    pub fn add(&mut self, tokenizer: &Tokenizer, texts: &[String]) -> Result<usize, DataError> {
        let encode = |text: &String| tokenizer.encode_plain(text);
        let all: Vec<Vec<u32>> = texts.par_iter().map(encode).collect::<Result<_, _>>()?;
        for ids in all.iter().filter(|ids| !ids.is_empty()) {
            let draw = Random::new(&[self.seed, Stream::SPLIT, self.documents]).share();
            let part = if draw < self.eval_share { &mut self.held_out } else { &mut self.train };
            part.extend(ids);
            part.extend(&self.around.1);
            self.documents += 1;
            let words = ids.iter().map(|id| u64::from(*id));
            self.fingerprint = words.fold(hash(&[self.fingerprint]), |h, id| hash(&[h, id]));
        }
        Ok(all.iter().map(Vec::len).sum())
    }

    /// Returns the number of documents that have at least one token.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Returns the fingerprint of the corpus: two corpora with the same tokens have the same
    /// fingerprint.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns the number of sequences in an epoch.
    pub fn len(&self) -> usize {
        self.count(&self.train)
    }

    /// Returns whether the corpus has no sequence to train on.
    pub fn is_empty(&self) -> bool {
        self.train.is_empty()
    }

    /// Returns the number of held-out sequences.
    pub fn held_out(&self) -> usize {
        self.count(&self.held_out)
    }

    /// Returns the number of the sequence at a position of an epoch, and its token ids.
    ///
    /// # Panics
    /// Panics if the position is not below [`len`](Self::len).
    pub fn sequence(&self, epoch: u64, position: usize) -> (usize, Vec<u32>) {
        let index = match self.shuffle {
            true => Permutation::new(self.len(), &[self.seed, Stream::ORDER, epoch]).at(position),
            false => position,
        };
        let cut = match epoch {
            0 => 0,
            _ => Random::new(&[self.seed, Stream::CUT, epoch]).below(self.train.len()),
        };
        (index, self.cut(&self.train, cut, index))
    }

    /// Returns the token ids of a held-out sequence.
    ///
    /// # Panics
    /// Panics if the index is not below [`held_out`](Self::held_out).
    pub fn held_out_sequence(&self, index: usize) -> Vec<u32> {
        self.cut(&self.held_out, 0, index)
    }

    /// Returns the number of whole sequences. The tokens that remain are a different part of the
    /// corpus in each epoch.
    fn count(&self, tokens: &[u32]) -> usize {
        (tokens.len() / self.room).max(usize::from(!tokens.is_empty()))
    }

    /// Returns sequence `index` of the tokens, counted from position `cut` and continuing at the
    /// start after the end.
    fn cut(&self, tokens: &[u32], cut: usize, index: usize) -> Vec<u32> {
        assert!(index < self.count(tokens), "sequence {index} of {}", self.count(tokens));
        let (before, after) = &self.around;
        let start = (cut + index * self.room) % tokens.len();
        let end = start + self.room.min(tokens.len());
        let mut ids = before.clone();
        ids.extend(&tokens[start..end.min(tokens.len())]);
        ids.extend(&tokens[..end.saturating_sub(tokens.len())]);
        // Removes a document end at the start of a sequence and adds none where the sequence ends
        // with one.
        if !after.is_empty() && ids[before.len()..].starts_with(after) {
            ids.drain(before.len()..before.len() + after.len());
        }
        if after.is_empty() || !ids.ends_with(after) {
            ids.extend(after);
        }
        ids
    }
}
